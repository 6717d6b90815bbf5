//! Writes one execution down while it happens: interns texts, keys and sites, collects events, and appends them
//! to the trace file in blocks.
//!
//! Invariant: table rows reach the file no later than the first event that refers to them. A block is one write,
//! so a killed process loses at most the events since the last block.
//!
//! Not here: the file's layout (formats), who runs (gate).

use crate::key::Key;
use crate::servers::inputs::Inputs;
use frontrun_formats::file::{Delta, End, WriteError, Writer};
use frontrun_formats::{
    Event, Header, KeyId, Location, ObjectId, ObjectInfo, Site, SiteId, StringId, ThreadInfo, Value,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fs::File;

/// Events in the first block. Each block is twice as long as the one before, so that a run that hangs or is killed
/// early has left its events behind.
const FIRST_BLOCK: usize = 32;

/// Events in a block at the most.
const LONGEST_BLOCK: usize = 4096;

/// An execution that is being written.
pub struct Recording {
    writer: Writer<File>,
    delta: Delta,
    strings: FxHashMap<Box<str>, StringId>,
    keys: FxHashMap<Key, KeyId>,
    sites: FxHashMap<Site, SiteId>,
    per_type: FxHashMap<StringId, u32>,
    known_initial: FxHashSet<Location>,
    n_objects: u32,
    block: usize,
    /// What servers tell, where that is recorded.
    pub inputs: Option<Inputs>,
}

impl Recording {
    /// Starts the trace by writing its header.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(file: File, header: &Header) -> Result<Self, WriteError> {
        Ok(Recording {
            writer: Writer::create(file, header)?,
            delta: Delta::default(),
            strings: FxHashMap::default(),
            keys: FxHashMap::default(),
            sites: FxHashMap::default(),
            per_type: FxHashMap::default(),
            known_initial: FxHashSet::default(),
            n_objects: 0,
            block: FIRST_BLOCK,
            inputs: None,
        })
    }

    /// The id of a text.
    pub fn string(&mut self, text: &str) -> StringId {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let id = StringId(self.strings.len() as u32);
        self.strings.insert(text.into(), id);
        self.delta.strings.push(text.to_owned());
        id
    }

    /// The id of a key.
    pub fn key(&mut self, key: Key) -> KeyId {
        if let Some(id) = self.keys.get(&key) {
            return *id;
        }
        let id = KeyId(self.keys.len() as u32);
        let text = self.string(&key.text());
        self.delta.keys.push(text);
        self.keys.insert(key, id);
        id
    }

    /// The id of a place in the source.
    pub fn site(&mut self, site: Site) -> SiteId {
        if let Some(id) = self.sites.get(&site) {
            return *id;
        }
        let id = SiteId(self.sites.len() as u32);
        self.delta.sites.push(site);
        self.sites.insert(site, id);
        id
    }

    /// Describes the object with the next number, calling it `Type#n`, with the place where it was made if that is known.
    pub fn object(&mut self, id: ObjectId, type_name: &str, made_at: Option<&str>) {
        let type_id = self.string(type_name);
        let nth = self.per_type.entry(type_id).or_insert(0);
        *nth += 1;
        let label = match made_at {
            Some(place) => format!("{type_name}#{nth} (made at {place})"),
            None => format!("{type_name}#{nth}"),
        };
        self.describe(id, type_id, &label);
    }

    /// Describes the object with the next number, which has a name of its own.
    pub fn named_object(&mut self, id: ObjectId, type_name: &str, label: &str) {
        let type_id = self.string(type_name);
        self.describe(id, type_id, label);
    }

    fn describe(&mut self, id: ObjectId, type_name: StringId, label: &str) {
        debug_assert_eq!(id.0, self.n_objects, "objects are described in the order of their numbers");
        self.n_objects += 1;
        let label = self.string(label);
        self.delta.objects.push(ObjectInfo { type_name, label });
    }

    /// Describes the next thread.
    pub fn thread(&mut self, info: ThreadInfo) {
        self.delta.threads.push(info);
    }

    /// Notes the value that a location had before its first event; later calls for it change nothing.
    pub fn initial(&mut self, at: Location, value: impl FnOnce() -> Value) {
        if self.known_initial.insert(at) {
            self.delta.initial.push((at, value()));
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// When a block is due and cannot be written.
    pub fn event(&mut self, event: Event) -> Result<(), WriteError> {
        self.delta.events.push(event);
        if self.delta.events.len() < self.block {
            return Ok(());
        }
        self.block = (self.block * 2).min(LONGEST_BLOCK);
        self.flush()
    }

    /// A site as `file:line`, if it is known.
    pub fn place(&self, id: SiteId) -> Option<String> {
        let site = self.sites.iter().find(|(_, number)| **number == id).map(|(site, _)| site)?;
        let file = self.strings.iter().find(|(_, number)| **number == site.file).map(|(text, _)| text)?;
        Some(format!("{file}:{}", site.line))
    }

    /// Paths of the source files that events refer to.
    pub fn files(&self) -> Vec<String> {
        let ids: FxHashSet<StringId> = self.sites.keys().map(|site| site.file).collect();
        let named = self.strings.iter().filter(|(_, id)| ids.contains(id));
        let mut paths: Vec<String> =
            named.map(|(text, _)| text.to_string()).filter(|p| !p.is_empty()).collect();
        paths.sort();
        paths
    }

    /// Writes what has been collected.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.flush_with(false)
    }

    fn flush_with(&mut self, end: bool) -> Result<(), WriteError> {
        if let Some(inputs) = &mut self.inputs {
            self.delta.inputs = inputs.take(end);
        }
        self.writer.append(&self.delta)?;
        self.delta = Delta::default();
        Ok(())
    }

    /// Completes the trace.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self, end: &End) -> Result<(), WriteError> {
        self.flush_with(true)?;
        self.writer.finish(end)?;
        Ok(())
    }
}
