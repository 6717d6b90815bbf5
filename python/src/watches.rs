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
use crate::watched::{Watch, Watched, Watches};
use crate::{controlled, flags, readiness, run, servers};
use frontrun_formats::semantics::State;
use frontrun_formats::semantics::channels::{ended, refused};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use pyo3::prelude::*;
use std::os::fd::RawFd;

/// Has the thread `number` wait for a descriptor by that flag. Whether it can be told when it is ready.
#[pyfunction]
pub fn watch(number: u32, fd: RawFd, flag: &Bound<'_, PyAny>, writes: bool) -> PyResult<bool> {
    let me = flags::me()?;
    let flag = flags::flag(flag, 0);
    let Some(of) = (if writes { room(fd) } else { input(fd) }) else { return Ok(false) };
    let _ = with(|watches| watches.add(number, Watch { flag, of }));
    refresh_outside_steps(me);
    Ok(true)
}

/// Has the thread `number` wait for its descriptor no more: it does not go on.
#[pyfunction]
pub fn unwatch(number: u32) -> PyResult<()> {
    let me = flags::me()?;
    let Some(watch) = with(|watches| watches.remove(number)).flatten() else { return Ok(()) };
    if has_come_unasked(&watch) {
        run::end_unasked();
    }
    // What would have made it ready is no step of its own: who does that from now on is in conflict all the same.
    touch(me, &watch);
    set(me, watch.flag, false);
    Ok(())
}

/// The threads whose descriptors the step under way has made ready; those that are ready no more do not go on.
#[pyfunction]
pub fn take_ready() -> PyResult<Vec<u32>> {
    let me = flags::me()?;
    if let Some(watch) = with(|watches| watches.stalls(me)).flatten() {
        set(me, watch.flag, false);
    }
    let touched = with(Watches::take_touched).unwrap_or_default();
    let mut ready = Vec::new();
    for number in touched {
        let Some(watch) = with(|watches| watches.get(number)).flatten() else { continue };
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
    refresh(flags::me()?, number);
    Ok(())
}

fn refresh(me: ThreadId, number: u32) {
    if let Some(watch) = with(|watches| watches.get(number)).flatten() {
        let ready = look(me, &watch);
        set(me, watch.flag, ready);
    }
}

/// Outside of steps of loops, shows at once what a call has touched.
pub fn refresh_outside_steps(me: ThreadId) {
    if controlled::step().is_some() || !run::is_recording() {
        return;
    }
    for number in with(Watches::take_touched).unwrap_or_default() {
        refresh(me, number);
    }
}

/// Before time passes because nobody can go on.
pub fn check_elapse() {
    if all().iter().any(has_come_unasked) {
        run::end_unasked();
    }
}

fn with<R>(body: impl FnOnce(&mut Watches) -> R) -> Option<R> {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    unsafe { run::get() }.map(|run| body(&mut run.watches))
}

fn all() -> Vec<Watch> {
    with(|watches| watches.all()).unwrap_or_default()
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
            let reads = Box::new([Location::new(channel, Part::State), ended(channel), refused(channel)]);
            channels::execute(me, Operation::Touch { reads, writes: Box::new([]) });
        }
        Watched::Server(id) => servers::say(me, id),
        Watched::Room(_) => {}
    }
}

/// Whether a descriptor is ready.
fn is_there(watch: &Watch) -> bool {
    match watch.of {
        Watched::Channel(channel) => is_ready(channel),
        Watched::Server(id) => servers::is_readable(id),
        Watched::Room(_) => true,
    }
}

/// Whether a server has said something that it was not asked for; also if it is just the end, and nobody has been told.
fn has_come_unasked(watch: &Watch) -> bool {
    let Watched::Server(id) = watch.of else { return false };
    servers::has_come_unasked(id)
        || !is_set(watch.flag) && !servers::awaits_answer(id) && servers::is_readable(id)
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
    flags::step(me, operation, 1);
}
