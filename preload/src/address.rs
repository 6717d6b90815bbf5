//! The name of a socket address: `socket:127.0.0.1:5432`, `socket:[::1]:5432`, `socket:/run/x.sock`, `socket:@x`.

use crate::name::{self, Name};
use crate::raw::{self, End};
use crate::scratch;
use libc::{c_int, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_un, socklen_t};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address of this machine.
pub struct Loopback {
    storage: libc::sockaddr_storage,
    length: socklen_t,
}

impl Loopback {
    /// The address of a port, in the family of `address`.
    ///
    /// # Safety
    /// `address` is null or points to `length` readable bytes.
    pub unsafe fn like(address: *const sockaddr, length: socklen_t, port: u16) -> Option<Loopback> {
        if address.is_null() || length < 2 {
            return None;
        }
        // SAFETY: by contract; all-zero is a valid address of no family.
        let (family, mut storage) =
            unsafe { (address.cast::<u16>().read_unaligned(), std::mem::zeroed::<libc::sockaddr_storage>()) };
        let at = (&raw mut storage).cast::<u8>();
        // SAFETY: each address fits into the storage, whose alignment is the strictest.
        let length = unsafe {
            match i32::from(family) {
                libc::AF_INET => {
                    let inet = at.cast::<sockaddr_in>();
                    (*inet).sin_port = port.to_be();
                    (*inet).sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
                    size_of::<sockaddr_in>()
                }
                libc::AF_INET6 => {
                    let inet = at.cast::<sockaddr_in6>();
                    (*inet).sin6_port = port.to_be();
                    (*inet).sin6_addr.s6_addr = Ipv6Addr::LOCALHOST.octets();
                    size_of::<sockaddr_in6>()
                }
                libc::AF_UNIX => {
                    let path = std::mem::offset_of!(sockaddr_un, sun_path);
                    let room = std::slice::from_raw_parts_mut(at.add(path), 32);
                    let mut rest = &mut room[1..];
                    write!(rest, "frontrun-{port}").ok()?;
                    let left = rest.len();
                    path + 32 - left
                }
                _ => return None,
            }
        };
        storage.ss_family = family;
        Some(Loopback { storage, length: length as socklen_t })
    }

    /// What `connect` takes.
    pub fn arguments(&self) -> (*const sockaddr, socklen_t) {
        ((&raw const self.storage).cast(), self.length)
    }
}

/// A socket that has no address yet.
pub const UNNAMED: Name = b"socket";

/// The name of an address, or None when it says nothing (no address, unnamed, a family we do not know).
///
/// # Safety
/// `address` is null or points to `length` readable bytes.
pub unsafe fn name_of(address: *const sockaddr, length: socklen_t) -> Option<Name> {
    if address.is_null() {
        return None;
    }
    // SAFETY: by contract; unaligned reads, since callers pass buffers of any type.
    unsafe {
        let has = |size: usize| length as usize >= size;
        let family = if has(2) { address.cast::<u16>().read_unaligned() } else { 0 };
        match i32::from(family) {
            libc::AF_INET if has(size_of::<sockaddr_in>()) => {
                let address = address.cast::<sockaddr_in>().read_unaligned();
                let host = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                Some(build(|out| write!(out, "socket:{host}:{}", u16::from_be(address.sin_port))))
            }
            libc::AF_INET6 if has(size_of::<sockaddr_in6>()) => {
                let address = address.cast::<sockaddr_in6>().read_unaligned();
                let host = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Some(build(|out| write!(out, "socket:[{host}]:{}", u16::from_be(address.sin6_port))))
            }
            libc::AF_UNIX => {
                let path = std::mem::offset_of!(sockaddr_un, sun_path);
                let bytes = std::slice::from_raw_parts(address.cast::<u8>(), length as usize);
                unix(bytes.get(path..).unwrap_or(&[]))
            }
            _ => None,
        }
    }
}

/// The name of what `fd`, a socket, is connected to, else of its own address.
pub fn name_of_socket(fd: c_int) -> Name {
    [End::Peer, End::Local].into_iter().find_map(|end| name_of_end(fd, end)).unwrap_or(UNNAMED)
}

/// The name of one end of a socket.
pub fn name_of_end(fd: c_int, end: End) -> Option<Name> {
    // SAFETY: all-zero is a valid socket address of no family.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = raw::socket_address(fd, end, &mut address)?;
    // SAFETY: the kernel filled `length` bytes.
    unsafe { name_of((&raw const address).cast::<sockaddr>(), length) }
}

/// A local path, or an abstract name, which begins with 0.
fn unix(path: &[u8]) -> Option<Name> {
    let (mark, path) = match path {
        [] => return None,
        [0, name @ ..] => ("@", name),
        path => ("", path.split(|&byte| byte == 0).next().unwrap_or(path)),
    };
    (!path.is_empty()).then(|| build(|out| write!(out, "socket:{mark}").and_then(|()| out.write_all(path))))
}

/// The name that `write` writes.
fn build(write: impl FnOnce(&mut &mut [u8]) -> std::io::Result<()>) -> Name {
    scratch::with(|scratch| {
        let mut rest = &mut scratch.name[..];
        let room = rest.len();
        let written = write(&mut rest);
        let length = room - rest.len();
        if written.is_ok() { name::intern(&scratch.name[..length]) } else { UNNAMED }
    })
}
