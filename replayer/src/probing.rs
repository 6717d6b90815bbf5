//! Runs that the analysis of one execution asks for before it knows all alternatives of it.
//!
//! Model: what an opaque block does in another order is known only from a run, a probe. Most probes turn out to be
//! alternatives, and then are the runs of these; the others are redundant. A probe that does not end as its schedule
//! says leaves the alternatives of the execution unknown, which is never ignored. So does one that is not made because the
//! exploration is to stop. A probe is an execution of the program like any other: one that has crashed, or that has failed
//! while failures end the exploration, counts for its own sake, and no further one is made.
//!
//! Not here: which probes are wanted (analyzer), how many redundant runs there were (report).

use crate::analysis::Refusal;
use crate::classify::{self, RunEnd};
use crate::error::ReplayError;
use crate::protocol::{RunReply, RunRequest};
use crate::trace_file;
use crate::worker::{Runner, run_twice_if_cut};
use frontrun_formats::{Execution, Schedule};

/// A run that was made before its item was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Number of the run.
    pub run: u64,
    /// How it ended.
    pub reply: RunReply,
    /// Whether it is to be counted because it failed, whatever it would have told about alternatives.
    pub failed: bool,
}

/// The probes that were made for one analysis.
#[derive(Debug, Default)]
pub struct Probes {
    made: Vec<(Schedule, Made)>,
    /// Whether one of them changed something outside its process.
    pub change_outside: bool,
}

impl Probes {
    /// Takes out the run of a schedule, if that was probed.
    pub fn take(&mut self, schedule: &Schedule) -> Option<Made> {
        let place = self.made.iter().position(|(probe, _)| probe == schedule)?;
        Some(self.made.swap_remove(place).1)
    }

    /// Takes out the run that is to be counted because it failed.
    pub fn take_failed(&mut self) -> Option<(Schedule, Made)> {
        let place = self.made.iter().position(|(_, made)| made.failed)?;
        Some(self.made.swap_remove(place))
    }

    /// The numbers of the runs.
    pub fn runs(&self) -> impl Iterator<Item = u64> + '_ {
        self.made.iter().map(|(_, made)| made.run)
    }
}

/// Makes probes for one analysis.
pub struct Prober<'r> {
    runner: &'r mut dyn Runner,
    /// A request with the next number, for this schedule; `None` when no further run is to be begun.
    request: &'r dyn Fn(&Schedule) -> Option<RunRequest>,
    /// Whether a failure ends the exploration.
    stops_at_failure: bool,
    probes: Probes,
    /// Why the runner gave up.
    lost: Option<ReplayError>,
}

impl<'r> Prober<'r> {
    /// A prober that has made nothing yet.
    pub fn new(
        runner: &'r mut dyn Runner,
        request: &'r dyn Fn(&Schedule) -> Option<RunRequest>,
        stops_at_failure: bool,
    ) -> Prober<'r> {
        Prober { runner, request, stops_at_failure, probes: Probes::default(), lost: None }
    }

    /// Whether a failure ends the exploration.
    pub fn stops_at_failure(&self) -> bool {
        self.stops_at_failure
    }

    /// Whether the run of `end` is the last one that anybody asks for.
    pub fn ends_with(&self, end: &RunEnd) -> bool {
        self.stops_at_failure && matches!(end, RunEnd::Failed(_))
    }

    /// Runs the schedule; `None` when no further run is to be made.
    pub fn run(&mut self, schedule: &Schedule) -> Result<Option<Execution>, Refusal> {
        let Some(request) = (self.request)(schedule) else { return Ok(None) };
        let reply = match run_twice_if_cut(self.runner, &request) {
            Ok(reply) => reply,
            Err(error) => {
                self.lost = Some(error);
                return Err(Refusal::Cut);
            }
        };
        let recording = trace_file::read(&request.trace);
        let reason = recording.as_ref().err().map(ToString::to_string);
        let read = recording.as_ref().map_err(|_| reason.as_deref().unwrap_or_default());
        let classified = classify::classify(&reply, read, schedule, &[]);
        self.probes.made.push((schedule.clone(), Made { run: request.id, reply, failed: false }));
        self.probes.change_outside |= recording.as_ref().is_ok_and(Execution::changes_outside);
        let broke_off = matches!(classified.end, RunEnd::Failed(_)) && !classified.complete;
        if broke_off || self.ends_with(&classified.end) {
            if let Some((_, made)) = self.probes.made.last_mut() {
                made.failed = true;
            }
            return Ok(None);
        }
        match (classified.end, recording) {
            (RunEnd::Diverged(divergence), _) => Err(Refusal::Diverged(divergence)),
            (RunEnd::Unrecorded(reason), _) => Err(Refusal::Fault(reason)),
            (_, Ok(execution)) if classified.complete => Ok(Some(execution)),
            _ => Err(Refusal::Cut),
        }
    }

    /// The probes, and why the runner cannot go on, if it cannot.
    pub fn finish(self) -> (Probes, Option<ReplayError>) {
        (self.probes, self.lost)
    }
}
