//! The event pipe: its descriptor, and what tells it from another file that got the same number.

use libc::c_int;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

static FD: AtomicI32 = AtomicI32::new(-1);
static DEVICE: AtomicU64 = AtomicU64::new(0);
static INODE: AtomicU64 = AtomicU64::new(0);

/// Notes the pipe.
pub fn set(fd: c_int, device: u64, inode: u64) {
    FD.store(fd, Ordering::Relaxed);
    DEVICE.store(device, Ordering::Relaxed);
    INODE.store(inode, Ordering::Relaxed);
}

/// The descriptor that it had when it was noted.
pub fn fd() -> c_int {
    FD.load(Ordering::Relaxed)
}

/// Device and inode, zeros when there is no pipe.
pub fn identity() -> (u64, u64) {
    (DEVICE.load(Ordering::Relaxed), INODE.load(Ordering::Relaxed))
}

/// Whether there is a pipe.
pub fn is_open() -> bool {
    INODE.load(Ordering::Relaxed) != 0
}

/// Forgets the pipe: its descriptor is something else now.
pub fn forget() {
    INODE.store(0, Ordering::Relaxed);
}
