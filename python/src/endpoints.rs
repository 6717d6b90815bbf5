//! Which channel each end of a pipe or connection reads and writes, as far as both ends were made in this run.
//!
//! Model: an end is known by its inode, which all its descriptors share. A connection is known by the client's: what it
//! has sent is there before anybody accepts it. Connections wait at the address of a listening socket; one that is
//! accepted is told by the client's own address, or on a local socket by the order in which clients came.
//!
//! Invariant: nothing here hangs on the numbers of inodes, descriptors and ports, only on which of them are equal.
//!
//! Not here: steps (channels), waiting for several (readiness).

use frontrun_formats::semantics::{self, State, Value, channels};
use frontrun_formats::{Location, ObjectId, Operation, ThreadId};
use libc::{c_int, sockaddr, sockaddr_storage, socklen_t};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// Device and inode of a file, which another file may have when this one is no more.
pub type Inode = (u64, u64);

/// Where something is put and taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What is in a pipe.
    Pipe(Inode),
    /// What this socket is to receive.
    Queue(Inode),
    /// What this client has sent to whoever accepts its connection.
    Sent(Inode),
    /// The connections that wait at an address.
    Address(Box<[u8]>),
    /// The right to an address.
    Claim(Box<[u8]>),
}

impl Channel {
    /// What it is, for reports. Ports that the system has chosen are others in each execution.
    pub fn label(&self) -> &'static str {
        match self {
            Channel::Pipe(_) => "pipe",
            Channel::Queue(_) | Channel::Sent(_) => "connection",
            Channel::Address(_) => "listening socket",
            Channel::Claim(_) => "address",
        }
    }
}

/// The two channels of an end.
#[derive(Clone, Debug)]
struct Ends {
    receives: Channel,
    sends: Channel,
}

/// What calls on an end are like.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Who finds nothing waits.
    pub waits: bool,
    /// Messages are sent, not bytes.
    pub has_messages: bool,
    /// Which kind of addresses it has, if it is a socket.
    pub family: Option<c_int>,
}

impl Manner {
    /// That of an open descriptor.
    fn of(fd: RawFd) -> Self {
        let (waits, family) = (flags(fd) & libc::O_NONBLOCK == 0, option(fd, libc::SO_DOMAIN));
        Manner { waits, has_messages: has_messages(fd), family }
    }
}

/// What a descriptor was that has been closed.
#[derive(Clone, Debug)]
struct Gone {
    ends: Option<Ends>,
    listener: Option<Channel>,
    manner: Manner,
}

/// A client that waits to be accepted: its socket, and its own address.
#[derive(Clone, Debug)]
struct Client {
    socket: Inode,
    own: Vec<u8>,
}

/// All ends that this run has made.
#[derive(Debug, Default)]
pub struct Endpoints {
    ends: FxHashMap<Inode, Ends>,
    listeners: FxHashMap<Inode, Box<[u8]>>,
    bound: FxHashMap<Inode, Box<[u8]>>,
    waiting: FxHashMap<Box<[u8]>, VecDeque<Client>>,
    /// Ends that a child process has, too.
    inherited: FxHashSet<Inode>,
    /// Ends that have been closed, by the descriptors that led there: who has learned the number before uses it all the same.
    gone: FxHashMap<RawFd, Gone>,
    /// What was in the channels before there was a second thread.
    pub tally: Tally,
    pub takers: Takers,
}

/// The states of channels, for calls that are not recorded.
#[derive(Debug, Default)]
pub struct Tally(FxHashMap<Location, Value>);

impl State for Tally {
    fn value(&self, at: Location) -> Value {
        self.0.get(&at).cloned().unwrap_or(Value::Int(0))
    }

    fn has_changed(&self, _: Location, _: ThreadId) -> bool {
        false
    }
}

impl Tally {
    /// The value that a part of a channel has now. At first nobody takes connections at an address.
    pub fn begin(&mut self, at: Location, channel: &Channel) -> i64 {
        let is_address = matches!(channel, Channel::Address(_) | Channel::Claim(_));
        let first = i64::from(is_address && at == channels::refused(at.object));
        self.0.entry(at).or_insert(Value::Int(first)).int()
    }

    /// Notes what an operation does.
    pub fn execute(&mut self, me: ThreadId, operation: &Operation) {
        let effect = semantics::effect(operation, me, self);
        self.0.extend(effect.values);
    }
}

/// Which threads take from a channel, and which wait for it among others.
#[derive(Debug, Default)]
pub struct Takers {
    take: FxHashSet<(ObjectId, ThreadId)>,
    wait: FxHashSet<(ObjectId, ThreadId)>,
}

impl Takers {
    /// Notes that a thread takes from channels, or waits for several; whether another one does the opposite.
    pub fn conflict(&mut self, me: ThreadId, channels: &[ObjectId], waits: bool) -> bool {
        let (mine, theirs) = if waits { (&mut self.wait, &self.take) } else { (&mut self.take, &self.wait) };
        mine.extend(channels.iter().map(|channel| (*channel, me)));
        theirs.iter().any(|(channel, thread)| *thread != me && channels.contains(channel))
    }
}

impl Endpoints {
    /// Notes a pipe, whose ends have one inode, or a socket pair.
    pub fn pair(&mut self, [one, other]: [Inode; 2]) {
        if one == other {
            self.inherited.remove(&one);
            self.ends.insert(one, Ends { receives: Channel::Pipe(one), sends: Channel::Pipe(one) });
            return;
        }
        for (mine, theirs) in [(one, other), (other, one)] {
            self.inherited.remove(&mine);
            self.ends.insert(mine, Ends { receives: Channel::Queue(mine), sends: Channel::Queue(theirs) });
        }
    }

    /// Notes that a socket has an address.
    pub fn bind(&mut self, socket: Inode, address: &[u8]) {
        self.bound.insert(socket, address.into());
    }

    /// Notes that a socket listens at an address.
    pub fn listen(&mut self, socket: Inode, address: &[u8]) {
        self.listeners.insert(socket, address.into());
    }

    /// The channel of connections that wait for a listening socket.
    pub fn listener(&self, socket: Inode) -> Option<Channel> {
        self.listeners.get(&socket).cloned().map(Channel::Address)
    }

    /// The channel into which who connects to this address is put: that of a socket that listens there.
    pub fn listener_at(&self, address: &[u8]) -> Option<Channel> {
        let reached = self.listeners.values().filter(|listens| reaches(address, listens)).min();
        reached.cloned().map(Channel::Address)
    }

    /// Notes a client that has connected to a listening socket.
    pub fn connect(&mut self, client: Inode, own: Vec<u8>, listener: &Channel) {
        let Channel::Address(address) = listener else { return };
        self.ends.insert(client, Ends { receives: Channel::Queue(client), sends: Channel::Sent(client) });
        let waiting = self.waiting.entry(address.clone()).or_default();
        waiting.push_back(Client { socket: client, own });
    }

    /// Notes the socket that a listening one has returned for the client with this address. Whether the client is one of
    /// this run.
    pub fn accept(&mut self, accepted: Inode, peer: &[u8], listener: &Channel) -> bool {
        let Channel::Address(address) = listener else { return false };
        let Some(waiting) = self.waiting.get_mut(address) else { return false };
        // Clients of local sockets have no address of their own.
        let Some(at) = waiting.iter().position(|client| client.own == peer) else { return false };
        let Some(client) = waiting.remove(at) else { return false };
        let (receives, sends) = (Channel::Sent(client.socket), Channel::Queue(client.socket));
        self.ends.insert(accepted, Ends { receives, sends });
        true
    }

    /// Notes that a child process has got this end.
    pub fn inherit(&mut self, end: Inode) {
        self.inherited.insert(end);
    }

    /// Notes that a process that was forked has got all ends.
    pub fn inherit_all(&mut self) {
        self.inherited.extend(self.ends.keys().copied());
    }

    /// Whether somebody outside may use this end, or the other one.
    pub fn is_shared(&self, end: Inode) -> bool {
        self.inherited.contains(&end)
            || self.ends.get(&end).is_some_and(|ends| match ends.sends {
                Channel::Queue(other) | Channel::Sent(other) => self.inherited.contains(&other),
                _ => false,
            })
    }

    /// Where this end reads.
    pub fn receives(&self, end: Inode) -> Option<Channel> {
        self.ends.get(&end).map(|ends| ends.receives.clone())
    }

    /// Where this end writes.
    pub fn sends(&self, end: Inode) -> Option<Channel> {
        self.ends.get(&end).map(|ends| ends.sends.clone())
    }

    /// Where a descriptor reads and writes, or did when it was open, and how.
    pub fn at(&self, fd: RawFd) -> Option<(Channel, Channel, Manner)> {
        let end = inode(fd);
        let (ends, manner) = match self.ends.get(&end) {
            Some(ends) => (ends, Manner::of(fd)),
            None if end == NOWHERE => {
                let gone = self.gone.get(&fd)?;
                (gone.ends.as_ref()?, gone.manner)
            }
            None => return None,
        };
        Some((ends.receives.clone(), ends.sends.clone(), manner))
    }

    /// Where the connections wait that a descriptor accepts, or did when it was open, and how.
    pub fn accepts_at(&self, fd: RawFd) -> Option<(Channel, Manner)> {
        let end = inode(fd);
        if end == NOWHERE {
            let gone = self.gone.get(&fd)?;
            return Some((gone.listener.clone()?, gone.manner));
        }
        Some((self.listener(end)?, Manner::of(fd)))
    }

    /// Notes that the last descriptor of an end or a listening socket is about to be closed.
    pub fn leave(&mut self, fd: RawFd) {
        let end = inode(fd);
        let (ends, listener) = (self.ends.get(&end).cloned(), self.listener(end));
        if ends.is_some() || listener.is_some() {
            self.gone.insert(fd, Gone { ends, listener, manner: Manner::of(fd) });
        }
    }

    /// Whether this is an end or a listening or bound socket of this run.
    pub fn knows(&self, end: Inode) -> bool {
        self.ends.contains_key(&end) || self.listeners.contains_key(&end) || self.bound.contains_key(&end)
    }

    /// Forgets a socket that is closed; what it has listened at and claimed.
    pub fn give_up(&mut self, socket: Inode) -> Vec<Channel> {
        self.ends.remove(&socket);
        let address = self.listeners.remove(&socket).map(Channel::Address);
        let claim = self.bound.remove(&socket).map(Channel::Claim);
        address.into_iter().chain(claim).collect()
    }
}

/// Whether who connects to `address` reaches a socket that listens at `listens`.
fn reaches(address: &[u8], listens: &[u8]) -> bool {
    let parts = |name: &[u8]| {
        let name = std::str::from_utf8(name).ok()?.strip_prefix("socket:")?;
        let (host, port) = name.rsplit_once(':')?;
        Some((host.to_owned(), port.parse::<u16>().ok()?))
    };
    if address == listens {
        return true;
    }
    let (Some((host, port)), Some((any, listens))) = (parts(address), parts(listens)) else { return false };
    let is_any = |host: &str| host == "0.0.0.0" || host == "[::]";
    port == listens && is_here(address) && (is_any(&any) || is_any(&host))
}

/// Whether this is an address of this machine that others do not have.
pub fn is_here(address: &[u8]) -> bool {
    let hosts = [&b"127."[..], b"[::1]:", b"0.0.0.0:", b"[::]:", b"/", b"@"];
    address.strip_prefix(b"socket:").is_some_and(|host| hosts.iter().any(|here| host.starts_with(here)))
}

/// What is behind a descriptor that is not open.
pub const NOWHERE: Inode = (0, 0);

/// Device and inode behind a descriptor; [`NOWHERE`] if nothing.
pub fn inode(fd: RawFd) -> Inode {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is valid, and all-zero is a valid status.
    let status = unsafe {
        libc::fstat(fd, status.as_mut_ptr());
        status.assume_init()
    };
    (status.st_dev, status.st_ino)
}

/// The length of the file behind a descriptor.
pub fn length(fd: RawFd) -> u64 {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is valid, and all-zero is a valid status.
    let status = unsafe {
        libc::fstat(fd, status.as_mut_ptr());
        status.assume_init()
    };
    u64::try_from(status.st_size).unwrap_or(0)
}

/// The flags of an open file.
pub fn flags(fd: RawFd) -> c_int {
    // SAFETY: reads flags of an open file.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

/// Whether a descriptor is a socket of messages, not of bytes.
pub fn has_messages(fd: RawFd) -> bool {
    option(fd, libc::SO_TYPE).is_some_and(|kind| kind != libc::SOCK_STREAM)
}

/// An option of a socket.
fn option(fd: RawFd, name: c_int) -> Option<c_int> {
    let (mut value, mut size) = (0 as c_int, size_of::<c_int>() as socklen_t);
    // SAFETY: a number of that size.
    let asked =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut size) };
    (asked == 0).then_some(value)
}

/// Whether no other descriptor of this process leads to the same end.
pub fn is_last(fd: RawFd) -> bool {
    let (end, access) = (inode(fd), flags(fd) & libc::O_ACCMODE);
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return true };
    let others = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    !others
        .into_iter()
        .any(|other| other != fd && inode(other) == end && flags(other) & libc::O_ACCMODE == access)
}

/// The socket's own address, or the one at the other end: family, port and host, as the system has it. Empty where there
/// is none.
pub fn address(fd: RawFd, own: bool) -> Vec<u8> {
    // SAFETY: all-zero is a valid address of no family, and the length is that of the buffer.
    let (asked, storage, length) = unsafe {
        let mut storage: sockaddr_storage = std::mem::zeroed();
        let mut length = size_of::<sockaddr_storage>() as socklen_t;
        let at = (&raw mut storage).cast::<sockaddr>();
        let asked = if own {
            libc::getsockname(fd, at, &raw mut length)
        } else {
            libc::getpeername(fd, at, &raw mut length)
        };
        (asked, storage, length)
    };
    let used = match c_int::from(storage.ss_family) {
        _ if asked != 0 => 0,
        libc::AF_INET => 8,
        libc::AF_INET6 => 24,
        // A client that is not bound has a family and nothing else.
        _ if length as usize <= size_of::<libc::sa_family_t>() => 0,
        _ => length as usize,
    };
    // SAFETY: the length is within the buffer.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const storage).cast::<u8>(), used) };
    bytes.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_there_before_it_is_accepted() {
        let mut endpoints = Endpoints::default();
        let (server, client, accepted) = ((1, 1), (1, 2), (1, 3));
        endpoints.listen(server, b"socket:127.0.0.1:80");
        let listener = endpoints.listener_at(b"socket:127.0.0.1:80").unwrap();
        endpoints.connect(client, b"own".to_vec(), &listener);
        let sent = endpoints.sends(client);
        assert!(!endpoints.accept(accepted, b"another", &listener));
        assert!(endpoints.accept(accepted, b"own", &listener));
        assert_eq!(endpoints.receives(accepted), sent);
        assert_eq!(endpoints.sends(accepted), endpoints.receives(client));
        assert_ne!(endpoints.sends(accepted), endpoints.receives(accepted));
    }

    #[test]
    fn an_end_that_a_child_has_is_shared_by_both() {
        let mut endpoints = Endpoints::default();
        endpoints.pair([(1, 1), (1, 2)]);
        assert!(!endpoints.is_shared((1, 2)));
        endpoints.inherit((1, 1));
        assert!(endpoints.is_shared((1, 1)) && endpoints.is_shared((1, 2)));
    }

    #[test]
    fn any_host_here_is_reached_under_its_port() {
        assert!(reaches(b"socket:127.0.0.1:80", b"socket:0.0.0.0:80"));
        assert!(reaches(b"socket:127.0.0.1:80", b"socket:[::]:80"));
        assert!(!reaches(b"socket:127.0.0.1:81", b"socket:0.0.0.0:80"));
        assert!(!reaches(b"socket:10.0.0.1:80", b"socket:0.0.0.0:80"));
        assert!(reaches(b"socket:/tmp/x", b"socket:/tmp/x"));
    }
}
