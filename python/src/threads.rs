//! Threads and the primitives that the standard library writes in Python, as steps: what the Python side of the
//! models calls.
//!
//! Model: a thread's life is spawn (by its parent), start, …, end, and joins by others. Between the spawn and its
//! first step a new thread runs the interpreter's own start-up alone, while its parent waits.
//!
//! Not here: the Python code of the models (package `frontrun._threads`, `frontrun._primitives`).

use crate::clock::{self, Wait};
use crate::replaced::step;
use crate::site::Seen;
use crate::{controlled, joining, names, run, seating, spinning};
use frontrun_formats::{Failure, FailureKind, Location, ObjectId, Operation, Part, ThreadId, ThreadPath};
use pyo3::exceptions::{PyRuntimeError, PySystemExit, PyValueError};
use pyo3::prelude::*;
use std::time::Duration;

/// The number of the calling thread if it is controlled and visible, else `None`; an error in a thread whose run is over.
#[pyfunction]
pub fn current() -> PyResult<Option<u32>> {
    if !controlled::is_quiet() {
        go_on()?;
    }
    Ok(controlled::visible_thread().map(|thread| thread.0))
}

/// Whether the calling thread is controlled, visible, and not the only one: until a second thread starts, every
/// operation is left to the interpreter and none is an event.
#[pyfunction]
pub fn is_concurrent() -> bool {
    run::is_recording() && controlled::visible_thread().is_some()
}

/// Whether the code that the calling thread came to last is in scope, so that threads switch in it wherever it matters.
#[pyfunction]
pub fn is_in_scope() -> bool {
    controlled::last_site().is_some_and(|site| matches!(site.seen, Seen::InScope | Seen::Made))
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
    go_on()?;
    controlled::controlled_thread().ok_or_else(|| PyRuntimeError::new_err("this thread is not controlled"))
}

/// An error in a thread whose run is over.
fn go_on() -> PyResult<()> {
    if controlled::is_stale() { Err(PySystemExit::new_err(())) } else { Ok(()) }
}

/// Seats a new thread and records its spawn, at the place where the caller says that it happens. Returns its number.
#[pyfunction]
pub fn spawn(name: String, file: &str, function: &str, line: u32) -> PyResult<u32> {
    let me = me()?;
    let child = seating::seat_child(me, name)
        .ok_or_else(|| PyRuntimeError::new_err("no run is under way in this process"))?;
    let operation = Operation::Spawn { thread: child };
    run::announce(me, &operation);
    if controlled::last_site().is_some() {
        step(me, operation, false, 1);
    } else {
        seating::execute_first_spawn(me, operation, file, function, line);
    }
    Ok(child.0)
}

/// Waits, without holding the interpreter's lock, until a spawned thread has arrived at its seat.
#[pyfunction]
pub fn await_arrival(py: Python<'_>, thread: u32) {
    if let Some(seat) = seating::seat(ThreadId(thread)) {
        py.detach(|| seat.await_arrival());
    }
}

/// Takes back a spawned thread that the system could not start.
#[pyfunction]
pub fn abandon(thread: u32) {
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.gate.abandon(ThreadId(thread));
    }
}

/// Makes the calling thread the spawned thread `thread`; it stays invisible until `begin()`.
#[pyfunction]
pub fn adopt(thread: u32) {
    if seating::seat(ThreadId(thread)).is_some() {
        controlled::become_thread(Some(ThreadId(thread)));
    } else {
        controlled::become_stale();
    }
    controlled::quiet();
}

/// Arrives, waits for the first turn, and records the start. Returns whether there was one: not if the run is over.
#[pyfunction]
pub fn begin() -> PyResult<bool> {
    if is_let_go() {
        return Ok(false);
    }
    let me = me()?;
    if let Some(seat) = seating::seat(me) {
        seat.occupy();
        seating::wait_at(&seat);
    }
    controlled::loud();
    if is_let_go() {
        return Ok(false);
    }
    run::execute(me, None, Operation::Start, 1);
    Ok(true)
}

/// Records the end of the calling thread, which keeps the turn until `depart()`.
#[pyfunction]
pub fn end() -> PyResult<()> {
    // A process that the program has forked in this thread is not controlled.
    if is_let_go() || controlled::controlled_thread().is_none() {
        return Ok(());
    }
    let me = me()?;
    run::announce(me, &Operation::End);
    run::reach(me, None, None);
    if !is_let_go() {
        run::execute(me, None, Operation::End, 1);
        controlled::quiet();
    }
    Ok(())
}

/// Passes the turn on from a thread that has ended.
#[pyfunction]
pub fn depart() {
    if let Some(me) = controlled::controlled_thread() {
        controlled::become_thread(None);
        seating::depart(me);
    }
}

/// Whether the calling thread belongs to a run that is over; then it is not controlled any more.
fn is_let_go() -> bool {
    let over = controlled::is_stale();
    if over {
        controlled::become_thread(None);
    }
    over
}

/// Waits until a thread has ended, or `timeout` seconds. Returns whether it has.
#[pyfunction]
pub fn join(thread: u32, timeout: Option<f64>) -> PyResult<bool> {
    let me = me()?;
    let operation = Operation::Join { thread: ThreadId(thread) };
    let patience = match clock::wait(timeout) {
        Wait::Impatient(time) => {
            run::rest(me, controlled::last_site());
            let ended = has_ended(thread)?;
            if !ended {
                clock::advance(time);
            }
            return Ok(ended);
        }
        Wait::Patient(time) => Some(time),
        Wait::Forever => None,
    };
    let site = controlled::last_site();
    if run::reach_patiently(me, site, operation.clone(), patience) {
        return Ok(false);
    }
    go_on()?;
    run::execute(me, site, operation, 1);
    Ok(true)
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
/// the abstract value it had before the first step on it. A wait (`event_wait`, `semaphore_acquire`, `condition_wake`)
/// takes a `timeout` in seconds. Returns what the operation reports.
#[pyfunction]
#[pyo3(signature = (kind, object, state, lock=None, count=0, bound=0, timeout=None))]
pub fn primitive(
    kind: &str,
    object: &Bound<'_, PyAny>,
    state: i64,
    lock: Option<&Bound<'_, PyAny>>,
    count: u32,
    bound: u32,
    timeout: Option<f64>,
) -> PyResult<bool> {
    let me = me()?;
    // SAFETY: live objects; the calling thread holds the turn and the lock.
    let (id, lock) =
        unsafe { (names::number(object.as_ptr()), lock.map(|lock| names::number(lock.as_ptr()))) };
    let lock = lock.unwrap_or(id);
    if !kind.starts_with("condition") {
        run::initial_sync(id, Part::State, || state);
    }
    let waits = |wait: Operation, attempt: Operation| {
        let done = wait_for(me, timeout, wait, attempt);
        go_on().map(|()| done)
    };
    let operation = match kind {
        "event_wait" => {
            return waits(Operation::EventWait { event: id }, Operation::EventIsSet { event: id });
        }
        "semaphore_acquire" => {
            let attempt = Operation::SemaphoreTry { semaphore: id };
            return waits(Operation::SemaphoreAcquire { semaphore: id }, attempt);
        }
        "condition_wake" => {
            let attempt = Operation::ConditionWakeTimed { condition: id, lock };
            return waits(Operation::ConditionWake { condition: id, lock }, attempt);
        }
        "event_set" => Operation::EventSet { event: id },
        "event_clear" => Operation::EventClear { event: id },
        "event_is_set" => Operation::EventIsSet { event: id },
        "semaphore_try" => Operation::SemaphoreTry { semaphore: id },
        "semaphore_release" => Operation::SemaphoreRelease { semaphore: id, permits: count, bound },
        "condition_wait" => Operation::ConditionWait { condition: id, lock },
        "condition_notify" => Operation::ConditionNotify { condition: id, count },
        _ => return Err(PyValueError::new_err(format!("no primitive operation is called {kind}"))),
    };
    run::announce(me, &operation);
    joining::reach(me);
    go_on()?;
    let result = run::predict(me, &operation);
    joining::execute(me, operation, u8::from(result));
    Ok(result)
}

/// Waits with the first operation, or attempts the second: at once when the time is short, or after it has run out.
fn wait_for(me: ThreadId, timeout: Option<f64>, wait: Operation, attempt: Operation) -> bool {
    let site = controlled::last_site();
    // Even an attempt takes the condition's lock back, which can block.
    let takes_lock = matches!(attempt, Operation::ConditionWakeTimed { .. });
    let attempt_now = |time: Duration| {
        if !time.is_zero() {
            run::rest(me, site);
        }
        if takes_lock || !time.is_zero() {
            run::reach(me, site, takes_lock.then(|| attempt.clone()));
        } else {
            joining::reach(me);
        }
        let done = execute_predicted(me, attempt.clone());
        if !done {
            clock::advance(time);
        }
        done
    };
    let how_long = clock::wait(timeout);
    if let Operation::ConditionWakeTimed { condition, .. } = attempt
        && !matches!(how_long, Wait::Forever | Wait::Impatient(Duration::ZERO))
    {
        // SAFETY: called from bytecode, with the turn and the lock.
        unsafe { spinning::await_change_in_wait(me, condition) };
    }
    let patience = match how_long {
        Wait::Impatient(time) => return attempt_now(time),
        Wait::Patient(time) => Some(time),
        Wait::Forever => {
            // Who waits for an event expects to wait, so a block ends there whether or not the event has been set.
            let joins = !takes_lock && !matches!(attempt, Operation::EventIsSet { .. });
            let attempt = joins.then_some(attempt);
            return execute_predicted(me, joining::await_turn(me, wait, attempt));
        }
    };
    if run::reach_patiently(me, site, wait.clone(), patience) {
        return takes_lock && attempt_now(Duration::ZERO);
    }
    execute_predicted(me, wait)
}

fn execute_predicted(me: ThreadId, operation: Operation) -> bool {
    let result = run::predict(me, &operation);
    joining::execute_awaited(me, operation, u8::from(result));
    result
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

/// Notes a failure of the given kind ("invariant", "assertion", "exit_code", "exception", "crash").
#[pyfunction]
pub fn report_failure(kind: &str, message: String, details: String) -> PyResult<()> {
    let kind = match kind {
        "invariant" => FailureKind::Invariant,
        "assertion" => FailureKind::Assertion,
        "exit_code" => FailureKind::ExitCode,
        "exception" => FailureKind::Exception,
        "crash" => FailureKind::Crash,
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
    crate::replaced::ignore(object.as_ptr());
}
