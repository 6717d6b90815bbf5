//! Pipes and socket pairs between threads of the program: a read that would block is a wait.
//!
//! Model: a channel is one location; each call on it writes that. A thread that finds nothing to read leaves an event of its
//! own with the channel and waits for it; whoever calls something on the channel next sets, after the call, the events that
//! were left there, and those who waited look again. So what a thread does hangs on the order of calls on the channel
//! alone, and on no clock.
//!
//! Not here: channels whose other end is in another process, which are waited for in real time; `poll` and `select`; writes
//! to a channel that is full.

use crate::outside::{Books, Inode};
use crate::shim::{AGAIN, DONE, IoEvent, kind};
use crate::{controlled, run};
use frontrun_formats::{Location, ObjectId, Operation, ThreadId};
use std::os::fd::RawFd;

/// Whether the call is one on a pipe or socket pair.
pub fn concerns(event: &IoEvent) -> bool {
    matches!(event.resource(), b"pipe" | b"socketpair")
        && matches!(event.kind, kind::READ | kind::WRITE | kind::CLOSE | kind::SHUTDOWN | kind::PAIR)
}

/// Device and inode behind a descriptor.
fn inode(fd: RawFd) -> Inode {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is valid, and all-zero is a valid status.
    let status = unsafe {
        libc::fstat(fd, status.as_mut_ptr());
        status.assume_init()
    };
    (status.st_dev, status.st_ino)
}

/// Notes a pair that was made: who writes what is read at either end.
pub fn note_pair(event: &IoEvent) {
    let at = event.arguments[if event.function() == "socketpair" { 3 } else { 0 }] as *const [RawFd; 2];
    if event.error != 0 || at.is_null() {
        return;
    }
    // SAFETY: the call has succeeded and stored two descriptors there; the calling thread holds the turn and the lock.
    let (ends, run) = unsafe { (*at, run::get()) };
    if let Some(run) = run {
        run.outside.note_pair(ends.map(inode));
    }
}

/// Whether a descriptor of this process is the one that writes what `fd` reads.
fn has_writer_here(fd: RawFd) -> bool {
    // SAFETY: the calling thread holds the turn and the lock.
    let Some(writer) = unsafe { run::get() }.and_then(|run| run.outside.writer_of(inode(fd))) else {
        return false;
    };
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok()).any(|other| {
        // SAFETY: reads a flag of an open file.
        let can_write = unsafe { libc::fcntl(other, libc::F_GETFL) } & libc::O_ACCMODE != libc::O_RDONLY;
        can_write && inode(other) == writer
    })
}

/// How long another process is waited for, in milliseconds of real time.
const PATIENCE: i32 = 3000;

/// Whether the call is one on a socket for which nobody has done what it waits for, in all the time that another process
/// is given: so it may well be a thread of this one, which cannot do it now.
pub fn waits_in_vain(event: &IoEvent) -> bool {
    event.resource().starts_with(b"socket:") && would_block(event, PATIENCE)
}

/// Whether the call would wait for longer than so many milliseconds.
fn would_block(event: &IoEvent, patience: i32) -> bool {
    if !matches!(event.kind, kind::READ | kind::ACCEPT) {
        return false;
    }
    let mut question = libc::pollfd { fd: event.fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: reads a flag of an open file.
    let blocks = unsafe { libc::fcntl(event.fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0;
    // SAFETY: one question.
    blocks && unsafe { libc::poll(&raw mut question, 1, patience) } == 0
}

/// The channel of a call.
fn channel(event: &IoEvent) -> Option<Location> {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end here.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    let mut books = Books { identities, recording: &mut run.recording };
    run.outside.open_file(event.fd, event.generation, event.resource(), &mut books)
}

/// Takes the steps that come before a call: it returns when the call will not wait for another thread.
pub fn take_step(me: ThreadId, event: &IoEvent, granted: bool) -> u32 {
    let site = controlled::last_site();
    if !granted && run::reach(me, site, None) {
        return AGAIN;
    }
    let Some(at) = channel(event) else { return DONE };
    loop {
        let touch = Operation::Touch { reads: Box::new([]), writes: Box::new([at]) };
        run::execute(me, site, touch, 1);
        if !would_block(event, 0) || !has_writer_here(event.fd) {
            return DONE;
        }
        let Some(left) = leave_event(at.object) else { return DONE };
        let wait = Operation::EventWait { event: left };
        run::reach(me, site, Some(wait.clone()));
        run::execute(me, site, wait, 1);
        run::reach(me, site, None);
    }
}

/// Leaves a new event with a channel.
fn leave_event(channel: ObjectId) -> Option<ObjectId> {
    // SAFETY: as for `channel`.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    let mut books = Books { identities, recording: &mut run.recording };
    Some(run.outside.leave_event(channel, &mut books))
}

/// Takes the steps that come after a call: those who found nothing may look again.
pub fn wake(me: ThreadId, event: &IoEvent) {
    let Some(at) = channel(event) else { return };
    // SAFETY: as for `channel`.
    let left = unsafe { run::get() }.map(|run| run.outside.take_events(at.object)).unwrap_or_default();
    for event in left {
        let site = controlled::last_site();
        run::reach(me, site, None);
        run::execute(me, site, Operation::EventSet { event }, 1);
    }
}
