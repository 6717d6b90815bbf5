//! Threads that stand for worker processes: they make each step on behalf of the process that asks for it.
//!
//! Model: a process is forked from the run before its first thread starts, and a thread of the run stands for it. That
//! thread waits for a question of its process while it holds the turn; it makes the step that the process asks for, which
//! may pass the turn to others, and answers when the turn is its own again. So a step, its footprint and whether it can
//! happen are the same as if the thread did it itself.
//!
//! What cannot be followed between processes (pipes, sockets that lead to another one, shared memory) ends the run.
//!
//! Not here: the process (worker), what it asks of Python (package `frontrun._processes`), locks (file_locks), connections to
//! servers (distant).

use crate::behind::{self, Caller};
use crate::messages::{self, Answer, IoCall, Place, Question, Wish};
use crate::shim::{BEFORE, DONE, IoEvent, Texts, WRITES, kind};
use crate::site::{self, Seen};
use crate::worker::{self, NUMBERS};
use crate::{
    channels, clock, controlled, distant, file_locks, io, processes, run, status, streams, switching,
    time_calls, visible,
};
use frontrun_recorder::bytecode::{SiteKind, SiteSpec};
use libc::c_int;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ffi::CString;
use std::io::ErrorKind;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// This side's ends of the sockets to all workers.
static ENDS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Descriptors of a worker are told from those of others and of this process by this factor.
const DESCRIPTORS: c_int = 1 << 16;

/// Forks a worker process. Returns its process and the socket to it; in the worker, 0 and -1.
#[pyfunction]
pub fn fork_worker(number: u32) -> PyResult<(i32, RawFd)> {
    controlled::quiet();
    let made = fork();
    controlled::loud();
    if let Ok((0, socket)) = made {
        worker::become_worker(number, socket);
        return Ok((0, -1));
    }
    made.map_err(|error| PyOSError::new_err(error.to_string()))
}

fn fork() -> Result<(i32, RawFd), std::io::Error> {
    let (ours, theirs) = UnixStream::pair()?;
    let parent = std::process::id();
    // SAFETY: what is registered to happen around a fork would seed generators and so make each run another program.
    // The locks of this process are free: its other threads are parked.
    match unsafe { libc::fork() } {
        pid if pid < 0 => Err(std::io::Error::last_os_error()),
        0 => {
            // SAFETY: ends this process with the thread that has forked it, or at once if that is gone already.
            unsafe {
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if libc::getppid() as u32 != parent {
                    libc::_exit(1);
                }
            }
            drop(ours);
            for end in ENDS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                // SAFETY: a copy of a descriptor that belongs to the run alone.
                unsafe { libc::close(end) };
            }
            Ok((0, theirs.into_raw_fd()))
        }
        pid => {
            processes::add(pid);
            let end = ours.into_raw_fd();
            ENDS.lock().unwrap_or_else(PoisonError::into_inner).push(end);
            Ok((pid, end))
        }
    }
}

/// Makes the steps that a worker asks for, until it asks for something that Python has to answer: returns that. `None` when
/// the process has ended.
#[pyfunction]
pub fn next_question<'py>(
    py: Python<'py>,
    number: u32,
    socket: RawFd,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    loop {
        let received = py.detach(|| messages::receive::<Question>(socket));
        let (question, passed) = match received {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(None),
            Err(error) => return Err(PyOSError::new_err(error.to_string())),
        };
        clock::set_passed(question.clock);
        // Between processes no lock of an interpreter is in the way.
        switching::forget();
        if question.moved
            && let Some(place) = &question.place
        {
            arrive(py, place)?;
        }
        let code = match question.wish {
            Wish::Python(bytes) => return Ok(Some(PyBytes::new(py, &bytes))),
            Wish::Rest(seconds) => {
                rest(seconds)?;
                DONE
            }
            Wish::Call(call) => call_of(number, &call, passed),
        };
        answer(socket, code, &[])?;
    }
}

/// Answers what Python was asked.
#[pyfunction]
pub fn answer_worker(socket: RawFd, bytes: &[u8]) -> PyResult<()> {
    answer(socket, DONE, bytes)
}

/// A process that is gone needs no answer; that it is will be seen when its next question is waited for.
fn answer(socket: RawFd, code: u32, bytes: &[u8]) -> PyResult<()> {
    let clock = u64::try_from(clock::passed().as_nanos()).unwrap_or(u64::MAX);
    let answer = Answer { code, python: bytes.to_vec().into(), clock };
    match messages::send(socket, &answer, None) {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Ok(()),
            _ => Err(PyOSError::new_err(error.to_string())),
        },
    }
}

fn rest(seconds: f64) -> PyResult<()> {
    let me = controlled::visible_thread().ok_or_else(|| PyRuntimeError::new_err("not in a run"))?;
    time_calls::rest(me, Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    Ok(())
}

/// Waits for the end of a worker, and gives back the locks that end with it. Returns its status as of `waitpid`.
#[pyfunction]
pub fn end_worker(py: Python<'_>, number: u32, process: i32, socket: RawFd) -> Option<i32> {
    ENDS.lock().unwrap_or_else(PoisonError::into_inner).retain(|end| *end != socket);
    controlled::quiet();
    // SAFETY: the descriptor was made for this worker, and nobody uses it any more.
    unsafe { libc::close(socket) };
    controlled::loud();
    let status = py.detach(|| processes::wait(process));
    if let Some(me) = controlled::visible_thread() {
        let first = worker::first_number(number);
        file_locks::end_process(me, first..first + NUMBERS);
        distant::end_worker(me, number);
    }
    status
}

/// Makes the step that a call is.
fn call_of(number: u32, call: &IoCall, passed: Option<RawFd>) -> u32 {
    let function = CString::new(call.function.as_str()).unwrap_or_default();
    let texts = Texts {
        resource: &call.resource,
        other: &call.other,
        path: &call.path,
        other_path: &call.other_path,
        function: &function,
    };
    let mut event = IoEvent::with_texts(&texts);
    (event.kind, event.phase, event.access) = (call.kind, call.phase, call.access);
    event.fd = if call.fd >= 0 { call.fd + (number as c_int + 1) * DESCRIPTORS } else { call.fd };
    (event.generation, event.device, event.inode) = (call.generation, call.device, call.inode);
    (event.offset, event.length, event.arguments) = (call.offset, call.length, call.arguments);
    (event.result, event.error) = (call.result, call.error);
    let holder = worker::first_number(number) + NUMBERS - 1;
    let caller = Caller { holder, behind: call.behind };
    if let Some(answer) = distant::take_call(number, &mut event, call, passed, caller) {
        return answer;
    }
    // What this side looks up is none of the worker's doing.
    controlled::quiet();
    let is_seen = !streams::is_printed_to(&event);
    if is_seen {
        refuse(number, &event);
    }
    controlled::loud();
    if !is_seen {
        return DONE;
    }
    behind::set_caller(Some(caller));
    status::set_asked_for(call.behind.is_status);
    let code = io::tell(&event);
    status::set_asked_for(false);
    behind::set_caller(None);
    code
}

/// Ends the run if the call is a way to meet others that is not followed between processes.
fn refuse(number: u32, event: &IoEvent) {
    if event.phase != BEFORE {
        return;
    }
    let is_file = event.file().is_some();
    let is_of_parent = event.generation < worker::first_number(number);
    let actual = if event.kind == kind::WAIT {
        "one waits for other descriptors than those of its connections to servers"
    } else if event.resource().starts_with(b"socket:") && is_of_parent && event.kind != kind::CONNECT {
        "one uses a socket that was made before it was forked"
    } else if event.kind == kind::CONNECT && event.resource().starts_with(b"socket:") {
        "one connects to a socket of its own program, or by messages"
    } else if channels::concerns(event) && !(is_file && is_copied_to_file(event)) {
        "one uses a socket or a pipe"
    } else if matches!(event.kind, kind::READ | kind::WRITE) && event.generation != 0 && !is_file {
        "one uses a descriptor that is no file"
    } else if event.kind == kind::MAP && is_file && maps(event) {
        "one maps a file into memory"
    } else if event.file().is_some_and(|file| file.starts_with(b"/dev/shm/")) {
        "one uses shared memory (/dev/shm)"
    } else if event.kind == kind::OPEN && is_fifo(event) {
        "one opens a pipe or a socket by its path"
    } else {
        return;
    };
    run::end_unfollowed("worker processes to meet in files, databases and servers", actual);
}

fn is_copied_to_file(event: &IoEvent) -> bool {
    event.kind == kind::READ && event.access & WRITES != 0 && event.other_file().is_some()
}

/// Whether a mapping of the file could show what others write, or show them what is written.
fn maps(event: &IoEvent) -> bool {
    let is_shared = event.arguments[3] as c_int & libc::MAP_SHARED != 0;
    is_shared || io::concerns(event)
}

fn is_fifo(event: &IoEvent) -> bool {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::FileTypeExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(event.path()));
    path.metadata().is_ok_and(|status| status.file_type().is_fifo() || status.file_type().is_socket())
}

/// Makes the place where the worker is that of the calling thread.
fn arrive(py: Python<'_>, place: &Place) -> PyResult<()> {
    let (file, function) = (PyString::new(py, &place.file), PyString::new(py, &place.function));
    let of = site::Place {
        file: file.as_ptr(),
        function: function.as_ptr(),
        n_localsplus: 0,
        seen: Seen::InScope,
    };
    let position = place.position;
    let spec = SiteSpec {
        first: false,
        around: false,
        in_loop: false,
        kind: SiteKind::Call,
        arg: 0,
        method_form: false,
        keyword_names: None,
        depth: 0,
        original_unit: position.unit,
        line: position.line,
        end_line: position.end_line,
        column: position.column,
        end_column: position.end_column,
    };
    // SAFETY: the interpreter's lock is held, and the texts are live. The thread keeps the site as long as it is there.
    unsafe {
        let made =
            Bound::from_owned_ptr_or_err(py, site::new(&spec, &of, std::ptr::null_mut(), visible::hook))?;
        if let Some(site) = site::of_constant(made.as_ptr()) {
            controlled::set_last_site(site, 0);
        }
    }
    Ok(())
}
