//! What a run is told to do: a fixed prefix, and who goes next after it: by default the lowest enabled thread.
//!
//! The tail rule is a pure function of the schedule and of what was executed, so a schedule determines an execution of
//! a data-deterministic program.

use crate::id::ThreadPath;
use serde::{Deserialize, Serialize};

/// A fixed schedule prefix: the work item of the exploration (analyzer) and the order to enforce (replayer).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schedule {
    /// The threads that [`ScheduleEntry::thread`] refers to.
    pub threads: Vec<ThreadPath>,
    /// One entry per event of the prefix; an opaque block has one entry, that of its first event.
    pub entries: Vec<ScheduleEntry>,
    /// Who goes next after the prefix.
    #[serde(default, skip_serializing_if = "Tail::is_lowest")]
    pub tail: Tail,
}

/// Who goes next when the prefix of a schedule has been executed. A recording says what was executed, so a reader need
/// not know the rule to understand it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tail {
    /// The lowest enabled thread: the run rule of the exploration.
    #[default]
    Lowest,
    /// A thread that is drawn at random from the enabled ones.
    Sampled(Sampling),
    /// Each number names a child of the main thread, which makes one step if it is enabled; else the number is passed
    /// over. The main thread goes first whenever it is enabled, and begins and ends of threads take no number. Behind
    /// the last number the lowest enabled thread goes first.
    Turns(Vec<u32>),
}

impl Tail {
    /// Whether this is the run rule of the exploration.
    pub fn is_lowest(&self) -> bool {
        *self == Tail::Lowest
    }
}

/// One random schedule: equal values give equal executions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sampling {
    /// How the draws are made.
    pub sampler: Sampler,
    /// Of the generator.
    pub seed: u64,
    /// After so many steps every sampler goes on as a random walk, which is fair: a loop that waits for another thread
    /// then ends.
    pub steps: u32,
    /// Whether the order of the priorities that threads begin with is reversed.
    pub mirrored: bool,
    /// Fingerprints of steps that are no place for a change of priority, sorted.
    pub ignored: Vec<u32>,
}

/// A distribution over schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sampler {
    /// Random walk: each step is drawn uniformly from the enabled threads.
    Walk,
    /// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): the enabled thread with the highest of
    /// random priorities goes first, and at each change point the thread that made the step falls below all others.
    Pct {
        /// The first change point, counted in steps; 0 for none.
        first: u32,
        /// How many further ones are drawn.
        further: u32,
        /// From the first so many steps.
        horizon: u32,
    },
    /// Partial order sampling (Yuan et al., CAV 2018): each pending event has a random priority, which is drawn anew
    /// when an event is executed that it conflicts with.
    Pos,
}

/// One event, or opaque block, of a schedule.
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
    /// Fingerprint of all that the event or block touched in the execution that the schedule was derived from, where it has
    /// the same past here; 0 where it has not, and in schedules of older traces. The analyzer makes and compares it.
    #[serde(default)]
    pub touches: u32,
}

impl Schedule {
    /// The content hash that makes delivering an item twice harmless. It ignores [`ScheduleEntry::expect`] and
    /// [`ScheduleEntry::touches`], and in which order [`Schedule::threads`] names the threads: two executions may number them differently.
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
        if let Tail::Turns(turns) = &self.tail {
            bytes.extend(turns.iter().flat_map(|turn| turn.to_le_bytes()));
        }
        if let Tail::Sampled(sampling) = &self.tail {
            let kind = match sampling.sampler {
                Sampler::Walk => [1, 0, 0, 0],
                Sampler::Pct { first, further, horizon } => [2, first, further, horizon],
                Sampler::Pos => [3, 0, 0, 0],
            };
            for part in kind.iter().chain([&sampling.steps]).chain(&sampling.ignored) {
                bytes.extend_from_slice(&part.to_le_bytes());
            }
            bytes.push(sampling.mirrored.into());
            bytes.extend_from_slice(&sampling.seed.to_le_bytes());
        }
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// How often the prefix switches away from a thread other than at that thread's own end of the prefix: an
    /// upper bound of the preemptions.
    pub fn switches(&self) -> usize {
        self.entries.windows(2).filter(|pair| pair[0].thread != pair[1].thread).count()
    }
}
