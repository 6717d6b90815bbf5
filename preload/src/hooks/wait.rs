//! Waiting for descriptors. The event names none: which are waited for, and how long, is in the arguments, which a
//! listener may read during the call.

use super::hooks;
use crate::abi::{BOTH, Kind, READS};
use crate::call::Call;
use libc::{c_int, c_ulong, epoll_event, fd_set, pollfd, sigset_t, size_t, timespec, timeval};
use std::cell::UnsafeCell;

/// The time of a wait that must not wait.
static NO_TIME: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// The same for `select`, which stores there how much is left of it: nothing.
static LEFT: Left = Left(UnsafeCell::new(timeval { tv_sec: 0, tv_usec: 0 }));

struct Left(UnsafeCell<timeval>);

// SAFETY: all that is ever stored is what is there.
unsafe impl Sync for Left {}

hooks! {
    fn poll(set: *mut pollfd, n_set: c_ulong, timeout: c_int) -> c_int = waits(n_set as usize), at once timeout = 0;
    fn ppoll(set: *mut pollfd, n_set: c_ulong, timeout: *const timespec, mask: *const sigset_t) -> c_int =
        waits(n_set as usize), at once timeout = &raw const NO_TIME;
    fn __poll_chk(set: *mut pollfd, n_set: c_ulong, timeout: c_int, size: size_t) -> c_int = waits(n_set as usize),
        at once timeout = 0;
    fn __ppoll_chk(set: *mut pollfd, n_set: c_ulong, timeout: *const timespec, mask: *const sigset_t,
        size: size_t) -> c_int = waits(n_set as usize), at once timeout = &raw const NO_TIME;
    fn select(end: c_int, to_read: *mut fd_set, to_write: *mut fd_set, failed: *mut fd_set,
        timeout: *mut timeval) -> c_int = waits(end as usize), at once timeout = LEFT.0.get();
    fn pselect(end: c_int, to_read: *mut fd_set, to_write: *mut fd_set, failed: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t) -> c_int = waits(end as usize),
        at once timeout = &raw const NO_TIME;
    fn epoll_ctl(fd: c_int, operation: c_int, member: c_int, event: *mut epoll_event) -> c_int =
        Call::on(Kind::Change, BOTH, fd);
    fn epoll_wait(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: c_int) -> c_int =
        Call::on(Kind::Wait, READS, fd).length(n_events as usize), at once timeout = 0;
    fn epoll_pwait(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: c_int,
        mask: *const sigset_t) -> c_int = Call::on(Kind::Wait, READS, fd).length(n_events as usize),
        at once timeout = 0;
    fn epoll_pwait2(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: *const timespec,
        mask: *const sigset_t) -> c_int = Call::on(Kind::Wait, READS, fd).length(n_events as usize),
        at once timeout = &raw const NO_TIME;
}

fn waits(n_descriptors: usize) -> Call {
    Call::on(Kind::Wait, READS, -1).length(n_descriptors)
}
