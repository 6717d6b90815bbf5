//! What lies outside the process as the trace names it: directory entries, contents of files, open files.
//!
//! Model: a *path* is looked up entry by entry, from the root, through symbolic links; each lookup reads one entry of one
//! directory. A file is known by its inode, under whatever path it is found, and by which file with that inode it is. It
//! is called by the path under which it was found first, never by its inode, whose number hangs on the order in which
//! files were made.
//!
//! Invariant: a file is found first under the path that it had when the execution began, or under which it was made.
//!
//! Not here: which call touches what (io).

use crate::endpoints::{Channel, Endpoints, Inode};
use frontrun_formats::execution::{content_hash, outside};
use frontrun_formats::{Location, ObjectId, Part, Value};
use frontrun_recorder::identity::Identities;
use frontrun_recorder::key::Key;
use frontrun_recorder::recording::Recording;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many symbolic links a path may lead through, as in the kernel.
const MOST_LINKS: usize = 40;

/// An absolute path without links, as bytes; that of the root is empty.
type Bytes = Box<[u8]>;

/// Files are hashed up to this length.
const LONGEST_HASHED: u64 = 1 << 20;

/// Something outside that has parts which threads share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Thing {
    /// The bytes and the metadata of the file that has this inode for a time, and which time that is.
    File(Inode, u32),
    /// What there is at a path where no file is, or a database.
    Content(Bytes),
    /// How many names a file has.
    Links(ObjectId),
    /// The entries of the directory at a path.
    Directory(Bytes),
    /// The lock of the database at a path.
    Lock(Bytes),
    /// A flag that those who use a database set and clear, by its name.
    Flag(Bytes),
    /// The lock of a file that has this inode for a time, and which time that is.
    FileLock(Inode, u32),
    /// The lock that processes have on such a file, by `fcntl`.
    ProcessLock(Inode, u32),
    /// The lock that a buffered file has in C.
    Buffer(ObjectId),
    /// An open file: its position, and that it is open.
    Open(u64),
    /// What is sent and received.
    Channel(Channel),
}

/// What one execution has seen of the outside.
#[derive(Debug, Default)]
pub struct Outside {
    numbers: FxHashMap<Thing, ObjectId>,
    /// Entries that are there because this execution has made them, by path.
    made: FxHashSet<Bytes>,
    /// What files are called.
    labels: FxHashMap<ObjectId, String>,
    /// Which open file a descriptor's number stood for last.
    last: FxHashMap<i32, u64>,
    /// Locations that have been touched.
    touched: FxHashSet<Location>,
    has_changed: bool,
    /// How often a file was made that got this inode.
    births: FxHashMap<Inode, u32>,
    /// Which open file holds the lock of a file.
    lock_holders: FxHashMap<ObjectId, u64>,
    /// Pipes and connections.
    pub endpoints: Endpoints,
}

/// Where new things get their numbers and names.
pub struct Books<'a> {
    pub identities: &'a mut Identities,
    pub recording: &'a mut Recording,
}

/// The way that looking up a path takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Directory and name of every entry on the way.
    on_the_way: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directory and name of the entry that is meant; `None` for the root.
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// The path that is meant.
    pub target: Vec<u8>,
}

/// Looks up an absolute path. A last component that is a symbolic link is followed if `follow` says so.
pub fn walk(path: &[u8], follow: bool) -> Walk {
    let mut walk = Walk::default();
    let mut rest: VecDeque<Vec<u8>> = components(path).collect();
    let mut n_links = 0;
    while let Some(name) = rest.pop_front() {
        if name == b".." {
            walk.target.truncate(parent_length(&walk.target));
            walk.last = None;
            continue;
        }
        walk.on_the_way.extend(walk.last.take());
        walk.last = Some((walk.target.clone(), name.clone()));
        let end = walk.target.len();
        walk.target.push(b'/');
        walk.target.extend(&name);
        if rest.is_empty() && !follow {
            break;
        }
        if n_links < MOST_LINKS
            && let Ok(link) = std::fs::read_link(as_path(&walk.target))
        {
            let link = link.as_os_str().as_bytes();
            walk.target.truncate(if link.starts_with(b"/") { 0 } else { end });
            for component in components(link).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(component);
            }
            n_links += 1;
        }
    }
    if walk.target.is_empty() {
        walk.target.push(b'/');
    }
    walk
}

fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec)
}

fn parent_length(path: &[u8]) -> usize {
    path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}

impl Walk {
    /// Whether the directory is there in which the entry that is meant is, or would be.
    pub fn has_place(&self) -> bool {
        let (directory, _) = self.target.split_at(parent_length(&self.target));
        directory.is_empty() || is_directory(directory)
    }
}

impl Outside {
    /// The entries that looking up a path reads on its way, without the one that is meant.
    pub fn on_the_way(&mut self, walk: &Walk, books: &mut Books<'_>) -> Vec<Location> {
        walk.on_the_way.iter().map(|(directory, name)| self.entry_of(directory, name, false, books)).collect()
    }

    /// The entry that is meant; `is_replaced` if it does not matter whether it is there.
    pub fn entry(&mut self, walk: &Walk, is_replaced: bool, books: &mut Books<'_>) -> Option<Location> {
        walk.last.as_ref().map(|(directory, name)| self.entry_of(directory, name, is_replaced, books))
    }

    /// Whether nothing has touched the entry that is meant.
    pub fn is_untouched(&mut self, walk: &Walk, books: &mut Books<'_>) -> bool {
        let Some((directory, name)) = &walk.last else { return true };
        let at = self.place_of(directory, name, books);
        !self.is_touched(at)
    }

    fn place_of(&mut self, directory: &[u8], name: &[u8], books: &mut Books<'_>) -> Location {
        let object = self.number(Thing::Directory(directory.into()), directory, books);
        let key = books.recording.key(Key::Str(String::from_utf8_lossy(name).into()));
        Location::new(object, Part::Key(key))
    }

    fn entry_of(
        &mut self,
        directory: &[u8],
        name: &[u8],
        is_replaced: bool,
        books: &mut Books<'_>,
    ) -> Location {
        let at = self.place_of(directory, name, books);
        let path = [directory, b"/", name].concat();
        self.touch(at, is_replaced, books, || i64::from(as_path(&path).symlink_metadata().is_ok()));
        at
    }

    /// All entries of the directory at a path.
    pub fn entries(&mut self, path: &[u8], books: &mut Books<'_>) -> Location {
        let path = if path == b"/" { &[][..] } else { path };
        Location::new(self.number(Thing::Directory(path.into()), path, books), Part::Whole)
    }

    /// All contents of the file with an inode that was found at a path; `is_replaced` if it does not matter what they were.
    pub fn contents(
        &mut self,
        path: &[u8],
        inode: Option<Inode>,
        is_replaced: bool,
        books: &mut Books<'_>,
    ) -> Location {
        let birth = inode.and_then(|inode| self.births.get(&inode)).copied();
        let thing = inode.map_or(Thing::Content(path.into()), |inode| Thing::File(inode, birth.unwrap_or(0)));
        let object = self.number(thing, path, books);
        // What has been made in this execution has begun with nothing.
        let is_made = birth.is_some() || as_path(path).is_symlink() && self.has_made(path);
        let is_replaced = is_replaced || is_made;
        self.touch(Location::new(object, Part::State), is_replaced, books, || digest(as_path(path)));
        Location::new(object, Part::Whole)
    }

    /// The contents of the database at a path, whatever they were before.
    pub fn database(&mut self, path: &[u8], books: &mut Books<'_>) -> Location {
        Location::new(self.number(Thing::Content(path.into()), path, books), Part::State)
    }

    /// How many names a file has.
    pub fn links(&mut self, contents: Location, books: &mut Books<'_>) -> Location {
        let label = self.labels.get(&contents.object).cloned().unwrap_or_default();
        let object = self.number(Thing::Links(contents.object), label.as_bytes(), books);
        Location::new(object, Part::Whole)
    }

    /// That a file has the name that is meant. That one name comes and another one goes is in conflict with those alone who
    /// ask for the number of names.
    pub fn link_of(&mut self, contents: Location, walk: &Walk, books: &mut Books<'_>) -> Location {
        let all = self.links(contents, books);
        let key = books.recording.key(Key::Str(String::from_utf8_lossy(&walk.target).into()));
        Location::new(all.object, Part::Key(key))
    }

    /// Whether the entry at a path is there because this execution has made it.
    pub fn has_made(&self, path: &[u8]) -> bool {
        self.made.contains(path)
    }

    /// Notes that this execution makes the entry at a path, or removes it.
    pub fn note_entry(&mut self, path: &[u8], is_there: bool) {
        if is_there {
            self.made.insert(path.into());
        } else {
            self.made.remove(path);
        }
    }

    /// Whether an event has touched a location.
    pub fn is_touched(&self, at: Location) -> bool {
        self.touched.contains(&at)
    }

    /// Notes what the first event that touches it finds, unless what happens does not depend on that.
    pub fn touch(
        &mut self,
        at: Location,
        is_replaced: bool,
        books: &mut Books<'_>,
        found: impl FnOnce() -> i64,
    ) {
        if self.touched.insert(at) && !is_replaced {
            books.recording.initial(at, || Value::Int(found()));
        }
    }

    /// Notes that the program changes something outside.
    pub fn note_change(&mut self, books: &mut Books<'_>) {
        if !std::mem::replace(&mut self.has_changed, true) {
            let object = books.identities.fresh();
            books.recording.named_object(object, outside::CHANGED, "outside");
        }
    }

    /// The open file behind a descriptor. A number that is not open stands for the open file that it was last, since
    /// that is who closed it.
    pub fn open_file(
        &mut self,
        fd: i32,
        generation: u64,
        path: &[u8],
        books: &mut Books<'_>,
    ) -> Option<Location> {
        let generation = if generation == 0 { *self.last.get(&fd)? } else { generation };
        self.last.insert(fd, generation);
        let known = self.numbers.get(&Thing::Open(generation)).copied();
        let object = known.unwrap_or_else(|| {
            let label = format!("open {}", shown(path));
            self.enter(Thing::Open(generation), outside::OPEN_FILE, &label, books)
        });
        Some(Location::new(object, Part::State))
    }

    /// The lock of the database at a path.
    pub fn lock(&mut self, path: &[u8], books: &mut Books<'_>) -> ObjectId {
        self.number(Thing::Lock(path.into()), path, books)
    }

    /// The flag of a database with this name, which begins with the database's path.
    pub fn flag(&mut self, name: &[u8], books: &mut Books<'_>) -> ObjectId {
        self.number(Thing::Flag(name.into()), name, books)
    }

    /// The lock of a buffered file, an object of this class.
    pub fn buffer_lock(&mut self, buffer: ObjectId, class: &str, books: &mut Books<'_>) -> ObjectId {
        let thing = Thing::Buffer(buffer);
        if let Some(known) = self.numbers.get(&thing) {
            return *known;
        }
        let lock = books.identities.fresh();
        books.recording.object(lock, &format!("lock of a {class}"), None);
        self.numbers.insert(thing, lock);
        lock
    }

    /// Notes that a file was made at a path and has this inode now.
    pub fn note_birth(&mut self, inode: Inode, path: &[u8], books: &mut Books<'_>) {
        *self.births.entry(inode).or_default() += 1;
        self.contents(path, Some(inode), true, books);
    }

    /// The lock of a file and which open file holds it, or the one that is `of_processes` and which process does.
    pub fn file_lock(
        &mut self,
        inode: Inode,
        of_processes: bool,
        path: &[u8],
        books: &mut Books<'_>,
    ) -> (ObjectId, Option<u64>) {
        let birth = self.births.get(&inode).copied().unwrap_or(0);
        let thing =
            if of_processes { Thing::ProcessLock(inode, birth) } else { Thing::FileLock(inode, birth) };
        let lock = self
            .numbers
            .get(&thing)
            .copied()
            .unwrap_or_else(|| self.enter(thing, "lock", &lock_of(&shown(path)), books));
        (lock, self.lock_holders.get(&lock).copied())
    }

    /// The locks of files whose holders are among these.
    pub fn locks_held_by(&self, holders: std::ops::Range<u64>) -> Vec<ObjectId> {
        let held = self.lock_holders.iter().filter(|(_, holder)| holders.contains(holder));
        let mut locks: Vec<ObjectId> = held.map(|(lock, _)| *lock).collect();
        locks.sort_unstable();
        locks
    }

    /// Sets which open file holds a lock; returns which one did.
    pub fn set_lock_holder(&mut self, lock: ObjectId, holder: Option<u64>) -> Option<u64> {
        match holder {
            Some(holder) => self.lock_holders.insert(lock, holder),
            None => self.lock_holders.remove(&lock),
        }
    }

    /// The number of a channel.
    pub fn channel(&mut self, channel: &Channel, books: &mut Books<'_>) -> ObjectId {
        self.number(Thing::Channel(channel.clone()), &[], books)
    }

    /// The number of a thing, which is called by a path, unless it has a name of its own.
    fn number(&mut self, thing: Thing, path: &[u8], books: &mut Books<'_>) -> ObjectId {
        if let Some(known) = self.numbers.get(&thing) {
            return *known;
        }
        let (kind, label) = match &thing {
            Thing::File(..) | Thing::Content(_) => (outside::FILE, shown(path)),
            Thing::Links(_) => (outside::FILE_NAMES, String::from_utf8_lossy(path).into()),
            Thing::Directory(path) if path.is_empty() => (outside::DIRECTORY, "/".to_owned()),
            Thing::Directory(path) => (outside::DIRECTORY, shown(path)),
            Thing::Lock(path) => ("lock", lock_of(&shown(path))),
            Thing::Flag(name) => ("event", shown(name)),
            Thing::FileLock((_, inode), _) | Thing::ProcessLock((_, inode), _) => {
                ("lock", lock_of(&format!("file {inode}")))
            }
            Thing::Buffer(_) => ("lock", lock_of("a buffered file")),
            Thing::Open(generation) => (outside::OPEN_FILE, generation.to_string()),
            Thing::Channel(channel) => (outside::CHANNEL, channel.label().to_owned()),
        };
        let is_file = matches!(thing, Thing::File(..));
        let object = self.enter(thing, kind, &label, books);
        if is_file {
            self.labels.insert(object, label);
        }
        object
    }

    fn enter(&mut self, thing: Thing, kind: &str, label: &str, books: &mut Books<'_>) -> ObjectId {
        let object = books.identities.fresh();
        books.recording.named_object(object, kind, label);
        self.numbers.insert(thing, object);
        object
    }
}

/// What a lock outside is called.
pub fn lock_of(what: &str) -> String {
    format!("{}{what}", outside::LOCK_OF)
}

/// The inode of what is at a path, which is looked up already.
pub fn inode_at(path: &[u8]) -> Option<Inode> {
    as_path(path).symlink_metadata().ok().map(|status| (status.dev(), status.ino()))
}

/// Whether a directory is at a path.
pub fn is_directory(path: &[u8]) -> bool {
    as_path(path).symlink_metadata().is_ok_and(|status| status.is_dir())
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// A hash of a file's contents, of a long one its length is enough, or of where a link leads.
fn digest(path: &Path) -> i64 {
    match path.symlink_metadata() {
        Ok(status) if status.is_symlink() => {
            std::fs::read_link(path).map_or(0, |to| content_hash(to.as_os_str().as_bytes()) as i64)
        }
        Ok(status) if !status.is_file() => 0,
        Ok(status) if status.len() > LONGEST_HASHED => status.len() as i64,
        _ => std::fs::read(path).map_or(0, |content| content_hash(&content) as i64),
    }
}

/// A path as reports print it: relative if it is below the working directory.
fn shown(path: &[u8]) -> String {
    let path = as_path(path);
    let here = std::env::current_dir().unwrap_or_default();
    let below = path.strip_prefix(&here).ok().filter(|rest| !rest.as_os_str().is_empty());
    below.unwrap_or(path).display().to_string()
}
