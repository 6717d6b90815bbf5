//! Connections on which a run is told again what servers have told one before, while the servers are away.
//!
//! Model: who connects to a server is connected to a socket of this process instead, whose other end is kept here. What
//! the program sends is taken from there and counted; what it is to be told is put there when it is due, as far as there is
//! room, and the rest when the program has read.
//!
//! Not here: what is due (recorder, `servers::reenactment`), when these are called (servers).

use crate::endpoints::address;
use frontrun_formats::Input;
use frontrun_recorder::servers::reenactment::{Departure, Reenactment, Told};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// How long what the program has sent may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the program may look in vain for something to read.
const TOO_LONG: Duration = Duration::from_secs(5);
/// Descriptors that the program does not expect are kept out of the way of those that it makes.
const OUT_OF_THE_WAY: RawFd = 700;

/// Where the program is about to connect.
struct Attempt {
    number: u32,
    listener: Option<OwnedFd>,
}

/// The other end of a connection of the program.
struct Peer {
    socket: File,
    /// What there has been no room for.
    left: VecDeque<u8>,
    ends: bool,
}

/// The connections of a run that is told again.
pub struct Telling {
    reenactment: Reenactment,
    attempt: Option<Attempt>,
    peers: Vec<Option<Peer>>,
    waits_since: Option<Instant>,
}

impl Telling {
    /// Tells these inputs.
    pub fn new(inputs: Vec<Input>) -> Self {
        Telling { reenactment: Reenactment::new(inputs), attempt: None, peers: Vec::new(), waits_since: None }
    }

    /// Before the program connects to a server: the port to connect to instead.
    ///
    /// # Errors
    /// When the recorded run did not do so.
    pub fn connects(&mut self, fd: RawFd, server: &str) -> Result<u16, Departure> {
        let (number, error) = self.reenactment.connect(server)?;
        let failed = |error: io::Error| Departure {
            expected: "a socket on this machine".to_owned(),
            found: error.to_string(),
        };
        let (listener, port) = listen(family(fd)).map_err(failed)?;
        // Where nobody listens any more, nobody can connect.
        self.attempt = Some(Attempt { number, listener: (error == 0).then_some(listener) });
        Ok(port)
    }

    /// After that: the number of the connection, if it is one.
    pub fn has_connected(&mut self, client: RawFd) -> Option<u32> {
        let Attempt { number, listener } = self.attempt.take()?;
        let peer = accept(&listener?, client).ok()?;
        self.peers.resize_with(self.peers.len().max(number as usize + 1), || None);
        self.peers[number as usize] = Some(Peer { socket: peer, left: VecDeque::new(), ends: false });
        self.tell();
        Some(number)
    }

    /// After the program has sent that much.
    ///
    /// # Errors
    /// When the recorded run has sent something of another length.
    pub fn has_sent(&mut self, number: u32, length: usize) -> Result<(), Departure> {
        self.waits_since = None;
        self.reenactment.send(number, length as u64)?;
        if let Some(peer) = self.peer(number) {
            peer.take(length);
        }
        self.tell();
        Ok(())
    }

    /// Tells all that is due, as far as there is room.
    pub fn tell(&mut self) {
        for told in self.reenactment.due() {
            match told {
                Told::Bytes(number, bytes) => {
                    if let Some(peer) = self.peer(number) {
                        peer.left.extend(bytes);
                    }
                }
                Told::End(number) => {
                    if let Some(peer) = self.peer(number) {
                        peer.ends = true;
                    }
                }
            }
        }
        self.peers.iter_mut().flatten().for_each(Peer::put);
    }

    /// Before the program waits for something to read on a connection, or looks whether there is something; `for_ever` if
    /// it does not go on without.
    ///
    /// # Errors
    /// When it waits for what it is not told.
    pub fn waits(&mut self, is_readable: bool, for_ever: bool) -> Result<(), Departure> {
        if is_readable {
            self.waits_since = None;
            return Ok(());
        }
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        if !for_ever && since.elapsed() < TOO_LONG {
            return Ok(());
        }
        let found = "the program waits for an answer that the recorded run has not got".to_owned();
        Err(Departure { expected: self.reenactment.awaited(), found })
    }

    /// The answer to a question of the recorder.
    pub fn answer(&mut self, number: u32, question: u64) -> Option<Vec<u8>> {
        self.reenactment.answer(number, question)
    }

    /// Before the program closes a connection.
    pub fn closes(&mut self, number: u32) {
        if let Some(peer) = self.peers.get_mut(number as usize) {
            *peer = None;
        }
    }

    fn peer(&mut self, number: u32) -> Option<&mut Peer> {
        self.peers.get_mut(number as usize)?.as_mut()
    }
}

impl Peer {
    /// Takes what the program has sent.
    fn take(&mut self, mut length: usize) {
        let mut buffer = vec![0; length.min(1 << 16)];
        let end = Instant::now() + PATIENCE;
        while length > 0 && Instant::now() < end {
            let most = length.min(buffer.len());
            match self.socket.read(&mut buffer[..most]) {
                Ok(0) => return,
                Ok(n) => length -= n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for(self.socket.as_raw_fd(), libc::POLLIN, Duration::from_millis(100));
                }
                Err(_) => return,
            }
        }
    }

    /// Puts as much as there is room for.
    fn put(&mut self) {
        while !self.left.is_empty() {
            let (first, _) = self.left.as_slices();
            match self.socket.write(first) {
                Ok(n) if n > 0 => drop(self.left.drain(..n)),
                _ => return,
            }
        }
        if std::mem::take(&mut self.ends) {
            // SAFETY: the descriptor is open.
            unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_WR) };
        }
    }
}

fn accept_anybody(listener: &OwnedFd) -> io::Result<OwnedFd> {
    if wait_for(listener.as_raw_fd(), libc::POLLIN, PATIENCE) & libc::POLLIN == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a listening socket; nobody asks for the address.
    let accepted =
        unsafe { libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags) };
    if accepted < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted) })
}

/// Waits until a descriptor is ready; what it is ready for.
pub fn wait_for(fd: RawFd, events: i16, time: Duration) -> i16 {
    let mut question = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one question.
    unsafe { libc::poll(&raw mut question, 1, time.as_millis() as i32) };
    question.revents
}

fn family(fd: RawFd) -> i32 {
    let (mut value, mut length) = (0, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the buffer is as long as `length` says.
    unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut value).cast(), &raw mut length)
    };
    value
}

/// A socket that listens on this machine, and its port, or the number in its abstract name.
fn listen(family: i32) -> io::Result<(OwnedFd, u16)> {
    if family == libc::AF_UNIX {
        for port in 1..=u16::MAX {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(format!("frontrun-{port}"))?;
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok((listener.into(), port)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let host = if family == libc::AF_INET6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let listener = TcpListener::bind(SocketAddr::new(host, 0))?;
    let port = listener.local_addr()?.port();
    Ok((listener.into(), port))
}

/// The other end of the connection that the client has just made.
fn accept(listener: &OwnedFd, client: RawFd) -> io::Result<File> {
    let accepted = loop {
        let accepted = accept_anybody(listener)?;
        // Another process may look for its own server at a port that was free a moment ago.
        if address(accepted.as_raw_fd(), false) == address(client, true) {
            break accepted;
        }
    };
    let one: i32 = 1;
    // SAFETY: a number of that size. Local sockets refuse it, which does not matter.
    unsafe {
        let (at, size) = ((&raw const one).cast(), size_of::<i32>() as libc::socklen_t);
        libc::setsockopt(accepted.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, at, size);
    }
    // SAFETY: duplicates an open descriptor.
    let moved = unsafe { libc::fcntl(accepted.as_raw_fd(), libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) };
    if moved < 0 {
        return Ok(accepted.into());
    }
    // SAFETY: a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) }.into())
}
