//! Why a trace could not be read or written.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a trace could not be read. Offsets count bytes from the start of the file and name the frame at fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file does not start as a trace does.
    #[error("this is not a frontrun trace")]
    NotATrace,
    /// The file has another format version.
    #[error(
        "trace needs format {found}, this frontrun reads formats up to {supported}: \
         install a frontrun that reads it (pip install -U frontrun)"
    )]
    UnsupportedVersion {
        /// The version in the file.
        found: u32,
        /// The newest version that is read here.
        supported: u32,
    },
    /// The file ends before its header does, so nothing can be said about it.
    #[error("trace is cut off inside its header, after {length} bytes: record it again")]
    TruncatedHeader {
        /// How many bytes there are.
        length: u64,
    },
    /// The file is damaged, or was not written by frontrun.
    #[error("trace is damaged in the frame at byte {offset}: {what}")]
    Corrupt {
        /// Where the damaged frame starts.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file asks for more memory than the reader gives.
    #[error("trace is too large at byte {offset}: {what} exceeds the limit of {limit}")]
    TooLarge {
        /// Where the frame starts that exceeds the limit.
        offset: u64,
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The file could not be read from the disk.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a trace could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The bytes could not be written.
    #[error("cannot write the trace")]
    Io(#[from] io::Error),
    /// A row or an event refers to something that no delta has defined. This is a bug of the caller.
    #[error("frontrun bug: the trace would not be readable: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// One record exceeds [`super::FRAME_LIMIT`].
    #[error("a record of {size} bytes does not fit in a frame of the trace (limit {limit})")]
    TooLarge {
        /// Size of the record in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An earlier write failed, so the file ends in a part of a frame; nothing can follow it.
    #[error("the trace is incomplete because an earlier write failed")]
    Broken,
}

/// What is wrong with a record; the reader adds where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("column `{0}` ends too early")]
    Short(&'static str),
    #[error("column `{0}` has bytes that nothing refers to")]
    Long(&'static str),
    #[error("column `{0}` holds a number out of range")]
    Number(&'static str),
    #[error("{0} is not the number of an operation")]
    Kind(u8),
    #[error("{0} is not the number of a part")]
    Part(u8),
    #[error("{0} is not the number of a value")]
    Value(u8),
    #[error("{table} {id} is not defined, there are {size}")]
    Undefined { table: &'static str, id: u32, size: u32 },
    #[error("a flag of a thread belongs to `ObjectId::THREADS`, and only such a flag does")]
    ThreadFlag,
    #[error("table `{0}` has too many rows")]
    Full(&'static str),
    #[error("the order of the threads covers {covered} events, but there are {events}")]
    Order { covered: u64, events: u64 },
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> Self {
        WriteError::Invalid { what: fault.to_string() }
    }
}
