//! Everything that a report about one execution needs.

use crate::alternative::Alternative;
use crate::deadlock::Deadlock;
use crate::happens_before::HappensBefore;
use crate::race::Race;
use frontrun_formats::ThreadPath;

/// What there is to say about one execution.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The execution's class, see [`crate::class_id`].
    pub class: u64,
    /// Whether the execution followed the run rule behind its fixed prefix. If it did not (it was recorded
    /// freely), each alternative is still a possible execution, but an exploration from here is not exhaustive.
    pub explorable: bool,
    /// Pairs of accesses that nothing orders.
    pub races: Vec<Race>,
    /// Why nobody could go on, when somebody is unfinished.
    pub deadlock: Option<Deadlock>,
    /// What could have happened instead, see [`crate::children`].
    pub alternatives: Vec<Alternative>,
    /// Whether these are all; a long execution has more than a report should list ([`crate::MOST_LISTED_ENTRIES`]).
    pub complete: bool,
    /// The order of the events that matter.
    pub happens_before: HappensBefore,
    /// What each thread did, in the order of their paths.
    pub threads: Vec<ThreadSummary>,
}

/// What one thread did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSummary {
    /// Who.
    pub path: ThreadPath,
    /// How many events it executed.
    pub events: usize,
    /// How many of them could conflict with another thread's.
    pub relevant: usize,
    /// Whether it was unfinished at the end.
    pub unfinished: bool,
}
