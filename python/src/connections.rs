//! The connections of a run to servers, and names for what lies there.
//!
//! Not here: when steps are taken, and which (servers).

use crate::outside::{Books, lock_of};
use frontrun_formats::execution::outside;
use frontrun_formats::{Location, ObjectId, Part, Value};
use frontrun_recorder::key::Key;
use frontrun_recorder::servers::commands;
use frontrun_recorder::servers::postgres::Dialogue;
use frontrun_recorder::servers::redis;
use frontrun_recorder::servers::table::Table;
use rustc_hash::{FxHashMap, FxHashSet};
use std::os::fd::RawFd;
use std::rc::Rc;

/// Which connection: a descriptor, and which opening of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub fd: RawFd,
    pub generation: u64,
}

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speech {
    /// Nothing has been said.
    #[default]
    Fresh,
    Postgres,
    Redis,
    Unknown,
}

/// What a transaction has done so far.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Whether it has done anything.
    pub is_used: bool,
    /// What its end makes visible, or lets others have.
    pub written: Vec<Location>,
    /// What its end makes visible, unless it is rolled back: until then it has the locks of these rows.
    pub changed: Vec<Location>,
    /// What others may wait for until its end, although it does not change.
    pub held: Vec<Location>,
    /// Locks of rows that it holds.
    pub locks: Vec<ObjectId>,
    /// Whether it holds locks that are not in `locks`, nobody knows which.
    pub is_opaque: bool,
    /// The tables in which it holds locks that are not in `locks`.
    pub locked: FxHashSet<String>,
    /// Whether each of its statements sees what has been committed before it. `None` if that has to be asked.
    pub is_read_committed: Option<bool>,
}

/// What the request under way will have done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub reads: Vec<Location>,
    pub writes: Vec<Location>,
    /// Locks that were taken for it alone.
    pub taken: Vec<ObjectId>,
    pub ends: bool,
    /// It ends a transaction otherwise than by rolling back.
    pub commits: bool,
    pub goodbye: bool,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Connection {
    pub speech: Speech,
    /// Where the server is.
    pub server: String,
    pub dialogue: Dialogue,
    pub redis: redis::Dialogue,
    pub transaction: Transaction,
    pub plan: Option<Plan>,
    /// Whether something has been sent and nothing received since.
    pub is_waiting: bool,
    /// Whether the server has ever been asked for anything.
    pub was_asked: bool,
    /// Whether somebody has looked for the answer since.
    pub was_looked_for: bool,
    /// How many bytes are there to be read that are known to belong to answers.
    pub answered: u64,
    /// Its number among those that inputs are recorded of, or told on.
    pub number: Option<u32>,
    /// What those who wait for it have left.
    pub left: Vec<ObjectId>,
}

/// The connections of a run.
#[derive(Debug, Default)]
pub struct Servers {
    connections: FxHashMap<Id, Connection>,
    objects: FxHashMap<(&'static str, String), ObjectId>,
    tables: FxHashMap<(String, String), Option<Rc<Table>>>,
    /// Whether something has been done of which nobody knows what it changed.
    pub is_unknown: bool,
}

impl Servers {
    /// Notes a new connection.
    pub fn open(&mut self, id: Id, resource: &[u8], number: Option<u32>) {
        let name = resource.strip_prefix(b"socket:").unwrap_or(resource);
        let server = String::from_utf8_lossy(name).into_owned();
        self.connections.insert(id, Connection { server, number, ..Connection::default() });
    }

    /// Forgets a connection.
    pub fn close(&mut self, id: Id) {
        self.connections.remove(&id);
    }

    /// The connection that a descriptor leads to.
    pub fn at(&self, fd: RawFd) -> Option<Id> {
        self.connections.keys().filter(|id| id.fd == fd).max_by_key(|id| id.generation).copied()
    }

    /// The protocol of a connection, if it is one to a server.
    pub fn speech(&self, id: Id) -> Option<Speech> {
        self.connections.get(&id).map(|connection| connection.speech)
    }

    /// Whether the server says nothing on this connection but answers, all of which have come.
    pub fn answers_only(&self, id: Id) -> bool {
        let known = self.connections.get(&id);
        known.is_some_and(|connection| connection.speech == Speech::Redis && !connection.awaits_answer())
    }

    /// Sets the protocol of a connection.
    pub fn set_speech(&mut self, id: Id, speech: Speech) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.speech = speech;
        }
    }

    /// The connection.
    pub fn get(&mut self, id: Id) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// All other connections to the same server, in a fixed order.
    pub fn others(&self, id: Id) -> Vec<Id> {
        let Some(server) = self.connections.get(&id).map(|connection| &connection.server) else {
            return Vec::new();
        };
        let mut found: Vec<Id> = self
            .connections
            .iter()
            .filter(|(other, connection)| **other != id && connection.server == *server)
            .map(|(other, _)| *other)
            .collect();
        found.sort_unstable_by_key(|other| other.generation);
        found
    }

    /// The connections that have numbers, in their order.
    pub fn numbered(&self) -> Vec<(Id, u32)> {
        let all = self.connections.iter();
        let mut found: Vec<(Id, u32)> = all.filter_map(|(id, at)| Some((*id, at.number?))).collect();
        found.sort_unstable_by_key(|(_, number)| *number);
        found
    }

    /// Takes note of what was sent.
    pub fn note_sent(&mut self, id: Id, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.is_waiting |= !bytes.is_empty();
        connection.was_asked |= !bytes.is_empty();
        connection.was_looked_for &= bytes.is_empty();
        match connection.speech {
            Speech::Postgres => drop(connection.dialogue.send(bytes)),
            Speech::Redis => drop(connection.redis.send(bytes)),
            Speech::Fresh | Speech::Unknown => {}
        }
    }

    /// Notes that nothing more will be sent, or heard: who has heard all answers with the rest and the end.
    pub fn note_shut(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_waiting = true;
            connection.was_asked = true;
        }
    }

    /// Takes note of what was received, and how many bytes are left there.
    pub fn note_received(&mut self, id: Id, bytes: &[u8], left: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.answered = if connection.awaits_answer() {
            left
        } else {
            connection.answered.saturating_sub(bytes.len() as u64)
        };
        connection.is_waiting &= bytes.is_empty();
        let is_readable = match connection.speech {
            Speech::Postgres => {
                connection.dialogue.receive(bytes);
                connection.dialogue.is_readable()
            }
            Speech::Redis => {
                connection.redis.receive(bytes);
                connection.redis.is_readable()
            }
            Speech::Fresh | Speech::Unknown => true,
        };
        if !is_readable {
            connection.speech = Speech::Unknown;
        }
    }

    /// What everything at a server has in common: a request that may do anything writes it, all others read it.
    pub fn anything(&mut self, server: &str, books: &mut Books<'_>) -> Location {
        Location::new(self.object(outside::SERVER, server, server, books), Part::State)
    }

    /// The object of a kind that stands for something at a server.
    pub fn object(&mut self, kind: &'static str, name: &str, label: &str, books: &mut Books<'_>) -> ObjectId {
        *self.objects.entry((kind, name.to_owned())).or_insert_with(|| {
            let object = books.identities.fresh();
            books.recording.named_object(object, kind, label);
            object
        })
    }

    /// Whether a table is known, and the table.
    pub fn table(&self, server: &str, name: &str) -> Option<Option<Rc<Table>>> {
        self.tables.get(&(server.to_owned(), name.to_owned())).cloned()
    }

    /// Takes note of a table, and of what it holds at the beginning if that is known.
    pub fn learn(
        &mut self,
        server: &str,
        name: &str,
        table: Option<Table>,
        digest: Option<i64>,
        books: &mut Books<'_>,
    ) {
        if let (Some(table), Some(digest)) = (&table, digest) {
            let at = Location::new(self.rows(server, table, books), Part::State);
            books.recording.initial(at, || Value::Int(digest));
        }
        self.tables.insert((server.to_owned(), name.to_owned()), table.map(Rc::new));
    }

    /// Forgets what is known of tables: they may have changed.
    pub fn forget_tables(&mut self) {
        self.tables.clear();
        self.is_unknown = true;
    }

    /// The object whose keys are the rows of a table.
    pub fn rows(&mut self, server: &str, table: &Table, books: &mut Books<'_>) -> ObjectId {
        self.object(outside::TABLE, &format!("{server} {}", table.name), &table.name, books)
    }

    /// The object whose keys say which rows of a table are there.
    pub fn presence(&mut self, server: &str, table: &Table, books: &mut Books<'_>) -> ObjectId {
        let label = format!("existence of {}", table.name);
        self.object("existence of rows", &format!("{server} {}", table.name), &label, books)
    }

    /// Where a row without a key of its own gets one.
    pub fn numbering(&mut self, server: &str, table: &Table, books: &mut Books<'_>) -> Location {
        let label = format!("next row of {}", table.name);
        let object = self.object("next row", &format!("{server} {}", table.name), &label, books);
        Location::new(object, Part::State)
    }

    /// The lock of a row.
    pub fn lock(&mut self, server: &str, table: &Table, row: &str, books: &mut Books<'_>) -> ObjectId {
        let label = lock_of(&format!("{}[{row}]", table.name));
        self.object("lock", &format!("{server} {} {row}", table.name), &label, books)
    }

    /// A key of Redis, or a field of it; whether it is met for the first time.
    pub fn key(
        &mut self,
        server: &str,
        database: i64,
        (key, field): &commands::Key,
        books: &mut Books<'_>,
    ) -> (Location, bool) {
        let shown = String::from_utf8_lossy(key).into_owned();
        let label = if database == 0 { shown } else { format!("{shown} in database {database}") };
        let name = format!("{server}/{database} {}", key.escape_ascii());
        let is_new = !self.objects.contains_key(&(outside::KEY, name.clone()));
        let object = self.object(outside::KEY, &name, &label, books);
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Key::Str(text.into()),
            Err(_) => Key::Bytes(bytes.into()),
        };
        let part = field.as_ref().map_or(Part::Whole, |field| Part::Key(books.recording.key(text(field))));
        (Location::new(object, part), is_new)
    }

    /// Whether an object is a key of Redis, or all of what a server keeps.
    pub fn is_served(&self, object: ObjectId) -> bool {
        let served = [outside::KEY, outside::SERVER];
        self.objects.iter().any(|((kind, _), known)| served.contains(kind) && *known == object)
    }

    /// Leaves a new event with a connection.
    pub fn leave_event(&mut self, id: Id, books: &mut Books<'_>) -> Option<ObjectId> {
        let connection = self.connections.get_mut(&id)?;
        let event = books.identities.fresh();
        books.recording.named_object(event, "event", &format!("a transaction on {}", connection.server));
        connection.left.push(event);
        Some(event)
    }
}

impl Connection {
    /// Whether the server has not answered all that it was asked for, as far as that can be told.
    pub fn awaits_answer(&self) -> bool {
        match self.speech {
            Speech::Redis => self.redis.outstanding() > 0,
            Speech::Postgres => self.is_waiting || self.dialogue.outstanding > 0,
            Speech::Fresh | Speech::Unknown => self.is_waiting,
        }
    }

    /// The database: where it is, and its name.
    pub fn database(&self) -> String {
        format!("{}/{}", self.server, self.dialogue.database)
    }
}

/// A part of an object that is named by a row; all of it if none is.
pub fn part(object: ObjectId, row: Option<&str>, books: &mut Books<'_>) -> Location {
    let part = row.map_or(Part::Whole, |row| Part::Key(books.recording.key(Key::Str(row.into()))));
    Location::new(object, part)
}
