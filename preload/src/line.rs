//! Events as lines of text, for the pipe `FRONTRUN_IO_FD`: one line an event, after the call, written at once.
//!
//! ```text
//! pid  tid  function  access  fd  generation  offset  length  result  error  resource  [other]
//! 812  812  sendto    w       7   12          -1      64      64      0      socket:127.0.0.1:5432
//! ```
//! Fields are separated by one tab. `access` is `r`, `w`, `rw` or `-`; `offset` is -1 for none and -2 for the end
//! of the file; `error` is `errno` when the call failed, else 0. A resource may be empty; bytes below 0x20, 0x7f
//! and the backslash are written as `\xHH`. A line is at most `PIPE_BUF` long, so lines of several processes do
//! not mix; a longer resource is cut off. When the pipe is full the event is lost, and the next line that
//! fits is preceded by `lost  N`.

use crate::abi::{IoEvent, READS, WRITES};
use crate::{raw, scratch};
use libc::c_int;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes `event` to `fd`, if that is still the `pipe` (device, inode); returns whether it is.
pub fn write(fd: c_int, pipe: (u64, u64), event: &IoEvent) -> bool {
    // The program may have closed the descriptor behind our back and opened something else there.
    if raw::fstat(fd).is_none_or(|(device, inode, _)| (device, inode) != pipe) {
        return false;
    }
    scratch::with(|scratch| {
        let n_lost = LOST.swap(0, Ordering::Relaxed);
        let buffer = &mut scratch.rest[..libc::PIPE_BUF];
        let length = print(buffer, event, n_lost);
        if raw::write(fd, &buffer[..length]) != length as isize {
            LOST.fetch_add(n_lost + 1, Ordering::Relaxed);
        }
    });
    true
}

/// In a fork child: what the parent lost is the parent's to tell.
pub fn reset() {
    LOST.store(0, Ordering::Relaxed);
}

/// Prints an event; returns the length.
fn print(buffer: &mut [u8], event: &IoEvent, n_lost: u64) -> usize {
    let access = match event.access & (READS | WRITES) {
        0 => "-",
        READS => "r",
        WRITES => "w",
        _ => "rw",
    };
    // SAFETY: an event's function is the static name of a hook, its resources are interned names.
    let (function, resource, other) = unsafe {
        (
            std::ffi::CStr::from_ptr(event.function).to_str().unwrap_or("?"),
            std::slice::from_raw_parts(event.resource, event.resource_length),
            std::slice::from_raw_parts(event.other, event.other_length),
        )
    };
    let mut out = &mut buffer[..];
    let room = out.len();
    if n_lost > 0 {
        let _ = writeln!(out, "lost\t{n_lost}");
    }
    let IoEvent { fd, generation, offset, length, result, error, .. } = *event;
    let (pid, tid) = (raw::process_id(), raw::thread_id());
    let _ = write!(
        out,
        "{pid}\t{tid}\t{function}\t{access}\t{fd}\t{generation}\t{offset}\t{length}\t{result}\t{error}\t"
    );
    // Each of two resources gets half of what is left, less a tab, a line feed and an escape that might be cut.
    let share = if other.is_empty() { out.len() - 8 } else { out.len() / 2 - 8 };
    escape(&mut out, resource, share);
    if !other.is_empty() {
        let _ = out.write_all(b"\t");
        escape(&mut out, other, share);
    }
    let _ = out.write_all(b"\n");
    room - out.len()
}

/// Prints at most `room` bytes of `text`.
fn escape(out: &mut &mut [u8], text: &[u8], room: usize) {
    let before = out.len();
    for &byte in text {
        if before - out.len() + 4 > room {
            return;
        }
        let _ = match byte {
            0..0x20 | 0x7f | b'\\' => write!(out, "\\x{byte:02x}"),
            byte => out.write_all(&[byte]),
        };
    }
}
