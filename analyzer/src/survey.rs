//! What every operation of an execution could do, and by whom each location is shared: taken before the nodes are.
//!
//! # Model
//! An operation whose accesses depend on the state (an acquire may wait or not) is surveyed with all that it could
//! touch at some cut; one that is fixed with what it touched.

use crate::error::AnalyzeError;
use crate::kind::Nature;
use crate::locations::Access;
use crate::relevance::{self, Relevance};
use crate::simulation::Simulation;
use crate::threads::Threads;
use frontrun_formats::{Execution, Operation};

/// Nature and possible accesses of an event, then of a pending operation.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) nature: Nature,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What every operation could do, and who shares what.
pub(crate) struct Survey {
    pub(crate) spans: Vec<Span>,
    pub(crate) possible: Vec<Access>,
    pub(crate) relevance: Relevance,
    /// Of the operations that were given up, by the event that gave them up.
    pub(crate) given_up: Vec<(usize, Span)>,
    pub(crate) elapses: bool,
}

impl Survey {
    pub(crate) fn of(
        execution: &Execution,
        threads: &Threads,
        simulation: &mut Simulation,
    ) -> Result<Survey, AnalyzeError> {
        let operations = execution
            .events
            .iter()
            .map(|event| (event.thread, &event.operation, true))
            .chain(execution.pending.iter().map(|pending| (pending.thread, &pending.operation, false)));
        let mut spans = Vec::with_capacity(execution.events.len() + execution.pending.len());
        let mut possible = Vec::new();
        for (thread, operation, executed) in operations {
            let nature = relevance::nature(simulation, operation);
            let start = possible.len() as u32;
            // The footprint of an executed operation that is fixed is the recorded one.
            if !(executed && nature.fixed) {
                for (at, write) in relevance::possible(simulation, operation, thread) {
                    possible.push(simulation.locations.intern_access(at, write));
                }
            }
            spans.push(Span { nature, start, end: possible.len() as u32 });
        }
        let mut given_up = Vec::new();
        for (position, event) in execution.events.iter().enumerate() {
            let Operation::Elapse { of } = &event.operation else { continue };
            let start = possible.len() as u32;
            for (at, write) in relevance::possible(simulation, of, event.thread) {
                possible.push(simulation.locations.intern_access(at, write));
            }
            let nature = relevance::nature(simulation, of);
            given_up.push((position, Span { nature, start, end: possible.len() as u32 }));
        }
        let elapses = !given_up.is_empty();
        let mut survey = Survey { spans, possible, relevance: Relevance::new(simulation), given_up, elapses };
        for (position, event) in execution.events.iter().enumerate() {
            let span = survey.spans[position];
            let accesses = match span.nature.fixed {
                true => simulation.accesses(position),
                false => &survey.possible[span.start as usize..span.end as usize],
            };
            survey.relevance.add(threads.rank(event.thread)? as u32, accesses, span.nature.fixed);
        }
        for (pending, span) in execution.pending.iter().zip(&survey.spans[execution.events.len()..]) {
            let accesses = &survey.possible[span.start as usize..span.end as usize];
            survey.relevance.add(threads.rank(pending.thread)? as u32, accesses, span.nature.fixed);
        }
        Ok(survey)
    }

    pub(crate) fn accesses<'s>(
        &'s self,
        span: &Span,
        simulation: &'s Simulation,
        position: usize,
    ) -> &'s [Access] {
        match span.nature.fixed {
            true => simulation.accesses(position),
            false => &self.possible[span.start as usize..span.end as usize],
        }
    }
}
