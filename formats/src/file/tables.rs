//! How many rows each table has so far, and that whatever refers to a row refers to one of these.
//!
//! Reader and writer ask the same questions here, so that what one accepts the other does.

use super::error::Fault;
use crate::execution::{ObjectInfo, Site};
use crate::id::{KeyId, ObjectId, SiteId, StringId, ThreadId};
use crate::location::{Location, Part};

/// Row counts of the tables of one file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tables {
    strings: u32,
    keys: u32,
    sites: u32,
    objects: u32,
    threads: u32,
}

/// The new rows of one delta, without its events.
pub(super) struct Rows<'a> {
    pub(super) strings: usize,
    pub(super) keys: &'a [StringId],
    pub(super) sites: &'a [Site],
    pub(super) objects: &'a [ObjectInfo],
    pub(super) threads: usize,
}

impl Tables {
    /// The counts with new rows added, all of whose references are defined.
    pub(super) fn with(mut self, rows: &Rows<'_>) -> Result<Tables, Fault> {
        grow(&mut self.strings, rows.strings, "strings")?;
        grow(&mut self.keys, rows.keys.len(), "keys")?;
        grow(&mut self.sites, rows.sites.len(), "sites")?;
        grow(&mut self.objects, rows.objects.len(), "objects")?;
        grow(&mut self.threads, rows.threads, "threads")?;
        for key in rows.keys {
            self.string(*key)?;
        }
        for site in rows.sites {
            self.string(site.file)?;
            self.string(site.function)?;
        }
        for object in rows.objects {
            self.string(object.type_name)?;
            self.string(object.label)?;
        }
        Ok(self)
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> u32 {
        self.threads
    }

    pub(super) fn string(&self, id: StringId) -> Result<StringId, Fault> {
        defined("string", id.0, self.strings).map(StringId)
    }

    pub(super) fn key(&self, id: KeyId) -> Result<KeyId, Fault> {
        defined("key", id.0, self.keys).map(KeyId)
    }

    pub(super) fn site(&self, id: SiteId) -> Result<SiteId, Fault> {
        defined("site", id.0, self.sites).map(SiteId)
    }

    pub(super) fn object(&self, id: ObjectId) -> Result<ObjectId, Fault> {
        defined("object", id.0, self.objects).map(ObjectId)
    }

    pub(super) fn thread(&self, id: ThreadId) -> Result<ThreadId, Fault> {
        defined("thread", id.0, self.threads).map(ThreadId)
    }

    /// [`ObjectId::THREADS`] has the flags of threads, and they are nowhere else; all of it is a location, too.
    pub(super) fn location(&self, at: Location) -> Result<Location, Fault> {
        match (at.object, at.part) {
            (ObjectId::THREADS, Part::Started(thread) | Part::Ended(thread)) => {
                self.thread(thread)?;
                return Ok(at);
            }
            (ObjectId::THREADS, Part::Whole) => return Ok(at),
            (ObjectId::THREADS, _) | (_, Part::Started(_) | Part::Ended(_)) => return Err(Fault::ThreadFlag),
            (object, Part::Name(name)) => self.string(name).and(self.object(object))?,
            (object, Part::Key(key)) => self.key(key).and(self.object(object))?,
            (object, Part::Notified(thread)) => self.thread(thread).and(self.object(object))?,
            (object, Part::Whole | Part::Shape | Part::State | Part::Index(_) | Part::Generation) => {
                self.object(object)?
            }
        };
        Ok(at)
    }
}

/// The largest id of a table is kept free: [`ObjectId::THREADS`] is no row.
fn grow(count: &mut u32, rows: usize, table: &'static str) -> Result<(), Fault> {
    let sum = u32::try_from(rows).ok().and_then(|rows| count.checked_add(rows));
    *count = sum.ok_or(Fault::Full(table))?;
    Ok(())
}

fn defined(table: &'static str, id: u32, size: u32) -> Result<u32, Fault> {
    if id < size { Ok(id) } else { Err(Fault::Undefined { table, id, size }) }
}
