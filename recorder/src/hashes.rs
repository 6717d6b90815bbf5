//! Hashes for objects that have none of their own: numbers in the order in which threads come upon the objects.
//!
//! Model: CPython hashes such an object by its address, so in which order a set lists tasks, listeners or nodes hangs on
//! where memory was free: on the machine, and on what other threads did before. Here the first thread that hashes an object
//! gives it the next number of a sequence that is the thread's own, so the hash hangs on what the thread did and on nothing
//! else. An object that has a hash already keeps it for as long as it lives.
//!
//! Invariant: no two objects get the same hash, since equal hashes would have `__eq__` called that is not called otherwise.
//! Two threads' sequences could meet only where the hashes of their paths are within a few numbers of each other.
//!
//! Not here: which objects these are, and how their deaths are noticed (the interpreter's side).

use crate::blocks::Blocks;
use frontrun_formats::{ThreadId, ThreadPath};
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// Which bits of a hash number the run; what is below numbers the object within it, and one above is the sign.
const RUN: u32 = 48;
const RUNS: u64 = 1 << (63 - RUN);

/// The hashes of all objects that have been asked for theirs.
#[derive(Debug, Default)]
pub struct Hashes {
    of_block: Blocks<isize>,
    /// By thread: the next number.
    next: Vec<Option<u64>>,
    run: u64,
}

impl Hashes {
    /// A run begins: the sequences of its threads do, too.
    pub fn begin_run(&mut self) {
        self.next.clear();
        self.run = (self.run + 1) % RUNS;
    }

    /// The hash of the object at `block`, if it has one.
    pub fn known(&self, block: usize) -> Option<isize> {
        self.of_block.get(block)
    }

    /// The object at `block` has this hash, and keeps it.
    pub fn keep(&mut self, block: usize, hash: isize) {
        self.of_block.insert(block, hash);
    }

    /// Gives the object at `block` the next hash of the thread with this path.
    pub fn number(&mut self, block: usize, thread: ThreadId, path: impl FnOnce() -> ThreadPath) -> isize {
        if self.next.len() <= thread.index() {
            self.next.resize(thread.index() + 1, None);
        }
        let next = self.next[thread.index()].get_or_insert_with(|| first(&path()));
        let number = *next % (1 << RUN);
        *next += 1;
        let hash = (self.run << RUN | number) as isize;
        self.keep(block, hash);
        hash
    }

    /// Notes that the memory at `block` has been freed.
    pub fn forget(&mut self, block: usize) {
        self.of_block.forget(block);
    }
}

/// Where the sequence of a thread begins.
fn first(path: &ThreadPath) -> u64 {
    let mut hasher = FxHasher::default();
    path.hash(&mut hasher);
    hasher.finish() % (1 << RUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_hangs_on_what_its_thread_did_and_stays() {
        let (main, child) = (ThreadPath::main(), ThreadPath::main().child(0));
        let order = |turns: [u32; 4]| {
            let mut hashes = Hashes::default();
            hashes.begin_run();
            let mut count = [0, 0];
            let mut all = Vec::new();
            for turn in turns {
                count[turn as usize] += 1;
                let block = 0x1000 * (1 + turn as usize) + 16 * count[turn as usize];
                let path = if turn == 0 { &main } else { &child };
                let hash = hashes.number(block, ThreadId(turn), || path.clone());
                assert_eq!(hashes.known(block), Some(hash));
                all.push((block, hash));
            }
            all.sort_unstable();
            all
        };
        let all = order([0, 0, 1, 1]);
        assert_eq!(all, order([1, 0, 1, 0]));
        assert_eq!(all[1].1, all[0].1 + 1);
    }

    #[test]
    fn no_hash_is_given_twice() {
        let mut hashes = Hashes::default();
        let first = hashes.number(16, ThreadId(0), ThreadPath::main);
        hashes.begin_run();
        assert_ne!(hashes.number(32, ThreadId(0), ThreadPath::main), first);
        hashes.forget(16);
        assert_eq!(hashes.known(16), None);
        assert!(first >= 0);
    }
}
