//! Threads and the primitives that the standard library writes in Python, as steps: what the Python side of the
//! models calls.
//!
//! Model: a thread's life is spawn (by its parent), start, …, end, and joins by others. Between the spawn and its
//! first step a new thread runs the interpreter's own start-up alone, while its parent waits.
//!
//! Not here: the Python code of the models (package `frontrun._threads`, `frontrun._primitives`).

use crate::{controlled, names, run};
use frontrun_formats::{Failure, FailureKind, Location, ObjectId, Operation, Part, ThreadId, ThreadPath};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// The number of the calling thread if it is controlled and visible, else `None`.
#[pyfunction]
pub fn current() -> Option<u32> {
    controlled::visible_thread().map(|thread| thread.0)
}

/// Makes what follows on this thread invisible until `loud()`.
#[pyfunction]
pub fn quiet() {
    controlled::quiet();
}

/// Ends the latest `quiet()`.
#[pyfunction]
pub fn loud() {
    controlled::loud();
}

fn me() -> PyResult<ThreadId> {
    controlled::controlled_thread().ok_or_else(|| PyRuntimeError::new_err("this thread is not controlled"))
}

/// Records a step of the calling thread at the site that it reached last.
fn step(me: ThreadId, operation: Operation, may_block: bool, result: u8) {
    let site = controlled::last_site();
    run::reach(me, site, may_block.then(|| operation.clone()));
    run::execute(me, site, operation, result);
}

/// Seats a new thread and records its spawn, at the place where the caller says that it happens. Returns its number.
#[pyfunction]
pub fn spawn(name: String, file: &str, function: &str, line: u32) -> PyResult<u32> {
    let me = me()?;
    let child = run::seat_child(me, name)
        .ok_or_else(|| PyRuntimeError::new_err("no run is under way in this process"))?;
    let operation = Operation::Spawn { thread: child };
    if controlled::last_site().is_some() {
        step(me, operation, false, 1);
    } else {
        run::execute_first_spawn(me, operation, file, function, line);
    }
    Ok(child.0)
}

/// Waits, without holding the interpreter's lock, until a spawned thread has arrived at its seat.
#[pyfunction]
pub fn await_arrival(py: Python<'_>, thread: u32) {
    if let Some(seat) = run::seat(ThreadId(thread)) {
        py.detach(|| seat.await_arrival());
    }
}

/// Makes the calling thread the spawned thread `thread`; it stays invisible until `begin()`.
#[pyfunction]
pub fn adopt(thread: u32) {
    controlled::become_thread(Some(ThreadId(thread)));
    controlled::quiet();
}

/// Arrives, waits for the first turn, and records the start.
#[pyfunction]
pub fn begin() -> PyResult<()> {
    let me = me()?;
    if let Some(seat) = run::seat(me) {
        seat.occupy();
        run::wait_at(&seat);
    }
    controlled::loud();
    run::execute(me, None, Operation::Start, 1);
    Ok(())
}

/// Records the end of the calling thread, which keeps the turn until `depart()`.
#[pyfunction]
pub fn end() -> PyResult<()> {
    let me = me()?;
    run::reach(me, None, None);
    run::execute(me, None, Operation::End, 1);
    controlled::quiet();
    Ok(())
}

/// Passes the turn on from a thread that has ended.
#[pyfunction]
pub fn depart() -> PyResult<()> {
    let me = me()?;
    controlled::become_thread(None);
    run::depart(me);
    Ok(())
}

/// Waits until a thread has ended.
#[pyfunction]
pub fn join(thread: u32) -> PyResult<()> {
    step(me()?, Operation::Join { thread: ThreadId(thread) }, true, 1);
    Ok(())
}

/// Whether a thread has ended by now: a step that reads it.
#[pyfunction]
pub fn has_ended(thread: u32) -> PyResult<bool> {
    let at = Location::new(ObjectId::THREADS, Part::Ended(ThreadId(thread)));
    let me = me()?;
    step(me, Operation::Read { at }, false, 1);
    // SAFETY: the calling thread holds the turn and the lock.
    Ok(unsafe { run::get() }.is_none_or(|run| run.gate.has_ended(ThreadId(thread))))
}

/// A step on a primitive of the standard library: `kind` names the operation, `object` is the primitive, `state`
/// the abstract value it had before the first step on it. Returns what the operation reports.
#[pyfunction]
#[pyo3(signature = (kind, object, state, lock=None, count=0, bound=0))]
pub fn primitive(
    kind: &str,
    object: &Bound<'_, PyAny>,
    state: i64,
    lock: Option<&Bound<'_, PyAny>>,
    count: u32,
    bound: u32,
) -> PyResult<bool> {
    let me = me()?;
    // SAFETY: live objects; the calling thread holds the turn and the lock.
    let (id, lock) =
        unsafe { (names::number(object.as_ptr()), lock.map(|lock| names::number(lock.as_ptr()))) };
    let lock = lock.unwrap_or(id);
    let (operation, may_block) = match kind {
        "event_wait" => (Operation::EventWait { event: id }, true),
        "event_set" => (Operation::EventSet { event: id }, false),
        "event_clear" => (Operation::EventClear { event: id }, false),
        "event_is_set" => (Operation::EventIsSet { event: id }, false),
        "semaphore_acquire" => (Operation::SemaphoreAcquire { semaphore: id }, true),
        "semaphore_try" => (Operation::SemaphoreTry { semaphore: id }, false),
        "semaphore_release" => (Operation::SemaphoreRelease { semaphore: id, permits: count, bound }, false),
        "condition_wait" => (Operation::ConditionWait { condition: id, lock }, false),
        "condition_wake" => (Operation::ConditionWake { condition: id, lock }, true),
        "condition_wake_timed" => (Operation::ConditionWakeTimed { condition: id, lock }, true),
        "condition_notify" => (Operation::ConditionNotify { condition: id, count }, false),
        _ => return Err(PyValueError::new_err(format!("no primitive operation is called {kind}"))),
    };
    if !kind.starts_with("condition") {
        run::initial_sync(id, Part::State, || state);
    }
    let site = controlled::last_site();
    run::reach(me, site, may_block.then(|| operation.clone()));
    let result = run::predict(me, &operation);
    run::execute(me, site, operation, u8::from(result));
    Ok(result)
}

/// A switch point that touches nothing.
#[pyfunction]
pub fn pause() -> PyResult<()> {
    step(me()?, Operation::Pause, false, 1);
    Ok(())
}

/// Notes that a thread ended in an exception that no code caught.
#[pyfunction]
pub fn report_exception(message: String, details: String) {
    note(FailureKind::Exception, message, details);
}

/// Notes a failure of the given kind ("invariant", "assertion", "exit_code", "exception").
#[pyfunction]
pub fn report_failure(kind: &str, message: String, details: String) -> PyResult<()> {
    let kind = match kind {
        "invariant" => FailureKind::Invariant,
        "assertion" => FailureKind::Assertion,
        "exit_code" => FailureKind::ExitCode,
        "exception" => FailureKind::Exception,
        _ => return Err(PyValueError::new_err(format!("no failure is called {kind}"))),
    };
    note(kind, message, details);
    Ok(())
}

fn note(kind: FailureKind, message: String, details: String) {
    let thread = controlled::controlled_thread().and_then(path);
    run::note_failure(Failure { kind, message, thread, details });
}

fn path(thread: ThreadId) -> Option<ThreadPath> {
    // SAFETY: the calling thread holds the turn and the lock; the path is cloned out.
    unsafe { run::get() }.map(|run| run.gate.path(thread).clone())
}

/// Keeps `object` out of control: a lock of the interpreter's own bookkeeping.
#[pyfunction]
pub fn ignore_lock(object: &Bound<'_, PyAny>) {
    crate::locks::ignore(object.as_ptr());
}
