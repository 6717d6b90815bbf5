//! The MessagePack records, one per frame.
//!
//! Structs are arrays, in the order of their fields; the header alone is a map with names, so that other tools
//! can read it. Encoding and decoding share the types, so they cannot drift apart.

use super::columns::Columns;
use super::error::Fault;
use crate::execution::{ObjectInfo, Site, ThreadInfo};
use crate::id::StringId;
use crate::outcome::Outcome;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a frame holds; the numbers are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Delta = 2,
    Sources = 3,
    End = 4,
    /// Since version 3.
    Inputs = 5,
}

impl Kind {
    /// The kind with this number.
    pub(super) fn from_number(number: u32) -> Option<Kind> {
        let all = [Kind::Header, Kind::Delta, Kind::Sources, Kind::End, Kind::Inputs];
        all.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// [`super::Delta`] in the file.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct DeltaRecord<'a> {
    pub(super) strings: Cow<'a, [String]>,
    pub(super) keys: Cow<'a, [StringId]>,
    pub(super) sites: Cow<'a, [Site]>,
    pub(super) objects: Cow<'a, [ObjectInfo]>,
    pub(super) threads: Cow<'a, [ThreadInfo]>,
    #[serde(borrow)]
    pub(super) initial: Columns<'a>,
    #[serde(borrow, with = "serde_bytes")]
    pub(super) order: &'a [u8],
    #[serde(borrow)]
    pub(super) events: Columns<'a>,
    /// [`crate::Event::gil_switch`]; missing in version 1.
    #[serde(borrow, default, with = "serde_bytes")]
    pub(super) switches: Option<&'a [u8]>,
}

/// [`super::End`] in the file, without the sources, which have frames of their own.
#[derive(Serialize, Deserialize)]
pub(super) struct EndRecord<'a> {
    #[serde(borrow)]
    pub(super) pending: Columns<'a>,
    pub(super) observed: Cow<'a, Option<String>>,
    pub(super) outcome: Cow<'a, Outcome>,
}

/// What is wrong with the bytes of a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordFault {
    #[error("the record is not what its kind says ({0})")]
    MessagePack(#[from] rmp_serde::decode::Error),
    #[error("something follows the record")]
    Rest,
    #[error(transparent)]
    Content(#[from] Fault),
}

/// The record that `bytes` hold, all of them.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordFault> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
    let record = T::deserialize(&mut decoder)?;
    // The decoder does not tell its position, but at the end of its input it finds no marker.
    match serde::de::IgnoredAny::deserialize(&mut decoder) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(record),
        _ => Err(RecordFault::Rest),
    }
}
