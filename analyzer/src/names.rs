//! What another execution's locations are called in this one.
//!
//! # Model
//! Objects, keys and texts are numbered anew in every execution. Where both executions did the same (the events of a
//! common past, and the next operation of every thread behind it), the operands correspond. Texts correspond by what
//! they say. What has no counterpart is *foreign* and gets a number of its own: perhaps it is something that this
//! execution touches elsewhere, perhaps not; [`Names::may_overlap`] says whether that can be excluded.
//!
//! What files and connections are called excludes nothing: temporary folders and ports have other names in every
//! execution, and a renamed file is called by the name under which it was seen first. Nor does the name of an entry that
//! only one execution knows differ from one that only the other knows.

use crate::kind;
use frontrun_formats::execution::outside;
use frontrun_formats::{
    Execution, KeyId, Location, ObjectId, Operation, Part, StringId, ThreadId, ThreadPath, Value,
};
use rustc_hash::{FxHashMap, FxHashSet};

/// How the text of a key begins that is equal to itself alone.
const BY_IDENTITY: &str = "<object ";

/// Types of objects outside whose labels may be others in other executions.
const RENAMED: [&str; 5] =
    [outside::FILE, outside::DIRECTORY, outside::FILE_NAMES, outside::OPEN_FILE, outside::CHANNEL];

/// The names of one execution, and numbers for what others add to them.
pub(crate) struct Names<'e> {
    execution: &'e Execution,
    texts: FxHashMap<&'e str, StringId>,
    keys: FxHashMap<&'e str, KeyId>,
    /// Keys of other executions that are equal to themselves alone and have no counterpart.
    foreign_keys: FxHashSet<KeyId>,
    /// Names of entries outside that this execution does not know, and which other ones know them.
    foreign_entries: FxHashMap<KeyId, FxHashSet<usize>>,
    next_text: u32,
    next_key: u32,
    foreign: Vec<Foreign<'e>>,
    /// By other execution: the objects of this one that have a counterpart there.
    known: Vec<FxHashSet<ObjectId>>,
    /// By other execution: the keys of this one that it knows as well.
    shared_keys: Vec<FxHashSet<KeyId>>,
}

/// An object of another execution without a counterpart.
struct Foreign<'e> {
    other: usize,
    type_name: &'e str,
    label: &'e str,
}

/// How one other execution's numbers are translated.
pub(crate) struct Translation<'e> {
    other: &'e Execution,
    number: usize,
    objects: FxHashMap<ObjectId, ObjectId>,
    keys: FxHashMap<KeyId, KeyId>,
}

impl<'e> Names<'e> {
    pub(crate) fn of(execution: &'e Execution) -> Names<'e> {
        let text = |id: &StringId| execution.text(*id);
        Names {
            execution,
            texts: execution.strings.iter().map(String::as_str).zip((0..).map(StringId)).collect(),
            keys: execution.keys.iter().map(text).zip((0..).map(KeyId)).collect(),
            foreign_keys: FxHashSet::default(),
            foreign_entries: FxHashMap::default(),
            next_text: execution.strings.len() as u32,
            next_key: execution.keys.len() as u32,
            foreign: Vec::new(),
            known: Vec::new(),
            shared_keys: Vec::new(),
        }
    }

    /// A translation in which nothing corresponds yet.
    pub(crate) fn translation(&mut self, other: &'e Execution) -> Translation<'e> {
        self.known.push(FxHashSet::default());
        let shared = other.keys.iter().filter_map(|text| self.keys.get(other.text(*text)).copied());
        self.shared_keys.push(shared.collect());
        let number = self.known.len() - 1;
        Translation { other, number, objects: FxHashMap::default(), keys: FxHashMap::default() }
    }

    /// Takes note that an operation here and one there are the same.
    pub(crate) fn pair(&mut self, translation: &mut Translation, here: &Operation, there: &Operation) {
        let named = |operation: &Operation| match operation {
            Operation::Elapse { of } => (of.kind(), kind::possible(of, ThreadId(0), false)),
            other => (other.kind(), kind::possible(other, ThreadId(0), false)),
        };
        let ((kind, here), (other, there)) = (named(here), named(there));
        // One place in the source may update or insert, but it does so to the same object.
        let same = if kind == other && here.len() == there.len() { here.len() } else { 1 };
        for ((here, _), (there, _)) in here.iter().zip(&there).take(same) {
            translation.objects.entry(there.object).or_insert(here.object);
            self.known[translation.number].insert(here.object);
            if let (Part::Key(here), Part::Key(there)) = (here.part, there.part) {
                translation.keys.entry(there).or_insert(here);
            }
        }
    }

    /// What a location of the other execution is called here.
    pub(crate) fn location(&mut self, translation: &mut Translation<'e>, at: Location) -> Location {
        let part = match at.part {
            Part::Name(text) => Part::Name(self.text(translation.other.text(text))),
            Part::Key(key) => {
                let id = self.key(translation, key);
                if id.index() >= self.execution.keys.len()
                    && is_renamed(described(translation.other, at.object))
                {
                    self.foreign_entries.entry(id).or_default().insert(translation.number);
                }
                Part::Key(id)
            }
            Part::Notified(thread) => Part::Notified(self.thread(translation.other, thread)),
            Part::Started(thread) => Part::Started(self.thread(translation.other, thread)),
            Part::Ended(thread) => Part::Ended(self.thread(translation.other, thread)),
            part => part,
        };
        Location::new(self.object(translation, at.object), part)
    }

    /// What a value of the other execution is here.
    pub(crate) fn value(&self, translation: &Translation, value: &Value) -> Value {
        match value {
            Value::Waiters(waiters) => {
                Value::Waiters(waiters.iter().map(|waiter| self.thread(translation.other, *waiter)).collect())
            }
            value => value.clone(),
        }
    }

    fn thread(&self, other: &Execution, thread: ThreadId) -> ThreadId {
        let here = &self.execution.threads;
        let same = |path: &ThreadPath| here.iter().position(|info| info.path == *path);
        match other.path(thread).and_then(same) {
            Some(number) => ThreadId(number as u32),
            None => ThreadId(here.len() as u32 + thread.0),
        }
    }

    fn text(&mut self, text: &'e str) -> StringId {
        let next = self.next_text;
        let id = *self.texts.entry(text).or_insert(StringId(next));
        self.next_text += u32::from(id.0 == next);
        id
    }

    fn key(&mut self, translation: &mut Translation<'e>, key: KeyId) -> KeyId {
        if let Some(known) = translation.keys.get(&key) {
            return *known;
        }
        let text = translation.other.keys.get(key.index()).map_or("", |text| translation.other.text(*text));
        let fresh = KeyId(self.next_key);
        let id = if text.contains(BY_IDENTITY) {
            self.foreign_keys.insert(fresh);
            fresh
        } else {
            *self.keys.entry(text).or_insert(fresh)
        };
        self.next_key += u32::from(id == fresh);
        translation.keys.insert(key, id);
        id
    }

    fn object(&mut self, translation: &mut Translation<'e>, object: ObjectId) -> ObjectId {
        if object == ObjectId::THREADS {
            return object;
        }
        let next = ObjectId((self.execution.objects.len() + self.foreign.len()) as u32);
        let id = *translation.objects.entry(object).or_insert(next);
        if id == next {
            let (type_name, label) = described(translation.other, object);
            self.foreign.push(Foreign { other: translation.number, type_name, label });
        }
        id
    }

    /// Whether a location has no counterpart, or only perhaps.
    pub(crate) fn is_foreign(&self, at: Location) -> bool {
        self.foreign(at.object).is_some()
            || matches!(at.part, Part::Key(key)
                if self.foreign_keys.contains(&key) || self.foreign_entries.contains_key(&key))
    }

    fn foreign(&self, object: ObjectId) -> Option<&Foreign<'e>> {
        if object == ObjectId::THREADS {
            return None;
        }
        self.foreign.get(object.index().checked_sub(self.execution.objects.len())?)
    }

    /// Whether two locations may have a part in common; certain where neither is foreign.
    pub(crate) fn may_overlap(&self, one: Location, other: Location) -> bool {
        self.may_be_one(one.object, other.object) && self.parts_may_overlap(one.part, other.part)
    }

    fn parts_may_overlap(&self, one: Part, other: Part) -> bool {
        match (one, other) {
            (Part::Whole, _) | (_, Part::Whole) => true,
            (Part::Key(one), Part::Key(other)) if one != other => {
                let foreign = |key| self.foreign_keys.contains(&key);
                let by_identity = |key: KeyId| {
                    let text = self.execution.keys.get(key.index()).map(|text| self.execution.text(*text));
                    foreign(key) || text.is_some_and(|text| text.contains(BY_IDENTITY))
                };
                (foreign(one) && by_identity(other))
                    || (foreign(other) && by_identity(one))
                    || self.may_be_one_entry(one, other)
            }
            (one, other) => one == other,
        }
    }

    /// Whether two names of entries may be what one entry is called in two executions.
    fn may_be_one_entry(&self, one: KeyId, other: KeyId) -> bool {
        let is_unknown = |key: KeyId, of: &FxHashSet<usize>| {
            of.iter().any(|number| !self.shared_keys[*number].contains(&key))
        };
        match (self.foreign_entries.get(&one), self.foreign_entries.get(&other)) {
            (Some(one), Some(other)) => {
                one.iter().any(|number| other.iter().any(|another| number != another))
            }
            (Some(of), None) => is_unknown(other, of),
            (None, Some(of)) => is_unknown(one, of),
            (None, None) => false,
        }
    }

    fn may_be_one(&self, one: ObjectId, other: ObjectId) -> bool {
        if one == other {
            return true;
        }
        let alike = |foreign: &Foreign, (type_name, label): (&str, &str)| {
            // The number in a label says only when the object was first seen.
            let unnamed =
                |label: &str| label.strip_prefix(foreign.type_name).is_some_and(|rest| rest.starts_with('#'));
            foreign.type_name == type_name
                && (foreign.label == label
                    || unnamed(foreign.label) && unnamed(label)
                    || is_renamed((type_name, label)) && is_renamed((type_name, foreign.label)))
        };
        let known = |foreign: &Foreign, object| self.known[foreign.other].contains(&object);
        match (self.foreign(one), self.foreign(other)) {
            (Some(one), Some(other)) => {
                one.other != other.other && alike(one, (other.type_name, other.label))
            }
            (Some(one), None) => alike(one, described(self.execution, other)) && !known(one, other),
            (None, Some(other)) => alike(other, described(self.execution, one)) && !known(other, one),
            (None, None) => false,
        }
    }
}

/// Whether an object of this type and label may have another label in another execution.
fn is_renamed((type_name, label): (&str, &str)) -> bool {
    RENAMED.contains(&type_name) || label.starts_with(outside::LOCK_OF)
}

/// Type and label of an object.
fn described(execution: &Execution, object: ObjectId) -> (&str, &str) {
    let type_name = execution.objects.get(object.index()).map_or("", |info| execution.text(info.type_name));
    (type_name, execution.label(object))
}
