//! The footer: where the frames of a finished trace are, without reading them.
//!
//! ```text
//! 52 2A 4D 18 | size (u32) | MessagePack index | its xxh3 (u64) | its length (u32) | "FRONTRUN"
//! ```
//!
//! The footer is redundant: a trace without one reads the same, only that this cannot be told from its end.

use super::error::ReadError;
use super::frame::{FOOTER_START, FRAME_LIMIT, MAGIC, PREFIX_LENGTH, check_prefix, u32_at, u64_at};
use super::record::decode;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// What the footer of a finished trace says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// How many events there are.
    pub events: u64,
    /// How many threads there are.
    pub threads: u32,
    /// The frames, in the order of the file.
    pub frames: Vec<FrameEntry>,
}

/// One frame of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameEntry {
    /// Where it starts.
    pub offset: u64,
    /// How many events it holds.
    pub events: u32,
}

/// Behind the index: checksum, length, magic.
const TAIL_LENGTH: usize = 8 + 4 + 8;
const START_LENGTH: usize = 4 + 4;

/// Appends the footer.
pub(super) fn put_footer(index: &Index, out: &mut Vec<u8>) {
    let bytes = rmp_serde::to_vec(index).expect("numbers in a vector always serialize");
    out.extend_from_slice(FOOTER_START);
    out.extend_from_slice(&((bytes.len() + TAIL_LENGTH) as u32).to_le_bytes());
    out.extend_from_slice(&bytes);
    out.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(MAGIC);
}

/// The index in `bytes`, which are what follows the end record; `None` when the footer is cut off.
pub(super) fn get_footer(bytes: &[u8], offset: u64) -> Result<Option<Index>, ReadError> {
    let corrupt = |what: &str| ReadError::Corrupt { offset, what: what.to_owned() };
    let common = bytes.len().min(4);
    if bytes[..common] != FOOTER_START[..common] {
        return Err(corrupt("something other than the footer follows the end of the recording"));
    }
    if bytes.len() < START_LENGTH {
        return Ok(None);
    }
    let size = u32_at(bytes, 4) as usize;
    let content = &bytes[START_LENGTH..];
    if content.len() < size {
        return Ok(None);
    }
    if content.len() > size {
        return Err(corrupt("something follows the footer"));
    }
    parse_content(content).map(Some).map_err(corrupt)
}

/// The index in the content of the footer's skippable frame.
fn parse_content(content: &[u8]) -> Result<Index, &'static str> {
    let length = content.len().checked_sub(TAIL_LENGTH).ok_or("the footer is too short")?;
    let (bytes, tail) = content.split_at(length);
    if &tail[12..] != MAGIC || u32_at(tail, 8) as usize != length || u64_at(tail, 0) != xxh3_64(bytes) {
        return Err("the checksum of the footer is wrong");
    }
    decode(bytes).map_err(|_| "the footer holds no index")
}

/// The index of a trace, from the end of its file; `None` when the recording did not finish.
///
/// # Errors
/// Those of [`super::read_header`], except that a trace which was cut off is none.
pub fn read_index(path: &Path) -> Result<Option<Index>, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut prefix = Vec::new();
    file.by_ref().take(PREFIX_LENGTH as u64).read_to_end(&mut prefix).map_err(io)?;
    check_prefix(&prefix)?;
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    let tail_offset = length.saturating_sub(TAIL_LENGTH as u64);
    let tail = read_at(&mut file, tail_offset, TAIL_LENGTH as u64).map_err(io)?;
    if tail.len() != TAIL_LENGTH || &tail[12..] != MAGIC {
        return Ok(None);
    }
    let index_length = u32_at(&tail, 8);
    if index_length > FRAME_LIMIT {
        return Err(ReadError::TooLarge {
            offset: tail_offset,
            what: "the index",
            limit: FRAME_LIMIT.into(),
        });
    }
    let size = START_LENGTH as u64 + u64::from(index_length) + TAIL_LENGTH as u64;
    let Some(offset) = length.checked_sub(size) else { return Ok(None) };
    get_footer(&read_at(&mut file, offset, size).map_err(io)?, offset)
}

fn read_at(file: &mut File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
