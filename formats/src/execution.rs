//! One recorded run: header, tables, events, end.

use crate::event::{Block, Event, Pending};
use crate::id::{ObjectId, SiteId, StringId, ThreadId, ThreadPath};
use crate::input::Input;
use crate::location::Location;
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::schedule::Schedule;
use crate::semantics::{Value, changes};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What is known before the run: written first, so that it survives whatever the run does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What was run.
    pub target: Target,
    /// Where it was run.
    pub environment: Environment,
    /// The order that was to be enforced.
    pub schedule: Schedule,
    /// The [`Schedule::id`] of the work item whose execution this one's item was derived from, if any.
    pub parent: Option<u64>,
}

/// What was run, in a form that can be run again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The command line after `frontrun record`, e.g. `["python", "script.py", "arg"]`.
    pub command: Vec<String>,
    /// For an exploration that was called from within a program: `file:line:function#ordinal` of the call.
    pub call: Option<String>,
}

/// Where a run happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of frontrun.
    pub tool: String,
    /// Working directory.
    pub directory: String,
    /// `sys.version`.
    pub python: String,
    /// `(major, minor, micro)` of CPython.
    pub python_version: (u8, u8, u8),
    /// `sys.executable`.
    pub executable: String,
    /// Flags that change behaviour, as `(name, value)`: `-O`, `-X` options, whether the GIL is enabled, scope.
    pub flags: Vec<(String, String)>,
    /// `PYTHONHASHSEED` in force.
    pub hash_seed: String,
    /// Operating system and machine.
    pub platform: String,
}

/// A file that the execution ran code of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Path as in the code object.
    pub path: String,
    /// xxh3 of the content.
    pub hash: u64,
    /// The content, unless it was left out on request or is out of scope.
    pub text: Option<String>,
}

/// A place in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Path of the file.
    pub file: StringId,
    /// Qualified name of the function.
    pub function: StringId,
    /// First line, from 1; 0 when unknown.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// First column in UTF-8 bytes, from 0; -1 when unknown.
    pub column: i32,
    /// Column behind the last one.
    pub end_column: i32,
    /// Index of the instruction in the code object as compiled (code units), which tells apart sites of one
    /// source position.
    pub unit: u32,
}

/// A thread of the execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadInfo {
    /// The name across executions.
    pub path: ThreadPath,
    /// The program's name for it.
    pub name: String,
}

/// An object that was named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Name of its type.
    pub type_name: StringId,
    /// How a report calls it, e.g. `Counter#1` or `Lock made at app.py:12`.
    pub label: StringId,
}

/// One recorded run, as the reader gives it. Events are in execution order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// Written before the run.
    pub header: Header,
    /// Texts of the other tables.
    pub strings: Vec<String>,
    /// Printable forms of keys, by [`crate::KeyId`].
    pub keys: Vec<StringId>,
    /// Places in the source.
    pub sites: Vec<Site>,
    /// Objects named in events.
    pub objects: Vec<ObjectInfo>,
    /// Threads in order of creation; the main thread is number 0.
    pub threads: Vec<ThreadInfo>,
    /// The abstract value that stateful locations had before the first event; others are 0.
    pub initial: Vec<(Location, Value)>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What each unfinished thread was about to do at the end.
    pub pending: Vec<Pending>,
    /// What servers outside the process have told, if that was recorded.
    pub inputs: Vec<Input>,
    /// The source files.
    pub sources: Vec<Source>,
    /// `repr` of what the caller asked to observe after the run.
    pub observed: Option<String>,
    /// How it ended; `None` when the recording was cut off.
    pub outcome: Option<Outcome>,
    /// Whether the end of the recording is missing (killed, truncated): everything above is what was saved.
    pub truncated: bool,
}

impl Execution {
    /// The locations that some thread waits to be changed, each once, in order.
    pub fn awaited(&self) -> Vec<Location> {
        let events = self.events.iter().map(|event| &event.operation);
        let operations = events.chain(self.pending.iter().map(|pending| &pending.operation));
        let mut all: Vec<Location> = operations.flat_map(changes::awaited).copied().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The text of a string id; empty for an id that the file does not define.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id.index()).map_or("", String::as_str)
    }

    /// The site of an id.
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(id.index())
    }

    /// The label of an object.
    pub fn label(&self, id: ObjectId) -> &str {
        self.objects.get(id.index()).map_or("", |object| self.text(object.label))
    }

    /// What was atomic, as ranges of [`Execution::events`]: an event alone, or the events of an opaque block. A schedule
    /// has one entry for each.
    pub fn units(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let (this, behind) = self.events.get(start..)?.split_first()?;
            let later = |event: &&Event| event.block == Block::Later && event.thread == this.thread;
            let length = if this.block == Block::Alone { 0 } else { behind.iter().take_while(later).count() };
            let unit = start..start + 1 + length;
            start = unit.end;
            Some(unit)
        })
    }

    /// The path of a thread.
    pub fn path(&self, id: ThreadId) -> Option<&ThreadPath> {
        self.threads.get(id.index()).map(|thread| &thread.path)
    }

    /// Whether the program has changed something outside its process, so that it must not run beside another.
    pub fn changes_outside(&self) -> bool {
        self.objects.iter().any(|object| self.text(object.type_name) == outside::CHANGED)
    }

    /// Whether the program ended although some thread could have gone on, which is recorded as pausing.
    pub fn leaves_threads_behind(&self) -> bool {
        self.pending.iter().any(|pending| pending.operation == Operation::Pause)
    }

    /// What a schedule entry for this event expects, see [`crate::ScheduleEntry::expect`]. Never 0.
    pub fn fingerprint(&self, event: &Event) -> u32 {
        let Some(site) = self.site(event.site) else { return 1 };
        fingerprint(event.operation.kind(), self.text(site.file), site)
    }
}

/// Type names of the objects that stand for what lies outside the process.
pub mod outside {
    /// The contents of a file. An initial value is a hash of them.
    pub const FILE: &str = "file";
    /// How many names a file has.
    pub const FILE_NAMES: &str = "names of a file";
    /// An open file: its position, and that it is open.
    pub const OPEN_FILE: &str = "open file";
    /// What is sent and received.
    pub const CHANNEL: &str = "channel";
    /// How the label of a lock begins that is outside; it goes on with what the lock is of.
    pub const LOCK_OF: &str = "the lock of ";
    /// The entries of a directory. An initial value is 1 for an entry that is there.
    pub const DIRECTORY: &str = "directory";
    /// The rows of a table of a database. An initial value is a digest of all of them.
    pub const TABLE: &str = "table";
    /// A key of a Redis server. An initial value is a hash of its value, or of its length.
    pub const KEY: &str = "key";
    /// All of what a server keeps.
    pub const SERVER: &str = "server";
    /// An object of this type says that the program has changed something outside.
    pub const CHANGED: &str = "outside";
    /// All of these.
    pub const ALL: [&str; 9] = [FILE, FILE_NAMES, OPEN_FILE, CHANNEL, DIRECTORY, TABLE, KEY, SERVER, CHANGED];
}

/// The fingerprint of an operation kind at a source position: equal in every run of one program on one CPython
/// version. Never 0. `file` is the text of `site.file`.
pub fn fingerprint(kind: u8, file: &str, site: &Site) -> u32 {
    // What a data access is may hang on the state (an update or an insertion, one element or the end), so one at the
    // same place is the same event; a synchronisation operation is always of one kind.
    let kind = if is_data(kind) { 0 } else { kind };
    if is_of_a_loop(kind) {
        // Where a task has suspended is known to its loop alone.
        return (u32::from(kind) << 1) | 1;
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    for word in [u32::from(kind), site.line, site.column as u32, site.unit] {
        hash = (hash ^ u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
    (hash >> 32) as u32 | 1
}

/// Whether operations of this kind act on data, not on synchronisation.
fn is_data(kind: u8) -> bool {
    matches!(kind, 0..=2 | 10..=17 | 35..=37)
}

/// Whether operations of this kind say that an event loop lets somebody go on.
pub fn is_of_a_loop(kind: u8) -> bool {
    matches!(kind, 46 | 47 | 51)
}

/// The hash of a source file's content, as in [`Source::hash`].
pub fn content_hash(content: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(content)
}
