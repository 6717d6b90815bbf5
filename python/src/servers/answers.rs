//! What an event loop wants to know of a connection to a server: whether there is something to read.
//!
//! Model: the answer to what was sent is waited for in real time, up to its end as far as that can be told; of a protocol
//! that is not known, it ends when nothing more comes for a moment. So it depends on what was asked for alone. More than
//! that is nobody's answer, and a run in which it is seen ends.
//!
//! Not here: which callbacks wait (watches).

use super::exchange::{self, await_quiet, deadline, is_readable_within};
use super::{inputs, with};
use crate::connections::{Id, Speech};
use crate::shim::IoEvent;
use crate::{flags, run};
use frontrun_formats::{Location, Operation, Part, ThreadId};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// The connection to a server that a descriptor leads to.
pub fn connection(fd: RawFd) -> Option<Id> {
    with(|servers, _| servers.at(fd)).flatten()
}

/// Waits until the server has answered what it was asked for on this connection.
pub fn await_answer(id: Id) {
    if !awaits_answer(id) {
        if has_come_unasked(id) {
            run::end_unasked();
        }
        return;
    }
    if !is_readable_within(id.fd, deadline().saturating_duration_since(Instant::now())) {
        run::end_unfollowed("a server to answer", "nothing has come in ten seconds");
    }
    if !matches!(speech(id), Some(Speech::Redis | Speech::Postgres)) {
        await_quiet(id.fd);
    }
    let there = exchange::bytes_there(id.fd);
    let _ = with(|servers, _| {
        servers.get(id).map(|connection| {
            connection.answered = there;
            connection.was_looked_for = true;
        })
    });
}

/// Whether who looks for an answer without waiting does so before anybody was told that it is there. It may not be, and
/// who does not find it lets others go on meanwhile: so it never is, the first time.
pub fn comes_too_early(id: Id, event: &IoEvent) -> bool {
    if exchange::waits_for_bytes(event) {
        return false;
    }
    let looks_first = with(|servers, _| {
        let known = servers.get(id)?;
        Some(known.awaits_answer() && !std::mem::replace(&mut known.was_looked_for, true))
    });
    if looks_first.flatten() == Some(true) {
        return true;
    }
    await_answer(id);
    false
}

/// Whether there is more to read than answers to what the server was asked for, be it the end before it was asked at all.
pub fn has_come_unasked(id: Id) -> bool {
    let known = with(|servers, _| servers.get(id).map(|known| (known.was_asked, known.answered))).flatten();
    let Some((was_asked, answered)) = known else { return false };
    // What is told again comes when it came before.
    !awaits_answer(id)
        && !inputs::are_told()
        && (exchange::bytes_there(id.fd) > answered || !was_asked && is_readable(id))
}

/// Whether there is something to read now, be it the end.
pub fn is_readable(id: Id) -> bool {
    is_readable_within(id.fd, Duration::ZERO)
}

/// Whether something can be written, be it in vain, within the time that a server is given.
pub fn is_writable(fd: RawFd) -> bool {
    exchange::is_writable_until(fd, deadline())
}

fn speech(id: Id) -> Option<Speech> {
    with(|servers, _| servers.speech(id)).flatten()
}

/// Whether the server has not answered all that it was asked for, as far as that can be told.
pub fn awaits_answer(id: Id) -> bool {
    with(|servers, _| servers.get(id).is_some_and(|connection| connection.awaits_answer())) == Some(true)
}

/// Notes that something has been said on a connection, in one direction or the other.
pub fn note_said(me: ThreadId, id: Id) {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    if let Some(run) = unsafe { run::get() } {
        run.watches.touch_server(id);
    }
    say(me, id);
}

/// Something is said on a connection that event loops wait for: the order of that decides which answer is whose.
pub fn say(me: ThreadId, id: Id) {
    // SAFETY: as above.
    let Some(said) = (unsafe { run::get() }).and_then(|run| run.watches.said(id)) else { return };
    let writes = Box::new([Location::new(said, Part::Generation)]);
    flags::step(me, Operation::Touch { reads: Box::new([]), writes }, 1);
}
