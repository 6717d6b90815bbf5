//! A worker process: what it does outside, it asks for.
//!
//! Model: the process is forked from the run and has one thread. Its memory is its own, so nothing that it does there is
//! an event; its calls of libc are told to the thread of the run that stands for it, which answers when it is their turn.
//! So exactly one process of a run is at work at any time. If the run is gone, the process ends at once.
//!
//! Not here: who answers (workers), what crosses the socket (messages).

use crate::messages::{self, Answer, Behind, IoCall, Place, Question, Wish};
use crate::shim::{self, BEFORE, DONE, IoEvent, kind};
use crate::site;
use crate::{clock, controlled, endpoints, interpreter, io, processes, readiness, servers, status};
use frontrun_formats::{Site, ThreadId};
use libc::c_int;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// How many files each process can open before their numbers are those of the next process.
pub const NUMBERS: u64 = 1 << 40;

static ACTIVE: AtomicBool = AtomicBool::new(false);
static SOCKET: AtomicI32 = AtomicI32::new(-1);

/// Whether this process is a worker.
#[inline]
pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// Whether this process is a worker, and what its thread does now is the program's doing.
pub fn is_visible() -> bool {
    is_active() && controlled::visible_thread().is_some()
}

/// Makes the calling process, which has just been forked, the worker with this number.
pub fn become_worker(number: u32, socket: c_int) {
    processes::forget();
    SOCKET.store(socket, Ordering::Relaxed);
    shim::register(told);
    shim::number_from(first_number(number));
    controlled::become_thread(Some(ThreadId(number + 1)));
    ACTIVE.store(true, Ordering::Relaxed);
}

/// The number of the first file that a worker opens.
pub fn first_number(worker: u32) -> u64 {
    (u64::from(worker) + 1) * NUMBERS
}

/// The library's callback.
unsafe extern "C" fn told(event: *const IoEvent) -> u32 {
    // SAFETY: the library passes a valid event.
    let event = unsafe { &*event };
    let is_socket = event.resource().starts_with(b"socket:");
    // What has been done matters only where it says which file was opened, or what a server has been told or has said.
    let is_said = is_socket && matches!(event.kind, kind::CONNECT | kind::READ | kind::WRITE);
    if controlled::visible_thread().is_none() || event.phase != BEFORE && event.kind != kind::OPEN && !is_said
    {
        return DONE;
    }
    // SAFETY: the call that the event is about has valid arguments.
    let behind = unsafe { behind(event) };
    let mut call = described(event, behind);
    if !is_socket {
        call.waits = if event.kind == kind::WAIT { readiness::waited(event) } else { Vec::new() };
        return ask(Wish::Call(Box::new(call)), None).code;
    }
    call.bytes = servers::moved_bytes(event).map(Into::into);
    let passed = (event.kind == kind::CONNECT && event.phase == BEFORE).then_some(event.fd);
    // A server is asked by the line that called the packages which do it.
    let asker = match event.phase {
        BEFORE if event.kind != kind::READ => io::with_lock(|| servers::here().map(place_of)),
        _ => None,
    };
    ask_from(asker, Wish::Call(Box::new(call)), passed).code
}

fn described(event: &IoEvent, behind: Behind) -> IoCall {
    let owned = |bytes: &[u8]| bytes.to_vec().into();
    IoCall {
        kind: event.kind,
        phase: event.phase,
        access: event.access,
        fd: event.fd,
        error: event.error,
        generation: event.generation,
        offset: event.offset,
        length: event.length,
        result: event.result,
        device: event.device,
        inode: event.inode,
        arguments: event.arguments,
        resource: owned(event.resource()),
        other: owned(event.other()),
        path: owned(event.path()),
        other_path: owned(event.other_path()),
        function: event.function().to_owned(),
        behind,
        bytes: None,
        waits: Vec::new(),
    }
}

/// What only this process knows of the descriptors and the memory that a call is about.
///
/// # Safety
/// The event is that of a call under way, whose arguments are valid.
unsafe fn behind(event: &IoEvent) -> Behind {
    let mut behind = Behind { is_status: status::is_asked_for(), ..Behind::default() };
    if event.fd >= 0 {
        (behind.length, behind.flags) = (endpoints::length(event.fd), endpoints::flags(event.fd));
    }
    if event.kind == kind::READ && event.access & shim::WRITES != 0 {
        behind.copied_to = endpoints::inode(event.copied_to());
    }
    if event.kind == kind::LOCK && event.function().starts_with("fcntl") {
        // SAFETY: such a call points to a description of the lock, or to nothing.
        let lock = unsafe { (event.arguments[2] as *const libc::flock).as_ref() };
        behind.lock = lock.map(|lock| (lock.l_type, lock.l_whence, lock.l_start, lock.l_len));
    }
    behind
}

/// Asks for something, handing over a descriptor, and waits for the answer. Does not return when the run is gone.
fn ask(wish: Wish, passed: Option<c_int>) -> Answer {
    ask_from(None, wish, passed)
}

/// The same from another place than the one that was reached last.
fn ask_from(asker: Option<Place>, wish: Wish, passed: Option<c_int>) -> Answer {
    let moved = !controlled::is_same_call() || asker.is_some();
    controlled::enter_call();
    let place = asker.or_else(|| if moved { controlled::last_site().map(place_of) } else { None });
    let clock = u64::try_from(clock::passed().as_nanos()).unwrap_or(u64::MAX);
    let socket = SOCKET.load(Ordering::Relaxed);
    let sent = messages::send(socket, &Question { wish, moved, place, clock }, passed);
    match sent.and_then(|()| messages::receive::<Answer>(socket)) {
        Ok(Some((answer, _))) => {
            clock::set_passed(answer.clock);
            answer
        }
        // SAFETY: ends the process, of which nobody wants to know any more.
        _ => unsafe { libc::_exit(1) },
    }
}

/// A site of this process, for the run.
fn place_of(site: &site::Site) -> Place {
    Place {
        file: interpreter::text(site.file).to_owned(),
        function: interpreter::text(site.function).to_owned(),
        position: Site { ..site.position },
    }
}

/// Sleeps, which takes no time of this process.
pub fn sleep(duration: Duration) {
    ask(Wish::Rest(duration.as_secs_f64()), None);
}

/// Asks the Python side of the run something.
#[pyfunction]
pub fn ask_run<'py>(py: Python<'py>, question: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &ask(Wish::Python(question.to_vec().into()), None).python)
}
