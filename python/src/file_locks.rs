//! `flock` and `fcntl`: advisory locks on files, as locks.
//!
//! Model: an exclusive lock of `flock` belongs to an open file (all its duplicates), not to a thread; closing gives it back.
//! What is locked is the file itself and not its path, so a file that was removed and made anew has another lock. Locks of
//! `fcntl` and `lockf` belong to the process: they keep none of its threads from anything and are no steps there. Between
//! worker processes they are locks, too, which the process gives back when it closes any descriptor of the file.
//!
//! Not here: shared locks, and locks on a part of a file between processes, which end the run as one that cannot be followed.

use crate::behind::{self, Caller};
use crate::outside::Books;
use crate::shim::{AGAIN, DONE, IoEvent, kind};
use crate::{controlled, run};
use frontrun_formats::{ObjectId, Operation, ThreadId};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many locks are held: closing a file is most often closing one without.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What a call does to a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Take { waits: bool },
    GiveBack,
}

/// A lock of a file, for one who may hold it.
struct FileLock {
    lock: ObjectId,
    /// Who holds it.
    holder: Option<u64>,
    /// The open file, or the process, that the call is for.
    mine: u64,
}

/// Whether closing a file may give a lock back.
pub fn is_any_held() -> bool {
    HELD.load(Ordering::Relaxed) > 0
}

/// What the call does to the lock of its open file.
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

/// What the call of a worker process does to the lock that the process has on its file.
fn change_of_process(event: &IoEvent, caller: &Caller) -> Option<Change> {
    if event.kind == kind::CLOSE {
        return is_any_held().then_some(Change::GiveBack);
    }
    if event.function() == "flock" {
        return None;
    }
    let command = event.arguments[1] as i32;
    let expected = "locks of processes to be exclusive and on whole files";
    match (command, caller.behind.lock) {
        (libc::F_SETLK | libc::F_SETLKW, Some((what, whence, 0, 0)))
            if i32::from(whence) == libc::SEEK_SET && event.function().starts_with("fcntl") =>
        {
            match i32::from(what) {
                libc::F_WRLCK => Some(Change::Take { waits: command == libc::F_SETLKW }),
                libc::F_UNLCK => Some(Change::GiveBack),
                _ => run::end_unfollowed(expected, "a shared one is taken"),
            }
        }
        _ => run::end_unfollowed(expected, "one is on a part of a file, or asked for"),
    }
}

/// The lock of the file that the call is about; the one that is `of_process` if that is given.
fn lock_of(event: &IoEvent, of_process: Option<&Caller>) -> Option<FileLock> {
    // SAFETY: the calling thread holds the turn and the lock of the interpreter; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    let mut books = Books { identities, recording: &mut run.recording };
    let (inode, path) = ((event.device, event.inode), event.file().unwrap_or_default());
    let (lock, holder) = run.outside.file_lock(inode, of_process.is_some(), path, &mut books);
    Some(FileLock { lock, holder, mine: of_process.map_or(event.generation, |caller| caller.holder) })
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
    let Some(FileLock { lock, holder, mine }) = lock_of(event, None) else { return };
    match change {
        Change::Take { .. } => set_holder(lock, Some(mine)),
        Change::GiveBack if holder == Some(mine) => set_holder(lock, None),
        Change::GiveBack => {}
    }
}

/// Takes the step that a call on a lock is; `None` if it is none.
pub fn take_step(me: ThreadId, event: &IoEvent, mut granted: bool) -> Option<u32> {
    let mut answer = None;
    if let Some(caller) = behind::caller()
        && let Some(change) = change_of_process(event, &caller)
    {
        let of = lock_of(event, Some(&caller))?;
        let closes_other = event.kind == kind::CLOSE && of.holder != Some(of.mine);
        if !closes_other {
            answer = Some(apply(me, &of, change, granted));
            granted = false;
        }
        if event.kind != kind::CLOSE || answer == Some(AGAIN) {
            return answer;
        }
    }
    let Some(change) = change(event) else { return answer };
    let of = lock_of(event, None)?;
    if event.kind == kind::CLOSE && of.holder != Some(of.mine) {
        return answer;
    }
    Some(apply(me, &of, change, granted))
}

/// Makes the step of a change; none, if it is as it is to be already.
fn apply(me: ThreadId, of: &FileLock, change: Change, granted: bool) -> u32 {
    let FileLock { lock, holder, mine } = *of;
    run::initial_lock(lock, || holder.is_some());
    if (holder == Some(mine)) != (change == Change::GiveBack) {
        return DONE;
    }
    let operation = match change {
        Change::Take { waits: true } => Operation::Acquire { lock },
        Change::Take { waits: false } => Operation::TryAcquire { lock },
        Change::GiveBack => Operation::Release { lock },
    };
    let site = controlled::last_site();
    let pending = matches!(operation, Operation::Acquire { .. }).then(|| operation.clone());
    if !granted && run::reach(me, site, pending) {
        return AGAIN;
    }
    let done = run::predict(me, &operation);
    run::execute(me, site, operation, u8::from(done));
    match change {
        Change::Take { .. } if done => set_holder(lock, Some(mine)),
        Change::GiveBack => set_holder(lock, None),
        Change::Take { .. } => {}
    }
    DONE
}

/// Gives back, on behalf of a process that has ended, the locks of the open files and processes with these numbers.
pub fn end_process(me: ThreadId, numbers: Range<u64>) {
    // SAFETY: the calling thread holds the turn and the lock of the interpreter; the borrow ends here.
    let held = unsafe { run::get() }.map(|run| run.outside.locks_held_by(numbers)).unwrap_or_default();
    for lock in held {
        let site = controlled::last_site();
        run::reach(me, site, None);
        run::execute(me, site, Operation::Release { lock }, 1);
        set_holder(lock, None);
    }
}
