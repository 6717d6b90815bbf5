//! The files that the program prints to: what is printed is no shared state.
//!
//! # Model
//! Known are the files behind the descriptors 0 to 2 at any time, those behind the program's stream objects, and those
//! where the process was told to print: a test runner that captures output keeps these under other numbers, and prints
//! there at the end.

use crate::endpoints::{Inode, inode};
use crate::shim::IoEvent;
use pyo3::prelude::*;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;

/// Files behind the program's output streams, under descriptors other than the standard ones.
static STREAMS: Mutex<Vec<Inode>> = Mutex::new(Vec::new());

/// Files behind the standard streams as the process found them.
static FOUND: Mutex<Vec<Inode>> = Mutex::new(Vec::new());

/// Names descriptors that the program prints to.
#[pyfunction]
pub fn note_streams(fds: Vec<i32>) {
    if let Ok(mut streams) = STREAMS.lock() {
        *streams = fds.into_iter().map(inode).collect();
    }
}

/// Notes where the standard streams lead now, before the program can put them elsewhere.
pub fn remember() {
    if let Ok(mut found) = FOUND.lock() {
        found.extend((0..3).map(inode));
    }
}

/// Notes a file that has taken the place of the standard streams, wherever the program has put them.
pub fn note_output(path: &Path) {
    if let (Ok(file), Ok(mut found)) = (path.metadata(), FOUND.lock()) {
        found.push((file.dev(), file.ino()));
    }
}

/// Whether the call is about a file that the program prints to, under whatever descriptor.
pub fn is_printed_to(event: &IoEvent) -> bool {
    let file = (event.device, event.inode);
    let has = |files: &Mutex<Vec<Inode>>| files.lock().is_ok_and(|files| files.contains(&file));
    event.inode != 0 && ((0..3).any(|fd| inode(fd) == file) || has(&STREAMS) || has(&FOUND))
}
