//! The exploration loop for callers in Python: runs it on threads of its own and answers Ctrl-C.

use frontrun_cli::render::exploration;
use frontrun_cli::render::lanes::{self, LaneOptions, Rows};
use frontrun_cli::render::style::Style;
use frontrun_formats::{Block, Event, ThreadPath};
use frontrun_replayer::proof::{self, ProofConfig};
use frontrun_replayer::report::Report;
use frontrun_replayer::{AfterFailure, ExploreConfig, Plan, ReplayError, Runner, SamplerKind, Worker};
use frontrun_replayer::{explore, trace_file};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An exploration that took longer may have left much free memory.
const LONG: Duration = Duration::from_secs(1);

/// How often a waiting caller looks for signals.
const TICK: Duration = Duration::from_millis(50);

/// Columns of an explanation.
const EXPLANATION_WIDTH: usize = 120;

/// A pair of connected sockets for each server: `[(ours, theirs)]`, all closed on exec.
#[pyfunction]
pub fn socket_pairs(count: usize) -> PyResult<Vec<(RawFd, RawFd)>> {
    (0..count)
        .map(|_| {
            let (ours, theirs) = UnixStream::pair()?;
            Ok((ours.into_raw_fd(), theirs.into_raw_fd()))
        })
        .collect()
}

/// What is to be sampled, as keyword arguments of `explore_served`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct SamplingPlan {
    attempts: u64,
    seed: u64,
    samplers: Vec<String>,
    steps: u32,
}

impl TryFrom<SamplingPlan> for Plan {
    type Error = PyErr;

    fn try_from(plan: SamplingPlan) -> PyResult<Plan> {
        let unknown = |name: &str| PyValueError::new_err(format!("no sampler is called {name:?}"));
        let kind = |name: &String| match name.as_str() {
            "walk" => Ok(SamplerKind::Walk),
            "pos" => Ok(SamplerKind::Pos),
            name => match name.strip_prefix("pct").and_then(|depth| depth.parse().ok()) {
                Some(depth) if depth > 0 => Ok(SamplerKind::Pct { depth }),
                _ => Err(unknown(name)),
            },
        };
        let samplers: Vec<SamplerKind> = plan.samplers.iter().map(kind).collect::<PyResult<_>>()?;
        if samplers.is_empty() {
            return Err(PyValueError::new_err("at least one sampler is needed"));
        }
        Ok(Plan { attempts: plan.attempts, seed: plan.seed, samplers, steps: plan.steps })
    }
}

/// What has been free since a long exploration goes back to the system. The process may fork again and again for the next
/// one, which takes the longer the more memory it has.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number and touches what is free only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Explores through the servers behind the sockets `fds`.
///
/// # Errors
/// `KeyboardInterrupt` when the user interrupts; `RuntimeError` when the directory cannot be used.
#[pyfunction]
#[pyo3(signature = (
    fds, directory, max_executions, max_seconds, preemption_bound, stop_on_first, timeout_per_run, fail_on_race,
    gil, plan
))]
#[expect(clippy::too_many_arguments, reason = "the options of one Python call, passed by keyword")]
pub fn explore_served<'py>(
    py: Python<'py>,
    fds: Vec<RawFd>,
    directory: PathBuf,
    max_executions: Option<u64>,
    max_seconds: Option<f64>,
    preemption_bound: Option<u32>,
    stop_on_first: bool,
    timeout_per_run: f64,
    fail_on_race: bool,
    gil: bool,
    plan: Option<SamplingPlan>,
) -> PyResult<Bound<'py, PyDict>> {
    // First of all, so that the servers end whatever happens here.
    let runners: Vec<Box<dyn Runner>> = fds
        .into_iter()
        // SAFETY: the descriptors were made for this call and nobody else uses them.
        .map(|fd| Box::new(Worker::new(unsafe { UnixStream::from_raw_fd(fd) })) as Box<dyn Runner>)
        .collect();
    let mut config = ExploreConfig::new(directory);
    config.max_executions = max_executions;
    config.max_time = max_seconds.map(Duration::from_secs_f64);
    config.preemption_bound = preemption_bound;
    config.after_failure = if stop_on_first { AfterFailure::Stop } else { AfterFailure::Continue };
    config.timeout_per_run = Duration::from_secs_f64(timeout_per_run);
    config.fail_on_race = fail_on_race;
    config.gil = gil;
    config.sampling = plan.map(TryInto::try_into).transpose()?;
    let (begun, interrupt) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let (sender, receiver) = channel();
    let flag = Arc::clone(&interrupt);
    let worker = std::thread::spawn(move || {
        let _ = sender.send(explore::explore(&config, runners, &flag));
    });
    let mut interrupted = None;
    let receiver = Mutex::new(receiver);
    let wait = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(TICK);
    let result = loop {
        match py.detach(wait) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = py.check_signals() {
                    interrupt.store(true, Ordering::Relaxed);
                    interrupted = Some(error);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the exploration ended without a report"));
            }
        }
    };
    let _ = py.detach(|| worker.join());
    if begun.elapsed() > LONG {
        give_memory_back();
    }
    match interrupted {
        Some(error) => Err(error),
        None => describe(py, &result.map_err(|error| PyRuntimeError::new_err(error.to_string()))?),
    }
}

/// Replays the execution of a trace through the server behind the socket `fd`. Returns how often it failed in the same
/// way again, of how many runs.
#[pyfunction]
pub fn confirm_served(
    py: Python<'_>,
    fd: RawFd,
    trace: PathBuf,
    times: u32,
    timeout_per_run: f64,
) -> PyResult<(usize, usize)> {
    // SAFETY: the descriptor was made for this call and nobody else uses it.
    let mut worker = Worker::new(unsafe { UnixStream::from_raw_fd(fd) });
    let failed = |error: ReplayError| PyRuntimeError::new_err(error.to_string());
    py.detach(|| {
        let execution = trace_file::read(&trace).map_err(failed)?;
        let directory = trace.with_extension("proof");
        std::fs::create_dir_all(&directory)?;
        let timeout = Duration::from_secs_f64(timeout_per_run);
        let config = ProofConfig { times, directory: &directory, output: None, timeout };
        let proof = proof::confirm(&mut worker, &execution, config, &AtomicBool::new(false)).map_err(failed);
        let _ = std::fs::remove_dir_all(&directory);
        let proof = proof?;
        Ok((proof.reproduced(), proof.runs.len()))
    })
}

/// The interleaving of a trace as source lines, one column for each thread.
#[pyfunction]
pub fn explain(trace: PathBuf) -> PyResult<String> {
    let execution = trace_file::read(&trace).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let options = LaneOptions { rows: Rows::SourceLines, width: EXPLANATION_WIDTH, style: Style::plain() };
    Ok(lanes::lanes(&execution, options))
}

/// Which builds of CPython can have a failing execution, in words.
#[pyfunction]
pub fn describe_builds(gil_reachable: bool) -> &'static str {
    exploration::builds(gil_reachable)
}

/// Which of the main thread's children made each step of a trace: a list for `Request(turns=…)`. Only children whose name
/// begins with `prefix` are counted. Steps of the main thread and of threads that the children started are left out, and so
/// are the begin and the end of a thread. An opaque block, such as the step of a task, is one step.
#[pyfunction]
#[pyo3(signature = (trace, prefix=""))]
pub fn turns(trace: PathBuf, prefix: &str) -> PyResult<Vec<u32>> {
    let execution = trace_file::read(&trace).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let named = execution.threads.iter().filter(|thread| thread.name.starts_with(prefix));
    let children = named.filter_map(|thread| child_of_main(&thread.path));
    let children: BTreeMap<u32, u32> = children.collect::<BTreeSet<u32>>().into_iter().zip(0..).collect();
    let is_step = |event: &&Event| event.block != Block::Later && !event.operation.is_lifecycle();
    let paths = execution.events.iter().filter(is_step).filter_map(|event| execution.path(event.thread));
    Ok(paths.filter_map(|path| children.get(&child_of_main(path)?).copied()).collect())
}

fn child_of_main(path: &ThreadPath) -> Option<u32> {
    if let [_, child] = path.0[..] { Some(child) } else { None }
}

/// The report as a dictionary.
fn describe<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let failures = PyList::empty(py);
    for failure in &report.failures {
        let entry = PyDict::new(py);
        entry.set_item("kind", failure.kind.name())?;
        entry.set_item("message", failure.headline())?;
        entry.set_item("details", &failure.details)?;
        entry.set_item("trace", failure.trace.display().to_string())?;
        entry.set_item("attempt", failure.executions_before + 1)?;
        entry.set_item("gil_reachable", failure.gil)?;
        failures.append(entry)?;
    }
    let result = PyDict::new(py);
    result.set_item("verdict", report.verdict().name())?;
    result.set_item("executions", report.executions)?;
    result.set_item("classes", report.classes)?;
    result.set_item("failures", failures)?;
    result.set_item("outcomes", &report.outcomes)?;
    result.set_item("bounded_by", report.bounded_by.map(|bound| bound.name()))?;
    result.set_item("errors", &report.errors)?;
    result.set_item("diverged", report.diverged)?;
    result.set_item("cut_runs", report.cut_runs)?;
    result.set_item("left_behind", report.left_behind)?;
    result.set_item("waiting", report.waiting)?;
    result.set_item("races", report.races.len())?;
    result.set_item("most_threads", report.most_threads)?;
    result.set_item("sampled", report.sampled)?;
    result.set_item("horizon", report.horizon)?;
    result.set_item("first_trace", report.first_trace.as_ref().map(|path| path.display().to_string()))?;
    result.set_item("first_divergence", report.first_divergence.as_ref().map(ToString::to_string))?;
    Ok(result)
}
