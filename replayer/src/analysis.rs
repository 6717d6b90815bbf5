//! The seam to the analyzer: what the exploration asks of a recording, and nothing more.

use crate::divergence::Divergence;
use crate::error::ReplayError;
use crate::preemption::Preemptions;
use crate::sampling::Ground;
use frontrun_analyzer::{Access, Alternative, AnalyzeError, DeadlockKind, Explored, Probe, Race, Tuning};
use frontrun_formats::{Execution, Failure, FailureKind, Schedule, ThreadPath};
use std::ops::ControlFlow;

/// A race as a report tells it, independent of the numbering of one execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaceReport {
    /// What both touched, as in `Counter#1.value`.
    pub location: String,
    /// The two places, the lower one first: which access comes first differs from execution to execution.
    pub accesses: [RaceAccess; 2],
}

/// One side of a race.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaceAccess {
    /// Path of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u32,
    /// What was done, as a verb.
    pub action: String,
}

/// A schedule that could have happened instead of the one that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// What to enforce.
    pub schedule: Schedule,
    /// How many preemptions that has.
    pub preemptions: u32,
}

/// What the exploration needs to know about one execution.
#[derive(Clone, Debug, Default)]
pub struct Insight {
    /// Of its equivalence class.
    pub class: u64,
    /// The schedules that could have happened instead.
    pub alternatives: Vec<Derived>,
    /// Whether these are all; of a very long execution there can be more than memory holds, and an exploration that stops
    /// does not ask for all.
    pub complete: bool,
    /// Its races.
    pub races: Vec<RaceReport>,
    /// What random schedules can learn from it; of the first attempt only.
    pub ground: Ground,
}

/// Why a complete recording has no [`Insight`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not the execution that its schedule describes: the program did something else in the same order.
    Diverged(Divergence),
    /// A run that the analysis asked for was cut short.
    Cut,
    /// Recorder and analyzer contradict each other, or memory would not do.
    Fault(String),
}

/// Runs a schedule and gives its complete recording; `None` when no further run is to be made.
pub type Probing<'p> = &'p mut dyn FnMut(&Schedule) -> Result<Option<Execution>, Refusal>;

/// How many alternatives are run at most before an analysis goes on.
const MOST_AHEAD: usize = 16;

/// Analyzes a complete recording; `probe` makes the runs that are needed for it. With `ahead` it also runs what is found
/// before anything is asked, because a failure among that ends the exploration, and asking can take long.
pub fn examine(execution: &Execution, ahead: bool, probe: Probing) -> Result<Insight, Refusal> {
    let analysis = frontrun_analyzer::analyze(execution).map_err(|error| refusal(execution, error))?;
    let races = analysis.races.iter().map(|race| report(execution, race)).collect();
    let mut insight = Insight { class: analysis.class, complete: true, races, ..Insight::default() };
    let mut alternatives = analysis.alternatives;
    if !(analysis.explorable && analysis.complete) {
        // It says why not, or finds more of them.
        match explored(execution, ahead, probe)? {
            Some(explored) => {
                insight.complete = explored.wanted.is_empty();
                alternatives = explored.alternatives;
            }
            None => insight.complete = false,
        }
    }
    let preemptions = Preemptions::of(execution);
    let derived =
        |Alternative { schedule, .. }| Derived { preemptions: preemptions.count(&schedule), schedule };
    insight.alternatives = alternatives.into_iter().map(derived).collect();
    Ok(insight)
}

/// Analyzes a complete recording whose alternatives are not to be run: class, races, and what the others can learn from
/// it; one alternative, if there is any and the execution followed the run rule.
pub fn examine_sampled(execution: &Execution) -> Result<Insight, Refusal> {
    let refused = |error| refusal(execution, error);
    let sketch = frontrun_analyzer::sketch(execution).map_err(refused)?;
    let races = sketch.races.iter().map(|race| report(execution, race)).collect();
    let mut insight = Insight { class: sketch.class, complete: true, races, ..Insight::default() };
    if execution.header.schedule.tail.is_lowest() {
        insight.ground = Ground::of(execution, &sketch.relevant);
        let take_one = |alternative: Alternative| {
            insight.alternatives.push(Derived { schedule: alternative.schedule, preemptions: 0 });
            ControlFlow::Break(())
        };
        insight.complete = frontrun_analyzer::visit_children(execution, take_one).map_err(refused)?;
    }
    Ok(insight)
}

/// All alternatives, or those that were known when no further run was to be made; `None` when there are too many to hold.
fn explored(execution: &Execution, ahead: bool, probe: Probing) -> Result<Option<Explored>, Refusal> {
    let mut runs: Vec<Execution> = Vec::new();
    loop {
        let probes: Result<Vec<Probe>, _> =
            runs.iter().map(|run| Probe::new(run).map_err(|error| refusal(run, error))).collect();
        match frontrun_analyzer::explore_with(execution, &probes?, Tuning::default()) {
            Ok(explored) if explored.wanted.is_empty() => return Ok(Some(explored)),
            Ok(explored) => {
                let ahead =
                    explored.alternatives.iter().take(if ahead && runs.is_empty() { MOST_AHEAD } else { 0 });
                for alternative in ahead {
                    // What else becomes of it is looked at when its turn comes.
                    if let Ok(None) = probe(&alternative.schedule) {
                        return Ok(Some(explored));
                    }
                }
                for schedule in &explored.wanted {
                    match probe(schedule)? {
                        Some(run) => runs.push(run),
                        None => return Ok(Some(explored)),
                    }
                }
            }
            Err(AnalyzeError::TooManyAlternatives { .. }) => return Ok(None),
            Err(error) => return Err(refusal(execution, error)),
        }
    }
}

fn report(execution: &Execution, race: &Race) -> RaceReport {
    let mut accesses = [&race.first, &race.second].map(|access| side(execution, access));
    accesses.sort();
    RaceReport { location: race.location_text.clone(), accesses }
}

fn side(execution: &Execution, access: &Access) -> RaceAccess {
    let (file, line) = execution.site(access.site).map_or(("", 0), |at| (execution.text(at.file), at.line));
    RaceAccess { file: file.to_owned(), line, action: access.action.to_owned() }
}

/// Which refusals say that the program went another way, and which say that frontrun is wrong.
fn refusal(execution: &Execution, error: AnalyzeError) -> Refusal {
    let path =
        |position: usize| -> Option<&ThreadPath> { execution.path(execution.events.get(position)?.thread) };
    let diverged = |step: u64, expected: String, actual: String| {
        Refusal::Diverged(Divergence { step, expected, actual })
    };
    match error {
        AnalyzeError::Diverged { step, expected, actual } => diverged(step, expected, actual),
        AnalyzeError::PrefixMismatch { position, expected, actual } => {
            diverged(position as u64, expected, actual)
        }
        AnalyzeError::PrefixNotExecuted { executed, .. } => {
            diverged(executed as u64, "a further step".to_owned(), "the execution had ended".to_owned())
        }
        AnalyzeError::TouchedOther { position, thread, touched } => {
            let expected = format!("a step of {thread} that touches what it touched before");
            diverged(position as u64, expected, format!("it touches {touched}"))
        }
        // The right thread at the right place, but it touched something else than it did before.
        AnalyzeError::UnexpectedPast { position } => {
            let thread = path(position).map(ToString::to_string).unwrap_or_default();
            let expected = format!("a step of {thread} that depends on those put before it");
            diverged(position as u64, expected, "it touches something else".to_owned())
        }
        other => Refusal::Fault(ReplayError::Analysis(other).to_string()),
    }
}

/// Why nobody could go on, if that is how the run failed. A recording that the analyzer refuses does not tell.
pub(crate) fn standstill(failure: &Failure, recording: Option<&Execution>) -> Option<DeadlockKind> {
    let is_one = matches!(failure.kind, FailureKind::Deadlock | FailureKind::Livelock);
    let deadlock = frontrun_analyzer::standstill(recording.filter(|_| is_one)?);
    Some(deadlock.ok()??.kind)
}
