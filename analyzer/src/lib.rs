//! What could have happened instead of one recorded execution.
//!
//! [`children`] gives the work items that an exploration runs next; [`analyze`] gives everything that a report
//! needs. The algorithm is PPX (`docs/algorithm.md`): every Mazurkiewicz class of a program is the execution of
//! exactly one work item, without any state that is shared between items.
//!
//! Pure: no files, no clock, no environment, no threads. Two analyses of one execution give the same bytes.
//!
//! Module map, bottom up: `threads` ranks · `locations` numbers · `kind` what an operation can do at most ·
//! `simulation` one pass in the recorded order · `relevance` what matters · `cut`, `index`, `history`, `trace`
//! the reduced execution · `checks` refusals · `leaf`, `search` the algorithm · `alternative`, `class` results.
//!
//! # Not here
//! What an operation means: `frontrun_formats::semantics`. Running anything: `frontrun-replayer`.

mod alternative;
mod analysis;
mod changes;
mod checks;
mod class;
mod cut;
mod deadlock;
mod describe;
mod error;
mod happens_before;
mod history;
mod index;
mod kind;
mod leaf;
mod locations;
mod memory;
mod race;
mod relevance;
mod search;
mod simulation;
mod survey;
mod threads;
mod trace;

pub use alternative::{Alternative, Reason};
pub use analysis::{Analysis, ThreadSummary};
pub use deadlock::{Deadlock, DeadlockKind, Wait};
pub use describe::location as location_text;
pub use error::AnalyzeError;
pub use happens_before::{HappensBefore, Order};
pub use race::{Access, Race};
pub use trace::Origin;

use frontrun_formats::Execution;
use simulation::Simulation;
use std::ops::ControlFlow;
use threads::Threads;
use trace::Trace;

/// How the search is to be done; only tests have a reason to change anything.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning {
    /// Treat every operation as incoherent, which is always correct, and slower.
    pub everything_incoherent: bool,
}

/// The work items that follow from an execution: together with those of all its descendants they cover every
/// class of the program that is not covered elsewhere, each exactly once.
///
/// # Errors
/// When the execution is not a whole run of its schedule under the run rule, or contradicts the operation
/// table: its item must then be kept as unfinished.
///
/// # Complexity
/// Linear in the events; for each new event, in the older events that conflict with it and are not in its past;
/// for each such pair, in the number of cuts, which are the children and few others.
pub fn children(execution: &Execution) -> Result<Vec<Alternative>, AnalyzeError> {
    explore(execution, Tuning::default()).map(|explored| explored.alternatives)
}

/// How many schedule entries the alternatives of one execution may have together before [`explore`] refuses them.
/// An entry takes 12 bytes.
pub const MOST_ENTRIES: usize = 64 << 20;

/// How many schedule entries [`analyze`] lists alternatives for.
pub const MOST_LISTED_ENTRIES: usize = 4 << 20;

/// Class and work items of one execution: what an exploration needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// See [`class_id`].
    pub class: u64,
    /// See [`children`].
    pub alternatives: Vec<Alternative>,
}

/// [`children`] and [`class_id`] in one pass.
///
/// # Errors
/// As [`children`], and when the alternatives are more than memory should hold ([`MOST_ENTRIES`]).
pub fn explore(execution: &Execution, tuning: Tuning) -> Result<Explored, AnalyzeError> {
    let trace = whole_trace(execution, tuning)?;
    checks::lowest(&trace)?;
    let (alternatives, complete) = collect(&trace, MOST_ENTRIES);
    if !complete {
        return Err(AnalyzeError::TooManyAlternatives { found: alternatives.len() });
    }
    Ok(Explored { class: class::id(&trace), alternatives })
}

/// Calls `visit` with the [`children`] one by one, until it breaks: an execution may have more of them than
/// memory has room for.
///
/// # Errors
/// As [`children`]; nothing has been visited then.
pub fn visit_children(
    execution: &Execution,
    mut visit: impl FnMut(Alternative) -> ControlFlow<()>,
) -> Result<(), AnalyzeError> {
    let trace = whole_trace(execution, Tuning::default())?;
    checks::lowest(&trace)?;
    let _ = search::alternatives(&trace, &mut visit);
    Ok(())
}

/// Everything that a report about the execution needs.
///
/// # Errors
/// When the execution is not a whole run, or contradicts the operation table. Unlike [`children`] it accepts a
/// run that did not follow the run rule, see [`Analysis::explorable`].
pub fn analyze(execution: &Execution) -> Result<Analysis, AnalyzeError> {
    checks::whole(execution)?;
    let threads = Threads::new(execution)?;
    checks::prefix(execution, &threads)?;
    let simulation = Simulation::of(execution)?;
    simulation.check_end(execution)?;
    let deadlock = deadlock::deadlock(execution, &threads, &simulation);
    let trace = Trace::new(execution, threads, simulation, false)?;
    checks::predicted_past(&trace)?;
    let (alternatives, complete) = collect(&trace, MOST_LISTED_ENTRIES);
    let threads = (0..trace.width()).map(|rank| {
        let id = trace.threads.id(rank);
        ThreadSummary {
            path: execution.path(id).cloned().unwrap_or_default(),
            events: trace.events_of[rank].len(),
            relevant: trace.of_thread[rank].len(),
            unfinished: execution.pending.iter().any(|pending| pending.thread == id),
        }
    });
    Ok(Analysis {
        class: class::id(&trace),
        explorable: checks::lowest(&trace).is_ok(),
        races: race::races(&trace),
        deadlock,
        alternatives,
        complete,
        happens_before: HappensBefore::of(&trace),
        threads: threads.collect(),
    })
}

/// The alternatives, until their schedules have `most` entries together; and whether these are all.
fn collect(trace: &Trace, most: usize) -> (Vec<Alternative>, bool) {
    let (mut alternatives, mut entries) = (Vec::new(), 0);
    let end = search::alternatives(trace, &mut |alternative| {
        if entries + alternative.schedule.entries.len() > most && !alternatives.is_empty() {
            return ControlFlow::Break(());
        }
        entries += alternative.schedule.entries.len();
        alternatives.push(alternative);
        ControlFlow::Continue(())
    });
    (alternatives, end.is_continue())
}

/// The name of the execution's class: equal for two executions of one program exactly when they have the same
/// events in the same happens-before order.
///
/// # Errors
/// As [`children`].
pub fn class_id(execution: &Execution) -> Result<u64, AnalyzeError> {
    Ok(class::id(&whole_trace(execution, Tuning::default())?))
}

/// What there is to say about an execution whose alternatives nobody asks for.
#[derive(Clone, Debug)]
pub struct Sketch {
    /// See [`class_id`].
    pub class: u64,
    /// See [`Analysis::races`].
    pub races: Vec<Race>,
    /// Positions of the events that could conflict with another thread's, in order.
    pub relevant: Vec<usize>,
}

/// The sketch of an execution.
///
/// # Errors
/// As [`children`], but any order is accepted.
pub fn sketch(execution: &Execution) -> Result<Sketch, AnalyzeError> {
    let trace = whole_trace(execution, Tuning::default())?;
    let relevant = trace.nodes.iter().map(|node| node.event).collect();
    Ok(Sketch { class: class::id(&trace), races: race::races(&trace), relevant })
}

fn whole_trace(execution: &Execution, tuning: Tuning) -> Result<Trace<'_>, AnalyzeError> {
    checks::whole(execution)?;
    let threads = Threads::new(execution)?;
    checks::prefix(execution, &threads)?;
    let simulation = Simulation::of(execution)?;
    simulation.check_end(execution)?;
    let trace = Trace::new(execution, threads, simulation, tuning.everything_incoherent)?;
    checks::predicted_past(&trace)?;
    Ok(trace)
}
