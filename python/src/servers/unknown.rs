//! Requests to servers whose protocol is not known: each may do anything that a later one on any connection sees.
//!
//! Model: what is sent until something is received is one request. Who sends next on another connection waits, in real
//! time, until what has been sent before is answered. A thread that finds no answer at all ends the run (channels).

use super::exchange::{deadline, is_readable_within};
use super::with;
use super::{are_taken, note_change, touch};
use crate::connections::Id;
use frontrun_formats::ThreadId;
use std::time::{Duration, Instant};

/// Before something is sent.
pub fn sends(me: ThreadId, id: Id) {
    // Whatever it is, it may change what other runs of the program find.
    note_change();
    let continues = with(|servers, _| servers.get(id).is_some_and(|connection| connection.is_waiting));
    if !are_taken() || continues == Some(true) {
        return;
    }
    settle(id);
    let anything = with(|servers, books| {
        let server = servers.get(id)?.server.clone();
        Some(servers.anything(&server, books))
    });
    if let Some(anything) = anything.flatten() {
        touch(me, &[], &[anything]);
    }
}

/// Waits until all other requests at the server have been answered, as far as they are within a time.
fn settle(id: Id) {
    let end = deadline().min(Instant::now() + Duration::from_secs(1));
    for other in with(|servers, _| servers.others(id)).unwrap_or_default() {
        let waits = with(|servers, _| servers.get(other).is_some_and(|connection| connection.is_waiting));
        if waits == Some(true) {
            is_readable_within(other.fd, end.saturating_duration_since(Instant::now()));
        }
    }
}
