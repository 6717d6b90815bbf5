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
