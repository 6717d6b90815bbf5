//! Beginning and ending the run of this process, and serving runs from a checkpoint by forking.
//!
//! Not here: the protocol and the waiting (replayer), what the program is (package `frontrun`).

use crate::servers::inputs;
use crate::{
    buffered, c_calls, controlled, dates, exits, free_threading, freed, hashes, io, locks, process_locks,
    run, simple_queue, sources, status, streams, time_calls,
};
use frontrun_formats::{Environment, Failure, FailureKind, Header, Outcome, Schedule, Tail, Target};
use frontrun_recorder::gate::Gate;
use frontrun_recorder::recording::Recording;
use frontrun_replayer::{RunRequest, Served, descriptors, serve_many};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::fs::OpenOptions;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// What one run is to do: follow a schedule and write a trace.
#[pyclass(frozen)]
pub struct Request(RunRequest);

#[pymethods]
impl Request {
    /// A request that did not come over a socket: where the trace goes, and the schedule's file if there is one.
    #[new]
    #[pyo3(signature = (trace, schedule=None, parent=None, turns=None))]
    fn new(
        trace: PathBuf,
        schedule: Option<PathBuf>,
        parent: Option<u64>,
        turns: Option<Vec<u32>>,
    ) -> PyResult<Self> {
        let mut schedule = schedule.map_or(Ok(Schedule::default()), |path| read_schedule(&path))?;
        if let Some(turns) = turns {
            schedule.tail = Tail::Turns(turns);
        }
        let request =
            RunRequest { id: 0, schedule, trace, output: None, timeout_ms: 0, give_way_ms: None, parent };
        Ok(Request(request))
    }

    /// Where the trace goes.
    #[getter]
    fn trace(&self) -> PathBuf {
        self.0.trace.clone()
    }

    /// The schedule that this one was derived from; `None` for the first execution of an exploration.
    #[getter]
    fn parent(&self) -> Option<u64> {
        self.0.parent
    }
}

fn read_schedule(path: &PathBuf) -> PyResult<Schedule> {
    let bytes = std::fs::read(path)?;
    rmp_serde::from_slice(&bytes)
        .map_err(|error| PyValueError::new_err(format!("{} is no schedule: {error}", path.display())))
}

/// Facts about the program for the trace's header, as keyword arguments of `begin_run`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Facts {
    command: Vec<String>,
    call: Option<String>,
    directory: String,
    python: String,
    python_version: (u8, u8, u8),
    executable: String,
    flags: Vec<(String, String)>,
    hash_seed: String,
    platform: String,
}

/// Begins the run of this process: writes the header, schedule included, before anything happens. A run in the caller's
/// own process (`in_caller`) leaves it alive when it ends.
#[pyfunction]
#[pyo3(signature = (request, facts, in_caller=false))]
pub fn begin_run(py: Python<'_>, request: &Request, facts: Facts, in_caller: bool) -> PyResult<()> {
    if has_begun() {
        return Err(PyRuntimeError::new_err("a run is under way in this process already"));
    }
    let Request(request) = request;
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&request.trace)?;
    let header = Header {
        target: Target { command: facts.command, call: facts.call },
        environment: Environment {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            directory: facts.directory,
            python: facts.python,
            python_version: facts.python_version,
            executable: facts.executable,
            flags: facts.flags,
            hash_seed: facts.hash_seed,
            platform: facts.platform,
        },
        schedule: request.schedule.clone(),
        parent: request.parent,
    };
    let mut recording =
        Recording::create(file, &header).map_err(|error| PyOSError::new_err(error.to_string()))?;
    recording.inputs = inputs::recorded();
    buffered::install(py)?;
    status::install(py)?;
    c_calls::install(py)?;
    dates::install(py)?;
    exits::install(py)?;
    free_threading::install(py)?;
    locks::install(py)?;
    simple_queue::install(py)?;
    process_locks::install(py)?;
    time_calls::install(py)?;
    know_objects(py)?;
    hashes::begin_run();
    io::install();
    run::forget_in_forks();
    let give_way = request.give_way_ms.map(Duration::from_millis);
    run::begin(Gate::new(request.schedule.clone()), recording, in_caller, give_way);
    // SAFETY: the interpreter's lock is held, and there is no other thread.
    if let Some(run) = unsafe { run::get() } {
        run.telling = inputs::told();
    }
    Ok(())
}

/// What the program does from here on is to be the same in every process that runs it: objects hash by numbers, in place
/// of addresses, even before the run begins.
#[pyfunction]
pub fn number_objects(py: Python<'_>) -> PyResult<()> {
    know_objects(py)?;
    hashes::begin_process();
    Ok(())
}

/// From here on it is noticed when objects die, and those that come can have numbers.
fn know_objects(py: Python<'_>) -> PyResult<()> {
    // SAFETY: the interpreter's lock is held.
    unsafe { freed::install() };
    hashes::install(py)
}

/// Notes the `repr` of what the caller observes after the run.
#[pyfunction]
pub fn observe(text: String) {
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.observed = Some(text);
    }
}

/// Whether a run is under way in this process.
#[pyfunction]
pub fn has_begun() -> bool {
    // SAFETY: the calling thread holds the interpreter's lock.
    unsafe { run::get() }.is_some()
}

/// Ends the program and the run: completes the trace. Returns whether the execution failed.
#[pyfunction]
pub fn finish_run() -> bool {
    if let Some(me) = controlled::controlled_thread() {
        run::leave_program(me);
    }
    let failed = run::finish(Outcome::Passed);
    controlled::become_thread(None);
    failed
}

/// Notes where this process prints, so that it and its forked runs find it wherever the program puts the descriptor.
#[pyfunction]
pub fn remember_output() {
    descriptors::remember_output();
    streams::remember();
}

/// Ends a run in the caller's process that takes too long. May be called from any thread.
#[pyfunction]
pub fn abort_run(message: String) {
    if has_begun() {
        let failure = Failure { kind: FailureKind::Hang, message, thread: None, details: String::new() };
        run::end_failed(failure);
    }
}

/// Ends the run, which does something that no model follows. Returns, so that the caller can raise an exception instead,
/// only if the run is one in the caller's process.
#[pyfunction]
pub fn end_unfollowed(expected: &str, actual: &str) {
    if !run::is_in_caller() {
        run::end_unfollowed(expected, actual);
    }
}

/// How the last run in the caller's process failed: kind, message, details.
#[pyfunction]
pub fn take_failure() -> Option<(&'static str, String, String)> {
    run::take_failure().map(|failure| (failure.kind.name(), failure.message, failure.details))
}

/// Has everything imported that runs need: before the program is, so that it finds the same modules in the same order
/// in a forked run and in one that begins with the interpreter.
#[pyfunction]
pub fn import_early(py: Python<'_>) -> PyResult<()> {
    c_calls::install(py)?;
    // Its import takes longer than many a run.
    dates::install(py)
}

/// Serves runs over the sockets `fds`, one server process each. Returns in each forked child, with its request; in
/// the servers, returns `None` when the other side is gone.
#[pyfunction]
pub fn serve(py: Python<'_>, fds: Vec<RawFd>) -> PyResult<Option<Request>> {
    sources::prepare();
    import_early(py)?;
    // It lists all objects that there are, which each run would do anew.
    know_objects(py)?;
    // SAFETY: the descriptors were made for this call and nobody else uses them.
    let sockets = fds.into_iter().map(|fd| unsafe { UnixStream::from_raw_fd(fd) }).collect();
    let mut fork = || {
        // SAFETY: the server has one thread, which goes on in the child with all locks as they were. What the
        // interpreter and the program have registered to happen around a fork must not happen: it would take locks
        // that this thread holds, seed generators, and make each run another program.
        match unsafe { libc::fork() } {
            pid if pid < 0 => Err(std::io::Error::last_os_error()),
            pid => Ok(pid),
        }
    };
    match serve_many(sockets, &mut fork)? {
        Served::Child(request) => {
            request.output.as_deref().inspect(|path| streams::note_output(path));
            Ok(Some(Request(request)))
        }
        Served::Closed => Ok(None),
    }
}
