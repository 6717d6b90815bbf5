//! What a run is told to do: a fixed prefix, after which the lowest enabled thread goes first.
//!
//! The tail rule is a pure function of the prefix, so a schedule determines an execution of a
//! data-deterministic program.

use crate::id::ThreadPath;
use serde::{Deserialize, Serialize};

/// A fixed schedule prefix: the work item of the exploration (analyzer) and the order to enforce (replayer).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schedule {
    /// The threads that [`ScheduleEntry::thread`] refers to.
    pub threads: Vec<ThreadPath>,
    /// One entry per event of the prefix.
    pub entries: Vec<ScheduleEntry>,
}

/// One event of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScheduleEntry {
    /// Index into [`Schedule::threads`].
    pub thread: u32,
    /// Fingerprint of the operation kind and the source position that are expected here
    /// ([`crate::Execution::fingerprint`]); 0 when anything is accepted.
    pub expect: u32,
    /// Whether the event is the head of its step; the others are its chunk (events pulled in front of it).
    pub head: bool,
    /// Whether the event is the first one of its step.
    pub opens_step: bool,
}

impl Schedule {
    /// The content hash that makes delivering an item twice harmless. It ignores [`ScheduleEntry::expect`], and in
    /// which order [`Schedule::threads`] names the threads: two executions may number them differently.
    pub fn id(&self) -> u64 {
        let mut numbers: Vec<Option<u32>> = vec![None; self.threads.len()];
        let mut count = 0;
        let mut bytes = Vec::with_capacity(self.entries.len() * 5);
        for entry in &self.entries {
            bytes.push(u8::from(entry.head) | u8::from(entry.opens_step) << 1);
            let Some(number) = numbers.get_mut(entry.thread as usize) else {
                bytes.extend_from_slice(&(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(&entry.thread.to_le_bytes());
                continue;
            };
            if let Some(number) = number {
                bytes.extend_from_slice(&number.to_le_bytes());
                continue;
            }
            // The first entry of a thread spells out its path.
            let path = &self.threads[entry.thread as usize].0;
            for part in [count, path.len() as u32].iter().chain(path) {
                bytes.extend_from_slice(&part.to_le_bytes());
            }
            *number = Some(count);
            count += 1;
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// How often the prefix switches away from a thread other than at that thread's own end of the prefix: an
    /// upper bound of the preemptions.
    pub fn switches(&self) -> usize {
        self.entries.windows(2).filter(|pair| pair[0].thread != pair[1].thread).count()
    }
}
