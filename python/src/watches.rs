//! Descriptors that an event loop waits for: when the callback of one can go on.
//!
//! Model: such a callback is a thread of the gate that waits for a flag, which is set as long as there is something to
//! read, or room to write. What a step of a loop has touched is looked at when the step ends, as its loop does before it
//! goes on: then the callbacks become ready, behind all that the step has scheduled. What another thread does shows at once.
//!
//! A callback that leaves what is there would be called again and again. It is stalled: it waits until somebody else has
//! made a step.
//!
//! Between threads and tasks of the run, channels tell what there is to read. A server outside is asked, and its answer is
//! waited for in real time; what it sends unasked cannot be ordered, so a run that notices it ends.
//!
//! Not here: which callbacks a loop has (package `frontrun._loop_model`), what is in channels (channels), what is asked for
//! (servers).

use crate::channels::{self, is_ready};
use crate::connections::Id;
use crate::{controlled, readiness, run, servers, tasks};
use frontrun_formats::semantics::State;
use frontrun_formats::semantics::channels::ended;
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use pyo3::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;

/// What a callback waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Something to read in a channel of this run.
    Channel(ObjectId),
    /// What a server outside sends.
    Server(Id),
    /// Room to write.
    Room(RawFd),
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    flag: ObjectId,
    of: Watched,
}

/// The descriptors that the event loops of a run wait for, by the threads that do.
#[derive(Debug, Default)]
pub struct Watches {
    all: BTreeMap<u32, Watch>,
    /// Those at which something may have changed.
    touched: BTreeSet<u32>,
    /// Those that have left what is there.
    stalled: BTreeSet<u32>,
    /// Something has been moved since the step under way began.
    has_moved: bool,
    /// What stands for what is said on a connection that has been waited for, whether it still is or not.
    said: BTreeMap<Id, ObjectId>,
}

impl Watches {
    /// Whether the step of `me` that ends is one of a callback that has left what is there. Others have it go on.
    fn stalls(&mut self, me: ThreadId) -> Option<Watch> {
        let has_moved = std::mem::take(&mut self.has_moved);
        let mine = self.all.get(&me.0).copied();
        if let Some(watch) = mine
            && !has_moved
            && !self.touched.contains(&me.0)
        {
            self.stalled.insert(me.0);
            return Some(watch);
        }
        self.touched.append(&mut self.stalled);
        None
    }

    fn touch(&mut self, is_changed: impl Fn(Watched) -> bool) {
        self.has_moved = true;
        let changed = self.all.iter().filter(|(_, watch)| is_changed(watch.of));
        self.touched.extend(changed.map(|(number, _)| *number));
    }
}

/// Has the thread `number` wait for a descriptor by that flag. Whether it can be told when it is ready.
#[pyfunction]
pub fn watch(number: u32, fd: RawFd, flag: &Bound<'_, PyAny>, writes: bool) -> PyResult<bool> {
    let me = tasks::me()?;
    let flag = tasks::flag(flag, 0);
    let Some(of) = (if writes { room(fd) } else { input(fd) }) else { return Ok(false) };
    let _ = with(|watches| {
        watches.all.insert(number, Watch { flag, of });
        if let Watched::Server(id) = of {
            watches.said.entry(id).or_insert(flag);
        }
        watches.touched.insert(number);
    });
    refresh_outside_steps(me);
    Ok(true)
}

/// Has the thread `number` wait for its descriptor no more: it does not go on.
#[pyfunction]
pub fn unwatch(number: u32) -> PyResult<()> {
    let me = tasks::me()?;
    let watch = with(|watches| {
        watches.touched.remove(&number);
        watches.stalled.remove(&number);
        watches.all.remove(&number)
    });
    let Some(watch) = watch.flatten() else { return Ok(()) };
    if has_come_unasked(&watch) {
        end_unasked();
    }
    // What would have made it ready is no step of its own: who does that from now on is in conflict all the same.
    touch(me, &watch);
    set(me, watch.flag, false);
    Ok(())
}

/// The threads whose descriptors the step under way has made ready; those that are ready no more do not go on.
#[pyfunction]
pub fn take_ready() -> PyResult<Vec<u32>> {
    let me = tasks::me()?;
    if let Some(watch) = with(|watches| watches.stalls(me)).flatten() {
        set(me, watch.flag, false);
    }
    let touched = with(|watches| std::mem::take(&mut watches.touched)).unwrap_or_default();
    let mut ready = Vec::new();
    for number in touched {
        let Some(watch) = with(|watches| watches.all.get(&number).copied()).flatten() else { continue };
        let is_ready = look(me, &watch);
        if is_ready && !is_set(watch.flag) {
            set(me, watch.flag, false);
            ready.push(number);
        } else {
            set(me, watch.flag, is_ready);
        }
    }
    Ok(ready)
}

/// Looks whether the descriptor of the thread `number` is ready, and lets that one go on if so.
#[pyfunction]
pub fn refresh_watch(number: u32) -> PyResult<()> {
    refresh(tasks::me()?, number);
    Ok(())
}

fn refresh(me: ThreadId, number: u32) {
    if let Some(watch) = with(|watches| watches.all.get(&number).copied()).flatten() {
        let ready = look(me, &watch);
        set(me, watch.flag, ready);
    }
}

fn refresh_outside_steps(me: ThreadId) {
    if controlled::step().is_some() || !run::is_recording() {
        return;
    }
    for number in with(|watches| std::mem::take(&mut watches.touched)).unwrap_or_default() {
        refresh(me, number);
    }
}

/// After an operation on channels.
pub fn note_channels(me: ThreadId, operation: &Operation) {
    if with(|watches| watches.all.is_empty()) != Some(false) {
        return;
    }
    let changed: Vec<ObjectId> = match *operation {
        Operation::ChannelOpen { channel }
        | Operation::ChannelPut { channel, .. }
        | Operation::ChannelTake { channel, .. }
        | Operation::ChannelTryTake { channel, .. } => vec![channel],
        Operation::ChannelClose { ref of } => of.iter().map(|at| at.object).collect(),
        _ => return,
    };
    let is_changed = |of| matches!(of, Watched::Channel(channel) if changed.contains(&channel));
    let _ = with(|watches| watches.touch(is_changed));
    refresh_outside_steps(me);
}

/// After something has been sent to a server or received from it.
pub fn note_server(me: ThreadId, id: Id) {
    let said = with(|watches| {
        watches.touch(|of| of == Watched::Server(id));
        watches.said.get(&id).copied()
    });
    if let Some(said) = said.flatten() {
        say(me, said);
    }
    refresh_outside_steps(me);
}

/// Before a run ends because nobody can go on: a server may have something to say.
pub fn check_stuck() {
    if with(|watches| !watches.stalled.is_empty()) == Some(true) {
        run::end_unfollowed(
            "who is told that a descriptor is ready to use it",
            "it does not, and is told again",
        );
    }
    let may_come = |watch: &Watch| match watch.of {
        Watched::Server(id) => !servers::answers_only(id),
        Watched::Channel(_) | Watched::Room(_) => false,
    };
    if all().iter().any(may_come) {
        run::end_unfollowed("a server to send what a task waits for", "it has not been asked for anything");
    }
}

/// Before time passes because nobody can go on.
pub fn check_elapse() {
    if all().iter().any(has_come_unasked) {
        end_unasked();
    }
}

fn end_unasked() -> ! {
    run::end_unfollowed("a server to answer only", "it has sent something unasked, or in pieces")
}

fn with<R>(body: impl FnOnce(&mut Watches) -> R) -> Option<R> {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    unsafe { run::get() }.map(|run| body(&mut run.watches))
}

fn all() -> Vec<Watch> {
    with(|watches| watches.all.values().copied().collect()).unwrap_or_default()
}

/// What is to be read at a descriptor, if that can be told.
fn input(fd: RawFd) -> Option<Watched> {
    if readiness::is_ours(fd) {
        return readiness::state(fd).map(|at| Watched::Channel(at.object));
    }
    servers::connection(fd).map(Watched::Server)
}

fn room(fd: RawFd) -> Option<Watched> {
    (readiness::is_ours(fd) || servers::connection(fd).is_some()).then_some(Watched::Room(fd))
}

/// Looks whether a descriptor is ready, as one step.
fn look(me: ThreadId, watch: &Watch) -> bool {
    touch(me, watch);
    match watch.of {
        Watched::Channel(_) => {}
        Watched::Server(id) => servers::await_answer(id),
        Watched::Room(fd) => {
            if !servers::is_writable(fd) {
                run::end_unfollowed("a descriptor to take what is written", "it has not in ten seconds");
            }
        }
    }
    is_there(watch)
}

/// Records what it hangs on whether a descriptor is ready.
fn touch(me: ThreadId, watch: &Watch) {
    match watch.of {
        Watched::Channel(channel) => {
            let reads = Box::new([Location::new(channel, Part::State), ended(channel)]);
            channels::execute(me, Operation::Touch { reads, writes: Box::new([]) });
        }
        Watched::Server(id) => {
            if let Some(said) = with(|watches| watches.said.get(&id).copied()).flatten() {
                say(me, said);
            }
        }
        Watched::Room(_) => {}
    }
}

/// Something is said on a connection: the order of that decides which answer is whose.
fn say(me: ThreadId, said: ObjectId) {
    let writes = Box::new([Location::new(said, Part::Generation)]);
    tasks::step(me, Operation::Touch { reads: Box::new([]), writes }, 1);
}

/// Whether a descriptor is ready.
fn is_there(watch: &Watch) -> bool {
    match watch.of {
        Watched::Channel(channel) => is_ready(channel),
        Watched::Server(id) => servers::is_readable(id),
        Watched::Room(_) => true,
    }
}

fn has_come_unasked(watch: &Watch) -> bool {
    matches!(watch.of, Watched::Server(_)) && !is_set(watch.flag) && is_there(watch)
}

fn is_set(flag: ObjectId) -> bool {
    // SAFETY: the calling thread holds the turn and the lock.
    unsafe { run::get() }
        .is_some_and(|run| run.gate.state().value(Location::new(flag, Part::State)).int() != 0)
}

/// Makes a flag what it is to be; one that is so already is read.
fn set(me: ThreadId, flag: ObjectId, ready: bool) {
    let operation = match (is_set(flag), ready) {
        (false, true) => Operation::EventSet { event: flag },
        (true, false) => Operation::EventClear { event: flag },
        _ => Operation::Read { at: Location::new(flag, Part::State) },
    };
    tasks::step(me, operation, 1);
}
