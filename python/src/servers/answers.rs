//! What an event loop wants to know of a connection to a server: whether there is something to read.
//!
//! Model: the answer to what was sent is waited for in real time, up to its end as far as that can be told; of a protocol
//! that is not known, it ends when nothing more comes for a moment. So it depends on what was asked for alone.
//!
//! Not here: which callbacks wait (watches).

use super::exchange::{self, await_quiet, deadline, is_readable_within};
use super::with;
use crate::connections::{Id, Speech};
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
        return;
    }
    if !is_readable_within(id.fd, deadline().saturating_duration_since(Instant::now())) {
        run::end_unfollowed("a server to answer", "nothing has come in ten seconds");
    }
    if !matches!(speech(id), Some(Speech::Redis | Speech::Postgres)) {
        await_quiet(id.fd);
    }
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

fn awaits_answer(id: Id) -> bool {
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
