//! What an exploration found, and the verdict that follows from it.
//!
//! The verdict is a pure function of the numbers, in this order: any failure is `failed`; a run that was not
//! the one it should have been is `diverged`; anything that frontrun itself got wrong is `error`; any reason
//! for which executions may be missing is `bounded`; only then is it `exhausted`.

use crate::analysis::RaceReport;
use crate::divergence::Divergence;
use frontrun_analyzer::DeadlockKind;
use frontrun_formats::FailureKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What can be said after an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At least one execution failed.
    Failed,
    /// Every class of executions ran and none failed.
    Exhausted,
    /// None failed, but there are executions that did not run.
    Bounded,
    /// Some run did not follow its schedule: the program does something that frontrun does not control.
    Diverged,
    /// Frontrun itself failed.
    Error,
}

impl Verdict {
    /// The name in reports and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Failed => "failed",
            Verdict::Exhausted => "exhausted",
            Verdict::Bounded => "bounded",
            Verdict::Diverged => "diverged",
            Verdict::Error => "error",
        }
    }
}

/// What kept an exploration from running everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundedBy {
    /// The number of executions allowed.
    Executions,
    /// The time allowed.
    Time,
    /// The preemption bound left items out.
    Preemptions,
    /// The user.
    Interrupt,
    /// Items for which memory had no room.
    Memory,
    /// Runs that were cut short (hang, crash): what would have come after them is not known.
    CutRuns,
    /// Threads that the end of the program left behind: what they would have done, had it come later, is not known.
    LeftBehind,
    /// Executions were drawn at random, and these are all that were to be drawn.
    Attempts,
    /// The first failure, at which the exploration was to stop.
    FirstFailure,
    /// No code was in scope, so threads switched where they wait and nowhere else.
    Scope,
    /// Code that was to be trusted was not looked at.
    Trust,
}

impl BoundedBy {
    /// The name in reports and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            BoundedBy::Executions => "executions",
            BoundedBy::Time => "time",
            BoundedBy::Preemptions => "preemptions",
            BoundedBy::Interrupt => "interrupt",
            BoundedBy::Memory => "memory",
            BoundedBy::CutRuns => "cut_runs",
            BoundedBy::LeftBehind => "left_behind",
            BoundedBy::Attempts => "attempts",
            BoundedBy::FirstFailure => "first_failure",
            BoundedBy::Scope => "scope",
            BoundedBy::Trust => "trust",
        }
    }
}

/// An execution that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFailure {
    /// The class of failure.
    pub kind: FailureKind,
    /// Why nobody could go on, where it ended so.
    pub standstill: Option<DeadlockKind>,
    /// One line that a person can act on.
    pub message: String,
    /// Traceback or stacks; may be empty.
    pub details: String,
    /// Its recording.
    pub trace: PathBuf,
    /// What the run printed, unless that was nothing.
    pub output: Option<PathBuf>,
    /// How many executions had been run before.
    pub executions_before: u64,
    /// Whether an interpreter with a GIL can have it; `None` when its recording does not tell.
    pub gil: Option<bool>,
}

impl FoundFailure {
    /// The message, which begins with the term for a deadlock's kind.
    pub fn headline(&self) -> String {
        match self.standstill.filter(|_| self.kind == FailureKind::Deadlock) {
            Some(kind) => format!("{}: {}", kind.term(), self.message),
            None => self.message.clone(),
        }
    }
}

/// Everything that an exploration found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Runs made.
    pub executions: u64,
    /// Runs made only to see what opaque code does in another order; they are no executions of their own.
    pub redundant: u64,
    /// Executions that were drawn at random beside the search; they count for their failures alone.
    pub drawn: u64,
    /// Runs whose executions do not count, because no interpreter with a GIL can have them.
    pub beyond_gil: u64,
    /// The failures, in the order in which they were found.
    pub failures: Vec<FoundFailure>,
    /// How often each observed state was seen ([`frontrun_formats::Execution::observed`]).
    pub outcomes: BTreeMap<String, u64>,
    /// What kept it from running everything, if anything did.
    pub bounded_by: Option<BoundedBy>,
    /// Runs that did not follow their schedule.
    pub diverged: u64,
    /// The first of them.
    pub first_divergence: Option<Divergence>,
    /// Equivalence classes of the executions that ran to their end.
    pub classes: u64,
    /// Faults of frontrun itself; each is a reason for [`Verdict::Error`].
    pub errors: Vec<String>,
    /// Items that were not run.
    pub waiting: u64,
    /// Runs that were cut short, so that their alternatives are not known.
    pub cut_runs: u64,
    /// Runs at whose end threads were left behind that could have gone on.
    pub left_behind: u64,
    /// Items left out because of the preemption bound.
    pub beyond_preemption_bound: u64,
    /// Items left out because memory had no room for them; at least so many.
    pub left_out: u64,
    /// The most threads that any execution had.
    pub most_threads: usize,
    /// Whether some thread made accesses between which threads may switch.
    pub switched: bool,
    /// Whether some thread made accesses as an opaque block.
    pub blocks: bool,
    /// Whether there was code that was to be trusted, and therefore is not seen.
    pub trusted: bool,
    /// Whether executions were drawn at random, and other classes may exist.
    pub sampled: bool,
    /// Over how many steps of an execution change points were spread ([`frontrun_formats::Sampler::Pct`]).
    pub horizon: u32,
    /// The recording of the first execution.
    pub first_trace: Option<PathBuf>,
    /// Races, each once per pair of sites and location.
    pub races: Vec<RaceReport>,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Report {
    /// The verdict. See the head of this module for the order of the rules.
    pub fn verdict(&self) -> Verdict {
        if !self.failures.is_empty() {
            Verdict::Failed
        } else if self.diverged > 0 {
            Verdict::Diverged
        } else if !self.errors.is_empty() {
            Verdict::Error
        } else if self.bounded_by.is_some() {
            Verdict::Bounded
        } else {
            Verdict::Exhausted
        }
    }

    /// Whether the program never had two threads, so that there was nothing to explore.
    pub fn explored_nothing(&self) -> bool {
        self.most_threads < 2 && self.failures.is_empty() && self.diverged == 0 && self.errors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> FoundFailure {
        FoundFailure {
            kind: FailureKind::Deadlock,
            standstill: None,
            message: String::new(),
            details: String::new(),
            trace: PathBuf::new(),
            output: None,
            executions_before: 0,
            gil: None,
        }
    }

    #[test]
    fn the_worst_news_decides_the_verdict() {
        let mut report = Report::default();
        assert_eq!(report.verdict(), Verdict::Exhausted);
        report.bounded_by = Some(BoundedBy::Time);
        assert_eq!(report.verdict(), Verdict::Bounded);
        report.errors.push("duplicate".to_owned());
        assert_eq!(report.verdict(), Verdict::Error);
        report.diverged = 1;
        assert_eq!(report.verdict(), Verdict::Diverged);
        report.failures.push(failure());
        assert_eq!(report.verdict(), Verdict::Failed);
    }
}
