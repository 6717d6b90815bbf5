//! Runs that the analysis of one execution asks for before it knows all alternatives of it.
//!
//! Model: what an opaque block does in another order is known only from a run, a probe. Most probes turn out to be
//! alternatives, and then are the runs of these; the others are redundant. A probe that does not end as its schedule
//! says leaves the alternatives of the execution unknown, which is never ignored.
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

    /// The numbers of the runs.
    pub fn runs(&self) -> impl Iterator<Item = u64> + '_ {
        self.made.iter().map(|(_, made)| made.run)
    }
}

/// Makes probes for one analysis.
pub struct Prober<'r> {
    runner: &'r mut dyn Runner,
    /// A request with the next number, for this schedule.
    request: &'r dyn Fn(&Schedule) -> RunRequest,
    probes: Probes,
    /// Why the runner gave up.
    lost: Option<ReplayError>,
}

impl<'r> Prober<'r> {
    /// A prober that has made nothing yet.
    pub fn new(runner: &'r mut dyn Runner, request: &'r dyn Fn(&Schedule) -> RunRequest) -> Prober<'r> {
        Prober { runner, request, probes: Probes::default(), lost: None }
    }

    /// Runs the schedule.
    pub fn run(&mut self, schedule: &Schedule) -> Result<Execution, Refusal> {
        let request = (self.request)(schedule);
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
        self.probes.made.push((schedule.clone(), Made { run: request.id, reply }));
        self.probes.change_outside |= recording.as_ref().is_ok_and(Execution::changes_outside);
        match (classified.end, recording) {
            (RunEnd::Diverged(divergence), _) => Err(Refusal::Diverged(divergence)),
            (RunEnd::Unrecorded(reason), _) => Err(Refusal::Fault(reason)),
            (_, Ok(execution)) if classified.complete => Ok(execution),
            _ => Err(Refusal::Cut),
        }
    }

    /// The probes, and why the runner cannot go on, if it cannot.
    pub fn finish(self) -> (Probes, Option<ReplayError>) {
        (self.probes, self.lost)
    }
}
