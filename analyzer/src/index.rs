//! Who touches what: for every location and thread the events that touch or write it, so that conflicts are
//! found without looking at the other events.
//!
//! # Invariants
//! An event is named by its index within its thread; every row ascends. The rows of an object hold the events
//! that touch any part of it, which is what conflicts with an access to the whole.

use crate::locations::{Access, Locations, UNSEEN};

/// Rows of ascending numbers, stored one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// The rows of these `(row, item)` pairs, each in the order in which its items come.
    pub(crate) fn new(rows: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Rows {
        let mut starts = vec![0u32; rows + 1];
        for (row, _) in pairs.clone() {
            starts[row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut items = vec![0; starts[rows] as usize];
        for (row, item) in pairs {
            items[starts[row as usize] as usize] = item;
            starts[row as usize] += 1;
        }
        // Filling has moved each start to the next one's place.
        starts.rotate_right(1);
        starts[0] = 0;
        Rows { starts, items }
    }

    pub(crate) fn row(&self, row: usize) -> &[u32] {
        &self.items[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

/// The accesses of an execution's relevant events.
#[derive(Debug, Default)]
pub(crate) struct Index {
    threads: usize,
    touches: Rows,
    writes: Rows,
    object_touches: Rows,
    object_writes: Rows,
    wholes: Vec<u32>,
}

impl Index {
    /// The index of `(thread, index in the thread, access)` triples, which come in execution order.
    pub(crate) fn new(
        threads: usize,
        locations: &Locations,
        triples: impl Iterator<Item = (u32, u32, Access)> + Clone,
    ) -> Index {
        let by_location = triples
            .clone()
            .map(move |(thread, index, access)| (access, access.location * threads as u32 + thread, index));
        let by_object = triples
            .map(move |(thread, index, access)| (access, access.object * threads as u32 + thread, index));
        let rows = locations.len() * threads;
        let objects = locations.objects() * threads;
        let pair = |(_, row, index): (Access, u32, u32)| (row, index);
        let written = |triple: &(Access, u32, u32)| triple.0.write;
        Index {
            threads,
            touches: Rows::new(rows, by_location.clone().map(pair)),
            writes: Rows::new(rows, by_location.filter(written).map(pair)),
            object_touches: Rows::new(objects, by_object.clone().map(pair)),
            object_writes: Rows::new(objects, by_object.filter(written).map(pair)),
            wholes: (0..locations.objects() as u32).map(|object| locations.whole_of(object)).collect(),
        }
    }

    /// The events of `thread` that conflict with `access`, in at most two ascending rows.
    pub(crate) fn conflicting(&self, access: Access, thread: usize) -> [&[u32]; 2] {
        if access.object == UNSEEN {
            return [&[], &[]];
        }
        let (parts, objects) = match access.write {
            true => (&self.touches, &self.object_touches),
            false => (&self.writes, &self.object_writes),
        };
        if access.whole {
            return [objects.row(access.object as usize * self.threads + thread), &[]];
        }
        let row = |location: u32| match location {
            UNSEEN => &[][..],
            location => parts.row(location as usize * self.threads + thread),
        };
        [row(access.location), row(self.wholes[access.object as usize])]
    }

    /// The events of `thread` that write exactly this location, or also those that read it, in an ascending row.
    pub(crate) fn touching(&self, location: u32, reads: bool, thread: usize) -> &[u32] {
        let rows = if reads { &self.touches } else { &self.writes };
        rows.row(location as usize * self.threads + thread)
    }

    /// The last event of `thread` below the index `end` that conflicts with one of `accesses`.
    pub(crate) fn last_conflict(&self, accesses: &[Access], thread: usize, end: u32) -> Option<u32> {
        let last = |row: &[u32]| row[..row.partition_point(|index| *index < end)].last().copied();
        accesses.iter().flat_map(|access| self.conflicting(*access, thread)).filter_map(last).max()
    }
}
