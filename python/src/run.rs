//! The run of this process: the gate, the recording, the identities, and who may touch them.
//!
//! State ownership: there is at most one [`Run`] a process. Only a controlled thread that holds the turn *and* the
//! interpreter's lock touches it; a thread that parks gives up both. A free of memory may come from any thread
//! that holds the lock and touches the identities alone. Borrows of the run are short and never span a call that
//! can run Python code.
//!
//! Not here: which operation an instruction is (visible), what locks and threads do (locks, threads).

mod ending;
mod fairness;

pub use ending::{
    end_diverged, end_failed, end_stuck, end_unasked, end_unfollowed, finish, note_failure, take_failure,
};
use fairness::Fairness;

use frontrun_formats::execution::fingerprint;
use frontrun_formats::semantics;
use frontrun_formats::{
    Block, Event, Failure, Location, ObjectId, Operation, Part, SiteId, ThreadId, ThreadInfo, ThreadPath,
    Value,
};
use frontrun_recorder::gate::{Decision, Gate};
use frontrun_recorder::identity::Identities;
use frontrun_recorder::parking::Seat;
use frontrun_recorder::recording::Recording;
use pyo3::ffi;
use rustc_hash::FxHashSet;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use crate::block::Told;
use crate::connections::Servers;
use crate::controlled::Step;
use crate::outside::Outside;
use crate::site::{NOWHERE, Site};
use crate::telling::Telling;
use crate::watched::Watches;
use crate::{attempts, clock, controlled, interpreter, switching};

/// Everything that belongs to the execution under way.
pub struct Run {
    pub gate: Gate,
    pub recording: Recording,
    pub seats: Vec<Arc<Seat>>,
    /// Where each thread last announced an operation.
    pub at: Vec<SiteId>,
    /// The first failure that did not end the run at once.
    pub failure: Option<Failure>,
    /// What has been seen of files.
    pub outside: Outside,
    /// Connections to servers.
    pub servers: Servers,
    /// What they have told another run, where this one is told the same.
    pub telling: Option<Telling>,
    /// The descriptors that event loops wait for.
    pub watches: Watches,
    /// Who was given the turn last.
    pub turn: ThreadId,
    /// No thread of the system has been spawned: what runs is one thread, with its event loops.
    pub alone: bool,
    /// `repr` of what the caller observes.
    pub observed: Option<String>,
    /// What the opaque block under way has told.
    told: Told,
    /// Who waits for an operation with which an opaque block begins.
    before_block: FxHashSet<ThreadId>,
    /// How long one thread may keep the others from going on.
    fairness: Fairness,
}

struct Slot(UnsafeCell<Option<Run>>);

// SAFETY: see "State ownership" above: the interpreter's lock and the turn exclude concurrent access.
unsafe impl Sync for Slot {}

struct Numbers(UnsafeCell<Option<Identities>>);

// SAFETY: every access happens with the interpreter's lock held, and none runs Python code.
unsafe impl Sync for Numbers {}

static RUN: Slot = Slot(UnsafeCell::new(None));
static IDENTITIES: Numbers = Numbers(UnsafeCell::new(None));
/// Whether a run is under way and has had a second thread: until then nothing can be shared.
static RECORDING: AtomicBool = AtomicBool::new(false);
/// Whether the program has forked a process.
static FORKED: AtomicBool = AtomicBool::new(false);
/// Whether the run shares its process with the caller, so that its end must leave both alive.
static IN_CALLER: AtomicBool = AtomicBool::new(false);
/// How the last run in the caller's process failed.
static LAST_FAILURE: Mutex<Option<Failure>> = Mutex::new(None);

/// Whether hooks have to look at all.
#[inline]
pub fn is_recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

/// Whether the run shares its process with the caller.
pub fn is_in_caller() -> bool {
    IN_CALLER.load(Ordering::Relaxed)
}

/// Hooks record from now on: there is a second thread.
pub fn start_recording() {
    RECORDING.store(true, Ordering::Relaxed);
}

/// The run of this process.
///
/// # Safety
/// The caller holds the interpreter's lock and the turn (or no second thread exists), and drops the borrow before
/// anything can run Python code.
pub unsafe fn get() -> Option<&'static mut Run> {
    // SAFETY: as the caller promises.
    unsafe { (*RUN.0.get()).as_mut() }
}

/// The numbers of objects, once a run has begun.
///
/// # Safety
/// The caller holds the interpreter's lock and drops the borrow before anything can run Python code.
pub unsafe fn identities() -> Option<&'static mut Identities> {
    // SAFETY: as the caller promises.
    unsafe { (*IDENTITIES.0.get()).as_mut() }
}

/// Begins the run of this process, with the calling thread as its main thread. Hooks stay silent until the first
/// spawn.
pub fn begin(gate: Gate, mut recording: Recording, in_caller: bool, give_way: Option<Duration>) {
    IN_CALLER.store(in_caller, Ordering::Relaxed);
    clock::start();
    recording.thread(ThreadInfo { path: ThreadPath::main(), name: "MainThread".to_owned() });
    recording.string("");
    recording.site(NOWHERE);
    let seat = Arc::new(Seat::default());
    seat.occupy();
    let run = Run {
        gate,
        recording,
        seats: vec![seat],
        at: vec![SiteId(0)],
        failure: None,
        outside: Outside::default(),
        servers: Servers::default(),
        telling: None,
        watches: Watches::default(),
        turn: ThreadId(0),
        alone: true,
        observed: None,
        told: Told::default(),
        before_block: FxHashSet::default(),
        fairness: Fairness::of(give_way),
    };
    // SAFETY: called once, before any other thread is controlled, with the lock held.
    unsafe {
        *RUN.0.get() = Some(run);
        *IDENTITIES.0.get() = Some(Identities::default());
    }
    controlled::become_thread(Some(ThreadId(0)));
}

/// Reaches a switch point at `position`: waits until it is `me`'s turn to execute its next operation, which is
/// `pending` where it can block. Returns whether other threads ran meanwhile. Does not return when the run ends
/// here.
pub fn reach(me: ThreadId, position: Option<&Site>, pending: Option<Operation>) -> bool {
    reach_within(me, position, pending, None)
}

/// Tells the gate what `me` does next, before it reaches that switch point.
pub fn announce(me: ThreadId, operation: &Operation) {
    // SAFETY: `me` holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.gate.announce(me, operation);
    }
}

/// Tells the gate that the next step of `me` takes time: it sleeps, or waits no longer than it can.
pub fn rest(me: ThreadId, position: Option<&Site>) {
    let place = position.map_or(0, |site| site_number(site).0);
    // SAFETY: `me` holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.gate.rest(me, place);
    }
}

/// Comes to the end of the program: returns when no other thread goes on.
pub fn leave_program(me: ThreadId) {
    // SAFETY: `me` holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.gate.leave(me);
        reach(me, None, None);
    }
}

/// From now on a process that the program forks forgets the run, before anything can happen there: it is no part of it.
pub fn forget_in_forks() {
    static DONE: Once = Once::new();
    // SAFETY: registers a function that lives as long as the process.
    DONE.call_once(|| _ = unsafe { libc::pthread_atfork(None, Some(note_fork), Some(forget)) });
}

unsafe extern "C" fn note_fork() {
    if controlled::controlled_thread().is_some()
        // SAFETY: the thread that forks holds the turn and the lock.
        && let Some(run) = unsafe { get() }
    {
        run.outside.endpoints.inherit_all();
        FORKED.store(true, Ordering::Relaxed);
    }
}

unsafe extern "C" fn forget() {
    RECORDING.store(false, Ordering::Relaxed);
    controlled::become_thread(None);
    // SAFETY: a forked process has one thread. The recording must not be completed from here, so it is leaked.
    std::mem::forget(unsafe { (*RUN.0.get()).take() });
}

/// Whether `me` is in the middle of an opaque block, so that its next access joins it without a switch point.
pub fn is_in_block(me: ThreadId) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    unsafe { get() }.is_some_and(|run| run.gate.is_in_block(me))
}

/// Ends the opaque block of `me`, if it is in one.
pub fn leave_block(me: ThreadId) {
    // SAFETY: `me` holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.gate.end_block(me);
    }
}

/// Like [`reach`] for an operation that can block, but waits for it no longer than `patience`, which runs out only when
/// no thread is enabled. Returns whether it did: then the giving up is the step, and has been recorded.
pub fn reach_patiently(
    me: ThreadId,
    position: Option<&Site>,
    operation: Operation,
    patience: Option<Duration>,
) -> bool {
    reach_within(me, position, Some(operation.clone()), patience);
    // SAFETY: `me` holds the turn and the lock.
    let gate = unsafe { get() }.map(|run| &run.gate).filter(|gate| gate.has_elapsed(me));
    let Some(gate) = gate else { return false };
    if let Some(time) = patience.filter(|time| *time < Duration::MAX) {
        clock::give_up(time, gate.time_until(me));
    }
    execute(me, position, Operation::Elapse { of: Box::new(operation) }, 1);
    true
}

fn reach_within(
    me: ThreadId,
    position: Option<&Site>,
    pending: Option<Operation>,
    patience: Option<Duration>,
) -> bool {
    let site = position.map_or(SiteId(0), site_number);
    // SAFETY: `me` holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return false };
    run.at[me.index()] = site;
    if let Some(step) = controlled::whole_step()
        && stays_whole(me, step, pending.as_ref())
    {
        return false;
    }
    let gave_way = fairness::is_unfair(me) && fairness::give_way(me, position);
    // SAFETY: as above; the borrow from before may have ended.
    let Some(run) = (unsafe { get() }) else { return gave_way };
    match run.gate.decide(me, pending, patience) {
        Decision::Go => gave_way,
        Decision::Switch(next) => {
            run.turn = next;
            let (theirs, mine) = (run.seats[next.index()].clone(), run.seats[me.index()].clone());
            hand_over(&theirs, Some(&mine));
            true
        }
        Decision::Stuck => end_stuck(),
        Decision::Diverged(divergence) => end_diverged(&divergence, None),
    }
}

/// Reaches an operation that can block and with which an opaque block begins.
pub fn reach_block(me: ThreadId, position: &Site, operation: Operation) {
    // SAFETY: `me` holds the turn and the lock; the borrow ends before the turn passes.
    if let Some(run) = unsafe { get() } {
        run.before_block.insert(me);
    }
    reach(me, Some(position), Some(operation));
}

/// Whether the operation that `me` has reached is a part of an opaque block.
pub fn is_of_block(me: ThreadId) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    unsafe { get() }.is_some_and(|run| run.gate.is_in_block(me) || run.before_block.contains(&me))
}

/// Whether `me` could execute the operation now.
pub fn is_possible(me: ThreadId, operation: &Operation) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    unsafe { get() }.is_none_or(|run| semantics::enabled(operation, me, run.gate.state()))
}

/// Whether `me` can execute what it is about to execute within its whole step. Otherwise the step is whole no more.
fn stays_whole(me: ThreadId, step: Step, pending: Option<&Operation>) -> bool {
    let Some(pending) = pending else { return true };
    if let Some(attempt) = attempts::attempt(pending) {
        if is_possible(me, pending) {
            return true;
        }
        // That it failed is what the rest of the step hangs on.
        let result = attempts::failure(&attempt);
        execute(me, controlled::last_site(), attempt, result);
    }
    split_step(me, step);
    false
}

/// Ends the block of a whole step: from here on others may come in between, but none of the same loop.
pub fn split_step(me: ThreadId, step: Step) {
    execute(me, controlled::last_site(), Operation::EventClear { event: step.host }, 1);
    controlled::set_step(Some(Step { whole: false, ..step }));
    leave_block(me);
}

/// What `operation` of `me` will report when it is executed now.
pub fn predict(me: ThreadId, operation: &Operation) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return false };
    semantics::effect(operation, me, run.gate.state()).result != 0
}

/// Releases the interpreter's lock, passes the turn, and waits for it to come back to `mine` (if given).
pub fn hand_over(theirs: &Seat, mine: Option<&Seat>) {
    // SAFETY: the calling thread holds the lock, and takes it again before it returns.
    unsafe {
        let state = ffi::PyEval_SaveThread();
        theirs.give_turn();
        if let Some(mine) = mine {
            mine.wait();
        }
        ffi::PyEval_RestoreThread(state);
    }
}

/// Records that `me`, whose turn it is, executes `operation` at `site`. Does not return when the schedule wants
/// something else here.
pub fn execute(me: ThreadId, position: Option<&Site>, operation: Operation, result: u8) {
    execute_as(me, position, operation, result, Block::Alone);
}

/// The same for an access that hangs on a state which no table follows: a block of one event.
pub fn execute_by_state(me: ThreadId, position: Option<&Site>, operation: Operation) {
    // A step of a loop is a block as it is.
    if controlled::whole_step().is_some() {
        return execute(me, position, operation, 1);
    }
    execute_as(me, position, operation, 1, Block::First);
    leave_block(me);
}

/// The same for an access in an opaque block, which it begins if `me` is not in one.
pub fn execute_in_block(me: ThreadId, position: &Site, operation: Operation, result: u8) {
    // SAFETY: `me` holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return };
    let block = if run.gate.is_in_block(me) { Block::Later } else { Block::First };
    if block == Block::First {
        run.told.clear();
        run.before_block.remove(&me);
    }
    // A loop that may be a wait has to tell what it reads in each round.
    if !run.told.adds(&operation) && !run.gate.is_watching(me) {
        return;
    }
    execute_as(me, Some(position), operation, result, block);
}

/// Records the first event of an opaque block, of a thread that is at no site.
pub fn execute_first(me: ThreadId, operation: Operation) {
    // SAFETY: `me` holds the turn and the lock.
    if let Some(run) = unsafe { get() } {
        run.told.clear();
    }
    execute_as(me, None, operation, 1, Block::First);
}

/// Records an event of the block that `me` is in, or that begins with it.
pub fn execute_in_open_block(me: ThreadId, operation: Operation) {
    let block = if is_in_block(me) { Block::Later } else { Block::First };
    execute_as(me, None, operation, 1, block);
}

fn execute_as(me: ThreadId, position: Option<&Site>, operation: Operation, result: u8, block: Block) {
    let site = position.map_or(SiteId(0), site_number);
    let kind = operation.kind();
    let print = || match position {
        Some(site) => fingerprint(kind, interpreter::text(site.file), &site.position),
        None => fingerprint(kind, "", &NOWHERE),
    };
    execute_at(me, site, operation, (result, block), print);
}

/// Records that `me` executes `operation` at the numbered site, whose fingerprint is `print`.
pub fn execute_at(
    me: ThreadId,
    site: SiteId,
    operation: Operation,
    (result, block): (u8, Block),
    print: impl Fn() -> u32,
) {
    // SAFETY: `me` holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return };
    run.at[me.index()] = site;
    let (operation, block) = match (controlled::whole_step(), block) {
        (Some(_), Block::Alone) => (attempts::attempt(&operation).unwrap_or(operation), Block::Later),
        _ => (operation, block),
    };
    let gil_switch = switching::take(&operation);
    match run.gate.execute(me, &operation, result, block, print) {
        Ok(()) => {
            // Writing the trace is no I/O of the program.
            controlled::quiet();
            let _ = run.recording.event(Event { thread: me, site, operation, result, block, gil_switch });
            controlled::loud();
        }
        Err(divergence) => end_diverged(&divergence, Some(site)),
    }
}

/// The number of a site in the trace.
pub fn site_number(site: &Site) -> SiteId {
    if let Some(known) = site.known_number() {
        return known;
    }
    // SAFETY: the caller holds the turn and the lock.
    let Some(run) = (unsafe { get() }) else { return SiteId(0) };
    let file = run.recording.string(interpreter::text(site.file));
    let function = run.recording.string(interpreter::text(site.function));
    let number = run.recording.site(frontrun_formats::Site { file, function, ..site.position });
    site.number.set(number.0);
    number
}

/// Tells gate and trace what value a synchronisation object's location had before the run touched it.
pub fn initial_sync(object: ObjectId, part: Part, value: impl FnOnce() -> i64) {
    let at = Location::new(object, part);
    // SAFETY: the caller holds the turn and the lock; `value` reads a C struct.
    let Some(run) = (unsafe { get() }) else { return };
    if run.gate.knows(at) {
        return;
    }
    let value = Value::Int(value());
    run.gate.set_initial(at, value.clone());
    run.recording.initial(at, || value);
}

/// `initial_sync` of a lock, which any release of a thread that is not controlled frees: its holder is nobody's number.
pub fn initial_lock(lock: ObjectId, is_held: impl FnOnce() -> bool) {
    initial_sync(lock, Part::State, || if is_held() { i64::from(u32::MAX) } else { 0 });
}
