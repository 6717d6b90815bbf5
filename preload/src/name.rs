//! Names of resources, interned: equal names are one address, which stays valid for the life of the process.
//!
//! A name may be read by a listener long after the descriptor was closed by another thread, so names are immortal.
//! A program that touches many different paths pays about a hundred bytes for each, once.

use crate::lock::Lock;
use crate::raw;

/// The name of a resource; empty for none.
pub type Name = &'static [u8];

/// A resource that cannot be named, because there is no memory to name it in.
const UNNAMED: Name = b"unnamed";

/// Open addressing with linear probing; a slot is free when its address is null.
struct Table {
    slots: *mut Slot,
    capacity: usize,
    used: usize,
    arena: *mut u8,
    arena_left: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    address: *const u8,
    length: usize,
}

static NAMES: Lock<Table> = Lock::new(Table {
    slots: std::ptr::null_mut(),
    capacity: 0,
    used: 0,
    arena: std::ptr::null_mut(),
    arena_left: 0,
});

const FIRST_CAPACITY: usize = 1024;
const ARENA: usize = 1 << 18;

/// The one copy of `text`.
pub fn intern(text: &[u8]) -> Name {
    let hash = hash(text);
    NAMES.with(|table| table.intern(text, hash))
}

/// Takes the lock for `fork`, see [`crate::listener`].
pub fn before_fork() {
    NAMES.acquire();
}

/// Gives it back, in parent and child.
pub fn after_fork() {
    NAMES.release();
}

impl Table {
    fn intern(&mut self, text: &[u8], hash: u64) -> Name {
        if (self.used + 1) * 2 > self.capacity && !self.grow() {
            return UNNAMED;
        }
        let slot = self.find(hash, text);
        // SAFETY: `find` returns an element of the current slots.
        let found = unsafe { *slot };
        let address = if found.address.is_null() { self.copy(text) } else { found.address };
        if address.is_null() {
            return UNNAMED;
        }
        if found.address.is_null() {
            // SAFETY: as above.
            unsafe { *slot = Slot { hash, address, length: text.len() } };
            self.used += 1;
        }
        // SAFETY: the arena holds the bytes for ever and nobody changes them.
        unsafe { std::slice::from_raw_parts(address, text.len()) }
    }

    /// The slot of `text`, or the free one where it belongs. The table is never full.
    fn find(&self, hash: u64, text: &[u8]) -> *mut Slot {
        let mut index = hash as usize;
        loop {
            // SAFETY: the capacity is a power of two, so the index is inside the mapping.
            let slot = unsafe { self.slots.add(index & (self.capacity - 1)) };
            // SAFETY: a mapped, zeroed or written slot; names are valid for ever.
            let same = unsafe {
                let slot = *slot;
                slot.address.is_null()
                    || slot.hash == hash
                        && slot.length == text.len()
                        && std::slice::from_raw_parts(slot.address, slot.length) == text
            };
            if same {
                return slot;
            }
            index = index.wrapping_add(1);
        }
    }

    /// Doubles the table. The old one is left where it is: all tables together are twice the last.
    fn grow(&mut self) -> bool {
        let capacity = (self.capacity * 2).max(FIRST_CAPACITY);
        let slots = raw::pages(capacity * size_of::<Slot>()).cast::<Slot>();
        if slots.is_null() {
            return false;
        }
        let (old, n_old) = (self.slots, self.capacity);
        (self.slots, self.capacity) = (slots, capacity);
        for index in 0..n_old {
            // SAFETY: inside the old mapping.
            let slot = unsafe { *old.add(index) };
            if !slot.address.is_null() {
                // SAFETY: names are valid for ever.
                let text = unsafe { std::slice::from_raw_parts(slot.address, slot.length) };
                // SAFETY: `find` returns an element of the new slots.
                unsafe { *self.find(slot.hash, text) = slot };
            }
        }
        true
    }

    fn copy(&mut self, text: &[u8]) -> *const u8 {
        if self.arena_left < text.len() {
            self.arena = raw::pages(ARENA.max(text.len()));
            if self.arena.is_null() {
                self.arena_left = 0;
                return self.arena;
            }
            self.arena_left = ARENA.max(text.len());
        }
        let address = self.arena;
        // SAFETY: the arena has room for the text, and nothing else points there yet.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), address, text.len());
            self.arena = address.add(text.len());
        }
        self.arena_left -= text.len();
        address
    }
}

/// FNV-1a.
fn hash(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
