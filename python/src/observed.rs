//! What an instruction was found to be: an operation and what it will report.

use frontrun_formats::{Location, Operation};

/// An operation and its [`frontrun_formats::Event::result`].
pub type Observed = (Operation, u8);

/// A read of one location.
pub fn read(at: Location) -> Observed {
    (Operation::Read { at }, 1)
}

/// A write of one location.
pub fn write(at: Location) -> Observed {
    (Operation::Write { at }, 1)
}

/// Reads or writes several locations.
pub fn several(locations: Vec<Location>, is_write: bool) -> Option<Observed> {
    match (&locations[..], is_write) {
        ([], _) => None,
        ([at], false) => Some(read(*at)),
        ([at], true) => Some(write(*at)),
        (_, false) => Some((Operation::Touch { reads: locations.into(), writes: Box::new([]) }, 1)),
        (_, true) => Some((Operation::Touch { reads: Box::new([]), writes: locations.into() }, 1)),
    }
}
