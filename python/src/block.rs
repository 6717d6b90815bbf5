//! What the opaque block under way has touched, so that it says so once.
//!
//! Model: of a block only its set of accesses counts, and nobody else runs in the middle of one. So a plain access that
//! an earlier one of the block covers is no event of its own. Operations whose meaning hangs on a state are always told.

use frontrun_formats::{Location, Operation, Part};
use rustc_hash::FxHashSet;

/// The plain accesses of one block.
#[derive(Default)]
pub struct Told {
    read: FxHashSet<Location>,
    written: FxHashSet<Location>,
}

impl Told {
    /// Begins a block.
    pub fn clear(&mut self) {
        self.read.clear();
        self.written.clear();
    }

    /// Whether the operation says more than the ones before it. It counts as told from now on.
    pub fn adds(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Read { at } => self.read_adds(*at),
            Operation::Write { at } => self.write_adds(*at),
            Operation::Touch { reads, writes } => {
                let mut adds = false;
                writes.iter().for_each(|at| adds |= self.write_adds(*at));
                reads.iter().for_each(|at| adds |= self.read_adds(*at));
                adds
            }
            _ => true,
        }
    }

    fn read_adds(&mut self, at: Location) -> bool {
        !covers(&self.written, at) && !covers(&self.read, at) && self.read.insert(at)
    }

    fn write_adds(&mut self, at: Location) -> bool {
        !covers(&self.written, at) && self.written.insert(at)
    }
}

/// Whether the locations contain this one, or all of its object.
fn covers(locations: &FxHashSet<Location>, at: Location) -> bool {
    locations.contains(&at) || locations.contains(&Location::new(at.object, Part::Whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::ObjectId;

    #[test]
    fn an_access_is_told_once() {
        let (element, whole) =
            (Location::new(ObjectId(1), Part::Index(3)), Location::new(ObjectId(1), Part::Whole));
        let mut told = Told::default();
        assert!(told.adds(&Operation::Read { at: element }));
        assert!(!told.adds(&Operation::Read { at: element }));
        assert!(told.adds(&Operation::Write { at: element }));
        assert!(!told.adds(&Operation::Touch { reads: [element].into(), writes: [element].into() }));
        assert!(told.adds(&Operation::Read { at: whole }));
        assert!(told.adds(&Operation::Write { at: Location::new(ObjectId(1), Part::Index(4)) }));
        assert!(told.adds(&Operation::ListAppend { list: ObjectId(1) }));
        told.clear();
        assert!(told.adds(&Operation::Read { at: element }));
    }
}
