//! Loops that wait for other threads by reading the same again and again.
//!
//! Model: a thread is at an *anchor* when it reads something inside a loop and nothing is known of the loop yet. When it
//! comes round to its anchor, in the same state, and has changed nothing in between, it will read the same until
//! somebody writes a location that it has read: its next operation is to await that. The place may also be one where it takes
//! a lock; locks that it has taken and given back in between are no change. The state is what the frames of the thread hold. Whatever can advance without being seen counts as progress: an iterator, a generator, a clock, a C
//! function that is not known.
//!
//! A wait of this kind is given up when no thread is enabled, a few times in a row, in case the loop hangs on something
//! that cannot be seen.
//!
//! Not here: what was read, and whether somebody wrote it (recorder::watch); what the state is (frames); tasks that sleep in
//! between (polling).

use crate::frames::State;
use crate::interpreter::Frame;
use crate::site::Site;
use crate::{controlled, run};
use frontrun_formats::{Location, ObjectId, Operation, Part, ThreadId};
use std::cell::Cell;
use std::time::Duration;

/// After so many reads elsewhere the thread is in another loop than its anchor is.
const LONGEST_ROUND: u32 = 64;

/// How often a wait is given up before it counts as one without end.
const MOST_GIVEN_UP: u32 = 3;

/// What the watches are known by that begin where a loop reads. Those of tasks that sleep (polling) are known by
/// a state, which is never this.
const OF_A_LOOP: u64 = 0;

/// What a thread is about to do where it may come round.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Deed {
    #[default]
    Read,
    TakeLock,
    WaitForSomeTime,
}

#[derive(Clone, Copy, Default)]
struct Anchor {
    frame: usize,
    /// Line, column, and column of the end of the source that is executed here, and what it does: to look a lock up and to
    /// take it may be one place in the source.
    place: (u32, i32, i32, Deed),
    state: u64,
    /// Reads elsewhere since the thread was here.
    elsewhere: u32,
    given_up: u32,
}

thread_local! {
    static ANCHOR: Cell<Anchor> = const {
        Cell::new(Anchor { frame: 0, place: (0, 0, 0, Deed::Read), state: 0, elsewhere: 0, given_up: 0 })
    };
}

/// Notes that the calling thread has done something that may have advanced what cannot be seen.
pub fn progress() {
    if let Some(me) = controlled::visible_thread()
        // SAFETY: a controlled thread that runs holds the turn and the lock.
        && let Some(run) = unsafe { run::get() }
    {
        run.gate.end_watch(me);
    }
}

/// The watch of the calling thread is not that of a loop any more.
pub fn forget() {
    ANCHOR.set(Anchor::default());
}

/// Called before a read inside a loop. Where the thread has come round, waits for a change and executes the read as
/// part of that; returns whether it did.
///
/// # Safety
/// Called from the hook of `site`, with its frame.
pub unsafe fn await_change(me: ThreadId, site: &'static Site, frame: Frame) -> bool {
    // SAFETY: as the caller promises.
    unsafe { come_by(me, (site, Deed::Read), frame, |first| state(me, site, frame, first)) }
}

/// Called before a thread waits for a lock. Where it has come round a loop, waits for a change first.
///
/// # Safety
/// Called from C code that the bytecode of the thread has called.
pub unsafe fn await_change_before_lock(me: ThreadId) {
    // SAFETY: as the caller promises, so that the current frame is the one that has called.
    unsafe {
        let frame = Frame::current();
        if let Some(site) = controlled::last_site_of(frame.address()).filter(|site| site.in_loop)
            && !run::is_in_block(me)
        {
            come_by(me, (site, Deed::TakeLock), frame, |first| state_of_callers(me, frame, first));
        }
    }
}

/// Called when a thread has begun to wait for a condition, for some time. Where it has come round a loop, waits until it
/// is notified or something that it has read has changed.
///
/// # Safety
/// As for [`await_change_before_lock`].
pub unsafe fn await_change_in_wait(me: ThreadId, condition: ObjectId) {
    let Some(site) = controlled::last_site() else { return };
    // SAFETY: as the caller promises; the borrow ends before the thread comes by.
    unsafe {
        if let Some(run) = run::get() {
            run.gate.watch_also(me, Location::new(condition, Part::Notified(me)));
        }
        let frame = Frame::current();
        come_by(me, (site, Deed::WaitForSomeTime), frame, |first| state_of_callers(me, frame, first));
    }
}

/// What the frames of the thread hold, apart from what is on the stack of the innermost one while it calls C code.
///
/// # Safety
/// The frame is live.
unsafe fn state_of_callers(me: ThreadId, frame: Frame, first: bool) -> Option<u64> {
    // SAFETY: callers of a live frame are live.
    unsafe {
        let mut state = State::begin(me, first)?;
        state.add_frames(Some(frame), |_| false);
        state.finish()
    }
}

/// The thread comes by a place where it may have been before; `state` tells what it holds, for the first time or again.
///
/// # Safety
/// `frame` is live, and that of `site`.
unsafe fn come_by(
    me: ThreadId,
    (site, deed): (&'static Site, Deed),
    frame: Frame,
    state: impl Fn(bool) -> Option<u64>,
) -> bool {
    // SAFETY: the thread holds the turn and the lock.
    let Some(run) = (unsafe { run::get() }) else { return false };
    let place = (site.position.line, site.position.column, site.position.end_column, deed);
    let here = Anchor { frame: frame.address(), place, ..Anchor::default() };
    let anchor = ANCHOR.get();
    if let Some(mark) = run.gate.watch_mark(me) {
        if mark != OF_A_LOOP || (anchor.frame, anchor.place) != (here.frame, here.place) {
            if anchor.elsewhere < LONGEST_ROUND {
                ANCHOR.set(Anchor { elsewhere: anchor.elsewhere + 1, ..anchor });
                return false;
            }
        } else if state(false) == Some(anchor.state)
            && !run.gate.has_taken(me)
            && let Some(of) = run.gate.watched(me).filter(|of| !of.is_empty())
        {
            return wait(me, site, of, anchor);
        }
    }
    match state(true) {
        Some(state) => {
            run.gate.begin_watch(me, OF_A_LOOP);
            ANCHOR.set(Anchor { state, ..here });
        }
        None => run.gate.end_watch(me),
    }
    false
}

/// What the frames of the thread hold: those of the innermost one that are on its stack, too.
///
/// # Safety
/// As for [`await_change`].
unsafe fn state(me: ThreadId, site: &Site, frame: Frame, first: bool) -> Option<u64> {
    // SAFETY: the slots below `top` are initialized; callers of a live frame are live.
    unsafe {
        let mut state = State::begin(me, first)?;
        for slot in 0..site.top as usize {
            state.add(frame.slot(slot));
        }
        state.add_frames(frame.caller(), |_| false);
        state.finish()
    }
}

fn wait(me: ThreadId, site: &'static Site, of: Box<[Location]>, anchor: Anchor) -> bool {
    let patience = (anchor.given_up < MOST_GIVEN_UP).then_some(Duration::MAX);
    let await_change = Operation::AwaitChange { of };
    let gave_up = run::reach_patiently(me, Some(site), await_change.clone(), patience);
    if !gave_up {
        run::execute(me, Some(site), await_change, 1);
    }
    let given_up = if gave_up { anchor.given_up + 1 } else { 0 };
    ANCHOR.set(Anchor { elsewhere: 0, given_up, ..anchor });
    !gave_up
}
