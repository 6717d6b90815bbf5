//! Bytes to an [`Execution`].
//!
//! Everything up to the last whole frame is given back. What is damaged in between is an error: a recording
//! with a hole in it is no recording.

use super::error::ReadError;
use super::events::{get_events, get_pending, get_switches, get_values};
use super::frame::{Frame, Frames, HEAD_LENGTH, Head, PREFIX_LENGTH, Unpacker, check_prefix};
use super::index::get_footer;
use super::record::{DeltaRecord, EndRecord, Kind, RecordFault, decode};
use super::tables::{Rows, Tables};
use crate::execution::{Execution, Header, Source};
use crate::input::Input;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most bytes that all records of one file may have, unpacked: a small file can claim to be a large one.
const TOTAL_LIMIT: u64 = 4 << 30;
/// The most events that one file may have; they take about 50 bytes each in memory.
const EVENT_LIMIT: u64 = 1 << 28;

/// The execution in a trace.
///
/// A trace that was cut off gives what is whole, with [`Execution::truncated`] set and no outcome.
///
/// # Errors
/// [`ReadError`] when the input is no trace of this version, ends before its header does, is damaged, or asks
/// for too much memory. Never [`ReadError::Io`].
pub fn read(input: &[u8]) -> Result<Execution, ReadError> {
    check_prefix(input)?;
    let mut frames = Frames::new(input);
    let header = match frames.next()? {
        Some(frame) => header_of(&frame)?,
        None => return Err(ReadError::TruncatedHeader { length: input.len() as u64 }),
    };
    let mut assembly = Assembly::default();
    assembly.execution.header = header;
    while assembly.execution.outcome.is_none() {
        match frames.next()? {
            Some(frame) => assembly.add(&frame)?,
            None => break,
        }
    }
    if assembly.execution.outcome.is_some() {
        assembly.check_footer(frames.rest(), frames.offset())?;
    }
    Ok(assembly.finish())
}

/// The execution in the file at `path`, see [`read`].
///
/// # Errors
/// Those of [`read`], and [`ReadError::Io`].
pub fn read_file(path: &Path) -> Result<Execution, ReadError> {
    let input = std::fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    read(&input)
}

/// The format version and the header of the file at `path`, without reading more of it.
///
/// # Errors
/// [`ReadError`] when the file cannot be read, is no trace of this version, or ends before its header does; what
/// follows the header is not looked at.
pub fn read_header(path: &Path) -> Result<(u32, Header), ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.by_ref().take((PREFIX_LENGTH + HEAD_LENGTH) as u64).read_to_end(&mut bytes).map_err(io)?;
    let version = check_prefix(&bytes)?;
    let offset = PREFIX_LENGTH as u64;
    let mut length = bytes.len() as u64;
    if let Some(head) = Head::parse(&bytes[PREFIX_LENGTH..], offset)? {
        let mut packed = Vec::new();
        file.take(head.packed_length as u64).read_to_end(&mut packed).map_err(io)?;
        if packed.len() == head.packed_length {
            let mut unpacker = Unpacker::default();
            let record = unpacker.unpack(&head, &packed, offset)?;
            return Ok((version, header_of(&Frame { offset, kind: head.kind, record })?));
        }
        length += packed.len() as u64;
    }
    Err(ReadError::TruncatedHeader { length })
}

fn header_of(frame: &Frame<'_>) -> Result<Header, ReadError> {
    match frame.kind {
        Kind::Header => decode(frame.record).map_err(|fault| corrupt(frame, &fault)),
        _ => Err(misplaced(frame, "the first frame is not the header")),
    }
}

/// An execution that is being put together.
#[derive(Default)]
struct Assembly {
    execution: Execution,
    tables: Tables,
    bytes: u64,
}

impl Assembly {
    fn add(&mut self, frame: &Frame<'_>) -> Result<(), ReadError> {
        self.bytes += frame.record.len() as u64;
        if self.bytes > TOTAL_LIMIT {
            let what = "the sum of all records";
            return Err(ReadError::TooLarge { offset: frame.offset, what, limit: TOTAL_LIMIT });
        }
        match frame.kind {
            Kind::Header => Err(misplaced(frame, "there is a second header")),
            Kind::Delta => self.add_delta(frame),
            Kind::Sources => {
                let sources: Vec<Source> = decode(frame.record).map_err(|fault| corrupt(frame, &fault))?;
                self.execution.sources.extend(sources);
                Ok(())
            }
            Kind::Inputs => {
                let inputs: Vec<Input> = decode(frame.record).map_err(|fault| corrupt(frame, &fault))?;
                self.execution.inputs.extend(inputs);
                Ok(())
            }
            Kind::End => self.add_end(frame.record).map_err(|fault| corrupt(frame, &fault)),
        }
    }

    fn add_delta(&mut self, frame: &Frame<'_>) -> Result<(), ReadError> {
        let delta: DeltaRecord<'_> = decode(frame.record).map_err(|fault| corrupt(frame, &fault))?;
        let events = self.execution.events.len() + delta.events.kinds.len();
        if events as u64 > EVENT_LIMIT {
            let what = "the number of events";
            return Err(ReadError::TooLarge { offset: frame.offset, what, limit: EVENT_LIMIT });
        }
        self.add_rows(delta).map_err(|fault| corrupt(frame, &fault))
    }

    fn add_rows(&mut self, delta: DeltaRecord<'_>) -> Result<(), RecordFault> {
        self.tables = self.tables.with(&Rows {
            strings: delta.strings.len(),
            keys: &delta.keys,
            sites: &delta.sites,
            objects: &delta.objects,
            threads: delta.threads.len(),
        })?;
        let execution = &mut self.execution;
        execution.strings.extend(delta.strings.into_owned());
        execution.keys.extend(delta.keys.into_owned());
        execution.sites.extend(delta.sites.into_owned());
        execution.objects.extend(delta.objects.into_owned());
        execution.threads.extend(delta.threads.into_owned());
        get_values(&delta.initial, self.tables, &mut execution.initial)?;
        let before = execution.events.len();
        get_events(&delta.events, delta.order, self.tables, &mut execution.events)?;
        if let Some(switches) = delta.switches {
            get_switches(switches, &mut execution.events[before..])?;
        }
        Ok(())
    }

    fn add_end(&mut self, record: &[u8]) -> Result<(), RecordFault> {
        let end: EndRecord<'_> = decode(record)?;
        self.execution.pending = get_pending(&end.pending, self.tables)?;
        self.execution.observed = end.observed.into_owned();
        self.execution.outcome = Some(end.outcome.into_owned());
        Ok(())
    }

    /// A footer may be missing, but not say anything else than the frames do.
    fn check_footer(&self, rest: &[u8], offset: u64) -> Result<(), ReadError> {
        let Some(index) = get_footer(rest, offset)? else { return Ok(()) };
        let found = (self.execution.events.len() as u64, self.tables.threads());
        if (index.events, index.threads) == found {
            return Ok(());
        }
        let what = format!(
            "the footer says {} events and {} threads, but there are {} and {}",
            index.events, index.threads, found.0, found.1
        );
        Err(ReadError::Corrupt { offset, what })
    }

    fn finish(mut self) -> Execution {
        self.execution.truncated = self.execution.outcome.is_none();
        self.execution
    }
}

fn corrupt(frame: &Frame<'_>, fault: &RecordFault) -> ReadError {
    ReadError::Corrupt { offset: frame.offset, what: fault.to_string() }
}

fn misplaced(frame: &Frame<'_>, what: &str) -> ReadError {
    ReadError::Corrupt { offset: frame.offset, what: what.to_owned() }
}
