//! What crosses the border to the listener: the event and the callback, with C layout.
//!
//! The listener is another shared object (the Python extension) that cannot link against this one, so it repeats
//! these definitions. A change of meaning or layout is a new [`ABI`]; a field that is added at the end is not,
//! [`IoEvent::size`] tells.

/// The version of this file.
pub const ABI: u32 = 4;

/// Called for each [`IoEvent`], which is valid during the call only. Returns [`DONE`], [`AGAIN`], [`AT_ONCE`], [`TOO_EARLY`],
/// or [`AT_MOST`] or [`ELSEWHERE`] with a number.
pub type Callback = unsafe extern "C" fn(event: *const IoEvent) -> u32;

/// The listener has seen the event.
pub const DONE: u32 = 0;
/// The listener has waited, and others may have changed meanwhile what the call touches: it asks to be told again what
/// that is now. In the before phase only.
pub const AGAIN: u32 = 1;
/// The listener has seen the event, and a wait with a timeout must not wait: its time has run out. In the before phase of
/// [`Kind::Wait`] only.
pub const AT_ONCE: u32 = 2;
/// The listener has seen the event, and the call is to find nothing yet: it fails with `EAGAIN` without being made. In the
/// before phase of [`Kind::Read`] only.
pub const TOO_EARLY: u32 = 3;
/// The listener has seen the event, and no more than the number of bytes in the other bits is to be sent: what follows is
/// another request. In the before phase of [`Kind::Write`] only; calls whose bytes lie in several places send all.
pub const AT_MOST: u32 = 1 << 31;
/// The listener has seen the event, and the socket is to be connected to the port in the other bits on this machine instead
/// of its address; a local socket to the abstract address `frontrun-PORT`. In the before phase of [`Kind::Connect`] only.
pub const ELSEWHERE: u32 = 1 << 30;

/// The resource is read.
pub const READS: u8 = 1;
/// The resource is changed.
pub const WRITES: u8 = 2;
/// The resource is read and changed.
pub const BOTH: u8 = READS | WRITES;

/// [`IoEvent::offset`] when the operation has no place in a file, or the place is not known.
pub const NO_OFFSET: i64 = -1;
/// [`IoEvent::offset`] of a write in append mode: wherever the end is at that moment.
pub const AT_END: i64 = -2;

/// When an event is reported.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The real function has not been called.
    Before = 0,
    /// It has returned.
    After = 1,
}

/// What is done. Numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// A path is opened; the descriptor is known in the after phase.
    Open = 1,
    /// A descriptor is closed. From here on its number may be another resource, with another generation.
    Close = 2,
    /// Content is read, or received.
    Read = 3,
    /// Content is written, or sent.
    Write = 4,
    /// The position of an open file is read or changed.
    Seek = 5,
    /// A file's length is changed.
    Truncate = 6,
    /// Content is made durable.
    Sync = 7,
    /// An advisory lock is taken, tried or given back (`flock`, `lockf`, `fcntl`); see the arguments.
    Lock = 8,
    /// A file becomes memory, or is written back from it.
    Map = 9,
    /// A second descriptor for an open file is made; it has the generation of the first.
    Duplicate = 10,
    /// A socket is made.
    Socket = 11,
    /// A socket is connected. The resource is the peer's address.
    Connect = 12,
    /// A connection is accepted. The resource is the listening address, the other one the peer's.
    Accept = 13,
    /// A socket gets its own address.
    Bind = 14,
    /// A socket begins to listen.
    Listen = 15,
    /// One direction of a connection is ended, or both.
    Shutdown = 16,
    /// Two connected descriptors are made (`pipe`, `socketpair`); both have one generation.
    Pair = 17,
    /// The caller waits for descriptors (`poll`, `select`, `epoll_wait`): see the arguments.
    Wait = 18,
    /// Existence or metadata of a path, or of an open file, is read.
    Stat = 19,
    /// A path gets another name; the other resource is the new one.
    Rename = 20,
    /// A path is removed.
    Unlink = 21,
    /// A second path for a file is made; the other resource is the new one.
    Link = 22,
    /// A directory is made.
    MakeDirectory = 23,
    /// A directory is removed.
    RemoveDirectory = 24,
    /// The entries of a directory are read.
    ReadDirectory = 25,
    /// Metadata of a path, or of an open file, is changed.
    Change = 26,
}

/// One report.
#[repr(C)]
pub struct IoEvent {
    /// Size of this structure in bytes.
    pub size: u32,
    /// A [`Kind`].
    pub kind: u16,
    /// A [`Phase`].
    pub phase: u8,
    /// [`READS`] and [`WRITES`].
    pub access: u8,
    /// The descriptor that was passed, or returned (after phase of `Open`, `Accept`, `Socket`); -1 for none.
    pub fd: i32,
    /// `errno` when the call failed; 0 otherwise and in the before phase.
    pub error: i32,
    /// Which opening of `fd` this is: descriptor numbers are reused, generations are not. 0 for none.
    pub generation: u64,
    /// Name of the resource, `resource_length` bytes without a terminator.
    pub resource: *const u8,
    /// Length of `resource`; 0 for none.
    pub resource_length: usize,
    /// Name of the second resource of operations that have two (`rename`, `link`, `accept`).
    pub other: *const u8,
    /// Length of `other`; 0 for none.
    pub other_length: usize,
    /// Where in the file, [`NO_OFFSET`] or [`AT_END`].
    pub offset: i64,
    /// How many bytes were asked for.
    pub length: u64,
    /// What the call returned; 0 in the before phase.
    pub result: i64,
    /// Device of an open file, 0 when not known.
    pub device: u64,
    /// Inode of an open file, 0 when not known.
    pub inode: u64,
    /// Name of the libc function, terminated by 0.
    pub function: *const libc::c_char,
    /// The arguments of the call, each widened to 64 bits; 0 where there is none.
    pub arguments: [u64; 8],
    /// The path that was passed, made absolute and otherwise left as it is: what the resource was found through.
    pub path: *const u8,
    /// Length of `path`; 0 for none.
    pub path_length: usize,
    /// The second path of operations that have two.
    pub other_path: *const u8,
    /// Length of `other_path`; 0 for none.
    pub other_path_length: usize,
}
