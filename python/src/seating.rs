//! Seats: where the threads of a run wait for their turn, from their spawn to their end.
//!
//! Not here: what a thread does in between (run), the Python code that calls this (threads).

use crate::{controlled, run};
use frontrun_formats::execution::fingerprint;
use frontrun_formats::{Block, Operation, SiteId, ThreadId, ThreadInfo};
use frontrun_recorder::gate::Decision;
use frontrun_recorder::parking::Seat;
use pyo3::ffi;
use std::sync::Arc;

/// Seats a new child of `parent`; from now on hooks record.
pub fn seat_child(parent: ThreadId, name: String) -> Option<ThreadId> {
    // SAFETY: the caller is the controlled thread that holds the turn.
    unsafe { run::get() }?;
    if let Some(step) = controlled::whole_step() {
        run::split_step(parent, step);
    }
    // SAFETY: as above.
    let run = unsafe { run::get() }?;
    run.alone = false;
    let child = run.gate.seat(parent);
    run.recording.thread(ThreadInfo { path: run.gate.path(child).clone(), name });
    run.seats.push(Arc::new(Seat::default()));
    run.at.push(SiteId(0));
    run::start_recording();
    Some(child)
}

/// The seat of a thread, to be waited on without borrowing the run.
pub fn seat(thread: ThreadId) -> Option<Arc<Seat>> {
    // SAFETY: the caller holds the lock; the seat is cloned out.
    unsafe { run::get() }.and_then(|run| run.seats.get(thread.index()).cloned())
}

/// Passes the turn from a thread that has ended to whoever is next.
pub fn depart(me: ThreadId) {
    // SAFETY: `me` still holds the turn, and the lock.
    let Some(run) = (unsafe { run::get() }) else { return };
    match run.gate.decide(me, None, None) {
        Decision::Go => {}
        Decision::Switch(next) => {
            run.turn = next;
            run::hand_over(&run.seats[next.index()].clone(), None);
        }
        Decision::Stuck => _ = run::end_stuck(),
        Decision::Diverged(divergence) => run::end_diverged(&divergence, None),
    }
}

/// Waits on a seat with the interpreter's lock released.
pub fn wait_at(mine: &Seat) {
    // SAFETY: the calling thread holds the lock, and takes it again before it returns.
    unsafe {
        let state = ffi::PyEval_SaveThread();
        mine.wait();
        ffi::PyEval_RestoreThread(state);
    }
}

/// Records a spawn that no site precedes, since hooks were silent until now: at `line` of `file`.
pub fn execute_first_spawn(me: ThreadId, operation: Operation, file: &str, function: &str, line: u32) {
    run::reach(me, None, None);
    // SAFETY: `me` holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return };
    let (file_id, function) = (run.recording.string(file), run.recording.string(function));
    let place =
        frontrun_formats::Site { file: file_id, function, line, end_line: line, ..crate::site::NOWHERE };
    let site = run.recording.site(place);
    let kind = operation.kind();
    run::execute_at(me, site, operation, (1, Block::Alone), || fingerprint(kind, file, &place));
}
