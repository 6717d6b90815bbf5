//! Bytes on connections, and the only real time that servers are given.
//!
//! Not here: what the bytes mean.

use crate::behind;
use crate::shim::IoEvent;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// How long an answer of the server is waited for that a step depends on.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is looked at before the program reads it.
pub const PEEKED: usize = 1 << 17;

/// Whether a call of `connect` has made a connection, or is about to.
pub fn is_connecting(event: &IoEvent) -> bool {
    is_stream(event.fd) && matches!(event.error, 0 | libc::EINPROGRESS)
}

/// Whether a descriptor is a socket of bytes.
pub fn is_stream(fd: RawFd) -> bool {
    option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}

/// Whether a call that reads waits until there is something.
pub fn waits_for_bytes(event: &IoEvent) -> bool {
    // SAFETY: reads flags of an open file.
    let is_blocking = unsafe { libc::fcntl(event.fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0;
    let takes_flags = event.function().contains("recv") && !event.function().contains("recvm");
    is_blocking && !(takes_flags && flags(event) & libc::MSG_DONTWAIT != 0)
}

/// The descriptors that a call of `poll` waits for, and whether it does so for ever unless one has something to read.
pub fn polled(event: &IoEvent) -> Option<(Vec<RawFd>, bool)> {
    let [at, count, time, ..] = event.arguments;
    let for_ever = match event.function() {
        "poll" | "__poll_chk" => (time as i32) < 0,
        "ppoll" | "__ppoll_chk" => time == 0,
        _ => return None,
    };
    if at == 0 {
        return None;
    }
    // SAFETY: the call's questions; the call is under way on this thread.
    let asked = unsafe { std::slice::from_raw_parts(at as *const libc::pollfd, count as usize) };
    let reads = asked.iter().all(|question| question.events & libc::POLLOUT == 0);
    Some((asked.iter().map(|question| question.fd).collect(), for_ever && reads))
}

/// Whether a descriptor is a connection.
pub fn is_connected(fd: RawFd) -> bool {
    // SAFETY: all-zero is a valid address of no family.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the buffer is as long as `length` says.
    let answer = unsafe { libc::getpeername(fd, (&raw mut address).cast(), &raw mut length) };
    answer == 0 && option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}

fn option(fd: RawFd, name: i32) -> Option<i32> {
    let (mut value, mut length) = (0, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the buffer is as long as `length` says.
    let answer =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length) };
    (answer == 0).then_some(value)
}

/// Whether this process itself listens at the address that is connected to.
pub fn is_served_here(event: &IoEvent) -> bool {
    let wanted = event.resource();
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    let listening = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok())
        .filter(|fd| option(*fd, libc::SO_ACCEPTCONN) == Some(1));
    listening.filter_map(local_address).any(|(host, port)| match host {
        Some(path) => wanted == [b"socket:", &path[..]].concat(),
        None => wanted.ends_with(format!(":{port}").as_bytes()),
    })
}

/// The local address of a socket: the path of a Unix one, or else the port.
fn local_address(fd: RawFd) -> Option<(Option<Vec<u8>>, u16)> {
    // SAFETY: all-zero is a valid address of no family.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the buffer is as long as `length` says.
    if unsafe { libc::getsockname(fd, (&raw mut address).cast(), &raw mut length) } != 0 {
        return None;
    }
    let at = (&raw const address).cast::<u8>();
    match i32::from(address.ss_family) {
        libc::AF_UNIX => {
            // SAFETY: the kernel has filled `length` bytes of the buffer.
            let bytes = unsafe { std::slice::from_raw_parts(at, length as usize) };
            let path: Vec<u8> = bytes.iter().skip(2).copied().take_while(|byte| *byte != 0).collect();
            Some((Some(path), 0))
        }
        // Both families of the Internet have the port in the same place.
        libc::AF_INET | libc::AF_INET6 => {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(at, 4) };
            Some((None, u16::from_be_bytes([bytes[2], bytes[3]])))
        }
        _ => None,
    }
}

/// The bytes that a call sends, or has received: all, or the first `count`. `None` for calls whose bytes are not in memory,
/// or are only looked at.
pub fn bytes_of(event: &IoEvent, count: Option<usize>) -> Option<Vec<u8>> {
    if behind::caller().is_some() {
        return behind::bytes(count);
    }
    let buffer = event.arguments[1];
    let count_all = event.arguments[2] as usize;
    let take = |length: usize| count.map_or(length, |count| count.min(length));
    match event.function().trim_start_matches('_').trim_end_matches("_chk") {
        "recv" | "recvfrom" if flags(event) & libc::MSG_PEEK != 0 => Some(Vec::new()),
        "send" | "sendto" | "write" | "recv" | "recvfrom" | "read" => {
            // SAFETY: the call's buffer, of which that much is filled; the call is under way on this thread.
            Some(unsafe { copy(buffer, take(count_all)) })
        }
        "writev" | "readv" => {
            // SAFETY: the call's vector, as above.
            Some(unsafe { gather(buffer as *const libc::iovec, count_all, count) })
        }
        "sendmsg" | "recvmsg" => {
            // SAFETY: the call's message, as above.
            unsafe {
                let message = (buffer as *const libc::msghdr).as_ref()?;
                Some(gather(message.msg_iov, message.msg_iovlen, count))
            }
        }
        _ => None,
    }
}

fn flags(event: &IoEvent) -> i32 {
    let at = if event.function().ends_with("_chk") { 4 } else { 3 };
    event.arguments[at] as i32
}

/// # Safety
/// `length` bytes at `address` are readable.
unsafe fn copy(address: u64, length: usize) -> Vec<u8> {
    if address == 0 {
        return Vec::new();
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec()
}

/// # Safety
/// `vector` is null or points to `n` buffers, of which `count` bytes are readable, or all.
unsafe fn gather(vector: *const libc::iovec, n: usize, count: Option<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if vector.is_null() {
        return bytes;
    }
    // SAFETY: by contract.
    for part in unsafe { std::slice::from_raw_parts(vector, n) } {
        let left = count.map_or(part.iov_len, |count| part.iov_len.min(count - bytes.len()));
        // SAFETY: by contract.
        bytes.extend(unsafe { copy(part.iov_base as u64, left) });
    }
    bytes
}

/// Whether there is something to read within that time, be it the end.
pub fn is_readable_within(fd: RawFd, time: Duration) -> bool {
    let mut question = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one question.
    unsafe { libc::poll(&raw mut question, 1, time.as_millis() as i32) > 0 }
}

/// Whether there is room to write, or an error, until a deadline.
pub fn is_writable_until(fd: RawFd, end: Instant) -> bool {
    let time = end.saturating_duration_since(Instant::now());
    let mut question = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one question.
    unsafe { libc::poll(&raw mut question, 1, time.as_millis() as i32) > 0 }
}

/// How long nothing comes when all has come.
const QUIET: Duration = Duration::from_millis(20);

/// Waits until no more comes, or the end has.
pub fn await_quiet(fd: RawFd) {
    let end = deadline();
    let mut known = None;
    while Instant::now() < end {
        let there = bytes_there(fd);
        if has_ended(fd) || known == Some(there) {
            return;
        }
        known = Some(there);
        std::thread::sleep(QUIET);
    }
}

fn has_ended(fd: RawFd) -> bool {
    let mut question = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one question.
    unsafe { libc::poll(&raw mut question, 1, 0) > 0 }
}

/// How many bytes there are to read now.
pub fn bytes_there(fd: RawFd) -> u64 {
    let mut there: libc::c_int = 0;
    // SAFETY: a number to be stored.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut there) };
    u64::try_from(there).unwrap_or(0)
}

/// What there is to read now, which stays there. Empty for nothing, or the end.
pub fn peek(fd: RawFd) -> Vec<u8> {
    receive(fd, PEEKED, libc::MSG_PEEK | libc::MSG_DONTWAIT)
}

fn receive(fd: RawFd, length: usize, flags: i32) -> Vec<u8> {
    let mut buffer = vec![0; length];
    // SAFETY: the buffer is that long.
    let count = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) };
    buffer.truncate(usize::try_from(count).unwrap_or(0));
    buffer
}

/// Sends something and reads until `ends` says that the answer has ended; returns the answer.
pub fn converse(fd: RawFd, bytes: &[u8], mut ends: impl FnMut(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    // SAFETY: the buffer is that long.
    let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    if sent != bytes.len() as isize {
        return None;
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !is_readable_within(fd, left) {
            return None;
        }
        let bytes = receive(fd, 1 << 14, libc::MSG_DONTWAIT);
        if bytes.is_empty() {
            return None;
        }
        answer.extend_from_slice(&bytes);
        if ends(&bytes) {
            return Some(answer);
        }
    }
}

/// Whether a call sends bytes that lie in one place, so that it can send fewer.
pub fn is_divisible(event: &IoEvent) -> bool {
    matches!(event.function(), "send" | "sendto" | "write")
}

/// Waits for the server to end the connection, as it does when the client has said goodbye.
pub fn await_end(fd: RawFd) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end
        && is_readable_within(fd, PATIENCE)
        && !receive(fd, 1 << 14, libc::MSG_DONTWAIT).is_empty()
    {}
}

/// Tells the server that nothing more will be sent.
pub fn say_goodbye(fd: RawFd) {
    // SAFETY: the descriptor is open.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}

/// A deadline from now on.
pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}
