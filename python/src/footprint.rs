//! Which locations an I/O call touches.
//!
//! Invariant: no location hangs on anything but the call's arguments, the file system, and what this execution has done.
//! Where a call may or may not change something, it is taken to change it: whether it does is known too late.
//!
//! Not here: names (outside), parts of contents (extent), when the call happens (io).

use crate::outside::{Books, Outside, walk};
use crate::shim::{IoEvent, WRITES, kind};
use crate::{extent, run};
use frontrun_formats::{Location, Operation, Part};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether the call names its place in the file, so that the position plays no part.
pub fn is_positional(event: &IoEvent) -> bool {
    matches!(event.function().trim_start_matches('_').as_bytes().first(), Some(b'p'))
}

/// Whether a change of position hangs on the contents: it is counted from the end, or looks for holes.
pub fn looks_for_end(event: &IoEvent) -> bool {
    event.arguments[2] as i32 >= libc::SEEK_END
}

/// Locations that a call touches.
#[derive(Default)]
struct Footprint {
    reads: Vec<Location>,
    writes: Vec<Location>,
}

/// The operation of a call, in the present state; `None` when it touches nothing.
pub fn operation(event: &IoEvent) -> Option<Operation> {
    // SAFETY: the calling thread holds the turn and the lock; the borrows end in this function.
    let (run, identities) = unsafe { (run::get()?, run::identities()?) };
    let mut books = Books { identities, recording: &mut run.recording };
    let mut footprint = Footprint::default();
    if event.fd >= 0 {
        on_descriptor(event, &mut run.outside, &mut books, &mut footprint);
    } else {
        on_path(event, &mut run.outside, &mut books, &mut footprint);
    }
    let Footprint { mut reads, mut writes } = footprint;
    writes.sort_unstable();
    writes.dedup();
    reads.sort_unstable();
    reads.dedup();
    reads.retain(|at| !writes.contains(at));
    (!reads.is_empty() || !writes.is_empty())
        .then(|| Operation::Touch { reads: reads.into(), writes: writes.into() })
}

/// A call on an open file.
fn on_descriptor(event: &IoEvent, outside: &mut Outside, books: &mut Books<'_>, footprint: &mut Footprint) {
    let file = event.file().unwrap_or_default();
    let open = outside.open_file(event.fd, event.generation, file, books);
    let positional = is_positional(event) && event.kind != kind::CLOSE;
    if positional {
        footprint.reads.extend(open)
    } else {
        footprint.writes.extend(open)
    }
    match event.kind {
        kind::READ if positional => {
            let contents = outside.contents(file, false, books);
            footprint.reads.extend(places_of(&contents, &extent::read(event)));
        }
        kind::WRITE => {
            let contents = outside.contents(file, false, books);
            footprint.writes.extend(places_of(&contents, &extent::written(event)));
        }
        kind::SEEK if !looks_for_end(event) => {}
        kind::READ | kind::SEEK | kind::STAT => footprint.reads.extend(outside.contents(file, false, books)),
        kind::MAP if event.access & WRITES == 0 => {
            footprint.reads.extend(outside.contents(file, false, books))
        }
        kind::TRUNCATE | kind::CHANGE | kind::MAP => {
            footprint.writes.extend(outside.contents(file, false, books));
        }
        kind::READ_DIRECTORY => footprint.reads.push(outside.entries(file, books)),
        _ => {}
    }
    // The system copies from one file to another.
    if event.kind == kind::READ
        && event.access & WRITES != 0
        && let Some(other) = event.other_file()
    {
        footprint.writes.extend(outside.contents(other, false, books));
    }
}

/// Parts of the contents of a file, under all its names.
fn places_of(contents: &[Location], parts: &[Part]) -> Vec<Location> {
    contents.iter().flat_map(|at| parts.iter().map(|part| Location::new(at.object, *part))).collect()
}

/// A call on a path.
fn on_path(event: &IoEvent, outside: &mut Outside, books: &mut Books<'_>, footprint: &mut Footprint) {
    let way = walk(event.path(), follows(event));
    footprint.reads.extend(outside.on_the_way(&way, books));
    let flags = if event.kind == kind::OPEN { flags_of(event) } else { 0 };
    let (creates, truncates) = (flags & libc::O_CREAT != 0, flags & libc::O_TRUNC != 0);
    let replaces = creates && flags & libc::O_EXCL == 0;
    let entry = outside.entry(&way, replaces, books);
    // What is made or removed here has contents, whose state before is part of what the execution began with.
    let contents = outside.contents(&way.target, replaces && truncates, books);
    match event.kind {
        kind::OPEN => {
            let entries = if creates { &mut footprint.writes } else { &mut footprint.reads };
            entries.extend(entry);
            footprint.writes.extend(contents.into_iter().filter(|_| truncates));
        }
        kind::STAT => footprint.reads.extend(entry.into_iter().chain(contents)),
        kind::TRUNCATE | kind::CHANGE => {
            footprint.reads.extend(entry);
            footprint.writes.extend(contents);
        }
        kind::UNLINK | kind::MAKE_DIRECTORY => footprint.writes.extend(entry),
        kind::REMOVE_DIRECTORY => {
            footprint.writes.extend(entry);
            footprint.reads.push(outside.entries(&way.target, books));
        }
        kind::RENAME | kind::LINK => on_two_paths(event, &way.target, entry, outside, books, footprint),
        _ => {}
    }
}

/// A rename or a link, symbolic if there is no second path.
fn on_two_paths(
    event: &IoEvent,
    from: &[u8],
    entry: Option<Location>,
    outside: &mut Outside,
    books: &mut Books<'_>,
    footprint: &mut Footprint,
) {
    if event.other_path().is_empty() {
        footprint.writes.extend(entry);
        return;
    }
    let way = walk(event.other_path(), false);
    footprint.reads.extend(outside.on_the_way(&way, books));
    footprint.writes.extend(outside.entry(&way, false, books));
    outside.contents(&way.target, false, books);
    // Who writes the file through an old descriptor writes, from now on, what is found under the new path.
    footprint.reads.extend(outside.contents(from, false, books));
    if event.kind == kind::RENAME {
        footprint.writes.extend(entry);
    } else {
        footprint.reads.extend(entry);
        footprint.reads.extend(outside.contents(&way.target, false, books));
        outside.note_move(&way.target, from);
    }
    outside.note_move(from, &way.target);
}

/// Whether the call follows a symbolic link in the last component of its path.
fn follows(event: &IoEvent) -> bool {
    match event.kind {
        kind::OPEN => flags_of(event) & (libc::O_NOFOLLOW | libc::O_EXCL) == 0,
        kind::RENAME | kind::UNLINK | kind::LINK | kind::MAKE_DIRECTORY | kind::REMOVE_DIRECTORY => false,
        _ => match event.function() {
            "lstat" | "lstat64" | "readlink" | "readlinkat" | "__lxstat" | "__lxstat64" => false,
            "fstatat" | "fstatat64" | "faccessat" | "fchmodat" | "utimensat" => {
                !has_nofollow(event.arguments[3])
            }
            "statx" => !has_nofollow(event.arguments[2]),
            _ => true,
        },
    }
}

fn has_nofollow(flags: u64) -> bool {
    flags as i32 & libc::AT_SYMLINK_NOFOLLOW != 0
}

/// Whether the call makes the file that it opens.
pub fn makes(event: &IoEvent) -> bool {
    let found = || Path::new(OsStr::from_bytes(&walk(event.path(), follows(event)).target)).exists();
    event.kind == kind::OPEN && flags_of(event) & libc::O_CREAT != 0 && !found()
}

/// The flags with which a file is opened.
fn flags_of(event: &IoEvent) -> i32 {
    let made = libc::O_CREAT | libc::O_TRUNC;
    match event.function() {
        "open" | "open64" | "__open_2" | "__open64_2" => event.arguments[1] as i32,
        "openat" | "openat64" | "__openat_2" | "__openat64_2" => event.arguments[2] as i32,
        // `fopen` for writing; `creat`.
        _ if event.access & WRITES != 0 => made,
        _ => 0,
    }
}
