//! Requests to servers outside the process as steps.
//!
//! Model: a server acts on a request when it is complete, so that is one step, which happens right before the request is
//! sent; the answer is waited for in real time before anybody else goes on. A request that waits in the server for
//! another connection's transaction leaves an event with that connection and waits for it, which whoever ends the
//! transaction sets.
//!
//! Invariant: what a step touches hangs on the requests of its thread, on tables as they were at the beginning, and on
//! what the steps before it have touched; never on time.
//!
//! Module map: [`answers`] for event loops, whether there are any · [`exchange`] bytes and real time · [`postgres`] statements and transactions, with a [`plan`] for each ·
//! [`redis`] commands · [`questions`] of the recorder itself · [`inputs`] what servers tell, recorded and told again · [`place`] the line of the program that asks · [`unknown`] any other server.
//!
//! Not here: protocols and statements (recorder, `servers`), sockets whose other end is a thread of this process, the connections and names of a run (connections).

mod answers;
pub mod exchange;
pub mod inputs;
mod place;
mod plan;
mod postgres;
mod questions;
mod redis;
mod unknown;

use crate::connections::{Id, Servers, Speech};
use crate::endpoints::inode;
use crate::outside::Books;
use crate::shim::{AT_MOST, BEFORE, DONE, IoEvent, TOO_EARLY, kind};
use crate::{controlled, run};
pub use answers::{await_answer, awaits_answer, connection, has_come_unasked, is_readable, is_writable, say};
use frontrun_formats::{Location, Operation, ThreadId};
use frontrun_recorder::servers::{postgres as postgres_protocol, redis as redis_protocol};
pub use place::here;
use std::os::fd::RawFd;

/// Whether the call is about a connection to a server, or makes one.
pub fn concerns(event: &IoEvent) -> bool {
    let matters =
        matches!(event.kind, kind::CONNECT | kind::READ | kind::WRITE | kind::CLOSE | kind::SHUTDOWN);
    matters && event.fd >= 0 && event.resource().starts_with(b"socket:")
}

/// Takes the steps that a call is part of. Returns what the library is to be answered, if nothing else is to be done for
/// the call.
pub fn on_call(me: ThreadId, event: &IoEvent) -> Option<u32> {
    let id = Id { fd: event.fd, generation: event.generation };
    if event.kind == kind::CONNECT {
        return connects(id, event);
    }
    let known = with(|servers, _| servers.speech(id)).flatten();
    if known.is_none()
        && event.kind == kind::WRITE
        && event.phase == BEFORE
        && exchange::is_connected(event.fd)
        && !is_of_this_run(event.fd)
    {
        // Made before the run began, by nobody knows whom, and nobody knows what has been said.
        let _ = with(|servers, _| {
            servers.open(id, event.resource(), None);
            servers.set_speech(id, Speech::Unknown);
        });
        inputs::is_unrecorded("a connection was not seen to be made");
    }
    let speech = with(|servers, _| servers.speech(id)).flatten()?;
    match (event.kind, event.phase == BEFORE) {
        (kind::WRITE, true) => {
            let answer = sends(me, id, speech, event);
            inputs::note_arrivals();
            return Some(answer);
        }
        (kind::WRITE, false) => {
            has_sent(me, id, event);
            answers::note_said(me, id);
        }
        (kind::READ, true) => {
            inputs::reads(id, event);
            if controlled::step().is_some() && answers::comes_too_early(id, event) {
                return Some(TOO_EARLY);
            }
            // An answer that does not come is as with any socket.
            return None;
        }
        (kind::READ, false) => {
            has_received(id, event);
            answers::note_said(me, id);
        }
        (kind::SHUTDOWN, false) if event.error == 0 => {
            let _ = with(|servers, _| servers.note_shut(id));
            answers::note_said(me, id);
        }
        (kind::CLOSE, true) => closes(me, id, speech),
        _ => return None,
    }
    Some(DONE)
}

/// Before and after a call of `connect`. Returns what the library is to be answered.
fn connects(id: Id, event: &IoEvent) -> Option<u32> {
    if event.phase == BEFORE {
        return inputs::connects(id, event);
    }
    if exchange::is_stream(event.fd) && !exchange::is_served_here(event) {
        let number = inputs::has_connected(id, event);
        if exchange::is_connecting(event) {
            let _ = with(|servers, _| servers.open(id, event.resource(), number));
        }
    }
    None
}

/// Whether both ends of a connection were made in this run. What of it is no step there, such as writing nothing, is
/// none at a server either.
fn is_of_this_run(fd: RawFd) -> bool {
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends here.
    unsafe { run::get() }.is_some_and(|run| run.outside.endpoints.knows(inode(fd)))
}

/// Before a call that waits for descriptors.
pub fn waits(event: &IoEvent) {
    inputs::waits(event);
}

/// Calls `body` with the connections. The calling thread holds the turn and the lock.
fn with<R>(body: impl FnOnce(&mut Servers, &mut Books<'_>) -> R) -> Option<R> {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    Some(body(&mut run.servers, &mut Books { identities, recording: &mut run.recording }))
}

/// Whether steps are taken: the run is recorded and somebody is there to be in the way.
fn are_taken() -> bool {
    // SAFETY: the calling thread holds the turn and the lock.
    run::is_recording() && unsafe { run::get() }.is_some_and(|run| !run.gate.is_one_left())
}

/// Before bytes are sent. Returns what the library is to be answered.
fn sends(me: ThreadId, id: Id, speech: Speech, event: &IoEvent) -> u32 {
    let bytes = exchange::bytes_of(event, None);
    let speech = match (speech, &bytes) {
        (Speech::Fresh, Some(bytes)) if postgres_protocol::begins_connection(bytes) => Speech::Postgres,
        (Speech::Fresh, Some(bytes)) if redis_protocol::begins_connection(bytes) => Speech::Redis,
        (Speech::Postgres | Speech::Redis, Some(_)) => speech,
        _ => Speech::Unknown,
    };
    let _ = with(|servers, _| servers.set_speech(id, speech));
    match (speech, bytes) {
        (Speech::Postgres, Some(bytes)) => postgres::sends(me, id, &bytes),
        (Speech::Redis, Some(bytes)) => {
            let most = redis::sends(me, id, &bytes, exchange::is_divisible(event));
            return most.map_or(DONE, |most| AT_MOST | most as u32);
        }
        _ => unknown::sends(me, id),
    }
    DONE
}

/// After bytes have been sent.
fn has_sent(me: ThreadId, id: Id, event: &IoEvent) {
    let count = usize::try_from(event.result).unwrap_or(0);
    let bytes = exchange::bytes_of(event, Some(count));
    if let Some(bytes) = &bytes {
        let _ = with(|servers, _| servers.note_sent(id, bytes));
    }
    inputs::has_sent(id, count, bytes.as_deref());
    match with(|servers, _| servers.speech(id)).flatten() {
        Some(Speech::Postgres) if count > 0 => postgres::has_sent(me, id),
        Some(Speech::Redis) if count > 0 => redis::has_sent(id),
        _ => {}
    }
}

/// After bytes have been received.
fn has_received(id: Id, event: &IoEvent) {
    let count = usize::try_from(event.result).unwrap_or(0);
    let bytes = exchange::bytes_of(event, Some(count));
    inputs::has_received(id, event, bytes.as_deref());
    let left = exchange::bytes_there(event.fd);
    let _ = with(|servers, _| match bytes {
        Some(bytes) => servers.note_received(id, &bytes, left),
        None => servers.set_speech(id, Speech::Unknown),
    });
}

/// Before a connection is closed.
fn closes(me: ThreadId, id: Id, speech: Speech) {
    if speech == Speech::Postgres {
        postgres::closes(me, id);
    }
    inputs::closes(id);
    let _ = with(|servers, _| servers.close(id));
}

/// A process that has had a connection is gone, and has not closed it.
pub fn is_gone(me: ThreadId, id: Id) {
    if let Some(speech) = with(|servers, _| servers.speech(id)).flatten() {
        closes(me, id, speech);
    }
}

/// What a call sends, or has sent or received, if that is in memory.
pub fn moved_bytes(event: &IoEvent) -> Option<Vec<u8>> {
    match (event.kind, event.phase == BEFORE) {
        (kind::WRITE, true) => exchange::bytes_of(event, None),
        (kind::WRITE | kind::READ, false) => {
            exchange::bytes_of(event, Some(usize::try_from(event.result).unwrap_or(0)))
        }
        _ => None,
    }
}

/// Notes that the program changes something that other runs of it can see.
fn note_change() {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
    if let (Some(run), Some(identities)) = unsafe { (run::get(), run::identities()) } {
        run.outside.note_change(&mut Books { identities, recording: &mut run.recording });
    }
}

/// Takes one step that touches fixed locations.
fn touch(me: ThreadId, reads: &[Location], writes: &[Location]) {
    let Some(operation) = Operation::touching(reads.iter().copied(), writes.iter().copied()) else { return };
    let site = here();
    run::reach(me, site, None);
    run::execute(me, site, operation, 1);
}
