//! Memory that the state of a thread hangs on, and whether any of it has been freed since.
//!
//! Model: to tell that a thread is in the same state again, objects are compared by address. That holds only while none
//! of them has died: another one may have come to its address. So the blocks of the objects that were looked at are
//! kept here, and a free of one of them breaks the comparison.
//!
//! Not here: how a free is noticed, what the state of a thread is (the interpreter's side).

use frontrun_formats::ThreadId;

/// Words of the filter that says at once of most blocks that they are not held.
const FILTER_WORDS: usize = 16;

/// The blocks of all threads.
#[derive(Debug, Default)]
pub struct Held {
    by_thread: Vec<Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    filter: [u64; FILTER_WORDS],
    blocks: Vec<usize>,
    broken: bool,
}

fn bit(block: usize) -> (usize, u64) {
    let hash = (block >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    (hash / 64, 1 << (hash % 64))
}

impl Held {
    /// The thread's state hangs on nothing yet.
    pub fn begin(&mut self, thread: ThreadId) {
        if self.by_thread.len() <= thread.index() {
            self.by_thread.resize_with(thread.index() + 1, Blocks::default);
        }
        let held = &mut self.by_thread[thread.index()];
        held.filter = [0; FILTER_WORDS];
        held.blocks.clear();
        held.broken = false;
    }

    /// The state of the thread, which has begun, hangs on the object at `block`.
    pub fn hold(&mut self, thread: ThreadId, block: usize) {
        let Some(held) = self.by_thread.get_mut(thread.index()) else { return };
        let (word, bit) = bit(block);
        held.filter[word] |= bit;
        held.blocks.push(block);
    }

    /// Notes that the memory at `block` has been freed.
    pub fn freed(&mut self, block: usize) {
        let (word, bit) = bit(block);
        for held in &mut self.by_thread {
            held.broken |= held.filter[word] & bit != 0 && held.blocks.contains(&block);
        }
    }

    /// Whether everything that was held since the thread began is still there.
    pub fn is_intact(&self, thread: ThreadId) -> bool {
        self.by_thread.get(thread.index()).is_some_and(|held| !held.broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_of_what_is_held_breaks_it_until_the_thread_begins_anew() {
        let (me, other) = (ThreadId(1), ThreadId(0));
        let mut held = Held::default();
        assert!(!held.is_intact(me));
        held.begin(other);
        held.begin(me);
        held.hold(me, 0x1000);
        held.freed(0x2000);
        assert!(held.is_intact(me));
        held.freed(0x1000);
        assert!(!held.is_intact(me));
        assert!(held.is_intact(other));
        held.begin(me);
        held.freed(0x1000);
        assert!(held.is_intact(me));
    }
}
