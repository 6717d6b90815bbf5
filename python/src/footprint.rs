//! Which locations an I/O call touches.
//!
//! Invariant: no location hangs on anything but the call's arguments, the file system, and what this execution has done;
//! and what a footprint hangs on is itself in the footprint. A call that is bound to fail changes nothing: to remove what
//! is not there, to make what is. Where that cannot be told, a call is taken to change what it may change.
//!
//! An entry that may be left from an earlier execution, and is to be made unless it is there, is taken to be made: then
//! it does not matter whether it has been left.
//!
//! Not here: names (outside), parts of contents (extent), when the call happens (io).

use crate::outside::{Books, Outside, Walk, inode_at, is_directory, walk};
use crate::shim::{IoEvent, WRITES, kind};
use crate::{behind, extent, run, status};
use frontrun_formats::{Location, Operation, Part};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Whether the call names its place in the file, so that the position plays no part.
pub fn is_positional(event: &IoEvent) -> bool {
    matches!(event.function().trim_start_matches('_').as_bytes().first(), Some(b'p'))
}

/// Whether a change of position hangs on the contents: it is counted from the end, or looks for holes.
pub fn looks_for_end(event: &IoEvent) -> bool {
    event.arguments[2] as i32 >= libc::SEEK_END
}

/// Whether a position is counted from the end.
pub fn is_to_end(event: &IoEvent) -> bool {
    event.kind == kind::SEEK && event.arguments[2] as i32 == libc::SEEK_END
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
    Operation::touching(footprint.reads, footprint.writes)
}

/// A call on an open file.
fn on_descriptor(event: &IoEvent, outside: &mut Outside, books: &mut Books<'_>, footprint: &mut Footprint) {
    let file = event.file().unwrap_or_default();
    let inode = (event.inode != 0).then_some((event.device, event.inode));
    let open = outside.open_file(event.fd, event.generation, file, books);
    let positional = is_positional(event) && event.kind != kind::CLOSE;
    if positional {
        footprint.reads.extend(open)
    } else {
        footprint.writes.extend(open)
    }
    let mut contents = || outside.contents(file, inode, false, books);
    match event.kind {
        kind::READ if positional => footprint.reads.extend(places_of(contents(), &extent::read(event))),
        kind::WRITE => footprint.writes.extend(places_of(contents(), &extent::written(event))),
        kind::SEEK if is_to_end(event) => footprint.reads.extend(places_of(contents(), &[Part::Shape])),
        kind::SEEK if !looks_for_end(event) => {}
        kind::STAT => {
            let contents = contents();
            footprint.reads.push(contents);
            if status::is_asked_for() {
                footprint.reads.push(outside.links(contents, books));
            }
        }
        kind::READ | kind::SEEK => footprint.reads.push(contents()),
        kind::MAP if event.access & WRITES == 0 => footprint.reads.push(contents()),
        kind::TRUNCATE if event.function().starts_with("ftruncate") => {
            let length = u64::try_from(event.offset).unwrap_or_default();
            footprint.writes.extend(places_of(contents(), &extent::cut(event, length)));
        }
        kind::TRUNCATE | kind::CHANGE | kind::MAP => footprint.writes.push(contents()),
        kind::READ_DIRECTORY => footprint.reads.push(outside.entries(file, books)),
        _ => {}
    }
    // The system copies from one file to another.
    if event.kind == kind::READ
        && event.access & WRITES != 0
        && let Some(other) = event.other_file()
    {
        // The path may lead through links of `/proc`, so the descriptor tells which file it is.
        let to = behind::inode(event.copied_to());
        footprint.writes.push(outside.contents(other, Some(to), false, books));
    }
}

/// Parts of the contents of a file.
fn places_of(contents: Location, parts: &[Part]) -> impl Iterator<Item = Location> {
    parts.iter().map(move |part| Location::new(contents.object, *part))
}

/// A call on a path.
fn on_path(event: &IoEvent, outside: &mut Outside, books: &mut Books<'_>, footprint: &mut Footprint) {
    let way = walk(event.path(), follows(event));
    footprint.reads.extend(outside.on_the_way(&way, books));
    let opening = Opening::of(event);
    let found = inode_at(&way.target);
    // That there is nothing may be the doing of this execution.
    let is_gone = found.is_none() && !outside.is_untouched(&way, books);
    let entry = outside.entry(&way, opening.replaces, books);
    // What is made or removed here has contents, whose state before is part of what the execution began with.
    let is_replaced = opening.replaces && opening.truncates || is_gone;
    let contents = outside.contents(&way.target, found, is_replaced, books);
    let is_free = found.is_none() && way.has_place();
    let changes_entry = match event.kind {
        kind::OPEN => {
            let may_be_left = opening.replaces && !outside.has_made(&way.target);
            let truncates = opening.truncates && !opening.is_exclusive && found.is_some();
            footprint.writes.extend(truncates.then_some(contents));
            opening.creates && (is_free || found.is_some() && may_be_left)
        }
        kind::STAT => {
            footprint.reads.extend([contents, outside.links(contents, books)]);
            false
        }
        kind::TRUNCATE | kind::CHANGE => {
            footprint.writes.push(contents);
            false
        }
        kind::UNLINK => {
            let removes = removes(event, &way.target);
            footprint.writes.extend(removes.then(|| outside.link_of(contents, &way, books)));
            removes
        }
        kind::MAKE_DIRECTORY => is_free,
        kind::REMOVE_DIRECTORY => {
            let is_there = is_directory(&way.target);
            footprint.reads.extend(is_there.then(|| outside.entries(&way.target, books)));
            removes(event, &way.target)
        }
        // A symbolic link, or something else that is made.
        kind::RENAME | kind::LINK if event.other_path().is_empty() => is_free,
        kind::RENAME | kind::LINK => {
            let from = From { way: &way, entry, contents };
            return on_two_paths(event, &from, outside, books, footprint);
        }
        _ => return,
    };
    if changes_entry {
        footprint.writes.extend(entry);
    } else {
        footprint.reads.extend(entry);
    }
}

/// What a rename or a link is about.
struct From<'a> {
    way: &'a Walk,
    entry: Option<Location>,
    contents: Location,
}

/// A rename or a link to a second path.
fn on_two_paths(
    event: &IoEvent,
    from: &From<'_>,
    outside: &mut Outside,
    books: &mut Books<'_>,
    footprint: &mut Footprint,
) {
    let to = walk(event.other_path(), false);
    let way = outside.on_the_way(&to, books);
    let (found, there) = (inode_at(&from.way.target), inode_at(&to.target));
    let is_gone = there.is_none() && !outside.is_untouched(&to, books);
    let entry = outside.entry(&to, false, books);
    let replaced = outside.contents(&to.target, there, is_gone, books);
    let is_rename = event.kind == kind::RENAME;
    // A link looks for the file first, and a rename for both directories.
    if is_rename || found.is_some() {
        footprint.reads.extend(way);
    }
    if is_rename && !to.has_place() {
        return;
    }
    if found.is_none() {
        footprint.reads.extend(from.entry);
    } else if !gives_name(event, &from.way.target, &to) {
        footprint.reads.extend(from.entry.into_iter().chain(entry));
    } else if is_rename {
        footprint.writes.extend(from.entry.into_iter().chain(entry));
        footprint.writes.extend(there.map(|_| outside.link_of(replaced, &to, books)));
        footprint.reads.extend(is_directory(&to.target).then(|| outside.entries(&to.target, books)));
    } else {
        footprint.reads.extend(from.entry);
        footprint.writes.extend(entry);
        footprint.writes.push(outside.link_of(from.contents, &to, books));
    }
}

/// Whether a call that removes what is at a path can do so.
fn removes(event: &IoEvent, path: &[u8]) -> bool {
    match event.kind {
        kind::REMOVE_DIRECTORY => is_directory(path) && is_empty(path),
        // `remove` takes directories, too.
        _ => inode_at(path).is_some() && (event.function() == "remove" || !is_directory(path)),
    }
}

/// Whether a rename or a link gives what is at a path its second name.
fn gives_name(event: &IoEvent, from: &[u8], to: &Walk) -> bool {
    let (found, there) = (inode_at(from), inode_at(&to.target));
    let replaces =
        || event.kind == kind::RENAME && found != there && is_directory(from) == is_directory(&to.target);
    found.is_some() && to.has_place() && (there.is_none() || replaces())
}

fn is_empty(directory: &[u8]) -> bool {
    std::fs::read_dir(OsStr::from_bytes(directory)).is_ok_and(|mut entries| entries.next().is_none())
}

/// Notes which entries the call is about to make and to remove.
pub fn settle(event: &IoEvent) {
    let opening = Opening::of(event);
    let names = matches!(
        event.kind,
        kind::RENAME | kind::UNLINK | kind::LINK | kind::MAKE_DIRECTORY | kind::REMOVE_DIRECTORY
    );
    if event.fd >= 0 || !(opening.creates || names) {
        return;
    }
    // SAFETY: the calling thread holds the turn and the lock; the borrow ends in this function.
    let Some(run) = (unsafe { run::get() }) else { return };
    let way = walk(event.path(), follows(event));
    let (path, is_there) = (&way.target[..], inode_at(&way.target).is_some());
    match event.kind {
        kind::OPEN if !(opening.is_exclusive && is_there) => run.outside.note_entry(path, true),
        kind::RENAME | kind::LINK if !event.other_path().is_empty() => {
            let to = walk(event.other_path(), false);
            if gives_name(event, path, &to) {
                let stays = event.kind == kind::LINK && run.outside.has_made(path);
                run.outside.note_entry(&to.target, true);
                run.outside.note_entry(path, stays);
            }
        }
        kind::LINK | kind::MAKE_DIRECTORY if !is_there => run.outside.note_entry(path, true),
        kind::UNLINK | kind::REMOVE_DIRECTORY if removes(event, path) => run.outside.note_entry(path, false),
        _ => {}
    }
}

/// How a path is opened.
#[derive(Default)]
struct Opening {
    creates: bool,
    truncates: bool,
    /// What is there is not opened.
    is_exclusive: bool,
    /// It does not matter whether there is something.
    replaces: bool,
}

impl Opening {
    fn of(event: &IoEvent) -> Opening {
        let flags = if event.kind == kind::OPEN { flags_of(event) } else { 0 };
        let creates = flags & libc::O_CREAT != 0;
        let is_exclusive = creates && flags & libc::O_EXCL != 0;
        Opening {
            creates,
            truncates: flags & libc::O_TRUNC != 0,
            is_exclusive,
            replaces: creates && !is_exclusive,
        }
    }
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
    Opening::of(event).creates && inode_at(&walk(event.path(), follows(event)).target).is_none()
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
