//! Sockets of worker processes that lead to servers: the run has a descriptor of each.
//!
//! Model: before a worker connects, it hands its socket over. With a descriptor of the same connection the model of servers
//! does what it does with those of threads: it looks at what has come, asks the server itself, and knows all connections of
//! the run, whoever has made them. The descriptor is closed when the worker closes its own, or has ended.
//!
//! Not here: what is said on a connection (servers), how a descriptor is handed over (messages).

use crate::behind::{self, Caller};
use crate::connections::Id;
use crate::messages::IoCall;
use crate::servers::{self, exchange};
use crate::shim::{BEFORE, DONE, IoEvent, kind};
use crate::{controlled, io};
use frontrun_formats::ThreadId;
use libc::c_int;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A socket of a worker.
#[derive(Clone, Copy)]
struct Socket {
    /// Which opening of its descriptor it is.
    generation: u64,
    /// The descriptor here.
    here: RawFd,
}

/// By worker, and its descriptor.
static SOCKETS: Mutex<BTreeMap<(u32, c_int), Socket>> = Mutex::new(BTreeMap::new());

fn sockets() -> MutexGuard<'static, BTreeMap<(u32, c_int), Socket>> {
    SOCKETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the step that a call on a connection to a server is, as far as it is one. `None` if the call is about something
/// else.
pub fn take_call(
    worker: u32,
    event: &mut IoEvent,
    call: &IoCall,
    passed: Option<RawFd>,
    caller: Caller,
) -> Option<u32> {
    if event.kind == kind::WAIT {
        let known = sockets();
        let is_known = |fd: &c_int| known.contains_key(&(worker, *fd));
        return (!call.waits.is_empty() && call.waits.iter().all(is_known)).then_some(DONE);
    }
    if !event.resource().starts_with(b"socket") {
        return None;
    }
    let key = (worker, call.fd);
    if event.kind == kind::CONNECT && event.phase == BEFORE {
        note(key, event, passed?)?;
    }
    let known = sockets().get(&key).copied().filter(|socket| socket.generation == call.generation);
    let Some(Socket { here, .. }) = known else {
        // One that was never connected, or the copy of one that the run has, too.
        return (event.kind == kind::CLOSE).then_some(DONE);
    };
    event.fd = here;
    behind::set_caller(Some(caller));
    behind::set_bytes(call.bytes.as_ref().map(|bytes| bytes.to_vec()));
    let code = io::tell_of_server(event);
    behind::set_bytes(None);
    behind::set_caller(None);
    let has_failed = event.phase != BEFORE && !matches!(event.error, 0 | libc::EINPROGRESS);
    if event.kind == kind::CLOSE || event.kind == kind::CONNECT && has_failed {
        forget(key);
    }
    Some(code)
}

/// Notes a socket that is about to be connected; `None` if it is none that leads to a server.
fn note(key: (u32, c_int), event: &IoEvent, passed: RawFd) -> Option<()> {
    controlled::quiet();
    let leads_out =
        exchange::is_stream(passed) && event.resource() != b"socket" && !exchange::is_served_here(event);
    controlled::loud();
    let known = sockets().get(&key).copied();
    if !leads_out || known.is_some_and(|known| known.generation == event.generation) {
        close(passed);
        return leads_out.then_some(());
    }
    forget(key);
    sockets().insert(key, Socket { generation: event.generation, here: passed });
    Some(())
}

fn forget(key: (u32, c_int)) {
    let known = sockets().remove(&key);
    if let Some(Socket { here, .. }) = known {
        close(here);
    }
}

/// Closes a descriptor of the run.
pub fn close(fd: RawFd) {
    controlled::quiet();
    // SAFETY: a descriptor that was received, and that nobody uses any more.
    unsafe { libc::close(fd) };
    controlled::loud();
}

/// Ends the connections that a worker had when it ended.
pub fn end_worker(me: ThreadId, worker: u32) {
    let mut left: Vec<((u32, c_int), Socket)> =
        sockets().range((worker, 0)..=(worker, c_int::MAX)).map(|(key, socket)| (*key, *socket)).collect();
    left.sort_unstable_by_key(|(_, socket)| socket.generation);
    for (key, socket) in left {
        let id = Id { fd: socket.here, generation: socket.generation };
        io::with_lock(|| servers::is_gone(me, id));
        forget(key);
    }
}
