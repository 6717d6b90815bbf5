//! Steps on databases that the process keeps in files: what the Python side of the model calls.
//!
//! Model: a database has committed contents, those of its file; one lock, which a connection holds from its first change to
//! the end of its transaction; and a gate, behind which each connection that reads has a place. Who commits shuts the gate
//! and waits until all places are free. A thread waits by not being enabled; the database itself is only asked when it
//! cannot be busy, and its own I/O is no step.
//!
//! Not here: which statement does what (package `frontrun._sqlite`), who waits for what (package
//! `frontrun._sqlite_account`).

use crate::clock::{self, Wait};
use crate::outside::Books;
use crate::{attempts, controlled, io, run};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
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

/// A flag of a database, which is cleared at the beginning if `cleared`.
fn flag_of(name: &str, cleared: bool) -> Option<ObjectId> {
    let flag = with_outside(|outside, books| outside.flag(name.as_bytes(), books))?;
    run::initial_sync(flag, Part::State, || i64::from(!cleared));
    Some(flag)
}

/// Makes a step that waits for `timeout` seconds at most, or without a limit. Returns whether it was made in time.
fn wait(me: ThreadId, wait: Operation, timeout: Option<f64>) -> bool {
    let site = controlled::last_site();
    let patience = match clock::wait(timeout) {
        Wait::Impatient(time) => {
            let attempt = attempts::attempt(&wait).expect("each of these waits has one");
            run::reach(me, site, None);
            let is_made = run::predict(me, &attempt);
            run::execute(me, site, attempt, u8::from(is_made));
            if !is_made {
                clock::advance(time);
            }
            return is_made;
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

/// Makes a step that does not wait.
fn step(me: ThreadId, operation: Operation) {
    let site = controlled::last_site();
    run::reach(me, site, None);
    run::execute(me, site, operation, 1);
}

/// Waits at most `timeout` seconds for the lock of a database, and takes it. Returns whether it is taken.
#[pyfunction]
pub fn database_lock(path: &str, timeout: Option<f64>, held: bool) -> bool {
    let Some(me) = me() else { return !held };
    lock_of(path, held).map_or(!held, |lock| wait(me, Operation::Acquire { lock }, timeout))
}

/// Gives the lock of a database back.
#[pyfunction]
pub fn database_unlock(path: &str) {
    let Some(me) = me() else { return };
    let Some(lock) = lock_of(path, true) else { return };
    step(me, Operation::Release { lock });
}

/// Gives the lock of a database back and opens its gate.
#[pyfunction]
pub fn database_reopen(path: &str, gate: &str) {
    let Some(me) = me() else { return };
    let (Some(lock), Some(event)) = (lock_of(path, true), flag_of(gate, true)) else { return };
    step(me, Operation::ReleaseAndSet { lock, event });
}

/// Waits at most `timeout` seconds for the gate of a database to be open, which is `shut` at the beginning, and takes a place
/// behind it. Returns whether it is taken.
#[pyfunction]
pub fn database_enter(gate: &str, place: &str, timeout: f64, shut: bool) -> bool {
    let Some(me) = me() else { return !shut };
    match (flag_of(gate, shut), flag_of(place, false)) {
        (Some(gate), Some(place)) => wait(me, Operation::Enter { gate, place }, Some(timeout)),
        _ => !shut,
    }
}

/// Gives a place back.
#[pyfunction]
pub fn database_leave(place: &str) {
    let Some(me) = me() else { return };
    let Some(event) = flag_of(place, true) else { return };
    step(me, Operation::EventSet { event });
}

/// Shuts the gate of a database.
#[pyfunction]
pub fn database_shut(gate: &str) {
    let Some(me) = me() else { return };
    let Some(event) = flag_of(gate, false) else { return };
    step(me, Operation::EventClear { event });
}

/// Waits at most `timeout` seconds for a place to be free, which is taken at the beginning if `taken`. Returns whether it is.
#[pyfunction]
pub fn database_await(place: &str, timeout: f64, taken: bool) -> bool {
    let Some(me) = me() else { return !taken };
    flag_of(place, taken).map_or(!taken, |event| wait(me, Operation::EventWait { event }, Some(timeout)))
}

/// The name of the calling thread across executions, or of none.
#[pyfunction]
pub fn thread_path() -> String {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    let run = unsafe { run::get() };
    let path = controlled::controlled_thread().zip(run).map(|(me, run)| run.gate.path(me).to_string());
    path.unwrap_or_default()
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
