//! Which object is which: numbers objects by first appearance and forgets them when their memory is freed.
//!
//! Model: an object is known by the start of its memory block. When the block is freed (the allocator or the
//! type's deallocator says so), the address loses its number, so a later object at the same address gets
//! another one. Nothing is kept alive: the program's reference counts stay as they are.
//!
//! Not here: how a free is noticed (interpreter hooks), how an object is called in reports.

use crate::held::Held;
use frontrun_formats::ObjectId;
use rustc_hash::{FxHashMap, FxHashSet};

/// One bit per hashed address: a free of memory that was never numbered must cost next to nothing.
const FILTER_BITS: usize = 1 << 18;

/// The numbers of the objects of one execution.
#[derive(Debug)]
pub struct Identities {
    by_block: FxHashMap<usize, ObjectId>,
    /// The blocks that stand for another object than their own.
    aliases: FxHashSet<usize>,
    filter: Box<[u64]>,
    next: u32,
    /// What the states of threads hang on; a free breaks it.
    pub held: Held,
}

impl Default for Identities {
    fn default() -> Self {
        let filter = vec![0; FILTER_BITS / 64].into_boxed_slice();
        Identities {
            by_block: FxHashMap::default(),
            aliases: FxHashSet::default(),
            filter,
            next: 0,
            held: Held::default(),
        }
    }
}

impl Identities {
    fn bit(block: usize) -> (usize, u64) {
        let hash = (block >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let bit = hash % FILTER_BITS;
        (bit / 64, 1 << (bit % 64))
    }

    /// The number of the object whose memory starts at `block`, and whether it is new.
    pub fn number(&mut self, block: usize) -> (ObjectId, bool) {
        if let Some(id) = self.by_block.get(&block) {
            return (*id, false);
        }
        let id = self.fresh();
        self.by_block.insert(block, id);
        let (word, bit) = Self::bit(block);
        self.filter[word] |= bit;
        (id, true)
    }

    /// A number for something that is no object in memory.
    pub fn fresh(&mut self) -> ObjectId {
        let id = ObjectId(self.next);
        self.next += 1;
        id
    }

    /// The number of an object, if it has one.
    pub fn known(&self, block: usize) -> Option<ObjectId> {
        self.by_block.get(&block).copied()
    }

    /// Lets `block` stand for an object that already has a number (a dictionary that is an object's
    /// attributes).
    pub fn alias(&mut self, block: usize, id: ObjectId) {
        self.by_block.insert(block, id);
        self.aliases.insert(block);
        let (word, bit) = Self::bit(block);
        self.filter[word] |= bit;
    }

    /// Whether `block` stands for another object than its own.
    pub fn is_alias(&self, block: usize) -> bool {
        self.aliases.contains(&block)
    }

    /// Whether the memory at `block` may belong to a numbered object.
    pub fn may_know(&self, block: usize) -> bool {
        let (word, bit) = Self::bit(block);
        self.filter[word] & bit != 0
    }

    /// Notes that the memory at `block` has been freed.
    pub fn forget(&mut self, block: usize) {
        self.held.freed(block);
        if self.may_know(block) {
            self.by_block.remove(&block);
            self.aliases.remove(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_address_is_another_object() {
        let mut identities = Identities::default();
        assert_eq!(identities.number(0x1000), (ObjectId(0), true));
        assert_eq!(identities.number(0x1000), (ObjectId(0), false));
        identities.forget(0x1000);
        assert_eq!(identities.number(0x1000), (ObjectId(1), true));
    }

    #[test]
    fn memory_that_was_never_numbered_is_forgotten_for_free() {
        let mut identities = Identities::default();
        identities.forget(0x2000);
        assert!(!identities.may_know(0x2000));
    }
}
