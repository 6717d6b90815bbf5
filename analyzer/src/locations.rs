//! Dense numbers for the locations and objects of one execution, and the accesses that name them.
//!
//! # Invariants
//! Two accesses to one location have equal `location`, two to parts of one object equal `object`. A location
//! that no event of the execution names has the number [`UNSEEN`]: only whole-object accesses conflict with it.

use frontrun_formats::{Location, ObjectId, Part};
use rustc_hash::FxHashMap;

/// The number of what was never named in the execution.
pub(crate) const UNSEEN: u32 = u32::MAX;

/// One location that an operation reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Access {
    pub(crate) location: u32,
    pub(crate) object: u32,
    pub(crate) whole: bool,
    pub(crate) write: bool,
}

impl Access {
    /// Whether the two touch a common part and one of them writes. Both must have been seen.
    pub(crate) fn conflicts(self, other: Access) -> bool {
        (self.write || other.write)
            && self.object == other.object
            && (self.whole || other.whole || self.location == other.location)
    }
}

/// The numbering.
#[derive(Debug, Default)]
pub(crate) struct Locations {
    numbers: FxHashMap<Location, u32>,
    names: Vec<(Location, u32)>,
    objects: FxHashMap<ObjectId, u32>,
    /// For each object the number of its [`Part::Whole`], or [`UNSEEN`].
    wholes: Vec<u32>,
}

impl Locations {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn objects(&self) -> usize {
        self.wholes.len()
    }

    /// The number of `object`, which is given one if it has none.
    pub(crate) fn intern_object(&mut self, object: ObjectId) -> u32 {
        let next = self.wholes.len() as u32;
        let number = *self.objects.entry(object).or_insert(next);
        if number == next {
            self.wholes.push(UNSEEN);
        }
        number
    }

    /// The number of the location, which is given one if it has none.
    pub(crate) fn intern(&mut self, at: Location) -> u32 {
        if let Some(number) = self.numbers.get(&at) {
            return *number;
        }
        let number = self.names.len() as u32;
        let object = self.intern_object(at.object);
        self.numbers.insert(at, number);
        self.names.push((at, object));
        if at.part == Part::Whole {
            self.wholes[object as usize] = number;
        }
        number
    }

    /// The access to `at`, whose location is numbered if it is new.
    pub(crate) fn intern_access(&mut self, at: Location, write: bool) -> Access {
        let location = self.intern(at);
        Access { location, object: self.names[location as usize].1, whole: at.part == Part::Whole, write }
    }

    /// The access to `at`, which may be [`UNSEEN`].
    pub(crate) fn access(&self, at: Location, write: bool) -> Access {
        let whole = at.part == Part::Whole;
        match self.numbers.get(&at) {
            Some(&location) => Access { location, object: self.names[location as usize].1, whole, write },
            None => {
                let object = self.objects.get(&at.object).copied().unwrap_or(UNSEEN);
                Access { location: UNSEEN, object, whole, write }
            }
        }
    }

    /// The location with this number.
    pub(crate) fn at(&self, location: u32) -> Location {
        self.names[location as usize].0
    }

    pub(crate) fn number(&self, at: Location) -> Option<u32> {
        self.numbers.get(&at).copied()
    }

    pub(crate) fn object(&self, object: ObjectId) -> Option<u32> {
        self.objects.get(&object).copied()
    }

    pub(crate) fn object_of(&self, location: u32) -> u32 {
        self.names[location as usize].1
    }

    pub(crate) fn name(&self, location: u32) -> Location {
        self.names[location as usize].0
    }

    /// The number of the whole of the object of `at`, if an event names it and what it leaves there holds for `at`.
    pub(crate) fn whole_around(&self, at: Location) -> Option<u32> {
        if at.part.is_awaited() {
            return None;
        }
        let object = self.object(at.object)?;
        let whole = self.wholes[object as usize];
        (whole != UNSEEN).then_some(whole)
    }

    pub(crate) fn whole_of(&self, object: u32) -> u32 {
        self.wholes[object as usize]
    }
}
