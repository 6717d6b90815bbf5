//! The name of a path: `file:` and the absolute path without `.`, `..` and symbolic links.
//!
//! Whether the last component is followed depends on the call: `open` follows it, `unlink` removes the link
//! itself. Resolution is component by component with `readlink`, in scratch space; no descriptor is opened for it,
//! since that would change the numbers that the program gets. A path that does not exist keeps its remaining
//! components as they are. Another process that moves directories at the same moment can make the name stale: it
//! is what the path meant when the call began.

use crate::name::{self, Name};
use crate::raw;
use crate::scratch::{self, NAME_MAX, Scratch};
use libc::{c_char, c_int};
use std::io::Write;

/// Whether a call resolves a symbolic link in the last component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// The link's target is meant.
    Followed,
    /// The link itself is meant.
    Kept,
}

const PREFIX: &[u8] = b"file:";
const MAX_LINKS: usize = 40;

/// The name of `path` relative to the directory `directory` (`AT_FDCWD` for the working directory).
///
/// # Safety
/// `path` is null or terminated by 0.
pub unsafe fn name_of(directory: c_int, path: *const c_char, last: Last) -> Name {
    if path.is_null() {
        return b"";
    }
    // SAFETY: by contract.
    let path = unsafe { std::slice::from_raw_parts(path.cast::<u8>(), raw::length(path)) };
    scratch::with(|scratch| {
        let mut builder = Builder::new(scratch);
        if path.first() != Some(&b'/') {
            builder.start_at(directory);
        }
        builder.to = put_in_front(&mut builder.scratch.rest, 0..0, path);
        builder.walk(last);
        name::intern(builder.result())
    })
}

/// `path` relative to the directory `directory` as an absolute path, otherwise as it was passed.
///
/// # Safety
/// `path` is null or terminated by 0.
pub unsafe fn absolute(directory: c_int, path: *const c_char) -> Name {
    if path.is_null() {
        return b"";
    }
    // SAFETY: by contract.
    let path = unsafe { std::slice::from_raw_parts(path.cast::<u8>(), raw::length(path)) };
    scratch::with(|scratch| {
        let mut builder = Builder::new(scratch);
        if path.first() != Some(&b'/') {
            builder.start_at(directory);
            builder.scratch.name[builder.end] = b'/';
            builder.end += 1;
        }
        let from = builder.end;
        let end = (from + path.len()).min(NAME_MAX);
        scratch.name[from..end].copy_from_slice(&path[..end - from]);
        name::intern(&scratch.name[PREFIX.len()..end])
    })
}

/// The name of what `fd` is open on, as the kernel tells it: for descriptors that were not seen being opened.
pub fn name_of_open(fd: c_int) -> Name {
    scratch::with(|scratch| {
        let length = descriptor_link(fd, &mut scratch.rest)
            .and_then(|link| raw::readlink(link, &mut scratch.name[PREFIX.len()..]).ok())
            .unwrap_or(0);
        let text = &mut scratch.name[..PREFIX.len() + length];
        if text.get(PREFIX.len()) == Some(&b'/') {
            text[..PREFIX.len()].copy_from_slice(PREFIX);
            return name::intern(text);
        }
        // What has no path: `anon_inode:[eventfd]`, `memfd:name`.
        name::intern(&text[PREFIX.len()..])
    })
}

/// `/proc/self/fd/N`, terminated by 0.
fn descriptor_link(fd: c_int, buffer: &mut [u8]) -> Option<&[u8]> {
    let mut rest = &mut buffer[..];
    let room = rest.len();
    write!(rest, "/proc/self/fd/{fd}\0").ok()?;
    let length = room - rest.len();
    Some(&buffer[..length])
}

/// Puts `text` and a slash in front of the bytes `kept` of `rest`, and all that at its start; returns the new end.
/// What does not fit is cut off: such a path is too long for the kernel, too.
fn put_in_front(rest: &mut [u8; NAME_MAX], kept: std::ops::Range<usize>, text: &[u8]) -> usize {
    let slash = text.len().min(NAME_MAX - 1);
    let n_kept = kept.len().min(NAME_MAX - 1 - slash);
    rest.copy_within(kept.start..kept.start + n_kept, slash + 1);
    rest[..slash].copy_from_slice(&text[..slash]);
    rest[slash] = b'/';
    slash + 1 + n_kept
}

/// A path while it is resolved: what is resolved stands in `name`, what is not in `rest`.
struct Builder<'a> {
    scratch: &'a mut Scratch,
    /// End of the resolved part.
    end: usize,
    /// The unresolved part is `rest[from..to]`.
    from: usize,
    to: usize,
}

impl<'a> Builder<'a> {
    fn new(scratch: &'a mut Scratch) -> Self {
        scratch.name[..PREFIX.len()].copy_from_slice(PREFIX);
        Builder { scratch, end: PREFIX.len(), from: 0, to: 0 }
    }

    /// Starts at a directory instead of at the root.
    fn start_at(&mut self, directory: c_int) {
        let Scratch { name, rest, .. } = &mut *self.scratch;
        let buffer = &mut name[PREFIX.len()..NAME_MAX - 1];
        let length = if directory == libc::AT_FDCWD {
            raw::working_directory(buffer)
        } else {
            descriptor_link(directory, rest).and_then(|link| raw::readlink(link, buffer).ok())
        };
        self.end = PREFIX.len() + length.unwrap_or(0);
        if self.end == PREFIX.len() + 1 {
            self.end = PREFIX.len(); // The root is the empty path here: each component brings its slash.
        }
    }

    fn walk(&mut self, last: Last) {
        let mut n_links = 0;
        while let Some((component_from, component_to)) = self.next_component() {
            let Scratch { name, rest, .. } = &mut *self.scratch;
            let component = &rest[component_from..component_to];
            match component {
                b"." => continue,
                b".." => {
                    self.drop_last();
                    continue;
                }
                _ => {}
            }
            let end = self.end + 1 + component.len();
            if end >= NAME_MAX {
                return;
            }
            name[self.end] = b'/';
            name[self.end + 1..end].copy_from_slice(component);
            name[end] = 0;
            self.end = end;
            if last == Last::Kept && !self.more() {
                return;
            }
            n_links += usize::from(self.follow());
            if n_links > MAX_LINKS {
                return;
            }
        }
    }

    /// Replaces the last resolved component by its target if it is a symbolic link.
    fn follow(&mut self) -> bool {
        let Scratch { name, link, .. } = &mut *self.scratch;
        let Ok(length) = raw::readlink(&name[PREFIX.len()..=self.end], link) else { return false };
        if link[0] == b'/' {
            self.end = PREFIX.len();
        } else {
            self.drop_last();
        }
        let Scratch { rest, link, .. } = &mut *self.scratch;
        self.to = put_in_front(rest, self.from..self.to, &link[..length]);
        self.from = 0;
        true
    }

    /// Takes the next component off the unresolved part, as a range of `rest`.
    fn next_component(&mut self) -> Option<(usize, usize)> {
        let rest = &self.scratch.rest[..self.to];
        let from = self.from + rest[self.from..].iter().position(|&byte| byte != b'/')?;
        let to = rest[from..].iter().position(|&byte| byte == b'/').map_or(self.to, |length| from + length);
        self.from = to;
        Some((from, to))
    }

    /// Whether another component follows.
    fn more(&self) -> bool {
        self.scratch.rest[self.from..self.to].iter().any(|&byte| byte != b'/')
    }

    fn drop_last(&mut self) {
        let path = &self.scratch.name[PREFIX.len()..self.end];
        self.end = PREFIX.len() + path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    }

    fn result(&mut self) -> &[u8] {
        if self.end == PREFIX.len() {
            self.scratch.name[self.end] = b'/';
            self.end += 1;
        }
        &self.scratch.name[..self.end]
    }
}
