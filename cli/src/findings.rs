//! The seam to the analyzer: one recorded execution's analysis, with names instead of numbers.
//!
//! Everything here is a function of the recording alone, in a fixed order, so that two analyses of one file are
//! byte-equal.

use frontrun_analyzer::AnalyzeError;
use frontrun_formats::{Execution, Schedule, SiteId, ThreadId};

/// What the analyzer says about one execution.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Of its equivalence class.
    pub class: u64,
    /// Conflicting accesses that nothing orders.
    pub races: Vec<Race>,
    /// Who waits for whom in a circle, if the execution ended in a deadlock.
    pub deadlock: Vec<Wait>,
    /// What could have happened instead. Number 1 is the first.
    pub alternatives: Vec<Alternative>,
}

/// A schedule that could have happened instead.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// What to enforce.
    pub schedule: Schedule,
    /// One line.
    pub reason: String,
}

/// Two accesses that nothing orders.
#[derive(Clone, Debug)]
pub struct Race {
    /// What both touch.
    pub location: String,
    /// In the order of the execution.
    pub accesses: [Access; 2],
}

/// One side of a race.
#[derive(Clone, Debug)]
pub struct Access {
    /// Index of the event, from 0.
    pub event: usize,
    /// Who.
    pub thread: ThreadId,
    /// Where.
    pub site: SiteId,
    /// What.
    pub action: String,
}

/// A thread that cannot go on.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Who.
    pub thread: ThreadId,
    /// Where.
    pub site: SiteId,
    /// For what, as a verb and its object.
    pub action: String,
    /// Who could let it go on.
    pub held_by: Option<ThreadId>,
}

/// Analyzes an execution.
pub fn of(execution: &Execution) -> Result<Findings, AnalyzeError> {
    let explored = frontrun_analyzer::explore(execution, frontrun_analyzer::Tuning::default())?;
    let alternatives = explored.alternatives.into_iter().map(|alternative| {
        let reason = alternative.reason.line(execution);
        Alternative { schedule: alternative.schedule, reason }
    });
    Ok(Findings {
        class: explored.class,
        races: Vec::new(),
        deadlock: Vec::new(),
        alternatives: alternatives.collect(),
    })
}

/// The happens-before graph for Graphviz.
pub fn dot(execution: &Execution) -> Result<String, AnalyzeError> {
    let _ = execution;
    Ok(String::new())
}
