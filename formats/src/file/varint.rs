//! Numbers in a column: little-endian base 128, seven bits a byte, the high bit on all bytes but the last.

use super::error::Fault;

/// Appends a number.
pub(super) fn put(column: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        column.push(number as u8 | 0x80);
        number >>= 7;
    }
    column.push(number as u8);
}

/// Small absolute values become small numbers.
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Reads a column from its start.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    name: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `column`; `name` is what faults call it.
    pub(super) fn new(name: &'static str, column: &'a [u8]) -> Self {
        Cursor { name, rest: column }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Short(self.name))?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::Number(self.name))
    }

    /// The next number, which has 32 bits.
    pub(super) fn number32(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.number()?).map_err(|_| Fault::Number(self.name))
    }

    /// That nothing is left.
    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Long(self.name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_number(number: u64, bytes: &[u8]) {
        let mut column = Vec::new();
        put(&mut column, number);
        assert_eq!(column, bytes);
        let mut cursor = Cursor::new("test", &column);
        assert_eq!(cursor.number(), Ok(number));
        assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn numbers_round_trip_at_the_borders() {
        check_number(0, &[0]);
        check_number(127, &[127]);
        check_number(128, &[0x80, 1]);
        check_number(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        for number in [0, 1, -1, i64::MAX, i64::MIN, 63, -64] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(zigzag(-1), 1);
    }

    #[test]
    fn overlong_and_cut_numbers_are_faults() {
        assert_eq!(Cursor::new("c", &[0xff; 10]).number(), Err(Fault::Number("c")));
        assert_eq!(Cursor::new("c", &[0xff; 9]).number(), Err(Fault::Short("c")));
        assert_eq!(Cursor::new("c", &[0xff, 0xff, 0xff, 0xff, 0x1f]).number32(), Err(Fault::Number("c")));
    }
}
