//! Sockets: how they get their names, and what is sent and received.
//!
//! `sendmmsg` and `recvmmsg` are one event each, whose length is the number of messages asked for.

use super::hooks;
use crate::abi::{BOTH, Kind, READS, WRITES};
use crate::address::UNNAMED;
use crate::call::{Call, Effect};
use libc::{c_int, c_uint, c_void, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

hooks! {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int =
        Call::on(Kind::Socket, 0, -1).effect(Effect::Creates(UNNAMED));
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, ends: *mut c_int) -> c_int =
        Call::on(Kind::Pair, 0, -1).effect(Effect::Pairs(ends, b"socketpair"));
    fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int =
        Call::on(Kind::Connect, BOTH, fd).effect(Effect::Connects(address, length)), elsewhere (address, length);
    fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int =
        Call::on(Kind::Bind, BOTH, fd).effect(Effect::Binds(address, length));
    fn listen(fd: c_int, backlog: c_int) -> c_int = Call::on(Kind::Listen, BOTH, fd);
    fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int =
        Call::on(Kind::Accept, BOTH, fd).effect(Effect::Accepts);
    fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int =
        Call::on(Kind::Accept, BOTH, fd).effect(Effect::Accepts);
    fn shutdown(fd: c_int, how: c_int) -> c_int = Call::on(Kind::Shutdown, WRITES, fd);

    fn send(fd: c_int, buffer: *const c_void, count: size_t, flags: c_int) -> ssize_t =
        sends(fd).length(count), in part count;
    fn sendto(fd: c_int, buffer: *const c_void, count: size_t, flags: c_int, address: *const sockaddr,
        length: socklen_t) -> ssize_t = sends(fd).length(count).destination(address, length), in part count;
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = sendmsg_call(fd, message);
    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, n_messages: c_uint, flags: c_int) -> c_int =
        sends(fd).length(n_messages as usize);

    fn recv(fd: c_int, buffer: *mut c_void, count: size_t, flags: c_int) -> ssize_t = receives(fd).length(count);
    fn __recv_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t, flags: c_int) -> ssize_t =
        receives(fd).length(count);
    fn recvfrom(fd: c_int, buffer: *mut c_void, count: size_t, flags: c_int, address: *mut sockaddr,
        length: *mut socklen_t) -> ssize_t = receives(fd).length(count);
    fn __recvfrom_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t, flags: c_int,
        address: *mut sockaddr, length: *mut socklen_t) -> ssize_t = receives(fd).length(count);
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t = receives(fd).message(message);
    fn recvmmsg(fd: c_int, messages: *mut mmsghdr, n_messages: c_uint, flags: c_int, timeout: *mut timespec) -> c_int =
        receives(fd).length(n_messages as usize);
}

fn sends(fd: c_int) -> Call {
    Call::on(Kind::Write, WRITES, fd)
}

fn receives(fd: c_int) -> Call {
    Call::on(Kind::Read, READS, fd)
}

/// # Safety
/// `message` is null or valid.
unsafe fn sendmsg_call(fd: c_int, message: *const msghdr) -> Call {
    // SAFETY: by contract, also for the address in it.
    unsafe {
        let call = sends(fd).message(message);
        match message.as_ref() {
            Some(message) => call.destination(message.msg_name.cast(), message.msg_namelen),
            None => call,
        }
    }
}
