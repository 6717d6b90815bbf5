//! Steps on databases that the process keeps in files: what the Python side of the model calls.
//!
//! Model: a database has contents, those of its file, and one lock, which a connection holds from its first change to
//! the end of its transaction. A thread waits for the lock by not being enabled; the database itself is only asked when
//! it cannot be busy, and its own I/O is no step.
//!
//! Not here: which statement does what (package `frontrun._sqlite`).

use crate::clock::{self, Wait};
use crate::outside::Books;
use crate::{controlled, io, run};
use frontrun_formats::{Location, ObjectId, Operation, ThreadId};
use pyo3::prelude::*;

/// The calling thread, if it is one of a run that is being recorded. What happens before is noted as a change.
fn me() -> Option<ThreadId> {
    let me = controlled::visible_thread()?;
    if run::is_recording() {
        return Some(me);
    }
    io::note_change();
    None
}

/// Calls `body` with what is known of the outside. The calling thread holds the turn and the lock.
fn with_outside<R>(body: impl FnOnce(&mut crate::outside::Outside, &mut Books<'_>) -> R) -> Option<R> {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    Some(body(&mut run.outside, &mut Books { identities, recording: &mut run.recording }))
}

/// The lock of a database, which is held at the beginning if `held`.
fn lock_of(path: &str, held: bool) -> Option<ObjectId> {
    let lock = with_outside(|outside, books| outside.lock(path.as_bytes(), books))?;
    run::initial_lock(lock, || held);
    Some(lock)
}

/// Waits at most `timeout` seconds for the lock of a database, and takes it. Returns whether it is taken.
#[pyfunction]
pub fn database_lock(path: &str, timeout: f64, held: bool) -> bool {
    let Some(me) = me() else { return !held };
    let Some(lock) = lock_of(path, held) else { return !held };
    let site = controlled::last_site();
    let (wait, attempt) = (Operation::Acquire { lock }, Operation::TryAcquire { lock });
    let patience = match clock::wait(Some(timeout)) {
        Wait::Impatient(time) => {
            run::reach(me, site, None);
            let taken = run::predict(me, &attempt);
            run::execute(me, site, attempt, u8::from(taken));
            if !taken {
                clock::advance(time);
            }
            return taken;
        }
        Wait::Patient(time) => Some(time),
        Wait::Forever => None,
    };
    if run::reach_patiently(me, site, wait.clone(), patience) {
        return false;
    }
    run::execute(me, site, wait, 1);
    true
}

/// Gives the lock of a database back.
#[pyfunction]
pub fn database_unlock(path: &str) {
    let Some(me) = me() else { return };
    let Some(lock) = lock_of(path, true) else { return };
    let site = controlled::last_site();
    run::reach(me, site, None);
    run::execute(me, site, Operation::Release { lock }, 1);
}

/// Reads the contents of a database, or changes them. `digest` is called for a number that tells different contents apart,
/// if this is the first step that touches them.
#[pyfunction]
pub fn database_access(path: &str, changes: bool, digest: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(me) = me() else { return Ok(()) };
    run::reach(me, controlled::last_site(), None);
    // The bytes of the file differ where the contents do not.
    let Some(contents) = with_outside(|outside, books| outside.database(path.as_bytes(), books)) else {
        return Ok(());
    };
    if with_outside(|outside, _| !outside.is_touched(contents)).unwrap_or(false) {
        controlled::quiet();
        let found = digest.call0().and_then(|found| found.extract());
        controlled::loud();
        let found: i64 = found?;
        with_outside(|outside, books| outside.touch(contents, false, books, || found));
    }
    touch(me, vec![contents], changes);
    Ok(())
}

/// Opens a database, which makes its file if there is none.
#[pyfunction]
pub fn database_open(path: &str) {
    io::leave_alone(path);
    let Some(me) = me() else { return };
    run::reach(me, controlled::last_site(), None);
    let makes = !std::path::Path::new(path).exists();
    let way = crate::outside::walk(path.as_bytes(), true);
    let entry = with_outside(|outside, books| outside.entry(&way, true, books)).flatten();
    touch(me, entry.into_iter().collect(), makes);
}

fn touch(me: ThreadId, locations: Vec<Location>, changes: bool) {
    if changes {
        io::note_change();
    }
    let (reads, writes) = if changes { (Vec::new(), locations) } else { (locations, Vec::new()) };
    let operation = Operation::Touch { reads: reads.into(), writes: writes.into() };
    run::execute(me, controlled::last_site(), operation, 1);
}
