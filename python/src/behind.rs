//! What is behind a descriptor of the process that makes a call: this one, or a worker on whose behalf the calling thread
//! is here.
//!
//! Model: a worker tells with each call what can only be asked in its own process. Numbers of its descriptors mean nothing
//! here.
//!
//! Not here: what it tells otherwise (messages).

use crate::endpoints::{self, Inode};
use crate::messages::Behind;
use libc::c_int;
use std::cell::{Cell, RefCell};

/// A worker whose call is under way.
#[derive(Clone, Copy)]
pub struct Caller {
    /// Stands for the process among those who hold locks.
    pub holder: u64,
    pub behind: Behind,
}

thread_local! {
    static CALLER: Cell<Option<Caller>> = const { Cell::new(None) };
    /// What a call of a worker sends, or has moved, if that is known.
    static BYTES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Sets what a call of a worker sends, or has sent or received.
pub fn set_bytes(bytes: Option<Vec<u8>>) {
    BYTES.set(bytes);
}

/// What the call of the worker sends, or has sent or received: all, or the first `count`.
pub fn bytes(count: Option<usize>) -> Option<Vec<u8>> {
    BYTES.with_borrow(|bytes| {
        let bytes = bytes.as_ref()?;
        Some(bytes[..count.unwrap_or(usize::MAX).min(bytes.len())].to_vec())
    })
}

/// Sets whose call is under way on this thread; `None` for its own process.
pub fn set_caller(caller: Option<Caller>) {
    CALLER.set(caller);
}

/// The worker whose call is under way on this thread.
pub fn caller() -> Option<Caller> {
    CALLER.get()
}

/// The length of the file behind the descriptor of the call.
pub fn length_of(fd: c_int) -> u64 {
    CALLER.get().map_or_else(|| endpoints::length(fd), |caller| caller.behind.length)
}

/// The flags of the open file behind the descriptor of the call.
pub fn flags(fd: c_int) -> c_int {
    CALLER.get().map_or_else(|| endpoints::flags(fd), |caller| caller.behind.flags)
}

/// Device and inode behind the descriptor that the call copies to.
pub fn inode(fd: c_int) -> Inode {
    CALLER.get().map_or_else(|| endpoints::inode(fd), |caller| caller.behind.copied_to)
}
