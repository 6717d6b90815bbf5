//! Which object is which: numbers objects by first appearance and forgets them when their memory is freed.
//!
//! Model: an object is known by the start of its memory block. When the block is freed (the allocator or the
//! type's deallocator says so), the address loses its number, so a later object at the same address gets
//! another one. Nothing is kept alive: the program's reference counts stay as they are.
//!
//! Not here: how a free is noticed (interpreter hooks), how an object is called in reports.

use crate::blocks::Blocks;
use crate::held::Held;
use frontrun_formats::ObjectId;
use rustc_hash::FxHashSet;

/// The numbers of the objects of one execution.
#[derive(Debug, Default)]
pub struct Identities {
    by_block: Blocks<ObjectId>,
    /// The blocks that stand for another object than their own.
    aliases: FxHashSet<usize>,
    next: u32,
    /// What the states of threads hang on; a free breaks it.
    pub held: Held,
}

impl Identities {
    /// The number of the object whose memory starts at `block`, and whether it is new.
    pub fn number(&mut self, block: usize) -> (ObjectId, bool) {
        if let Some(id) = self.by_block.get(block) {
            return (id, false);
        }
        let id = self.fresh();
        self.by_block.insert(block, id);
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
        self.by_block.get(block)
    }

    /// Lets `block` stand for an object that already has a number (a dictionary that is an object's
    /// attributes).
    pub fn alias(&mut self, block: usize, id: ObjectId) {
        self.by_block.insert(block, id);
        self.aliases.insert(block);
    }

    /// Whether `block` stands for another object than its own.
    pub fn is_alias(&self, block: usize) -> bool {
        self.aliases.contains(&block)
    }

    /// Whether the memory at `block` may belong to a numbered object.
    pub fn may_know(&self, block: usize) -> bool {
        self.by_block.may_know(block)
    }

    /// Notes that the memory at `block` has been freed.
    pub fn forget(&mut self, block: usize) {
        self.held.freed(block);
        if self.by_block.forget(block).is_some() {
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
