//! The columns that events, pending operations and initial values are stored in.
//!
//! Each column holds one sort of thing, because like compresses well with like. Ids that repeat or count up are
//! stored as the zigzag difference to the last one of their sort, which starts at 0 for every thread.

use super::error::Fault;
use super::tables::Tables;
use super::varint::{Cursor, put, unzigzag, zigzag};
use crate::id::{KeyId, ObjectId, SiteId, StringId, ThreadId};
use crate::location::{Location, Part};
use serde::{Deserialize, Serialize};

/// The columns as they are in a record. A row has exactly one byte in `kinds`.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Columns<'a> {
    /// What sort of row it is: an operation's kind and its block, or a value's kind.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) kinds: &'a [u8],
    /// An event's result.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) results: &'a [u8],
    /// Differences of site ids.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) sites: &'a [u8],
    /// Differences of object ids.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) objects: &'a [u8],
    /// A byte per location: which sort of part.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) parts: &'a [u8],
    /// Everything else: differences of names, keys and indices; threads and counts as they are.
    #[serde(borrow, with = "serde_bytes")]
    pub(super) numbers: &'a [u8],
}

/// The last id of each sort, which the next one is stored relative to.
#[derive(Clone, Copy, Default)]
struct Last {
    site: u32,
    object: u32,
    name: u32,
    key: u32,
    index: i64,
}

const WHOLE: u8 = 0;
const SHAPE: u8 = 1;
const STATE: u8 = 2;
const NAME: u8 = 3;
const KEY: u8 = 4;
const INDEX: u8 = 5;
const GENERATION: u8 = 6;
const NOTIFIED: u8 = 7;
const STARTED: u8 = 8;
const ENDED: u8 = 9;

/// Fills columns. It keeps its buffers, so one encoder serves many frames.
#[derive(Default)]
pub(super) struct Encoder {
    kinds: Vec<u8>,
    results: Vec<u8>,
    sites: Vec<u8>,
    objects: Vec<u8>,
    parts: Vec<u8>,
    numbers: Vec<u8>,
    last: Last,
    tables: Tables,
}

impl Encoder {
    /// Empties the columns. What follows may refer to the rows of `tables`.
    pub(super) fn clear(&mut self, tables: Tables) {
        let columns = [
            &mut self.kinds,
            &mut self.results,
            &mut self.sites,
            &mut self.objects,
            &mut self.parts,
            &mut self.numbers,
        ];
        columns.into_iter().for_each(Vec::clear);
        self.last = Last::default();
        self.tables = tables;
    }

    /// What was put in.
    pub(super) fn columns(&self) -> Columns<'_> {
        Columns {
            kinds: &self.kinds,
            results: &self.results,
            sites: &self.sites,
            objects: &self.objects,
            parts: &self.parts,
            numbers: &self.numbers,
        }
    }

    /// Starts the rows of another thread.
    pub(super) fn restart(&mut self) {
        self.last = Last::default();
    }

    pub(super) fn kind(&mut self, kind: u8) {
        self.kinds.push(kind);
    }

    pub(super) fn result(&mut self, result: u8) {
        self.results.push(result);
    }

    pub(super) fn number(&mut self, number: u32) {
        put(&mut self.numbers, u64::from(number));
    }

    pub(super) fn signed(&mut self, number: i64) {
        put(&mut self.numbers, zigzag(number));
    }

    pub(super) fn index(&mut self, index: i64) {
        put(&mut self.numbers, zigzag(index.wrapping_sub(self.last.index)));
        self.last.index = index;
    }

    pub(super) fn site(&mut self, site: SiteId) -> Result<(), Fault> {
        put_difference(&mut self.sites, &mut self.last.site, self.tables.site(site)?.0);
        Ok(())
    }

    pub(super) fn object(&mut self, object: ObjectId) -> Result<(), Fault> {
        put_difference(&mut self.objects, &mut self.last.object, self.tables.object(object)?.0);
        Ok(())
    }

    pub(super) fn key(&mut self, key: KeyId) -> Result<(), Fault> {
        put_difference(&mut self.numbers, &mut self.last.key, self.tables.key(key)?.0);
        Ok(())
    }

    pub(super) fn thread(&mut self, thread: ThreadId) -> Result<(), Fault> {
        self.number(self.tables.thread(thread)?.0);
        Ok(())
    }

    pub(super) fn location(&mut self, at: Location) -> Result<(), Fault> {
        self.tables.location(at)?;
        put_difference(&mut self.objects, &mut self.last.object, at.object.0);
        let part = match at.part {
            Part::Whole => WHOLE,
            Part::Shape => SHAPE,
            Part::State => STATE,
            Part::Generation => GENERATION,
            Part::Name(StringId(name)) => {
                put_difference(&mut self.numbers, &mut self.last.name, name);
                NAME
            }
            Part::Key(KeyId(key)) => {
                put_difference(&mut self.numbers, &mut self.last.key, key);
                KEY
            }
            Part::Index(index) => {
                self.index(i64::from(index));
                INDEX
            }
            Part::Notified(ThreadId(thread)) => {
                self.number(thread);
                NOTIFIED
            }
            Part::Started(ThreadId(thread)) => {
                self.number(thread);
                STARTED
            }
            Part::Ended(ThreadId(thread)) => {
                self.number(thread);
                ENDED
            }
        };
        self.parts.push(part);
        Ok(())
    }
}

/// Reads columns. Each method is the inverse of the [`Encoder`]'s of the same name.
pub(super) struct Decoder<'a> {
    kinds: Cursor<'a>,
    results: Cursor<'a>,
    sites: Cursor<'a>,
    objects: Cursor<'a>,
    parts: Cursor<'a>,
    numbers: Cursor<'a>,
    last: Last,
    tables: Tables,
}

impl<'a> Decoder<'a> {
    /// A decoder at the first row, which may refer to the rows of `tables`.
    pub(super) fn new(columns: &Columns<'a>, tables: Tables) -> Self {
        Decoder {
            kinds: Cursor::new("kinds", columns.kinds),
            results: Cursor::new("results", columns.results),
            sites: Cursor::new("sites", columns.sites),
            objects: Cursor::new("objects", columns.objects),
            parts: Cursor::new("parts", columns.parts),
            numbers: Cursor::new("numbers", columns.numbers),
            last: Last::default(),
            tables,
        }
    }

    /// Starts the rows of another thread.
    pub(super) fn restart(&mut self) {
        self.last = Last::default();
    }

    /// That every column was read to its end.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let columns = [self.kinds, self.results, self.sites, self.objects, self.parts, self.numbers];
        columns.into_iter().try_for_each(Cursor::finish)
    }

    pub(super) fn kind(&mut self) -> Result<u8, Fault> {
        self.kinds.byte()
    }

    pub(super) fn result(&mut self) -> Result<u8, Fault> {
        self.results.byte()
    }

    pub(super) fn number(&mut self) -> Result<u32, Fault> {
        self.numbers.number32()
    }

    pub(super) fn signed(&mut self) -> Result<i64, Fault> {
        Ok(unzigzag(self.numbers.number()?))
    }

    pub(super) fn index(&mut self) -> Result<i64, Fault> {
        self.last.index = self.last.index.wrapping_add(unzigzag(self.numbers.number()?));
        Ok(self.last.index)
    }

    pub(super) fn site(&mut self) -> Result<SiteId, Fault> {
        self.tables.site(SiteId(difference(&mut self.sites, &mut self.last.site)?))
    }

    pub(super) fn object(&mut self) -> Result<ObjectId, Fault> {
        self.tables.object(ObjectId(difference(&mut self.objects, &mut self.last.object)?))
    }

    pub(super) fn key(&mut self) -> Result<KeyId, Fault> {
        self.tables.key(KeyId(difference(&mut self.numbers, &mut self.last.key)?))
    }

    pub(super) fn thread(&mut self) -> Result<ThreadId, Fault> {
        let thread = ThreadId(self.number()?);
        self.tables.thread(thread)
    }

    pub(super) fn location(&mut self) -> Result<Location, Fault> {
        let object = ObjectId(difference(&mut self.objects, &mut self.last.object)?);
        let part = match self.parts.byte()? {
            WHOLE => Part::Whole,
            SHAPE => Part::Shape,
            STATE => Part::State,
            GENERATION => Part::Generation,
            NAME => Part::Name(StringId(difference(&mut self.numbers, &mut self.last.name)?)),
            KEY => Part::Key(KeyId(difference(&mut self.numbers, &mut self.last.key)?)),
            INDEX => Part::Index(u32::try_from(self.index()?).map_err(|_| Fault::Number("numbers"))?),
            NOTIFIED => Part::Notified(ThreadId(self.number()?)),
            STARTED => Part::Started(ThreadId(self.number()?)),
            ENDED => Part::Ended(ThreadId(self.number()?)),
            other => return Err(Fault::Part(other)),
        };
        self.tables.location(Location::new(object, part))
    }

    /// A count of locations, each of which takes a byte of the column `parts`.
    pub(super) fn count_of_locations(&mut self) -> Result<usize, Fault> {
        let count = self.number()? as usize;
        if count > self.parts.left() { Err(Fault::Short("parts")) } else { Ok(count) }
    }

    /// A count of threads, each of which takes a byte of the column `numbers`.
    pub(super) fn count_of_threads(&mut self) -> Result<usize, Fault> {
        let count = self.number()? as usize;
        if count > self.numbers.left() { Err(Fault::Short("numbers")) } else { Ok(count) }
    }
}

fn put_difference(column: &mut Vec<u8>, last: &mut u32, id: u32) {
    put(column, zigzag(i64::from(id.wrapping_sub(*last) as i32)));
    *last = id;
}

fn difference(column: &mut Cursor<'_>, last: &mut u32) -> Result<u32, Fault> {
    let step = unzigzag(u64::from(column.number32()?)) as i32;
    *last = last.wrapping_add(step as u32);
    Ok(*last)
}
