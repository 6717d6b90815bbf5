//! From a position in rewritten code back to the position in the original.
//!
//! # Model
//! Between two changes the positions differ by a constant; a change is an inserted hook or a prefix more or
//! less.
//! Everything from the start of a hook up to the opcode it guards stands for that opcode.

/// Maps units of rewritten code to units of the original code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetMap {
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// First rewritten unit of the hook, or of the prefixes, before the opcode.
    start: u32,
    /// Rewritten unit of the opcode.
    opcode: u32,
    /// Original unit of the opcode.
    original: u32,
}

impl Change {
    /// The original unit for a rewritten unit between this change and the next.
    fn apply(self, rewritten_unit: u32) -> u32 {
        self.original.saturating_add(rewritten_unit.saturating_sub(self.opcode))
    }
}

impl OffsetMap {
    /// The original unit that stands for a unit of the rewritten code.
    ///
    /// Half of `f_lasti` goes in and half of the `f_lasti` of an unmodified run comes out; a position in a
    /// hook gives that of the guarded instruction.
    pub fn original(&self, rewritten_unit: u32) -> u32 {
        let n_before = self.changes.partition_point(|change| change.start <= rewritten_unit);
        match n_before.checked_sub(1) {
            Some(last) => self.changes[last].apply(rewritten_unit),
            None => rewritten_unit,
        }
    }

    /// Records an instruction; they come in order.
    pub(super) fn record(&mut self, start: u32, opcode: u32, original_start: u32, original_opcode: u32) {
        let unchanged = self.changes.last().map_or(start, |last| last.apply(start));
        if unchanged == original_start && opcode - start == original_opcode - original_start {
            return;
        }
        self.changes.push(Change { start, opcode, original: original_opcode });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_stand_for_the_opcode_they_guard() {
        let mut map = OffsetMap::default();
        map.record(0, 0, 0, 0); // unchanged
        map.record(1, 4, 1, 1); // a hook of three units before unit 1, which has four caches
        map.record(9, 9, 6, 6); // shifted as before
        map.record(10, 14, 7, 8); // a hook, and one prefix as in the original
        let originals: Vec<u32> = (0..16).map(|unit| map.original(unit)).collect();
        assert_eq!(originals, [0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 8, 8, 8, 8, 8, 9]);
        assert_eq!(map.changes.len(), 2);
    }
}
