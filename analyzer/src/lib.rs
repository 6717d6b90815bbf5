//! What could have happened instead of one recorded execution.
//!
//! [`children`] gives the work items that an exploration runs next; [`analyze`] gives everything that a report
//! needs. The algorithm is PPX (`docs/algorithm.md`): every Mazurkiewicz class of a program is the execution of
//! exactly one work item, without any state that is shared between items.
//!
//! Pure: no files, no clock, no environment, no threads. Two analyses of one execution give the same bytes.
//!
//! Module map, bottom up: `threads` ranks · `locations` numbers · `kind` what an operation can do at most ·
//! `units` what is atomic · `touched` what of it can be compared ·
//! `simulation` one pass in the recorded order · `relevance` what matters · `cut`, `index`, `history`, `trace`
//! the reduced execution · `checks` refusals · `leaf`, `search` the algorithm · `names`, `probe`, `memo`, `conduct`,
//! `blocks` the algorithm for opaque blocks · `alternative`, `class`, `gil` results.
//!
//! # Not here
//! What an operation means: `frontrun_formats::semantics`. Running anything: `frontrun-replayer`.

mod alternative;
mod analysis;
mod blocks;
mod changes;
mod checks;
mod class;
mod conduct;
mod cut;
mod deadlock;
mod describe;
mod error;
mod gil;
mod happens_before;
mod history;
mod index;
mod kind;
mod leaf;
mod locations;
mod memo;
mod memory;
mod missed;
mod names;
mod probe;
mod race;
mod relevance;
mod search;
mod simulation;
mod subject;
mod survey;
mod threads;
mod touched;
mod trace;
mod units;

pub use alternative::{Alternative, Reason};
pub use analysis::{Analysis, ThreadSummary};
pub use deadlock::{Deadlock, DeadlockKind, Wait};
pub use describe::location as location_text;
pub use error::AnalyzeError;
pub use happens_before::{HappensBefore, Order};
pub use missed::{Deed, Missed};
pub use probe::Probe;
pub use race::{Access, Race};
pub use subject::Origin;

use frontrun_formats::{Execution, Schedule};
use memo::Memo;
use names::Names;
use probe::Deeds;
use simulation::Simulation;
use std::ops::ControlFlow;
use threads::Threads;
use trace::Trace;
use units::Units;

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
    /// Schedules that have to be run before all alternatives are known, because nothing recorded tells what an opaque
    /// block does there. Empty without opaque blocks.
    pub wanted: Vec<Schedule>,
}

/// [`children`] and [`class_id`] in one pass.
///
/// # Errors
/// As [`children`], and when the alternatives are more than memory should hold ([`MOST_ENTRIES`]).
pub fn explore(execution: &Execution, tuning: Tuning) -> Result<Explored, AnalyzeError> {
    explore_with(execution, &[], tuning)
}

/// As [`explore`], with the executions of what was [`Explored::wanted`] before: all of them, from the first time on.
/// When nothing is wanted any more, the alternatives are complete. A probe whose schedule is that of an alternative *is*
/// the execution of that alternative; the others are redundant, and no items of the exploration.
///
/// # Errors
/// As [`explore`], and when a probe does not tell what it was made for.
pub fn explore_with<'e>(
    execution: &'e Execution,
    probes: &[Probe<'e>],
    tuning: Tuning,
) -> Result<Explored, AnalyzeError> {
    let mut names = Names::of(execution);
    let (trace, deeds) = probed_trace(execution, probes, &mut names, tuning)?;
    let memo = Memo::new(&trace, &names, deeds);
    checks::lowest(&trace)?;
    let mut wanted = Vec::new();
    let (alternatives, complete) = collect(&trace, &memo, MOST_ENTRIES, &mut wanted);
    if !complete {
        return Err(AnalyzeError::TooManyAlternatives { found: alternatives.len() });
    }
    if wanted.iter().any(|schedule| probes.iter().any(|probe| probe.execution().header.schedule == *schedule))
    {
        return Err(AnalyzeError::UselessProbe);
    }
    // What probes saw makes more events relevant, but the name of a class must not hang on them.
    let class = if probes.is_empty() { class::id(&trace) } else { class_id(execution)? };
    Ok(Explored { class, alternatives, wanted })
}

/// Calls `visit` with the [`children`] one by one, until it breaks: an execution may have more of them than
/// memory has room for. Returns whether opaque blocks hide no further ones (see [`Explored::wanted`]).
///
/// # Errors
/// As [`children`]; nothing has been visited then.
pub fn visit_children(
    execution: &Execution,
    mut visit: impl FnMut(Alternative) -> ControlFlow<()>,
) -> Result<bool, AnalyzeError> {
    let mut names = Names::of(execution);
    let (trace, deeds) = probed_trace(execution, &[], &mut names, Tuning::default())?;
    let memo = Memo::new(&trace, &names, deeds);
    checks::lowest(&trace)?;
    let mut wanted = Vec::new();
    if search::alternatives(&trace, &mut visit).is_continue() {
        let _ = blocks::alternatives(&trace, &memo, &mut visit, &mut wanted);
    }
    Ok(wanted.is_empty())
}

/// Everything that a report about the execution needs.
///
/// # Errors
/// When the execution is not a whole run, or contradicts the operation table. Unlike [`children`] it accepts a
/// run that did not follow the run rule, see [`Analysis::explorable`].
pub fn analyze(execution: &Execution) -> Result<Analysis, AnalyzeError> {
    checks::whole(execution)?;
    let threads = Threads::new(execution)?;
    let units = Units::of(execution)?;
    checks::prefix(execution, &threads, &units)?;
    let simulation = Simulation::of(execution)?;
    simulation.check_end(execution)?;
    let deadlock = deadlock::deadlock(execution, &threads, &simulation);
    let mut names = Names::of(execution);
    let deeds = Deeds::of(execution, &threads, &units, &simulation, &[], &mut names)?;
    let trace = Trace::new(execution, threads, units, simulation, &[], false)?;
    checks::predicted_past(&trace)?;
    let mut wanted = Vec::new();
    let memo = Memo::new(&trace, &names, deeds);
    let (alternatives, complete) = collect(&trace, &memo, MOST_LISTED_ENTRIES, &mut wanted);
    let complete = complete && wanted.is_empty();
    let threads = (0..trace.width()).map(|rank| {
        let id = trace.threads.id(rank);
        ThreadSummary {
            path: execution.path(id).cloned().unwrap_or_default(),
            events: trace.units_of[rank].iter().map(|unit| trace.units.events(*unit as usize).len()).sum(),
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

/// Why nobody could go on at the end of the execution, if it ended so; for those who ask for nothing else.
///
/// # Errors
/// As [`analyze`].
pub fn standstill(execution: &Execution) -> Result<Option<Deadlock>, AnalyzeError> {
    checks::whole(execution)?;
    let threads = Threads::new(execution)?;
    let simulation = Simulation::of(execution)?;
    simulation.check_end(execution)?;
    Ok(deadlock::deadlock(execution, &threads, &simulation))
}

/// The alternatives, until their schedules have `most` entries together; and whether these are all.
fn collect(trace: &Trace, memo: &Memo, most: usize, wanted: &mut Vec<Schedule>) -> (Vec<Alternative>, bool) {
    let (mut alternatives, mut entries) = (Vec::new(), 0);
    let mut visit = |alternative: Alternative| {
        if entries + alternative.schedule.entries.len() > most && !alternatives.is_empty() {
            return ControlFlow::Break(());
        }
        entries += alternative.schedule.entries.len();
        alternatives.push(alternative);
        ControlFlow::Continue(())
    };
    let mut end = search::alternatives(trace, &mut visit);
    if end.is_continue() {
        end = blocks::alternatives(trace, memo, &mut visit, wanted);
    }
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

/// Whether an interpreter with a GIL can have an execution of this one's class, see [`frontrun_formats::Event::gil_switch`].
/// What is not known counts as possible.
///
/// # Errors
/// As [`children`], but any order is accepted.
pub fn is_gil_reachable(execution: &Execution) -> Result<bool, AnalyzeError> {
    Ok(gil::is_reachable(&whole_trace(execution, Tuning::default())?))
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
    probed_trace(execution, &[], &mut Names::of(execution), tuning).map(|(trace, _)| trace)
}

fn probed_trace<'e>(
    execution: &'e Execution,
    probes: &[Probe<'e>],
    names: &mut Names<'e>,
    tuning: Tuning,
) -> Result<(Trace<'e>, Deeds), AnalyzeError> {
    checks::whole(execution)?;
    let threads = Threads::new(execution)?;
    let units = Units::of(execution)?;
    checks::prefix(execution, &threads, &units)?;
    let mut simulation = Simulation::of(execution)?;
    simulation.check_end(execution)?;
    let deeds = Deeds::of(execution, &threads, &units, &simulation, probes, names)?;
    let touched = deeds.touched(names, &mut simulation.locations);
    let trace = Trace::new(execution, threads, units, simulation, &touched, tuning.everything_incoherent)?;
    checks::predicted_past(&trace)?;
    Ok((trace, deeds))
}
