//! Values by memory block, for as long as the memory is in use.
//!
//! Model: a block is known by its start. A free of memory that has no value, as most memory has none, must cost next to
//! nothing: a filter with one bit per hashed address says so at once.
//!
//! Not here: how a free is noticed (the interpreter's side).

use rustc_hash::FxHashMap;

const FILTER_BITS: usize = 1 << 18;

/// The values.
#[derive(Debug)]
pub struct Blocks<T> {
    values: FxHashMap<usize, T>,
    filter: Box<[u64]>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Blocks { values: FxHashMap::default(), filter: vec![0; FILTER_BITS / 64].into_boxed_slice() }
    }
}

impl<T: Copy> Blocks<T> {
    fn bit(block: usize) -> (usize, u64) {
        let hash = (block >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let bit = hash % FILTER_BITS;
        (bit / 64, 1 << (bit % 64))
    }

    /// The value of a block, if it has one.
    pub fn get(&self, block: usize) -> Option<T> {
        self.values.get(&block).copied()
    }

    /// Gives a block a value, in place of the one that it may have had.
    pub fn insert(&mut self, block: usize, value: T) {
        self.values.insert(block, value);
        let (word, bit) = Self::bit(block);
        self.filter[word] |= bit;
    }

    /// Whether the block may have a value.
    pub fn may_know(&self, block: usize) -> bool {
        let (word, bit) = Self::bit(block);
        self.filter[word] & bit != 0
    }

    /// Notes that the memory at `block` has been freed; returns the value that it had.
    pub fn forget(&mut self, block: usize) -> Option<T> {
        if self.may_know(block) { self.values.remove(&block) } else { None }
    }
}
