//! I/O calls of controlled threads as steps: which locations a call touches, and when it happens.
//!
//! Model: right before the real call the library calls [`told`], in the middle of C code, with the interpreter's lock or
//! without. The thread waits for its turn there; then the call is looked at anew, since others may have changed what its
//! path means, and recorded as one event that reads and writes fixed locations. The real call follows while the thread
//! has the turn.
//!
//! Calls that one call of C code makes on one open file, and that only read what the first of them has read (a file that
//! is read to its end, a directory that is listed, a file that is opened and examined), are one step.
//!
//! Not here: which locations a call touches (footprint), names (outside), locks (file_locks), the library (shim).

use crate::footprint::{self, is_positional};
use crate::outside::Books;
use crate::shim::{self, AGAIN, BEFORE, DONE, IoEvent, WRITES, kind};
use crate::{channels, controlled, file_locks, readiness, run, servers, streams, watches};
use frontrun_formats::ThreadId;
use pyo3::exceptions::PyOSError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock};

/// Folders whose files are the interpreter's and not the program's.
static FOREIGN: OnceLock<Vec<String>> = OnceLock::new();
/// The process of the run: what it forks is none of its threads.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Leaves what the calling thread does to files out of account from now on: the program has ended, and what it tidies up
/// hangs on what earlier executions have left.
#[pyfunction]
pub fn leave_files() {
    IS_TIDYING.set(true);
}

/// Databases, whose files are named by what is done to them as a whole.
static DATABASES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Leaves the files of a database out of account: what happens to it is recorded as statements.
pub fn leave_alone(path: &str) {
    if let Ok(mut databases) = DATABASES.lock()
        && !databases.iter().any(|known| known == path)
    {
        databases.push(path.to_owned());
    }
}

/// Whether a file is that of a database, or belongs to one: its journal, its log.
fn is_database(file: &[u8]) -> bool {
    let suffixes = [&b""[..], b"-journal", b"-wal", b"-shm"];
    let is_of =
        |path: &String| file.strip_prefix(path.as_bytes()).is_some_and(|rest| suffixes.contains(&rest));
    DATABASES.lock().is_ok_and(|databases| databases.iter().any(is_of))
}

/// What the calls of a call of C code have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Opening a file.
    Opening,
    /// Reading an open file, its size or its position.
    Reading,
    /// Reading a directory.
    Listing,
    /// Writing an open file.
    Writing,
}

thread_local! {
    /// This thread has its turn for the call that it is told of again.
    static GRANTED: Cell<bool> = const { Cell::new(false) };
    /// The latest call of the call of C code under way, and the open file that it was about.
    static LATEST: Cell<Option<(Group, u64)>> = const { Cell::new(None) };
    /// The program has ended, and this thread tidies up.
    static IS_TIDYING: Cell<bool> = const { Cell::new(false) };
    /// The call under way makes a file.
    static CREATES: Cell<bool> = const { Cell::new(false) };
}

/// Finds the I/O library (preloaded, or at `library`) and attaches it to what is loaded now. `foreign` are folders whose
/// files do not belong to the program.
#[pyfunction]
pub fn watch_io(library: PathBuf, foreign: Vec<String>) -> PyResult<()> {
    let _ = FOREIGN.set(foreign);
    shim::load(&library).map_err(PyOSError::new_err)
}

/// Has the I/O of this process written to a pipe, one line an event, or to none for -1.
#[pyfunction]
pub fn write_io_to(fd: i32) {
    shim::write_to(fd);
}

/// Makes I/O of controlled threads steps of the run that begins in this process.
pub fn install() {
    OWNER.store(std::process::id() as i32, Ordering::Relaxed);
    IS_TIDYING.set(false);
    shim::register(told);
}

/// The library's callback.
unsafe extern "C" fn told(event: *const IoEvent) -> u32 {
    // SAFETY: the library passes a valid event.
    tell(unsafe { &*event })
}

/// Sees a call of the calling thread, or of the process on whose behalf it is here, and answers as a callback does.
pub fn tell(event: &IoEvent) -> u32 {
    if OWNER.load(Ordering::Relaxed) != std::process::id() as i32 {
        return DONE;
    }
    let Some(me) = controlled::visible_thread() else { return DONE };
    let answer = answer(me, event);
    if channels::concerns(event) || servers::concerns(event) {
        with_lock(|| watches::refresh_outside_steps(me));
    }
    answer
}

fn answer(me: ThreadId, event: &IoEvent) -> u32 {
    if event.kind == kind::WAIT && event.phase == BEFORE && servers::inputs::are_told() {
        with_lock(|| servers::waits(event));
    }
    if channels::concerns(event) || event.kind == kind::WAIT {
        let granted = GRANTED.replace(false);
        if let Some(answer) = with_lock(|| on_channel(me, event, granted)) {
            GRANTED.set(answer == AGAIN);
            // An address of this machine may be that of a thread of the program, or of a server.
            let may_be_server = answer == DONE && event.kind == kind::CONNECT && event.phase == BEFORE;
            let elsewhere = may_be_server && servers::concerns(event);
            return elsewhere.then(|| with_lock(|| servers::on_call(me, event))).flatten().unwrap_or(answer);
        }
        GRANTED.set(granted);
    }
    if servers::concerns(event)
        && let Some(answer) = with_lock(|| servers::on_call(me, event))
    {
        return answer;
    }
    if !run::is_recording() {
        if event.phase == BEFORE && changes(event) {
            with_lock(|| {
                note_change();
                footprint::settle(event);
            });
        }
        if event.phase == BEFORE && locks(event) && concerns(event) {
            with_lock(|| file_locks::note(event));
        }
        return DONE;
    }
    if event.phase != BEFORE {
        opened(event);
        return DONE;
    }
    refuse_to_wait_in_vain(event);
    let granted = GRANTED.replace(false);
    if !concerns(event) || (!granted && is_absorbed(event)) {
        return DONE;
    }
    with_lock(|| take_step(me, event, granted))
}

/// Sees a call on a connection of a worker process to a server.
pub fn tell_of_server(event: &IoEvent) -> u32 {
    let Some(me) = controlled::visible_thread() else { return DONE };
    if event.kind == kind::CONNECT && event.phase == BEFORE {
        with_lock(note_change);
    }
    if let Some(answer) = with_lock(|| servers::on_call(me, event)) {
        return answer;
    }
    if event.phase == BEFORE {
        refuse_to_wait_in_vain(event);
    }
    DONE
}

/// Ends the run if the call would wait for what may be another thread's to do.
fn refuse_to_wait_in_vain(event: &IoEvent) {
    if channels::waits_in_vain(event) {
        with_lock(|| {
            if !is_one_left() {
                run::end_unfollowed("a socket to be ready", "it may be a thread that makes it so");
            }
        });
    }
}

/// A call on a pipe or socket; `None` if it is left to others.
fn on_channel(me: ThreadId, event: &IoEvent, granted: bool) -> Option<u32> {
    if event.phase != BEFORE {
        channels::finish(event);
        return None;
    }
    if event.kind == kind::WAIT {
        return readiness::take_step(me, event, granted);
    }
    let answer = channels::take_step(me, event, granted);
    if answer.is_none() && event.kind == kind::CONNECT || event.kind == kind::BIND && changes(event) {
        note_change();
    }
    answer
}

/// Whether all other threads have been joined, so that no order is left to be recorded.
fn is_one_left() -> bool {
    // SAFETY: the calling thread holds the turn and the lock.
    unsafe { run::get() }.is_none_or(|run| run.gate.is_one_left())
}

/// Whether the call may change who holds the lock of a file.
fn locks(event: &IoEvent) -> bool {
    event.kind == kind::LOCK || (event.kind == kind::CLOSE && file_locks::is_any_held())
}

/// Notes which open file a call has made.
fn opened(event: &IoEvent) {
    if event.kind != kind::OPEN || LATEST.get() != Some((Group::Opening, 0)) {
        return;
    }
    LATEST.set(Some((Group::Opening, event.generation)));
    if CREATES.replace(false) && event.error == 0 {
        with_lock(|| {
            // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
            let (run, identities) = unsafe { (run::get(), run::identities()) };
            if let (Some(run), Some(identities), Some(file)) = (run, identities, event.file()) {
                let mut books = Books { identities, recording: &mut run.recording };
                run.outside.note_birth((event.device, event.inode), file, &mut books);
            }
        });
    }
}

/// Runs `body` with the interpreter's lock, which the calling thread has released or not, and nothing that it does is I/O
/// of the program.
pub fn with_lock<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: the calling thread is one of the interpreter's.
    let lock = unsafe { ffi::PyGILState_Ensure() };
    controlled::quiet();
    let result = body();
    controlled::loud();
    // SAFETY: gives back what was taken above.
    unsafe { ffi::PyGILState_Release(lock) };
    result
}

/// Notes that the program changes something that other runs of it can see.
#[pyfunction]
pub fn note_change() {
    // SAFETY: the calling thread holds the turn and the lock.
    if let (Some(run), Some(identities)) = unsafe { (run::get(), run::identities()) } {
        run.outside.note_change(&mut Books { identities, recording: &mut run.recording });
    }
}

/// Whether the call changes something outside that belongs to the program, or claims it.
fn changes(event: &IoEvent) -> bool {
    match event.kind {
        kind::CONNECT => event.resource() != b"socket",
        kind::BIND => channels::claim(event).is_some(),
        kind::SEEK | kind::CLOSE | kind::READ | kind::STAT | kind::READ_DIRECTORY => false,
        _ => event.access & WRITES != 0 && concerns(event),
    }
}

/// Waits for the turn, unless that has been done, and records the step.
fn take_step(me: ThreadId, event: &IoEvent, granted: bool) -> u32 {
    if !granted && (is_one_left() || IS_TIDYING.get()) {
        if changes(event) {
            note_change();
            footprint::settle(event);
        }
        return DONE;
    }
    if locks(event)
        && let Some(answer) = file_locks::take_step(me, event, granted)
    {
        GRANTED.set(answer == AGAIN);
        return answer;
    }
    let site = controlled::last_site();
    if !granted && run::reach(me, site, None) {
        GRANTED.set(true);
        return AGAIN;
    }
    if changes(event) {
        note_change();
    }
    CREATES.set(footprint::makes(event));
    if let Some(operation) = footprint::operation(event) {
        run::execute_by_state(me, site, operation);
        footprint::settle(event);
        controlled::enter_call();
        LATEST.set(group(event).map(|group| (group, event.generation)));
    }
    DONE
}

/// Whether the call is about files of the program.
pub fn concerns(event: &IoEvent) -> bool {
    let Some(file) = event.file() else { return false };
    !is_foreign(file) && !is_database(file) && !streams::is_printed_to(event)
}

fn is_foreign(file: &[u8]) -> bool {
    let below =
        |folder: &[u8]| file.strip_prefix(folder).is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/'));
    let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
    [&b"/dev"[..], b"/proc", b"/sys"].into_iter().any(below)
        || FOREIGN.get().is_some_and(|folders| folders.iter().any(|folder| below(folder.as_bytes())))
        || has(b"/__pycache__")
}

fn group(event: &IoEvent) -> Option<Group> {
    match event.kind {
        kind::OPEN => Some(Group::Opening),
        kind::SEEK if !footprint::looks_for_end(event) || footprint::is_to_end(event) => None,
        kind::STAT | kind::SEEK | kind::READ if event.fd >= 0 && !is_positional(event) => {
            Some(Group::Reading)
        }
        kind::READ_DIRECTORY => Some(Group::Listing),
        kind::WRITE => Some(Group::Writing),
        _ => None,
    }
}

/// Whether the call belongs to the step that the call of C code under way has begun.
fn is_absorbed(event: &IoEvent) -> bool {
    let Some((latest, generation)) = LATEST.get() else { return false };
    if !controlled::is_same_call() || event.fd < 0 || event.generation == 0 || event.generation != generation
    {
        return false;
    }
    match latest {
        // Whoever opens a file for appending looks where its end is.
        Group::Opening => matches!(event.kind, kind::STAT | kind::SEEK) && !footprint::is_to_end(event),
        Group::Reading => event.kind == kind::SEEK || group(event) == Some(Group::Reading),
        Group::Listing => matches!(event.kind, kind::READ_DIRECTORY | kind::CLOSE),
        Group::Writing => event.kind == kind::CLOSE && !file_locks::is_any_held(),
    }
}
