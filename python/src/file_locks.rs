//! `flock`: advisory locks on open files, as locks.
//!
//! Model: an exclusive lock belongs to an open file (all its duplicates), not to a thread; closing gives it back. What is
//! locked is the file itself and not its path, so a file that was removed and made anew has another lock. Locks of
//! `fcntl` and `lockf` belong to the process: they keep none of its threads from anything and are no steps.
//!
//! Not here: shared locks, which end the run as one that cannot be followed.

use crate::outside::Books;
use crate::shim::{AGAIN, DONE, IoEvent, kind};
use crate::{controlled, run};
use frontrun_formats::{ObjectId, Operation, ThreadId};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many locks are held: closing a file is most often closing one without.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What a call does to a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Take { waits: bool },
    GiveBack,
}

/// Whether closing a file may give a lock back.
pub fn is_any_held() -> bool {
    HELD.load(Ordering::Relaxed) > 0
}

/// What the call does to the lock of its file.
fn change(event: &IoEvent) -> Option<Change> {
    if event.kind == kind::CLOSE {
        return is_any_held().then_some(Change::GiveBack);
    }
    let what = event.arguments[1] as i32;
    match what & (libc::LOCK_SH | libc::LOCK_EX | libc::LOCK_UN) {
        _ if event.function() != "flock" => None,
        libc::LOCK_EX => Some(Change::Take { waits: what & libc::LOCK_NB == 0 }),
        libc::LOCK_UN => Some(Change::GiveBack),
        _ => {
            run::end_unfollowed("file locks to be exclusive", "a shared one is taken");
        }
    }
}

/// The lock of the file that the call is about, and which open file holds it.
fn lock_of(event: &IoEvent) -> Option<(ObjectId, Option<u64>)> {
    // SAFETY: the calling thread holds the turn and the lock of the interpreter; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    let mut books = Books { identities, recording: &mut run.recording };
    let inode = (event.device, event.inode);
    Some(run.outside.file_lock(inode, event.file().unwrap_or_default(), &mut books))
}

fn set_holder(lock: ObjectId, holder: Option<u64>) {
    // SAFETY: as for `lock_of`.
    if let Some(run) = unsafe { run::get() } {
        let before = run.outside.set_lock_holder(lock, holder);
        match (before.is_some(), holder.is_some()) {
            (false, true) => HELD.fetch_add(1, Ordering::Relaxed),
            (true, false) => HELD.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Notes what a call does before the run is recorded, when nobody can be in its way.
pub fn note(event: &IoEvent) {
    let Some(change) = change(event) else { return };
    let Some((lock, holder)) = lock_of(event) else { return };
    match change {
        Change::Take { .. } => set_holder(lock, Some(event.generation)),
        Change::GiveBack if holder == Some(event.generation) => set_holder(lock, None),
        Change::GiveBack => {}
    }
}

/// Takes the step that a call on a lock is; `None` if it is none.
pub fn take_step(me: ThreadId, event: &IoEvent, granted: bool) -> Option<u32> {
    let change = change(event)?;
    let (lock, holder) = lock_of(event)?;
    run::initial_lock(lock, || holder.is_some());
    if (holder == Some(event.generation)) != (change == Change::GiveBack) {
        return (event.kind != kind::CLOSE).then_some(DONE);
    }
    let operation = match change {
        Change::Take { waits: true } => Operation::Acquire { lock },
        Change::Take { waits: false } => Operation::TryAcquire { lock },
        Change::GiveBack => Operation::Release { lock },
    };
    let site = controlled::last_site();
    let pending = matches!(operation, Operation::Acquire { .. }).then(|| operation.clone());
    if !granted && run::reach(me, site, pending) {
        return Some(AGAIN);
    }
    let done = run::predict(me, &operation);
    run::execute(me, site, operation, u8::from(done));
    match change {
        Change::Take { .. } if done => set_holder(lock, Some(event.generation)),
        Change::GiveBack => set_holder(lock, None),
        Change::Take { .. } => {}
    }
    Some(DONE)
}
