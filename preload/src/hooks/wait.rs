//! Waiting for descriptors. The event names none: which are waited for, and how long, is in the arguments, which a
//! listener may read during the call.

use super::hooks;
use crate::abi::{BOTH, Kind, READS};
use crate::call::Call;
use libc::{c_int, c_ulong, c_void, epoll_event, fd_set, pollfd, sigset_t, size_t, timespec, timeval};

hooks! {
    fn poll(set: *mut pollfd, n_set: c_ulong, timeout: c_int) -> c_int = waits(n_set as usize);
    fn ppoll(set: *mut pollfd, n_set: c_ulong, timeout: *const timespec, mask: *const sigset_t) -> c_int =
        waits(n_set as usize);
    fn __poll_chk(set: *mut pollfd, n_set: c_ulong, timeout: c_int, size: size_t) -> c_int = waits(n_set as usize);
    fn __ppoll_chk(set: *mut pollfd, n_set: c_ulong, timeout: *const timespec, mask: *const sigset_t,
        size: size_t) -> c_int = waits(n_set as usize);
    fn select(end: c_int, to_read: *mut fd_set, to_write: *mut fd_set, failed: *mut fd_set,
        timeout: *mut timeval) -> c_int = waits(end as usize);
    fn pselect(end: c_int, to_read: *mut fd_set, to_write: *mut fd_set, failed: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t) -> c_int = waits(end as usize);
    fn epoll_ctl(fd: c_int, operation: c_int, member: c_int, event: *mut epoll_event) -> c_int =
        Call::on(Kind::Change, BOTH, fd);
    fn epoll_wait(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: c_int) -> c_int =
        Call::on(Kind::Wait, READS, fd).length(n_events as usize);
    fn epoll_pwait(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: c_int,
        mask: *const sigset_t) -> c_int = Call::on(Kind::Wait, READS, fd).length(n_events as usize);
    fn epoll_pwait2(fd: c_int, events: *mut epoll_event, n_events: c_int, timeout: *const c_void,
        mask: *const sigset_t) -> c_int = Call::on(Kind::Wait, READS, fd).length(n_events as usize);
}

fn waits(n_descriptors: usize) -> Call {
    Call::on(Kind::Wait, READS, -1).length(n_descriptors)
}
