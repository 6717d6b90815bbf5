//! What a worker process and the thread that stands for it tell each other, and how that crosses the socket.
//!
//! Model: the worker asks and waits for the answer; a message is its length, four bytes, and MessagePack. A descriptor may
//! go with it. The bytes pass by plain system calls, which nobody takes for I/O of the program.
//!
//! Not here: who asks (worker), who answers (workers).

use frontrun_formats::Site;
use libc::c_int;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::io::{Error, ErrorKind};
use std::os::fd::RawFd;

/// What can only be asked in the process that makes a call.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Behind {
    /// Length of the file behind the descriptor.
    pub length: u64,
    /// Flags of its open file.
    pub flags: c_int,
    /// Device and inode of the file that the call copies to.
    pub copied_to: (u64, u64),
    /// What the call says of a lock of `fcntl`: type, whence, start, length.
    pub lock: Option<(i16, i16, i64, i64)>,
    /// Whether the program asks for a status, and not only C code for a size.
    pub is_status: bool,
}

/// A call of libc, see [`crate::shim::IoEvent`].
#[derive(Serialize, Deserialize)]
pub struct IoCall {
    pub kind: u16,
    pub phase: u8,
    pub access: u8,
    pub fd: c_int,
    pub error: c_int,
    pub generation: u64,
    pub offset: i64,
    pub length: u64,
    pub result: i64,
    pub device: u64,
    pub inode: u64,
    pub arguments: [u64; 8],
    pub resource: ByteBuf,
    pub other: ByteBuf,
    pub path: ByteBuf,
    pub other_path: ByteBuf,
    pub function: String,
    pub behind: Behind,
    /// What a socket is given to send, or what it has sent or received, if that is in memory.
    pub bytes: Option<ByteBuf>,
    /// The descriptors that the call waits for.
    pub waits: Vec<c_int>,
}

/// Where a worker is.
#[derive(Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub function: String,
    pub position: Site,
}

/// What a worker asks for.
#[derive(Serialize, Deserialize)]
pub enum Wish {
    /// To make a call, or to have it seen that it has been made.
    Call(Box<IoCall>),
    /// To rest for so many seconds.
    Rest(f64),
    /// Something that the Python side understands.
    Python(ByteBuf),
}

/// A question of a worker.
#[derive(Serialize, Deserialize)]
pub struct Question {
    pub wish: Wish,
    /// Whether code in scope has been executed since the last question, and where it has come to.
    pub moved: bool,
    pub place: Option<Place>,
    /// What the clock of the run shows.
    pub clock: u64,
}

/// The answer, which gives the worker the turn.
#[derive(Serialize, Deserialize)]
pub struct Answer {
    /// What the I/O library is to be answered.
    pub code: u32,
    pub python: ByteBuf,
    pub clock: u64,
}

/// Sends a message, and a descriptor with it.
///
/// # Errors
/// When the other side is gone.
pub fn send(fd: c_int, message: &impl Serialize, passed: Option<RawFd>) -> Result<(), Error> {
    let body = rmp_serde::to_vec(message).map_err(Error::other)?;
    let length = u32::try_from(body.len()).map_err(Error::other)?;
    let mut rest = &[&length.to_le_bytes()[..], &body].concat()[..];
    if let Some(passed) = passed {
        rest = &rest[descriptors::send(fd, rest, passed)?..];
    }
    while !rest.is_empty() {
        // SAFETY: the bytes are readable. No signal where the other side is gone.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                fd,
                rest.as_ptr(),
                rest.len(),
                libc::MSG_NOSIGNAL,
                std::ptr::null::<u8>(),
                0,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) => rest = &rest[sent..],
            Err(_) => interrupted()?,
        }
    }
    Ok(())
}

/// Receives a message, and the descriptor that goes with it; `None` when the other side has ended.
///
/// # Errors
/// When what comes is no such message.
pub fn receive<T: DeserializeOwned>(fd: c_int) -> Result<Option<(T, Option<RawFd>)>, Error> {
    let mut length = [0; 4];
    let (got, passed) = descriptors::receive(fd, &mut length)?;
    if got == 0 || !fill(fd, &mut length[got..])? {
        return Ok(None);
    }
    let mut body = vec![0; u32::from_le_bytes(length) as usize];
    if !fill(fd, &mut body)? {
        return Ok(None);
    }
    rmp_serde::from_slice(&body).map(|message| Some((message, passed))).map_err(Error::other)
}

/// Fills the buffer; returns whether so much has come.
fn fill(fd: c_int, mut buffer: &mut [u8]) -> Result<bool, Error> {
    while !buffer.is_empty() {
        // SAFETY: the buffer is writable.
        let got = unsafe { libc::syscall(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) };
        match usize::try_from(got) {
            Ok(0) => return Ok(false),
            Ok(got) => buffer = &mut buffer[got..],
            Err(_) if is_reset() => return Ok(false),
            Err(_) => interrupted()?,
        }
    }
    Ok(true)
}

/// Whether the last system call found that the other side is gone: a process that is killed with unread bytes resets the
/// connection.
fn is_reset() -> bool {
    Error::last_os_error().kind() == ErrorKind::ConnectionReset
}

/// Nothing, if the last system call was only interrupted.
fn interrupted() -> Result<(), Error> {
    let error = Error::last_os_error();
    if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// Bytes with a descriptor.
mod descriptors {
    use super::{Error, RawFd, c_int, interrupted, is_reset};

    const SIZE: u32 = size_of::<c_int>() as u32;
    // SAFETY: computes a number.
    const SPACE: usize = unsafe { libc::CMSG_SPACE(SIZE) } as usize;

    /// Room for one descriptor, aligned as its header wants.
    #[repr(C, align(16))]
    struct Room([u8; SPACE]);

    /// A message of these bytes with room for a descriptor; both have to outlive it.
    fn message(bytes: &mut libc::iovec, room: &mut Room) -> libc::msghdr {
        // SAFETY: all-zero is a message of nothing to nobody.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (bytes, 1);
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = SPACE as _;
        message
    }

    /// Sends some of the bytes, one at least; returns how many.
    pub(super) fn send(fd: c_int, bytes: &[u8], passed: RawFd) -> Result<usize, Error> {
        let mut room = Room([0; SPACE]);
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let message = message(&mut part, &mut room);
        // SAFETY: the room is aligned and large enough for a header and a descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(SIZE) as _;
            libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(passed);
        }
        loop {
            // SAFETY: the message describes live memory, which the call reads.
            let sent =
                unsafe { libc::syscall(libc::SYS_sendmsg, fd, &raw const message, libc::MSG_NOSIGNAL) };
            match usize::try_from(sent) {
                Ok(sent) => return Ok(sent),
                Err(_) => interrupted()?,
            }
        }
    }

    /// Receives some bytes, and a descriptor if one comes with them; none when the other side has ended.
    pub(super) fn receive(fd: c_int, buffer: &mut [u8]) -> Result<(usize, Option<RawFd>), Error> {
        let mut room = Room([0; SPACE]);
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut message = message(&mut part, &mut room);
        let got = loop {
            // SAFETY: the message describes live memory, which the call fills.
            let got =
                unsafe { libc::syscall(libc::SYS_recvmsg, fd, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
            match usize::try_from(got) {
                Ok(got) => break got,
                Err(_) if is_reset() => break 0,
                Err(_) => interrupted()?,
            }
        };
        // SAFETY: the system has said in the message how much of the room it has filled.
        let passed = unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message).as_ref();
            header
                .filter(|header| {
                    header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS
                })
                .map(|header| libc::CMSG_DATA(header).cast::<c_int>().read_unaligned())
        };
        Ok((got, passed))
    }
}
