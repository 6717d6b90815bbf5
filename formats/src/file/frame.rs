//! The frames of the container: how a record becomes bytes, and how bytes become records again.
//!
//! # Model
//! A frame is a head, hidden from zstd in a skippable frame, and one zstd frame:
//!
//! ```text
//! 51 2A 4D 18 | 32 (u32) | kind u32 | ordinal u32 | record bytes u32 | packed bytes u32
//!                        | xxh3 of the packed bytes u64 | xxh3 of the head so far u64 | packed bytes
//! ```
//!
//! The head has a checksum of its own, so that a damaged size is told from a file that ends early: the former
//! is an error, the latter an ordinary end of a killed recording.

use super::error::{ReadError, WriteError};
use super::record::Kind;
use super::{FORMAT_VERSION, OLDEST_VERSION};
use xxhash_rust::xxh3::xxh3_64;

/// The largest record in bytes, unpacked: 64 MiB.
pub const FRAME_LIMIT: u32 = 64 << 20;

/// What every trace contains right behind the first skippable frame's size.
pub(super) const MAGIC: &[u8; 8] = b"FRONTRUN";
const PREFIX_START: &[u8; 4] = b"\x50\x2A\x4D\x18";
const HEAD_START: &[u8; 4] = b"\x51\x2A\x4D\x18";
/// The first bytes of the footer.
pub(super) const FOOTER_START: &[u8; 4] = b"\x52\x2A\x4D\x18";
/// Length of the prefix.
pub(super) const PREFIX_LENGTH: usize = 20;
/// Length of a frame's head.
pub(super) const HEAD_LENGTH: usize = 40;
const HEAD_CONTENT: u32 = 32;
/// Level 1 packs 40 to 90 million events a second; higher levels gain little (`recorder.md`, section 6).
const LEVEL: i32 = 1;
/// zstd's best ratio: a block of 128 KiB in 4 bytes.
const BEST_RATIO: u64 = 32 << 10;

/// The first bytes of a trace.
pub(super) fn prefix() -> [u8; PREFIX_LENGTH] {
    let mut bytes = [0; PREFIX_LENGTH];
    bytes[..4].copy_from_slice(PREFIX_START);
    bytes[4..8].copy_from_slice(&12u32.to_le_bytes());
    bytes[8..16].copy_from_slice(MAGIC);
    bytes[16..].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes
}

/// That `input` starts as a trace of a version that can be read; gives the version.
pub(super) fn check_prefix(input: &[u8]) -> Result<u32, ReadError> {
    let expected = prefix();
    let constant = PREFIX_LENGTH - 4;
    let common = input.len().min(constant);
    if input[..common] != expected[..common] {
        return Err(ReadError::NotATrace);
    }
    if input.len() < PREFIX_LENGTH {
        return Err(ReadError::TruncatedHeader { length: input.len() as u64 });
    }
    match u32_at(input, constant) {
        found @ OLDEST_VERSION..=FORMAT_VERSION => Ok(found),
        found => Err(ReadError::UnsupportedVersion { found, supported: FORMAT_VERSION }),
    }
}

/// Packs records into frames. It keeps its buffers and its compressor.
pub(super) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> Result<Self, WriteError> {
        Ok(Packer { compressor: zstd::bulk::Compressor::new(LEVEL)?, packed: Vec::new() })
    }

    /// Appends the frame number `ordinal` to `out`.
    pub(super) fn pack(
        &mut self,
        kind: Kind,
        ordinal: u32,
        record: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let record_length = match u32::try_from(record.len()) {
            Ok(length) if length <= FRAME_LIMIT => length,
            _ => return Err(WriteError::TooLarge { size: record.len() as u64, limit: FRAME_LIMIT.into() }),
        };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(record.len()));
        self.compressor.compress_to_buffer(record, &mut self.packed)?;
        let start = out.len();
        out.extend_from_slice(HEAD_START);
        // zstd adds at most 1/128 to a record, so the packed length has 32 bits, too.
        for word in [HEAD_CONTENT, kind as u32, ordinal, record_length, self.packed.len() as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&xxh3_64(&self.packed).to_le_bytes());
        let checksum = xxh3_64(&out[start..]);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&self.packed);
        Ok(())
    }
}

/// The head of a frame.
pub(super) struct Head {
    pub(super) kind: Kind,
    ordinal: u32,
    record_length: usize,
    /// How many bytes of zstd follow.
    pub(super) packed_length: usize,
    packed_checksum: u64,
}

impl Head {
    /// The head at the start of `bytes`, which are at `offset` of the file; `None` when the file ends within it.
    pub(super) fn parse(bytes: &[u8], offset: u64) -> Result<Option<Head>, ReadError> {
        let corrupt = |what: &str| Err(ReadError::Corrupt { offset, what: what.to_owned() });
        let common = bytes.len().min(4);
        if bytes[..common] != HEAD_START[..common] {
            return corrupt("no frame starts here");
        }
        let Some(bytes) = bytes.get(..HEAD_LENGTH) else { return Ok(None) };
        if u64_at(bytes, 32) != xxh3_64(&bytes[..32]) {
            return corrupt("the checksum of its head is wrong");
        }
        let Some(kind) = Kind::from_number(u32_at(bytes, 8)) else { return corrupt("its kind is unknown") };
        let (record_length, packed_length) = (u32_at(bytes, 16), u32_at(bytes, 20));
        if record_length > FRAME_LIMIT {
            return Err(ReadError::TooLarge { offset, what: "a record", limit: FRAME_LIMIT.into() });
        }
        if u32_at(bytes, 4) != HEAD_CONTENT
            || u64::from(record_length) > u64::from(packed_length) * BEST_RATIO
            || packed_length as usize > zstd::zstd_safe::compress_bound(record_length as usize)
        {
            return corrupt("its sizes are impossible");
        }
        Ok(Some(Head {
            kind,
            ordinal: u32_at(bytes, 12),
            record_length: record_length as usize,
            packed_length: packed_length as usize,
            packed_checksum: u64_at(bytes, 24),
        }))
    }
}

/// A frame that was read.
pub(super) struct Frame<'a> {
    /// Where it starts in the file.
    pub(super) offset: u64,
    pub(super) kind: Kind,
    /// The record.
    pub(super) record: &'a [u8],
}

/// Reads the frames of a file one after the other.
pub(super) struct Frames<'a> {
    input: &'a [u8],
    position: usize,
    ordinal: u32,
    unpacker: Unpacker,
}

impl<'a> Frames<'a> {
    /// The frames of `input`, whose prefix has been checked.
    pub(super) fn new(input: &'a [u8]) -> Self {
        Frames { input, position: PREFIX_LENGTH, ordinal: 0, unpacker: Unpacker::default() }
    }

    /// The next whole frame; `None` when the file ends before or within it.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let offset = self.offset();
        let rest = &self.input[self.position..];
        let Some(head) = Head::parse(rest, offset)? else { return Ok(None) };
        let Some(packed) = rest.get(HEAD_LENGTH..HEAD_LENGTH + head.packed_length) else { return Ok(None) };
        if head.ordinal != self.ordinal {
            let what = format!("it is frame {}, but frame {} belongs here", head.ordinal, self.ordinal);
            return Err(ReadError::Corrupt { offset, what });
        }
        self.ordinal += 1;
        self.position += HEAD_LENGTH + packed.len();
        let record = self.unpacker.unpack(&head, packed, offset)?;
        Ok(Some(Frame { offset, kind: head.kind, record }))
    }

    /// Where the next frame starts.
    pub(super) fn offset(&self) -> u64 {
        self.position as u64
    }

    /// What is left of the file.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.input[self.position..]
    }
}

/// Unpacks frames, into one buffer.
#[derive(Default)]
pub(super) struct Unpacker {
    decompressor: zstd::bulk::Decompressor<'static>,
    record: Vec<u8>,
}

impl Unpacker {
    /// The record of a frame. Whatever zstd's own header claims, no more than the head's length is unpacked.
    pub(super) fn unpack(&mut self, head: &Head, packed: &[u8], offset: u64) -> Result<&[u8], ReadError> {
        let corrupt = |what: &str| ReadError::Corrupt { offset, what: what.to_owned() };
        if xxh3_64(packed) != head.packed_checksum {
            return Err(corrupt("its checksum is wrong"));
        }
        // Before memory is asked for: two lies have to agree, and then the limit of a frame holds.
        if !matches!(zstd::zstd_safe::get_frame_content_size(packed), Ok(Some(size)) if size == head.record_length as u64)
        {
            return Err(corrupt("its record has another length than its head says"));
        }
        self.record.clear();
        self.record.reserve_exact(head.record_length);
        self.decompressor
            .decompress_to_buffer(packed, &mut self.record)
            .map_err(|error| corrupt(&format!("zstd cannot unpack it ({error})")))?;
        if self.record.len() != head.record_length {
            return Err(corrupt("its record has another length than its head says"));
        }
        Ok(&self.record)
    }
}

/// The little-endian number at `at`; the caller knows that it is there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of 4 bytes"))
}

/// The little-endian number at `at`; the caller knows that it is there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of 8 bytes"))
}
