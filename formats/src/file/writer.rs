//! An execution to bytes, frame by frame as it happens.

use super::columns::Encoder;
use super::error::WriteError;
use super::events::{put_events, put_pending, put_switches, put_values};
use super::frame::{FRAME_LIMIT, Packer, prefix};
use super::index::{FrameEntry, Index, put_footer};
use super::record::{DeltaRecord, EndRecord, Kind};
use super::tables::{Rows, Tables};
use super::{Delta, End};
use crate::event::Event;
use crate::execution::{Execution, Header, Source};
use crate::input::Input;
use crate::operation::Operation;
use serde::Serialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// What a frame of events aims at: so many events, or locations of [`Operation::Touch`].
const EVENTS_PER_FRAME: usize = 1 << 16;
/// What a frame of texts aims at, in bytes.
const TEXT_PER_FRAME: usize = 16 << 20;

/// Writes a trace while it happens.
///
/// Whatever is appended goes to `W` in one `write_all`, and `W` is flushed: a killed process leaves everything
/// that was appended. `W` is best a file itself; a buffer in front of one only costs.
pub struct Writer<W: Write> {
    output: W,
    packer: Packer,
    encoder: Encoder,
    values: Encoder,
    tables: Tables,
    index: Index,
    offset: u64,
    /// Set while bytes are being written, so it stays set when that fails.
    broken: bool,
    order: Vec<u8>,
    switches: Vec<u8>,
    record: Vec<u8>,
    /// Whole frames that are about to be written.
    bytes: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Starts a trace: writes the prefix and the header.
    ///
    /// # Errors
    /// [`WriteError::Io`], and [`WriteError::TooLarge`] when the header does not fit in a frame.
    pub fn create(output: W, header: &Header) -> Result<Self, WriteError> {
        let mut writer = Writer {
            output,
            packer: Packer::new()?,
            encoder: Encoder::default(),
            values: Encoder::default(),
            tables: Tables::default(),
            index: Index::default(),
            offset: 0,
            broken: false,
            order: Vec::new(),
            switches: Vec::new(),
            record: Vec::new(),
            bytes: prefix().to_vec(),
        };
        writer.record = rmp_serde::to_vec_named(header).map_err(std::io::Error::other)?;
        writer.pack(Kind::Header, 0)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Appends what is new. When it returns, the delta is with the operating system.
    ///
    /// A delta of many events becomes several frames.
    ///
    /// # Errors
    /// [`WriteError::Invalid`] when something refers to a row that neither this nor an earlier delta has, and
    /// [`WriteError::TooLarge`] when the rows do not fit in a frame; the trace can go on without the delta.
    /// [`WriteError::Io`] ends the trace: only [`WriteError::Broken`] follows it.
    pub fn append(&mut self, delta: &Delta) -> Result<(), WriteError> {
        let before = (self.tables, self.index.events, self.index.frames.len());
        if let Err(error) = self.pack_delta(delta) {
            (self.tables, self.index.events) = (before.0, before.1);
            self.index.frames.truncate(before.2);
            self.bytes.clear();
            return Err(error);
        }
        self.flush()
    }

    /// Ends the trace and gives the output back.
    ///
    /// # Errors
    /// As for [`Writer::append`]. The trace is then as if it had been cut off here.
    pub fn finish(mut self, end: &End) -> Result<W, WriteError> {
        self.pack_sources(&end.sources)?;
        put_pending(&mut self.encoder, self.tables, &end.pending)?;
        let record = EndRecord {
            pending: self.encoder.columns(),
            observed: Cow::Borrowed(&end.observed),
            outcome: Cow::Borrowed(&end.outcome),
        };
        serialize(&record, &mut self.record)?;
        self.pack(Kind::End, 0)?;
        self.index.threads = self.tables.threads();
        put_footer(&self.index, &mut self.bytes);
        self.flush()?;
        Ok(self.output)
    }

    fn pack_delta(&mut self, delta: &Delta) -> Result<(), WriteError> {
        self.tables = self.tables.with(&Rows {
            strings: delta.strings.len(),
            keys: &delta.keys,
            sites: &delta.sites,
            objects: &delta.objects,
            threads: delta.threads.len(),
        })?;
        let (mut events, mut later) = split(&delta.events);
        self.pack_rows(delta, events)?;
        while !later.is_empty() {
            (events, later) = split(later);
            self.pack_rows(&Delta::default(), events)?;
        }
        self.pack_inputs(&delta.inputs)
    }

    /// Makes a frame of the rows of `delta` and some of its events.
    fn pack_rows(&mut self, delta: &Delta, events: &[Event]) -> Result<(), WriteError> {
        put_values(&mut self.values, self.tables, &delta.initial)?;
        put_events(&mut self.encoder, &mut self.order, self.tables, events)?;
        put_switches(&mut self.switches, events);
        let record = DeltaRecord {
            strings: Cow::Borrowed(&delta.strings),
            keys: Cow::Borrowed(&delta.keys),
            sites: Cow::Borrowed(&delta.sites),
            objects: Cow::Borrowed(&delta.objects),
            threads: Cow::Borrowed(&delta.threads),
            initial: self.values.columns(),
            order: &self.order,
            events: self.encoder.columns(),
            switches: Some(&self.switches),
        };
        serialize(&record, &mut self.record)?;
        self.pack(Kind::Delta, events.len() as u32)
    }

    /// Inputs are not split: what does not fit in a frame is more than anybody wants in a trace.
    fn pack_inputs(&mut self, inputs: &[Input]) -> Result<(), WriteError> {
        let mut rest = inputs;
        while !rest.is_empty() {
            let mut size = 0;
            let full = rest.iter().position(|input| {
                size += match input {
                    Input::Received { bytes, .. } | Input::Answered { answer: bytes, .. } => bytes.len(),
                    _ => 0,
                };
                size > TEXT_PER_FRAME
            });
            let (now, later) = rest.split_at(full.map_or(rest.len(), |first| first.max(1)));
            serialize(&now, &mut self.record)?;
            self.pack(Kind::Inputs, 0)?;
            rest = later;
        }
        Ok(())
    }

    fn pack_sources(&mut self, sources: &[Source]) -> Result<(), WriteError> {
        let mut batch: Vec<Cow<'_, Source>> = Vec::new();
        let mut size = 0;
        for source in sources {
            let text = source.text.as_ref().map_or(0, String::len);
            if size + text > TEXT_PER_FRAME && !batch.is_empty() {
                serialize(&batch, &mut self.record)?;
                self.pack(Kind::Sources, 0)?;
                batch.clear();
                size = 0;
            }
            size += text;
            batch.push(if text > FRAME_LIMIT as usize / 2 {
                Cow::Owned(Source { text: None, ..source.clone() })
            } else {
                Cow::Borrowed(source)
            });
        }
        if batch.is_empty() {
            return Ok(());
        }
        serialize(&batch, &mut self.record)?;
        self.pack(Kind::Sources, 0)
    }

    /// Makes `record` the next frame of `bytes`.
    fn pack(&mut self, kind: Kind, events: u32) -> Result<(), WriteError> {
        let offset = self.offset + self.bytes.len() as u64;
        let ordinal = self.index.frames.len() as u32;
        self.packer.pack(kind, ordinal, &self.record, &mut self.bytes)?;
        self.index.frames.push(FrameEntry { offset, events });
        self.index.events += u64::from(events);
        Ok(())
    }

    /// Writes `bytes`. A failure may leave a part of them in the file, behind which nothing could be read.
    fn flush(&mut self) -> Result<(), WriteError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(WriteError::Broken);
        }
        self.output.write_all(&self.bytes)?;
        self.output.flush()?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        self.broken = false;
        Ok(())
    }
}

/// Writes a whole execution to a new file at `path`, replacing what is there.
///
/// Without an outcome the file ends as a recording does that was cut off, without pending operations and
/// without what was observed.
///
/// # Errors
/// As for [`Writer::append`].
pub fn write_file(path: &Path, execution: &Execution) -> Result<(), WriteError> {
    let mut writer = Writer::create(File::create(path)?, &execution.header)?;
    let mut strings = execution.strings.as_slice();
    while strings.iter().map(String::len).sum::<usize>() > TEXT_PER_FRAME && strings.len() > 1 {
        let (now, later) = strings.split_at(strings.len() / 2);
        writer.append(&Delta { strings: now.to_vec(), ..Delta::default() })?;
        strings = later;
    }
    writer.append(&Delta {
        strings: strings.to_vec(),
        keys: execution.keys.clone(),
        sites: execution.sites.clone(),
        objects: execution.objects.clone(),
        threads: execution.threads.clone(),
        initial: execution.initial.clone(),
        events: execution.events.clone(),
        inputs: execution.inputs.clone(),
    })?;
    let sources = execution.sources.clone();
    match &execution.outcome {
        Some(outcome) => {
            let (pending, observed) = (execution.pending.clone(), execution.observed.clone());
            writer.finish(&End { pending, sources, observed, outcome: outcome.clone() })?;
        }
        None => {
            writer.pack_sources(&sources)?;
            writer.flush()?;
        }
    }
    Ok(())
}

/// The events of the next frame, and those after it.
fn split(events: &[Event]) -> (&[Event], &[Event]) {
    let mut size = 0;
    let full = events.iter().position(|event| {
        size += match &event.operation {
            Operation::Touch { reads, writes } => 1 + reads.len() + writes.len(),
            _ => 1,
        };
        size > EVENTS_PER_FRAME
    });
    events.split_at(full.map_or(events.len(), |first| first.max(1)))
}

fn serialize<T: Serialize>(record: &T, out: &mut Vec<u8>) -> Result<(), WriteError> {
    out.clear();
    // A vector takes all bytes, and no record has a type that MessagePack lacks.
    record.serialize(&mut rmp_serde::Serializer::new(out)).map_err(std::io::Error::other)?;
    Ok(())
}
