//! Space for building paths and lines: a pool of static buffers, since neither the stack (alternate signal stacks
//! are small) nor the allocator (it may be what called us) can give it.

use crate::raw;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// Longest name of a resource: `PATH_MAX` and a prefix.
pub const NAME_MAX: usize = libc::PATH_MAX as usize + 64;

/// One set of buffers.
pub struct Scratch {
    /// The name that is being built.
    pub name: [u8; NAME_MAX],
    /// The part of a path that is not yet resolved, or a line.
    pub rest: [u8; NAME_MAX],
    /// The target of a symbolic link.
    pub link: [u8; NAME_MAX],
}

const POOL: usize = 32;

struct Pool(UnsafeCell<[Scratch; POOL]>);

// SAFETY: a buffer is reached only by the thread that set its bit in `TAKEN`.
unsafe impl Sync for Pool {}

const EMPTY: Scratch = Scratch { name: [0; NAME_MAX], rest: [0; NAME_MAX], link: [0; NAME_MAX] };
static BUFFERS: Pool = Pool(UnsafeCell::new([EMPTY; POOL]));
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Runs `body` with buffers of its own. `body` must not wait for anything: with 32 threads inside, the next spins.
pub fn with<R>(body: impl FnOnce(&mut Scratch) -> R) -> R {
    let index = loop {
        let taken = TAKEN.load(Ordering::Relaxed);
        let free = (!taken).trailing_zeros();
        if free == 32 {
            raw::yield_now();
        } else if TAKEN.fetch_or(1 << free, Ordering::Acquire) & 1 << free == 0 {
            break free;
        }
    };
    // SAFETY: the bit was free and is ours now, so nobody else has a reference to this element; the index is
    // below 32, the length of the array.
    let scratch = unsafe { &mut *BUFFERS.0.get().cast::<Scratch>().add(index as usize) };
    let result = body(scratch);
    TAKEN.fetch_and(!(1 << index), Ordering::Release);
    result
}

/// In a fork child, where the threads that held buffers do not exist.
pub fn reset() {
    TAKEN.store(0, Ordering::Relaxed);
}
