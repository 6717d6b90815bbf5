//! What an event loop wants to know of a connection to a server: whether there is something to read.
//!
//! Model: the answer to what was sent is waited for in real time, up to its end as far as that can be told; of a protocol
//! that is not known, it ends when nothing more comes for a moment. So it depends on what was asked for alone.
//!
//! Not here: which callbacks wait (watches).

use super::exchange::{self, await_quiet, deadline, is_readable_within};
use super::with;
use crate::connections::{Id, Speech};
use crate::run;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// The connection to a server that a descriptor leads to.
pub fn connection(fd: RawFd) -> Option<Id> {
    with(|servers, _| servers.at(fd)).flatten()
}

/// Whether the server says nothing on this connection but answers, all of which have come.
pub fn answers_only(id: Id) -> bool {
    speech(id) == Some(Speech::Redis) && !awaits_answer(id)
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
