//! The minor versions of CPython whose bytecode is known here.

use super::{BytecodeError, opcode::Table, v3_11, v3_12, v3_13, v3_14};

/// A minor version of CPython; opcode numbers change with every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PyVersion {
    /// CPython 3.11.
    V3_11,
    /// CPython 3.12.
    V3_12,
    /// CPython 3.13, with or without the GIL.
    V3_13,
    /// CPython 3.14.
    V3_14,
}

impl PyVersion {
    /// Every version, oldest first.
    pub const ALL: [PyVersion; 4] = [PyVersion::V3_11, PyVersion::V3_12, PyVersion::V3_13, PyVersion::V3_14];

    /// The opcode table of this version.
    pub(super) fn table(self) -> &'static Table {
        match self {
            PyVersion::V3_11 => &v3_11::TABLE,
            PyVersion::V3_12 => &v3_12::TABLE,
            PyVersion::V3_13 => &v3_13::TABLE,
            PyVersion::V3_14 => &v3_14::TABLE,
        }
    }
}

impl TryFrom<(u8, u8)> for PyVersion {
    type Error = BytecodeError;

    /// The version named by the first two fields of `sys.version_info`.
    fn try_from((major, minor): (u8, u8)) -> Result<Self, BytecodeError> {
        match (major, minor) {
            (3, 11) => Ok(PyVersion::V3_11),
            (3, 12) => Ok(PyVersion::V3_12),
            (3, 13) => Ok(PyVersion::V3_13),
            (3, 14) => Ok(PyVersion::V3_14),
            _ => Err(BytecodeError::UnsupportedVersion { major, minor }),
        }
    }
}
