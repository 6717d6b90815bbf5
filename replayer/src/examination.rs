//! One run, as far as it can be judged without the others: what became of it and what could have happened instead.

use crate::analysis::{self, Insight, RaceReport, Refusal};
use crate::classify::{self, Classified, RunEnd};
use crate::probing::Prober;
use crate::protocol::{RunReply, RunRequest};
use crate::trace_file;
use frontrun_formats::{Execution, Failure, FailureKind, Schedule};

/// How an exploration looks at its runs.
pub(crate) struct Criteria {
    /// Alternatives with more preemptions are left out.
    pub(crate) preemption_bound: Option<u32>,
    /// Whether executions are drawn at random, so that alternatives are not to be run.
    pub(crate) sampled: bool,
    /// Whether a data race is a failure.
    pub(crate) fail_on_race: bool,
    /// Whether executions do not count that no interpreter with a GIL can have.
    pub(crate) gil: bool,
}

/// What one run is found to be.
pub(crate) struct Examined {
    pub(crate) classified: Classified,
    pub(crate) insight: Option<Insight>,
    /// Items left out because of the preemption bound.
    pub(crate) beyond_bound: u64,
    /// Whether an interpreter with a GIL can have the execution, if anybody wants to know.
    pub(crate) gil: Option<bool>,
    /// The execution does not count, because none can.
    pub(crate) beyond_gil: bool,
    /// The recording, if it could be read.
    pub(crate) execution: Option<Execution>,
    /// What the analyzer had to say against it.
    pub(crate) refusal: Option<Refusal>,
}

/// Examines the run that `request` asked for; `prober` makes the runs that this takes. `first` is the first execution of the exploration, if there is one.
pub(crate) fn examine(
    criteria: &Criteria,
    request: &RunRequest,
    reply: &RunReply,
    first: Option<&Execution>,
    prober: &mut Prober,
) -> Examined {
    let recording = trace_file::read(&request.trace);
    let reason = recording.as_ref().err().map(ToString::to_string);
    let read = recording.as_ref().map_err(|_| reason.as_deref().unwrap_or_default());
    let known: Vec<&Execution> = first.into_iter().collect();
    let classified = classify::classify(reply, read, &request.schedule, &known);
    let mut examined = Examined {
        classified,
        insight: None,
        beyond_bound: 0,
        gil: None,
        beyond_gil: false,
        execution: recording.ok(),
        refusal: None,
    };
    let Some(execution) = examined.execution.as_ref().filter(|_| examined.classified.complete) else {
        return examined;
    };
    let look = match criteria.sampled {
        true => analysis::examine_sampled(execution),
        false => {
            let is_last = prober.ends_with(&examined.classified.end);
            let ahead = prober.stops_at_failure();
            let mut probe = |schedule: &Schedule| if is_last { Ok(None) } else { prober.run(schedule) };
            analysis::examine(execution, ahead, &mut probe)
        }
    };
    match look {
        Ok(mut insight) => {
            if let Some(bound) = criteria.preemption_bound.filter(|_| !criteria.sampled) {
                let before = insight.alternatives.len();
                insight.alternatives.retain(|derived| derived.preemptions <= bound);
                examined.beyond_bound = (before - insight.alternatives.len()) as u64;
            }
            if let Some(race) = insight.races.first().filter(|_| criteria.fail_on_race)
                && examined.classified.end == RunEnd::Passed
            {
                examined.classified.end = RunEnd::Failed(failure(race));
            }
            let wanted = criteria.gil || matches!(examined.classified.end, RunEnd::Failed(_));
            examined.gil = wanted.then(|| frontrun_analyzer::is_gil_reachable(execution).ok()).flatten();
            if criteria.gil && examined.gil == Some(false) {
                examined.beyond_gil = true;
                examined.classified.end = RunEnd::Passed;
                insight.races.clear();
            }
            examined.insight = Some(insight);
        }
        Err(refusal) => examined.refusal = Some(refusal),
    }
    examined
}

fn failure(race: &RaceReport) -> Failure {
    let side = |nth: usize| {
        let access = &race.accesses[nth];
        format!("{} it at {}:{}", access.action, access.file, access.line)
    };
    let message = format!("{}: one thread {}, another {}", race.location, side(0), side(1));
    Failure { kind: FailureKind::Race, message, thread: None, details: String::new() }
}
