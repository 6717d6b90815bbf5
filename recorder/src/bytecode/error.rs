//! Why a code object could not be rewritten.

use thiserror::Error;

/// A defect of the code object, or a limit of the encoding, that stops the rewriting.
///
/// The compiler of CPython never produces one of these; a caller runs the original code instead.
/// All positions count code units (two bytes) from the start of the original code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BytecodeError {
    /// The opcode tables cover CPython 3.11 to 3.14 only.
    #[error("no opcode table for CPython {major}.{minor}")]
    UnsupportedVersion {
        /// `sys.version_info[0]`.
        major: u8,
        /// `sys.version_info[1]`.
        minor: u8,
    },
    /// The code is not a whole number of code units.
    #[error("code has an odd number of bytes")]
    OddLength,
    /// The compiler of this version does not emit this opcode.
    #[error("unknown opcode {opcode} at unit {unit}")]
    UnknownOpcode {
        /// Where it was found.
        unit: u32,
        /// The number found.
        opcode: u8,
    },
    /// Prefixes, inline caches or the path of execution run past the last instruction.
    #[error("code ends inside or after the instruction at unit {unit}")]
    Truncated {
        /// The instruction that is cut off.
        unit: u32,
    },
    /// More than three `EXTENDED_ARG` prefixes.
    #[error("argument at unit {unit} has more than 32 bits")]
    ArgumentTooLong {
        /// The first prefix.
        unit: u32,
    },
    /// A jump, or an exception table entry, points between two instructions or outside the code.
    #[error("unit {unit} is not the start of an instruction")]
    NotAnInstruction {
        /// The position pointed at.
        unit: u32,
    },
    /// The interpreter skips a fixed epilogue after an exhausted `FOR_ITER`; it is not there.
    #[error("loop at unit {unit} does not end as the interpreter expects")]
    LoopEpilogue {
        /// The `FOR_ITER`.
        unit: u32,
    },
    /// Two paths reach an instruction with different numbers of values on the stack.
    #[error("stack depth at unit {unit} is both {first} and {second}")]
    DepthConflict {
        /// Where the paths join.
        unit: u32,
        /// The depth on the path walked first.
        first: u32,
        /// The depth on the other path.
        second: u32,
    },
    /// An instruction takes more values than there are, or exceeds the declared stack size.
    #[error("stack depth leaves 0..={limit} at unit {unit}")]
    DepthOutOfRange {
        /// The instruction that does it.
        unit: u32,
        /// The declared stack size.
        limit: u32,
    },
    /// The exception table is not in the 3.11+ format.
    #[error("malformed exception table at byte {byte}")]
    ExceptionTable {
        /// Where reading stopped.
        byte: u32,
    },
    /// The line table is not in the 3.11+ format.
    #[error("malformed line table at byte {byte}")]
    LineTable {
        /// Where reading stopped.
        byte: u32,
    },
    /// The rewritten code would exceed what constants, jumps or the exception table can address.
    #[error("code is too large to rewrite")]
    TooLarge,
}
