//! Which resource each descriptor is open on.
//!
//! The table is an array by descriptor number, mapped once and touched where used. An entry is made when a
//! descriptor is seen being opened, else when it is first used (inherited, received, made by a call that has no
//! hook): then the kernel is asked. A *generation* numbers the openings: it tells apart two resources that had one
//! descriptor number after another, is shared by duplicates, and by the two ends of a pipe or socket pair.
//!
//! # Invariant
//! An entry is removed before the real `close`, never after: in between, another thread may have got the number.

use crate::lock::Lock;
use crate::name::Name;
use crate::{address, path, pipe, raw};
use libc::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is known of an open descriptor.
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// The resource; empty when the descriptor is not open.
    pub name: Name,
    /// Which opening it is; 0 when it is not open or too high for the table.
    pub generation: u64,
    /// Device of the file.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Whether it is a regular file, which has positions.
    pub regular: bool,
}

impl Descriptor {
    /// Not open, or not asked.
    pub const NONE: Descriptor = Descriptor { name: b"", generation: 0, device: 0, inode: 0, regular: false };

    /// Whether this is an end of the pipe that events are written to, which must not be an event itself.
    pub fn is_event_pipe(&self) -> bool {
        self.inode != 0 && pipe::identity() == (self.device, self.inode)
    }
}

/// A descriptor as stored: all-zero is free.
#[derive(Clone, Copy)]
struct Slot {
    name: *const u8,
    length: usize,
    generation: u64,
    device: u64,
    inode: u64,
    regular: bool,
}

struct Table {
    slots: *mut Slot,
    /// One more than the highest descriptor that was ever stored.
    end: usize,
}

static TABLE: Lock<Table> = Lock::new(Table { slots: std::ptr::null_mut(), end: 0 });
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Descriptors from here on are asked about each time.
const CAPACITY: usize = 1 << 16;

/// Numbers the openings to come from here on.
pub fn number_from(first: u64) {
    GENERATION.store(first, Ordering::Relaxed);
}

/// What `fd` is open on.
pub fn lookup(fd: c_int) -> Descriptor {
    if fd < 0 {
        return Descriptor::NONE;
    }
    TABLE.with(|table| table.get(fd)).unwrap_or_else(|| discover(fd))
}

/// Enters a descriptor that was just opened on the resource `name`.
pub fn open(fd: c_int, name: Name) -> Descriptor {
    enter(fd, name, fresh())
}

/// Enters the two ends of a pipe or socket pair.
pub fn pair(ends: [c_int; 2], name: Name) {
    let generation = fresh();
    for fd in ends {
        enter(fd, name, generation);
    }
}

/// Gives a descriptor another name: it was connected, or bound.
pub fn rename(fd: c_int, name: Name) {
    let descriptor = Descriptor { name, ..lookup(fd) };
    TABLE.with(|table| table.set(fd, descriptor));
}

/// Makes `new` what `old` is.
pub fn duplicate(old: c_int, new: c_int) -> Descriptor {
    let descriptor = lookup(old);
    TABLE.with(|table| table.set(new, descriptor));
    descriptor
}

/// Forgets what `fd` is open on.
pub fn forget(fd: c_int) {
    TABLE.with(|table| table.set(fd, Descriptor::NONE));
}

/// Forgets a range of descriptors, both ends included.
pub fn forget_range(first: u32, last: u32) {
    TABLE.with(|table| {
        for fd in (first as usize)..table.end.min((last as usize).saturating_add(1)) {
            table.set(fd as c_int, Descriptor::NONE);
        }
    });
}

/// Takes the lock for `fork`, see [`crate::listener`].
pub fn before_fork() {
    TABLE.acquire();
}

/// Gives it back, in parent and child.
pub fn after_fork() {
    TABLE.release();
}

fn fresh() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed) + 1
}

fn enter(fd: c_int, name: Name, generation: u64) -> Descriptor {
    let (device, inode, mode) = raw::fstat(fd).unwrap_or_default();
    let regular = mode & libc::S_IFMT == libc::S_IFREG;
    let descriptor = Descriptor { name, generation, device, inode, regular };
    TABLE.with(|table| table.set(fd, descriptor));
    descriptor
}

/// Asks the kernel, outside the lock; another thread that asks at the same time finds the same.
fn discover(fd: c_int) -> Descriptor {
    let Some((device, inode, mode)) = raw::fstat(fd) else { return Descriptor::NONE };
    let kind = mode & libc::S_IFMT;
    let name = match kind {
        libc::S_IFIFO => Some(path::name_of_open(fd)).filter(|name| name.contains(&b'/')).unwrap_or(b"pipe"),
        libc::S_IFSOCK => address::name_of_socket(fd),
        _ => path::name_of_open(fd),
    };
    let regular = kind == libc::S_IFREG;
    let channel = matches!(kind, libc::S_IFIFO | libc::S_IFSOCK);
    TABLE.with(|table| {
        // The ends of a pipe have one inode, and so have descriptors of one socket.
        let known = if channel { table.generation_of(device, inode) } else { None };
        let descriptor = Descriptor { name, generation: known.unwrap_or_else(fresh), device, inode, regular };
        table.set(fd, descriptor);
        table.get(fd).unwrap_or(Descriptor { generation: 0, ..descriptor })
    })
}

impl Table {
    fn slot(&mut self, fd: usize) -> Option<*mut Slot> {
        if fd >= CAPACITY {
            return None;
        }
        if self.slots.is_null() {
            self.slots = raw::pages(CAPACITY * size_of::<Slot>()).cast();
        }
        // SAFETY: the mapping has CAPACITY slots.
        (!self.slots.is_null()).then(|| unsafe { self.slots.add(fd) })
    }

    fn get(&mut self, fd: c_int) -> Option<Descriptor> {
        let slot = self.slot(usize::try_from(fd).ok()?)?;
        // SAFETY: `slot` points into the mapping; all-zero is a valid slot.
        let slot = unsafe { *slot };
        (!slot.name.is_null()).then(|| Descriptor {
            // SAFETY: a slot's name is an interned one, valid for ever, or null.
            name: unsafe { std::slice::from_raw_parts(slot.name, slot.length) },
            generation: slot.generation,
            device: slot.device,
            inode: slot.inode,
            regular: slot.regular,
        })
    }

    /// Stores a descriptor; one without name frees the slot.
    fn set(&mut self, fd: c_int, descriptor: Descriptor) {
        let Ok(fd) = usize::try_from(fd) else { return };
        let Descriptor { name, generation, device, inode, regular } = descriptor;
        let name_address = if name.is_empty() { std::ptr::null() } else { name.as_ptr() };
        if name.is_empty() && fd >= self.end {
            return;
        }
        if let Some(slot) = self.slot(fd) {
            self.end = self.end.max(fd + 1);
            // SAFETY: `slot` points into the mapping.
            unsafe {
                *slot = Slot { name: name_address, length: name.len(), generation, device, inode, regular }
            };
        }
    }

    fn generation_of(&mut self, device: u64, inode: u64) -> Option<u64> {
        (0..self.end)
            .filter_map(|fd| self.get(fd as c_int))
            .find(|known| (known.device, known.inode) == (device, inode))
            .map(|known| known.generation)
    }
}
