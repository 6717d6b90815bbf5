//! Event loops: tasks and callbacks as threads of the run, which one thread of the system executes.
//!
//! Model: a loop's tasks, and the callbacks that it is to call, are threads of the gate. Whoever runs the loop asks on
//! their behalf who goes next, and lets that one go on up to where it suspends or ends: a *step*. While no other thread of
//! the system exists, a step is one opaque block. Otherwise others may come in between, so that it begins by making the
//! loop busy, which keeps out its other tasks, and makes it idle again at its end; so does one that would have to wait in
//! the middle, or starts a thread.
//!
//! Invariant: a whole step never hands the turn over. Tasks share the seat of the thread that runs their loop.
//!
//! Not here: what a loop is and when a task is ready (package `frontrun._event_loops`), futures (futures), what else happens
//! within a step (run).

use crate::controlled::{self, Step};
use crate::flags::{flag, me, number, step};
use crate::{clock, run, seating, spinning, watches};
use frontrun_formats::{Location, ObjectId, Operation, Part, SiteId, ThreadId, ThreadInfo};
use frontrun_recorder::gate::Decision;
use frontrun_recorder::parking::Seat;
use pyo3::exceptions::{PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// What a task waits for: the future that is to be done and its loop, or for how long.
fn resume(
    host: &Bound<'_, PyAny>,
    awaited: Option<&Bound<'_, PyAny>>,
    after: Option<&Bound<'_, PyAny>>,
) -> Operation {
    let known = |object| flag(object, 0);
    Operation::Resume { awaited: awaited.map(known), after: after.map(known), host: known(host) }
}

fn patience(seconds: Option<f64>) -> Option<Duration> {
    seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Spawns a task or callback of the loop `host`, that goes on once `awaited` and `after` are done or `deadline` has come.
/// Returns its number.
#[pyfunction]
pub fn spawn_task(
    name: String,
    place: (String, String, u32),
    host: &Bound<'_, PyAny>,
    awaited: Option<&Bound<'_, PyAny>>,
    after: Option<&Bound<'_, PyAny>>,
    deadline: Option<f64>,
) -> PyResult<u32> {
    let me = me()?;
    let next = resume(host, awaited, after);
    // SAFETY: `me` holds the turn and the lock.
    let run = unsafe { run::get() }.ok_or_else(|| PyRuntimeError::new_err("no run is under way"))?;
    let child = run.gate.seat(me);
    run.gate.propose(child, next, patience(deadline));
    run.recording.thread(ThreadInfo { path: run.gate.path(child).clone(), name });
    run.seats.push(Arc::new(Seat::default()));
    run.at.push(SiteId(0));
    run::start_recording();
    let operation = Operation::Spawn { thread: child };
    if controlled::last_site().is_some() || controlled::step().is_some() {
        step(me, operation, 1);
    } else {
        let (file, function, line) = place;
        seating::execute_first_spawn(me, operation, &file, &function, line);
    }
    Ok(child.0)
}

/// Says what a task or callback waits for now.
#[pyfunction]
pub fn await_in_task(
    task: u32,
    host: &Bound<'_, PyAny>,
    awaited: Option<&Bound<'_, PyAny>>,
    after: Option<&Bound<'_, PyAny>>,
) {
    let next = resume(host, awaited, after);
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.gate.propose(ThreadId(task), next, None);
    }
}

/// The thread `runner` runs the loop of these tasks: when it is their turn, it is woken.
#[pyfunction]
pub fn host_tasks(runner: u32, tasks: Vec<u32>) {
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        let seat = run.seats[runner as usize].clone();
        for task in tasks {
            run.seats[task as usize] = seat.clone();
        }
    }
}

/// Says until when the thread `runner` runs the loop `host`: until the flag is set. Then it leaves the loop or waits for
/// another flag.
#[pyfunction]
pub fn run_until(runner: u32, host: &Bound<'_, PyAny>, until: &Bound<'_, PyAny>, leaves: bool) {
    let next = Operation::RunLoop { until: flag(until, 0), host: flag(host, 0), leaves };
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.gate.propose(ThreadId(runner), next, None);
    }
}

/// Asks who goes next, on behalf of `current`: the thread that runs the loop, or the task that has just made a step.
/// Waits while that is a thread elsewhere. Returns the number of the task, or of the thread that runs the loop. Raises
/// `SystemExit` when the run ends here, which leaves the process alive if it is the caller's.
#[pyfunction]
pub fn next_in_loop(current: u32) -> PyResult<u32> {
    let over = || PySystemExit::new_err(());
    let current = ThreadId(current);
    // SAFETY: the calling thread holds the turn and the lock.
    let run = unsafe { run::get() }.ok_or_else(over)?;
    match run.gate.decide_as_proposed(current) {
        Decision::Go => Ok(current.0),
        Decision::Switch(next) => {
            run.turn = next;
            let (theirs, mine) = (run.seats[next.index()].clone(), run.seats[current.index()].clone());
            if Arc::ptr_eq(&theirs, &mine) {
                return Ok(next.0);
            }
            run::hand_over(&theirs, Some(&mine));
            // SAFETY: the turn and the lock are back.
            unsafe { run::get() }.map(|run| run.turn.0).ok_or_else(over)
        }
        Decision::Stuck => {
            run::end_stuck();
            Err(over())
        }
        Decision::Diverged(divergence) => run::end_diverged(&divergence, None),
    }
}

/// Makes the calling thread the one that it is to go on as.
#[pyfunction]
pub fn become_thread(number: u32) {
    controlled::become_thread(Some(ThreadId(number)));
}

/// Records that the calling thread goes on with what it has proposed, or gives that up because its time has come; then
/// returns true. What a task or callback does then is a step, unless it has given up.
#[pyfunction]
pub fn resume_in_loop(host: &Bound<'_, PyAny>) -> PyResult<bool> {
    let me = me()?;
    let host = number(host);
    // SAFETY: the calling thread holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return Ok(false) };
    let (Some(operation), deadline) = run.gate.proposed(me) else { return Ok(false) };
    let at = run.at[me.index()];
    let (elapsed, alone) = (run.gate.has_elapsed(me), run.alone);
    if elapsed {
        watches::check_elapse();
        // Somebody who polls has no deadline.
        clock::advance_to(deadline.filter(|deadline| *deadline < Duration::MAX).unwrap_or_default());
        run::execute(me, None, Operation::Elapse { of: Box::new(operation) }, 1);
    } else if operation.resumes() {
        run::execute_first(me, operation);
        let step = Step { host, whole: true };
        controlled::set_step(Some(step));
        if !alone {
            run::split_step(me, step);
        }
    } else {
        run::execute(me, None, operation, 1);
    }
    // Where it was suspended says more than that it went on.
    // SAFETY: the calling thread holds the turn and the lock.
    if let Some(run) = unsafe { run::get() } {
        run.at[me.index()] = at;
    }
    Ok(elapsed)
}

/// Ends the step of the calling thread; with `ended` that was its last one.
#[pyfunction]
pub fn end_step(ended: bool) -> PyResult<()> {
    let me = me()?;
    let Some(step) = controlled::step() else { return Ok(()) };
    if !step.whole {
        run::reach(me, None, None);
        controlled::set_step(None);
        run::execute_in_open_block(me, Operation::EventSet { event: step.host });
    }
    if ended {
        run::execute_in_open_block(me, Operation::End);
    }
    controlled::set_step(None);
    run::leave_block(me);
    Ok(())
}

/// Records that a task's step begins, which looks whether the task has been asked to be cancelled.
#[pyfunction]
pub fn begin_task_step(task: &Bound<'_, PyAny>) -> PyResult<()> {
    touch(me()?, number(task), "_must_cancel", false);
    Ok(())
}

/// Records that a task suspends and waits for something else from now on. Who cancels the task cancels that, so that what a
/// cancellation does depends on it.
#[pyfunction]
pub fn suspend_task(task: &Bound<'_, PyAny>) -> PyResult<()> {
    touch(me()?, number(task), "_fut_waiter", true);
    Ok(())
}

/// Records an access to what a task keeps under that name.
pub fn touch(me: ThreadId, task: ObjectId, name: &str, writes: bool) {
    // SAFETY: the calling thread holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return };
    let at = Location::new(task, Part::Name(run.recording.string(name)));
    step(me, if writes { Operation::Write { at } } else { Operation::Read { at } }, 1);
}

/// The time that has passed on the controlled clock, in seconds. Who asks for it is in another state afterwards.
#[pyfunction]
pub fn virtual_time() -> f64 {
    spinning::progress();
    clock::passed().as_secs_f64()
}

/// Lets the controlled clock be at least at so many seconds.
#[pyfunction]
pub fn advance_clock(seconds: f64) {
    clock::advance_to(patience(Some(seconds)).unwrap_or_default());
}
