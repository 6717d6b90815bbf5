//! One intercepted call: what it touches, what it does to the descriptor table, and its two reports.
//!
//! A hook describes its call with the constructors here, which look nothing up and cost a few stores; [`Call::begin`]
//! and [`Call::finish`] stand before and after the real function and do the work, if anybody wants it.

use crate::abi::{
    AGAIN, AT_END, AT_MOST, AT_ONCE, BOTH, DONE, ELSEWHERE, IoEvent, Kind, NO_OFFSET, Phase, READS, TOO_EARLY,
};
use crate::address::Loopback;
use crate::name::Name;
use crate::path::{self, Last};
use crate::raw::{self, End};
use crate::table::{self, Descriptor};
use crate::{address, listener, thread};
use libc::{c_char, c_int, c_uint, sockaddr, socklen_t};
use std::ffi::CStr;

/// A path argument with the directory that it is relative to.
#[derive(Clone, Copy)]
struct PathArgument {
    directory: c_int,
    path: *const c_char,
    last: Last,
}

/// What a call does to the descriptor table when it succeeds.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Nothing.
    None,
    /// The result is a descriptor of the path.
    Opens,
    /// The result is a descriptor of a resource that only the kernel can name.
    Appears,
    /// The result is a new descriptor without path.
    Creates(Name),
    /// Two new connected descriptors are stored here.
    Pairs(*const c_int, Name),
    /// The result is a connection to the listening descriptor.
    Accepts,
    /// The descriptor is connected to this address, or tried to be.
    Connects(*const sockaddr, socklen_t),
    /// The descriptor has this address.
    Binds(*const sockaddr, socklen_t),
    /// The result is a duplicate of the descriptor.
    Duplicates,
    /// The descriptor is closed.
    Closes,
    /// A range of descriptors is closed.
    ClosesRange(c_uint, c_uint),
}

/// How much is to be done for the call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing: it is only forwarded.
    Forwarded,
    /// The table is kept, nobody is told.
    Tracked,
    /// The listener is told, too.
    Reported,
}

/// One intercepted call.
pub struct Call {
    event: IoEvent,
    path: Option<PathArgument>,
    other_path: Option<PathArgument>,
    other_fd: c_int,
    destination: Option<(*const sockaddr, socklen_t)>,
    effect: Effect,
    ignored: bool,
    /// Whether the operation happens at the file's position.
    at_position: bool,
    /// What the listener answered last.
    answer: u32,
    stage: Stage,
}

impl Call {
    /// An operation on a descriptor.
    pub fn on(kind: Kind, access: u8, fd: c_int) -> Self {
        let event = IoEvent {
            size: size_of::<IoEvent>() as u32,
            kind: kind as u16,
            phase: Phase::Before as u8,
            access,
            fd,
            error: 0,
            generation: 0,
            resource: b"".as_ptr(),
            resource_length: 0,
            other: b"".as_ptr(),
            other_length: 0,
            offset: NO_OFFSET,
            length: 0,
            result: 0,
            device: 0,
            inode: 0,
            function: c"".as_ptr(),
            arguments: [0; 8],
            path: b"".as_ptr(),
            path_length: 0,
            other_path: b"".as_ptr(),
            other_path_length: 0,
        };
        let at_position = matches!(kind, Kind::Read | Kind::Write | Kind::Seek);
        Call {
            event,
            path: None,
            other_path: None,
            other_fd: -1,
            destination: None,
            effect: Effect::None,
            ignored: false,
            at_position,
            answer: DONE,
            stage: Stage::Forwarded,
        }
    }

    /// An operation on a path relative to the working directory.
    pub fn at(kind: Kind, access: u8, path: *const c_char, last: Last) -> Self {
        Call::on(kind, access, -1).in_directory(libc::AT_FDCWD, path, last)
    }

    /// Opening a path.
    pub fn open(directory: c_int, path: *const c_char, flags: c_int) -> Self {
        let makes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
        let last = if flags & libc::O_NOFOLLOW != 0 { Last::Kept } else { Last::Followed };
        Call::on(Kind::Open, if makes { BOTH } else { READS }, -1)
            .in_directory(directory, path, last)
            .effect(if flags & libc::O_TMPFILE == libc::O_TMPFILE { Effect::Appears } else { Effect::Opens })
    }

    /// The path, relative to an open directory.
    pub fn in_directory(mut self, directory: c_int, path: *const c_char, last: Last) -> Self {
        self.path = Some(PathArgument { directory, path, last });
        self
    }

    /// The second path of a rename or link.
    pub fn to(mut self, directory: c_int, path: *const c_char) -> Self {
        self.other_path = Some(PathArgument { directory, path, last: Last::Kept });
        self
    }

    /// A second descriptor that takes part.
    pub fn with_descriptor(mut self, fd: c_int) -> Self {
        self.other_fd = fd;
        self
    }

    /// How many bytes are asked for.
    pub fn length(mut self, length: usize) -> Self {
        self.event.length = length as u64;
        self
    }

    /// The sum of a vector of buffers.
    ///
    /// # Safety
    /// `vector` is null or points to `count` readable elements.
    pub unsafe fn vector(self, vector: *const libc::iovec, count: usize) -> Self {
        if vector.is_null() || count > libc::UIO_MAXIOV as usize {
            return self;
        }
        // SAFETY: by contract.
        let vector = unsafe { std::slice::from_raw_parts(vector, count) };
        self.length(vector.iter().fold(0, |sum, part| sum.saturating_add(part.iov_len)))
    }

    /// The length of a message.
    ///
    /// # Safety
    /// `message` is null or valid.
    pub unsafe fn message(self, message: *const libc::msghdr) -> Self {
        // SAFETY: by contract.
        match unsafe { message.as_ref() } {
            // SAFETY: a valid message has a valid vector.
            Some(message) => unsafe { self.vector(message.msg_iov, message.msg_iovlen) },
            None => self,
        }
    }

    /// A place in the file that was passed.
    pub fn offset(mut self, offset: i64) -> Self {
        self.event.offset = offset;
        self.at_position = false;
        self
    }

    /// Whatever place there is: the operation has none, or libc's buffer hides it.
    pub fn anywhere(self) -> Self {
        self.offset(NO_OFFSET)
    }

    /// Sets what the call does to the table.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The destination of a datagram, which is named instead of the socket if there is one. The pointer is null or
    /// valid for `length` bytes.
    pub fn destination(mut self, address: *const sockaddr, length: socklen_t) -> Self {
        self.destination = Some((address, length));
        self
    }

    /// A call that is only forwarded: this use of the function touches no resource.
    pub fn ignored(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// Before the real function.
    pub fn begin<const N: usize>(&mut self, function: &'static CStr, arguments: [u64; N]) {
        if matches!(self.effect, Effect::None) && listener::is_out_of_earshot() {
            return;
        }
        let saved = raw::errno();
        if !self.ignored && thread::enter() {
            if listener::mine() {
                self.event.function = function.as_ptr();
                self.event.arguments[..N].copy_from_slice(&arguments);
                self.look_up();
            }
            while self.stage == Stage::Reported {
                self.answer = listener::report(&self.event);
                if self.answer != AGAIN {
                    break;
                }
                self.look_up();
            }
            match self.effect {
                _ if self.stage == Stage::Forwarded => {}
                Effect::Closes => table::forget(self.event.fd),
                Effect::ClosesRange(first, last) => table::forget_range(first, last),
                _ => {}
            }
            thread::leave();
        }
        raw::set_errno(saved);
    }

    /// Whether a wait with a timeout must not wait.
    pub fn is_at_once(&self) -> bool {
        self.answer == AT_ONCE
    }

    /// Whether the call is not to be made, because there is nothing to be read yet.
    pub fn is_too_early(&self) -> bool {
        self.answer == TOO_EARLY
    }

    /// How much of `count` bytes is to be sent.
    pub fn part_of(&self, count: usize) -> usize {
        if self.answer & AT_MOST == 0 { count } else { count.min((self.answer & !AT_MOST) as usize) }
    }

    /// Where to connect instead, if that is not the caller's address.
    pub fn elsewhere(&self) -> Option<Loopback> {
        if self.answer & AT_MOST != 0 || self.answer & ELSEWHERE == 0 {
            return None;
        }
        let Effect::Connects(address, length) = self.effect else { return None };
        // SAFETY: the arguments of `connect`, which the caller vouches for.
        unsafe { Loopback::like(address, length, (self.answer & !ELSEWHERE) as u16) }
    }

    /// After it: what it returned, whether that means failure, and the new descriptor if it made one.
    pub fn finish(&mut self, result: i64, failed: bool, descriptor: c_int) {
        if self.stage == Stage::Forwarded {
            return;
        }
        let saved = raw::errno();
        if thread::enter() {
            if !failed {
                self.apply(descriptor);
            }
            if self.stage == Stage::Reported {
                self.event.phase = Phase::After as u8;
                self.event.result = result;
                self.event.error = if failed { saved } else { 0 };
                listener::report(&self.event);
            }
            thread::leave();
        }
        raw::set_errno(saved);
    }

    /// Finds out what the call touches and whether anybody wants to know.
    fn look_up(&mut self) {
        let wanted = listener::wanted();
        if !wanted {
            self.stage = if matches!(self.effect, Effect::None) { Stage::Forwarded } else { Stage::Tracked };
            self.name_socket();
            return;
        }
        self.stage = Stage::Reported;
        self.name_socket();
        if self.event.fd >= 0 {
            let descriptor = table::lookup(self.event.fd);
            if descriptor.is_event_pipe() {
                self.stage = Stage::Tracked;
                return;
            }
            self.set_descriptor(descriptor);
            if let Some((address, length)) = self.destination {
                // SAFETY: an argument of the hooked function, which its caller vouches for.
                if let Some(name) = unsafe { address::name_of(address, length) } {
                    self.set_resource(name);
                }
            }
            if self.at_position && descriptor.regular {
                self.event.offset = self.place();
            }
        }
        if let Some(path) = self.path {
            self.set_resource(path.name());
            if listener::is_callback() {
                let passed = path.passed();
                (self.event.path, self.event.path_length) = (passed.as_ptr(), passed.len());
            }
        }
        if let Some(path) = self.other_path {
            self.set_other(path.name());
            if listener::is_callback() {
                let passed = path.passed();
                (self.event.other_path, self.event.other_path_length) = (passed.as_ptr(), passed.len());
            }
        }
        if self.other_fd >= 0 {
            self.set_other(table::lookup(self.other_fd).name);
        }
    }

    /// A connecting socket has its new name in the before phase already: that is what is about to be touched.
    fn name_socket(&mut self) {
        if let Effect::Connects(address, length) = self.effect {
            // SAFETY: the arguments of `connect`, which the caller vouches for.
            if let Some(name) = unsafe { address::name_of(address, length) } {
                table::rename(self.event.fd, name);
            }
        }
    }

    /// Where in the file an operation at the position takes place.
    fn place(&self) -> i64 {
        let writes = self.event.kind == Kind::Write as u16;
        if writes && raw::appends(self.event.fd) {
            AT_END
        } else {
            raw::position(self.event.fd).unwrap_or(NO_OFFSET)
        }
    }

    /// Brings the table up to date. Where nobody was told a name, a new descriptor is only made unknown: it is
    /// looked up when it is first used.
    fn apply(&mut self, fd: c_int) {
        let told = self.stage == Stage::Reported;
        match self.effect {
            Effect::None | Effect::Connects(..) | Effect::Closes | Effect::ClosesRange(..) => {}
            Effect::Opens | Effect::Appears | Effect::Creates(_) | Effect::Accepts if !told => {
                table::forget(fd)
            }
            Effect::Opens => {
                let descriptor = table::open(fd, self.resource());
                self.returned(fd, descriptor);
            }
            Effect::Appears => {
                table::forget(fd);
                self.returned(fd, table::lookup(fd));
            }
            Effect::Creates(name) => {
                let descriptor = table::open(fd, name);
                self.returned(fd, descriptor);
            }
            Effect::Accepts => {
                let descriptor = table::open(fd, self.resource());
                self.returned(fd, descriptor);
                if let Some(peer) = address::name_of_end(fd, End::Peer) {
                    self.set_other(peer);
                }
            }
            Effect::Pairs(ends, name) => {
                // SAFETY: the call succeeded, so it stored two descriptors there.
                let ends = unsafe { [*ends, *ends.add(1)] };
                table::pair(ends, name);
                self.returned(ends[0], table::lookup(ends[0]));
            }
            Effect::Binds(address, length) => {
                // The kernel may have chosen the port; the argument says only what was wished for.
                // SAFETY: the arguments of `bind`, which succeeded with them.
                let name = address::name_of_end(self.event.fd, End::Local)
                    .or_else(|| unsafe { address::name_of(address, length) });
                if let Some(name) = name {
                    table::rename(self.event.fd, name);
                    self.set_resource(name);
                }
            }
            Effect::Duplicates => {
                table::duplicate(self.event.fd, fd);
            }
        }
    }

    fn returned(&mut self, fd: c_int, descriptor: Descriptor) {
        self.event.fd = fd;
        self.set_descriptor(descriptor);
    }

    fn set_descriptor(&mut self, descriptor: Descriptor) {
        self.event.generation = descriptor.generation;
        (self.event.device, self.event.inode) = (descriptor.device, descriptor.inode);
        self.set_resource(descriptor.name);
    }

    fn set_resource(&mut self, name: Name) {
        (self.event.resource, self.event.resource_length) = (name.as_ptr(), name.len());
    }

    fn set_other(&mut self, name: Name) {
        (self.event.other, self.event.other_length) = (name.as_ptr(), name.len());
    }

    fn resource(&self) -> Name {
        // SAFETY: resources are set from interned or static names only.
        unsafe { std::slice::from_raw_parts(self.event.resource, self.event.resource_length) }
    }
}

impl PathArgument {
    fn name(self) -> Name {
        // SAFETY: an argument of the hooked function, which its caller vouches for.
        unsafe { path::name_of(self.directory, self.path, self.last) }
    }

    fn passed(self) -> Name {
        // SAFETY: as above.
        unsafe { path::absolute(self.directory, self.path) }
    }
}
