//! The line table: which source range each instruction belongs to.
//!
//! # Model
//! An entry covers one to eight units.
//! Its first byte holds, from the top, a mark bit, four bits of form and three bits of length minus one; the
//! form says how the lines and columns follow.
//! Lines are relative to the entry before.
//!
//! # Reference
//! CPython, `Objects/locations.md`.

use super::BytecodeError;
use super::decode::Instruction;

/// The source range of an instruction, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    /// An instruction that no source text stands for.
    Unknown,
    /// Without columns.
    Line(i32),
    /// Columns are -1 if unknown.
    Range { line: i32, end_line: i32, column: i32, end_column: i32 },
}

const MARK_BIT: u8 = 0x80;
const FORM_UNKNOWN: u8 = 15;
const FORM_LONG: u8 = 14;
const FORM_LINE: u8 = 13;
/// Forms 10 to 12: the line advances by 0 to 2, two bytes of columns.
const FORM_ONE_LINE: u8 = 10;
const MAX_ENTRY_UNITS: u32 = 8;

/// The location of each instruction, which is that of its first unit.
pub(super) fn read(
    table: &[u8],
    first_line: i32,
    instructions: &[Instruction],
) -> Result<Vec<Location>, BytecodeError> {
    let mut reader = Reader { table, next: 0, line: first_line };
    let mut locations = Vec::with_capacity(instructions.len());
    let mut unit = 0;
    while reader.next < table.len() && locations.len() < instructions.len() {
        let (location, n_units) = reader.entry()?;
        unit += n_units;
        while instructions.get(locations.len()).is_some_and(|instruction| instruction.start < unit) {
            locations.push(location);
        }
    }
    // The interpreter treats what the table does not reach as having no location.
    locations.resize(instructions.len(), Location::Unknown);
    Ok(locations)
}

struct Reader<'a> {
    table: &'a [u8],
    next: usize,
    line: i32,
}

impl Reader<'_> {
    /// The next entry: a location and the number of units it covers.
    fn entry(&mut self) -> Result<(Location, u32), BytecodeError> {
        let head = self.byte()?;
        if head & MARK_BIT == 0 {
            return Err(self.malformed());
        }
        let location = match head >> 3 & 15 {
            FORM_UNKNOWN => Location::Unknown,
            FORM_LONG => {
                self.advance_signed()?;
                let end_line = i32::try_from(self.number()?).ok().and_then(|n| self.line.checked_add(n));
                let end_line = end_line.ok_or(self.malformed())?;
                let column = self.long_column()?;
                let end_column = self.long_column()?;
                Location::Range { line: self.line, end_line, column, end_column }
            }
            FORM_LINE => {
                self.advance_signed()?;
                Location::Line(self.line)
            }
            form @ FORM_ONE_LINE.. => {
                self.advance(i32::from(form - FORM_ONE_LINE))?;
                let column = self.byte()?.into();
                let end_column = self.byte()?.into();
                Location::Range { line: self.line, end_line: self.line, column, end_column }
            }
            form => {
                let columns = self.byte()?;
                let column = i32::from(form << 3 | columns >> 4 & 7);
                let end_column = column + i32::from(columns & 15);
                Location::Range { line: self.line, end_line: self.line, column, end_column }
            }
        };
        Ok((location, u32::from(head & 7) + 1))
    }

    fn advance(&mut self, lines: i32) -> Result<(), BytecodeError> {
        self.line = self.line.checked_add(lines).ok_or(self.malformed())?;
        Ok(())
    }

    /// Moves the line by a number whose low bit is the sign.
    fn advance_signed(&mut self) -> Result<(), BytecodeError> {
        let number = self.number()?;
        let magnitude = (number >> 1) as i32;
        self.advance(if number & 1 == 0 { magnitude } else { -magnitude })
    }

    /// A column stored plus one, so that zero stands for unknown.
    fn long_column(&mut self) -> Result<i32, BytecodeError> {
        let stored = i32::try_from(self.number()?).map_err(|_| self.malformed())?;
        Ok(stored - 1)
    }

    /// A number in groups of six bits, the lowest first.
    fn number(&mut self) -> Result<u32, BytecodeError> {
        let mut value: u64 = 0;
        for shift in (0..=30).step_by(6) {
            let byte = self.byte()?;
            value |= u64::from(byte & 63) << shift;
            if byte & 64 == 0 {
                return u32::try_from(value).map_err(|_| self.malformed());
            }
        }
        Err(self.malformed())
    }

    fn byte(&mut self) -> Result<u8, BytecodeError> {
        let byte = *self.table.get(self.next).ok_or(self.malformed())?;
        self.next += 1;
        Ok(byte)
    }

    fn malformed(&self) -> BytecodeError {
        BytecodeError::LineTable { byte: self.next as u32 }
    }
}

/// Writes a table entry by entry, joining neighbours with equal locations.
pub(super) struct Writer {
    table: Vec<u8>,
    /// The line that the next entry is relative to.
    line: i32,
    pending: Location,
    pending_units: u32,
}

impl Writer {
    /// A writer for code whose first line is this one.
    pub fn new(first_line: i32, capacity: usize) -> Writer {
        Writer {
            table: Vec::with_capacity(capacity),
            line: first_line,
            pending: Location::Unknown,
            pending_units: 0,
        }
    }

    /// Says that the next `n_units` units have this location.
    pub fn push(&mut self, location: Location, n_units: u32) {
        if location != self.pending {
            self.flush();
            self.pending = location;
        }
        self.pending_units += n_units;
    }

    /// The finished table.
    pub fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.table
    }

    fn flush(&mut self) {
        while self.pending_units > 0 {
            let n_units = self.pending_units.min(MAX_ENTRY_UNITS);
            self.pending_units -= n_units;
            self.entry(n_units as u8 - 1);
        }
    }

    /// Writes an entry for the pending location in the shortest form, as CPython's assembler does.
    fn entry(&mut self, length: u8) {
        let head = |form: u8| MARK_BIT | form << 3 | length;
        match self.pending {
            Location::Unknown => self.table.push(head(FORM_UNKNOWN)),
            Location::Line(line) => {
                self.table.push(head(FORM_LINE));
                self.line_change(line);
            }
            Location::Range { line, end_line, column, end_column } => {
                let advance = i64::from(line) - i64::from(self.line);
                let width = i64::from(end_column) - i64::from(column);
                let one_line = end_line == line && column >= 0 && end_column >= 0;
                if one_line && advance == 0 && column < 80 && (0..16).contains(&width) {
                    self.table.push(head((column >> 3) as u8));
                    self.table.push(((column & 7) << 4) as u8 | width as u8);
                } else if one_line && (0..3).contains(&advance) && column < 128 && end_column < 128 {
                    self.table.push(head(FORM_ONE_LINE + advance as u8));
                    self.table.extend([column as u8, end_column as u8]);
                    self.line = line;
                } else {
                    self.table.push(head(FORM_LONG));
                    self.line_change(line);
                    self.number(end_line.abs_diff(line).into());
                    self.number(column.abs_diff(-1).into());
                    self.number(end_column.abs_diff(-1).into());
                }
            }
        }
    }

    /// Writes the distance to a line, the sign in the low bit, and moves there.
    fn line_change(&mut self, line: i32) {
        let sign = u64::from(line < self.line);
        self.number(u64::from(line.abs_diff(self.line)) << 1 | sign);
        self.line = line;
    }

    fn number(&mut self, mut value: u64) {
        while value >= 64 {
            self.table.push(64 | (value & 63) as u8);
            value >>= 6;
        }
        self.table.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytecode::PyVersion;
    use crate::bytecode::decode::Program;

    /// `n` instructions of one unit each.
    fn nops(n: usize) -> Vec<Instruction> {
        let code = [9, 0].repeat(n);
        Program::decode(PyVersion::V3_11.table(), &code).unwrap().instructions
    }

    #[test]
    fn locations_survive_writing_and_reading() {
        let range =
            |line, end_line, column, end_column| Location::Range { line, end_line, column, end_column };
        let locations = [
            Location::Unknown,
            range(10, 10, 0, 5),
            range(10, 10, 79, 94),
            range(10, 10, 80, 96),
            range(12, 12, 127, 127),
            range(12, 12, 127, 128),
            range(12, 15, 3, 1),
            range(2, 2, -1, -1),
            range(2, 2, 4, -1),
            Location::Line(500),
            Location::Line(-3),
            range(100_000, 100_000, 5, 4),
            Location::Unknown,
            range(100_000, 200_000, 70_000, 70_001),
        ];
        let mut writer = Writer::new(7, 0);
        for &location in &locations {
            writer.push(location, 1);
        }
        let table = writer.finish();
        assert_eq!(read(&table, 7, &nops(locations.len())).unwrap(), locations);
    }

    #[test]
    fn equal_neighbours_share_entries_of_at_most_eight_units() {
        let mut writer = Writer::new(1, 0);
        for _ in 0..5 {
            writer.push(Location::Line(3), 2);
        }
        // Eight units with two lines more, then two units on the same line.
        assert_eq!(writer.finish(), [0x80 | 13 << 3 | 7, 4, 0x80 | 13 << 3 | 1, 0]);
    }

    #[test]
    fn short_tables_leave_the_rest_unknown_and_broken_ones_are_refused() {
        assert_eq!(read(&[0x80 | 13 << 3, 2], 1, &nops(2)).unwrap(), [Location::Line(2), Location::Unknown]);
        assert_eq!(read(&[13 << 3], 1, &nops(1)), Err(BytecodeError::LineTable { byte: 1 }));
        assert_eq!(read(&[0x80 | 14 << 3, 2], 1, &nops(1)), Err(BytecodeError::LineTable { byte: 2 }));
    }
}
