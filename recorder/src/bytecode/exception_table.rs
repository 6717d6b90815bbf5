//! The exception table: which handler covers which instructions.
//!
//! # Model
//! An entry is four numbers: start and length of the protected range in units, unit of the handler, and
//! `depth << 1 | lasti`, where `depth` is what is left of the stack and `lasti` says whether the position of
//! the raising instruction is pushed below the exception.
//! A number is written in groups of six bits, the highest first; bit 6 says that another group follows, and
//! bit 7 marks the first byte of an entry, so that the interpreter can search the table by bisection.
//!
//! # Reference
//! CPython, `Objects/exception_handling_notes.txt`.

use super::BytecodeError;

/// One entry, as it stands in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// First protected unit.
    pub start: u32,
    /// Unit after the protected range.
    pub end: u32,
    /// First unit of the handler.
    pub target: u32,
    pub depth: u32,
    pub lasti: bool,
}

impl Entry {
    /// The number of values on the stack when the handler starts: those kept, and the exception.
    pub fn handler_depth(&self) -> u32 {
        self.depth + 1 + u32::from(self.lasti)
    }
}

const START_BIT: u8 = 0x80;
const MORE_BIT: u8 = 0x40;
const GROUP: u8 = 0x3f;
const GROUP_BITS: u32 = 6;
/// Five groups make 30 bits, more than CPython itself writes.
const MAX_GROUPS: u32 = 5;
/// No number in a table is larger than this.
const MAX_VALUE: u32 = (1 << (GROUP_BITS * MAX_GROUPS)) - 1;

/// The entries of a table.
pub(super) fn read(table: &[u8]) -> Result<Vec<Entry>, BytecodeError> {
    let mut entries = Vec::new();
    let mut next = 0;
    while next < table.len() {
        let malformed = BytecodeError::ExceptionTable { byte: next as u32 };
        if table[next] & START_BIT == 0 {
            return Err(malformed);
        }
        let start = read_number(table, &mut next)?;
        let length = read_number(table, &mut next)?;
        let target = read_number(table, &mut next)?;
        let depth = read_number(table, &mut next)?;
        entries.push(Entry { start, end: start + length, target, depth: depth >> 1, lasti: depth & 1 != 0 });
    }
    Ok(entries)
}

/// Appends an entry to a table.
pub(super) fn write(table: &mut Vec<u8>, entry: &Entry) -> Result<(), BytecodeError> {
    let first = table.len();
    write_number(table, entry.start)?;
    table[first] |= START_BIT;
    write_number(table, entry.end - entry.start)?;
    write_number(table, entry.target)?;
    write_number(table, entry.depth << 1 | u32::from(entry.lasti))
}

fn read_number(table: &[u8], next: &mut usize) -> Result<u32, BytecodeError> {
    let mut value = 0;
    for _ in 0..MAX_GROUPS {
        let Some(&byte) = table.get(*next) else { break };
        *next += 1;
        value = value << GROUP_BITS | u32::from(byte & GROUP);
        if byte & MORE_BIT == 0 {
            return Ok(value);
        }
    }
    Err(BytecodeError::ExceptionTable { byte: *next as u32 })
}

fn write_number(table: &mut Vec<u8>, value: u32) -> Result<(), BytecodeError> {
    if value > MAX_VALUE {
        return Err(BytecodeError::TooLarge);
    }
    for group in (1..MAX_GROUPS).rev() {
        if value >> (GROUP_BITS * group) != 0 {
            table.push((value >> (GROUP_BITS * group)) as u8 & GROUP | MORE_BIT);
        }
    }
    table.push(value as u8 & GROUP);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_writing_and_reading() {
        let entries = [
            Entry { start: 0, end: 1, target: 63, depth: 0, lasti: false },
            Entry { start: 63, end: 128, target: 64, depth: 2, lasti: true },
            Entry { start: 4095, end: 8191, target: 4096, depth: 31, lasti: true },
            Entry { start: 262_144, end: 16_777_216, target: 300_000_000, depth: 32, lasti: false },
        ];
        let mut table = Vec::new();
        for entry in &entries {
            write(&mut table, entry).unwrap();
        }
        assert_eq!(read(&table).unwrap(), entries);
    }

    #[test]
    fn encoding_is_the_one_in_cpython_s_notes() {
        // "If start is 20, length is 8, target is 100, depth is 3 and lasti is false": 148, 8, 65, 36, 6.
        let entry = Entry { start: 20, end: 28, target: 100, depth: 3, lasti: false };
        let mut table = Vec::new();
        write(&mut table, &entry).unwrap();
        assert_eq!(table, [148, 8, 65, 36, 6]);
    }

    #[test]
    fn truncated_or_unmarked_entries_are_refused() {
        assert_eq!(read(&[148, 8, 65]), Err(BytecodeError::ExceptionTable { byte: 3 }));
        assert_eq!(read(&[20, 8, 65, 36, 6]), Err(BytecodeError::ExceptionTable { byte: 0 }));
        assert_eq!(read(&[0xff; 9]), Err(BytecodeError::ExceptionTable { byte: 5 }));
    }
}
