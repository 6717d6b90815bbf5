//! How a run ends: it failed, nobody can go on, it left its schedule, or it is through.
//!
//! Invariant: whoever ends a run holds the turn and the interpreter's lock, and the trace is complete before anybody is
//! woken or the process is left.
//!
//! Not here: what a run is and how its threads take turns (run).

use super::{FORKED, IDENTITIES, IN_CALLER, LAST_FAILURE, RECORDING, RUN, get};
use crate::{epoch, processes, reporter, sources};
use frontrun_formats::file::End;
use frontrun_formats::semantics::waits::loops;
use frontrun_formats::{Block, Failure, FailureKind, Operation, Outcome, Pending, SiteId};
use frontrun_recorder::gate::{Actual, Divergence};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Notes the first failure of a run that goes on.
pub fn note_failure(failure: Failure) {
    // SAFETY: the caller holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.failure.get_or_insert(failure);
    }
}

/// Ends the run where nobody can go on. Returns, that nobody ran meanwhile, only if it is one in the caller's process:
/// then the thread is stale.
pub fn end_stuck() -> bool {
    check_descriptors();
    let details = reporter::describe_waiting();
    // SAFETY: the caller holds the turn and the lock; the operations are cloned out.
    let waits: Vec<Option<Operation>> = unsafe { get() }
        .map(|run| run.gate.unfinished().map(|(_, operation)| operation.cloned()).collect())
        .unwrap_or_default();
    let receives = |wait: &Option<Operation>| {
        matches!(wait, Some(Operation::ChannelTake { .. } | Operation::ChannelWait { .. }))
    };
    if FORKED.load(Ordering::Relaxed) && waits.iter().any(receives) {
        end_unfollowed(
            "a thread to send what another one waits for",
            "a forked process may be the one who sends it",
        );
    }
    // SAFETY: as above.
    let (livelock, spinning) = unsafe { get() }.map_or((false, 0), |run| {
        let is_served = |object| run.servers.is_served(object);
        let spinning = waits.iter().flatten().filter(|wait| loops(wait, is_served)).count();
        (run.gate.is_livelock(is_served), spinning)
    });
    let (kind, message) = match (livelock, waits.len()) {
        (true, _) => (FailureKind::Livelock, loops_for_ever(spinning)),
        (false, 1) => (FailureKind::Deadlock, "1 thread waits and cannot go on".to_owned()),
        (false, all) => (FailureKind::Deadlock, format!("{all} threads wait and none can go on")),
    };
    end_failed(Failure { kind, message, thread: None, details });
    false
}

/// Before a run ends because nobody can go on: a server may have something to say to an event loop.
fn check_descriptors() {
    // SAFETY: the caller holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return };
    let is_stalled = run.watches.is_any_stalled();
    if !is_stalled && run.watches.servers().all(|id| run.servers.answers_only(id)) {
        return;
    }
    if is_stalled {
        end_unfollowed("who is told that a descriptor is ready to use it", "it does not, and is told again");
    }
    end_unasked()
}

/// Ends a run in which a task waits for what no server was asked for. It comes at any time, or never: whether it is there
/// already must not make a difference.
pub fn end_unasked() -> ! {
    end_unfollowed(
        "a task to wait for nothing but answers",
        "it waits for what a server says unasked, or in pieces",
    )
}

fn loops_for_ever(spinning: usize) -> String {
    let what = "reading what nobody is going to change, and no other can go on";
    match spinning {
        1 => format!("1 thread loops for ever, {what}"),
        several => format!("{several} threads loop for ever, {what}"),
    }
}

/// Ends the run with a failure, the process too unless it is the caller's: then every thread of the run is woken, to
/// find that it is stale.
pub fn end_failed(failure: Failure) {
    // SAFETY: the interpreter's lock is held, and no borrow is alive.
    let seats = unsafe { get() }.map(|run| run.seats.clone()).unwrap_or_default();
    finish(Outcome::Failed(failure.clone()));
    if !IN_CALLER.load(Ordering::Relaxed) {
        leave(1)
    }
    *LAST_FAILURE.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    seats.iter().for_each(|seat| seat.let_go());
}

/// How the last run in the caller's process failed, if it did.
pub fn take_failure() -> Option<Failure> {
    LAST_FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Ends a run that has left its schedule.
pub fn end_diverged(divergence: &Divergence, at: Option<SiteId>) -> ! {
    let thread = &divergence.thread;
    let expected = format!("event {} to be a step of {thread}", divergence.step);
    let actual = match divergence.actual {
        Actual::NoSuchThread => format!("{thread} has not been started"),
        Actual::Ended => format!("{thread} has ended"),
        Actual::Blocked => format!("{thread} has to wait"),
        Actual::Elsewhere => format!("{thread} is elsewhere: {}", place(at)),
    };
    finish(Outcome::Diverged { step: divergence.step, expected, actual });
    leave(4)
}

/// Ends a run that does something that the models do not follow.
pub fn end_unfollowed(expected: &str, actual: &str) -> ! {
    // SAFETY: the calling thread holds the turn and the lock.
    let step = unsafe { get() }.map_or(0, |run| run.gate.executed() as u64);
    finish(Outcome::Diverged { step, expected: expected.to_owned(), actual: actual.to_owned() });
    leave(4)
}

/// A site as `file:line`.
fn place(site: Option<SiteId>) -> String {
    // SAFETY: the caller holds the turn and the lock; the text is copied out.
    let text = unsafe { get() }.and_then(|run| run.recording.place(site?));
    text.unwrap_or_else(|| "at an unknown place".to_owned())
}

/// Flushes the program's output and ends the process: other threads are parked for good.
pub fn leave(code: i32) -> ! {
    reporter::flush_output();
    processes::end_all();
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Completes the trace with `outcome`, or with an earlier failure. Hooks are silent afterwards. Returns whether
/// the execution failed.
pub fn finish(outcome: Outcome) -> bool {
    RECORDING.store(false, Ordering::Relaxed);
    // SAFETY: the caller holds the turn and the lock; no borrow is alive.
    let Some(run) = (unsafe { (*RUN.0.get()).take() }) else { return false };
    let outcome = match (outcome, &run.fairness.given_way) {
        // It has ended as it does among fair threads; but when they got their turn hangs on the time.
        (Outcome::Passed, Some(actual)) => Outcome::Diverged {
            step: run.gate.executed() as u64,
            expected: "each thread to come to a wait or to its end".to_owned(),
            actual: actual.clone(),
        },
        (outcome, _) => outcome,
    };
    let pending = run
        .gate
        .unfinished()
        .filter_map(|(thread, operation)| {
            let operation = operation?.clone();
            let begins_block = operation.resumes() || run.before_block.contains(&thread);
            let block = if begins_block { Block::First } else { Block::Alone };
            Some(Pending { thread, site: run.at[thread.index()], operation, block })
        })
        .collect();
    let outcome = match (outcome, run.failure) {
        (Outcome::Passed, Some(failure)) => Outcome::Failed(failure),
        (other, _) => other,
    };
    let failed = matches!(outcome, Outcome::Failed(_));
    let sources = run.recording.files().iter().filter_map(|path| sources::source(path)).collect();
    let end = End { pending, sources, observed: run.observed, outcome };
    if let Err(error) = run.recording.finish(&end) {
        eprintln!("frontrun: the trace could not be completed: {error}");
    }
    if IN_CALLER.load(Ordering::Relaxed) {
        epoch::advance();
        // SAFETY: the interpreter's lock is held, and no borrow is alive.
        unsafe { *IDENTITIES.0.get() = None };
    }
    failed
}
