//! The clocks that locations and objects hold while an execution is read from its start to its end.
//!
//! # Model
//! A location holds the join of the clocks of all who touched it and of all who wrote it; an object those of all
//! its locations, for the accesses that mean the whole of it.

use crate::cut::join;
use crate::locations::{Access, Locations, UNSEEN};

/// The clocks that locations and objects hold while the trace is read.
pub(crate) struct Memory {
    width: usize,
    touched: Vec<u32>,
    written: Vec<u32>,
    object_touched: Vec<u32>,
    object_written: Vec<u32>,
}

impl Memory {
    pub(crate) fn new(width: usize, locations: usize, objects: usize) -> Memory {
        Memory {
            width,
            touched: vec![0; locations * width],
            written: vec![0; locations * width],
            object_touched: vec![0; objects * width],
            object_written: vec![0; objects * width],
        }
    }

    pub(crate) fn join_into(&self, clock: &mut [u32], access: Access, locations: &Locations) {
        let (parts, objects) = match access.write {
            true => (&self.touched, &self.object_touched),
            false => (&self.written, &self.object_written),
        };
        let row = |rows: &[u32], at: u32, clock: &mut [u32]| {
            join(clock, &rows[at as usize * self.width..(at as usize + 1) * self.width]);
        };
        if access.whole {
            return row(objects, access.object, clock);
        }
        row(parts, access.location, clock);
        let whole = locations.whole_of(access.object);
        if whole != UNSEEN {
            row(parts, whole, clock);
        }
    }

    pub(crate) fn add(&mut self, clock: &[u32], access: Access) {
        let width = self.width;
        let row = |rows: &mut Vec<u32>, at: u32| {
            join(&mut rows[at as usize * width..(at as usize + 1) * width], clock);
        };
        row(&mut self.touched, access.location);
        row(&mut self.object_touched, access.object);
        if access.write {
            row(&mut self.written, access.location);
            row(&mut self.object_written, access.object);
        }
    }
}
