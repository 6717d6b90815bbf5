//! The seam to the analyzer: what the exploration asks of a recording, and nothing more.

use crate::error::ReplayError;
use frontrun_formats::{Execution, Schedule};

/// A race as a report tells it, independent of the numbering of one execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaceReport {
    /// What both touched, as in `Counter#1.value`.
    pub location: String,
    /// The two places, in the order of the execution in which the race was first seen.
    pub accesses: [RaceAccess; 2],
}

/// One side of a race.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaceAccess {
    /// Path of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u32,
    /// What was done, as a verb and its object.
    pub action: String,
}

/// What the exploration needs to know about one execution.
#[derive(Clone, Debug, Default)]
pub struct Insight {
    /// Of its equivalence class.
    pub class: u64,
    /// The schedules that could have happened instead.
    pub alternatives: Vec<Schedule>,
    /// Its races.
    pub races: Vec<RaceReport>,
}

/// Analyzes a complete recording.
pub fn examine(execution: &Execution) -> Result<Insight, ReplayError> {
    let explored = frontrun_analyzer::explore(execution, frontrun_analyzer::Tuning::default())
        .map_err(|error| ReplayError::Analysis(error.to_string()))?;
    Ok(Insight {
        class: explored.class,
        alternatives: explored.alternatives.into_iter().map(|alternative| alternative.schedule).collect(),
        races: Vec::new(),
    })
}
