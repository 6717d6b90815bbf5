//! What every operation of an execution could do, and by whom each location is shared: taken before the nodes are.
//!
//! # Model
//! An operation whose accesses depend on the state (an acquire may wait or not) is surveyed with all that it could
//! touch at some cut; one that is fixed with what it touched. So is an opaque block, of which nothing else is known; what
//! probes saw blocks touch is added.

use crate::error::AnalyzeError;
use crate::kind::{self, Nature};
use crate::locations::Access;
use crate::relevance::{self, Relevance};
use crate::simulation::Simulation;
use crate::threads::Threads;
use crate::units::Units;
use frontrun_formats::{Block, Execution, ObjectId, Operation};
use std::ops::Range;

/// Nature and possible accesses of a unit, or of a pending operation.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) nature: Nature,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What every operation could do, and who shares what.
pub(crate) struct Survey {
    /// Of the units, then of the pending operations.
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
        units: &Units,
        simulation: &mut Simulation,
        probed: &[(u32, Vec<Access>)],
    ) -> Result<Survey, AnalyzeError> {
        let mut spans = Vec::with_capacity(units.len() + execution.pending.len());
        let mut possible = Vec::new();
        for unit in 0..units.len() {
            let event = &execution.events[units.events(unit).start];
            let nature = nature(simulation, &event.operation, event.block);
            let start = possible.len() as u32;
            // The footprint of an executed operation that is fixed is the recorded one.
            if !nature.fixed {
                for (at, write) in relevance::possible(simulation, &event.operation, event.thread) {
                    possible.push(simulation.locations.intern_access(at, write));
                }
            }
            spans.push(Span { nature, start, end: possible.len() as u32 });
        }
        for pending in &execution.pending {
            let mut nature = nature(simulation, &pending.operation, pending.block);
            nature.fixed &= pending.block == Block::Alone;
            let start = possible.len() as u32;
            for (at, write) in relevance::possible(simulation, &pending.operation, pending.thread) {
                possible.push(simulation.locations.intern_access(at, write));
            }
            spans.push(Span { nature, start, end: possible.len() as u32 });
        }
        let first = |unit| &execution.events[units.events(unit).start];
        let gated = (0..units.len()).map(first).map(|event| (&event.operation, event.thread, event.block));
        let pending = execution.pending.iter();
        let gated = gated.chain(pending.map(|pending| (&pending.operation, pending.thread, pending.block)));
        let mut gates = Vec::new();
        for (operation, thread, block) in gated {
            if block != Block::Alone && kind::nature(operation, true).gated {
                let possible = relevance::possible(simulation, operation, thread);
                let access = |(at, write)| simulation.locations.intern_access(at, write);
                gates.push(possible.into_iter().map(access).collect::<Vec<Access>>());
            }
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
        for unit in 0..units.len() {
            let (span, events) = (survey.spans[unit], units.events(unit));
            let thread = threads.rank(execution.events[events.start].thread)? as u32;
            let accesses = match span.nature.fixed {
                true => simulation.accesses(events),
                false => &survey.possible[span.start as usize..span.end as usize],
            };
            survey.relevance.add(thread, accesses, span.nature.fixed);
        }
        for (pending, span) in execution.pending.iter().zip(&survey.spans[units.len()..]) {
            let accesses = &survey.possible[span.start as usize..span.end as usize];
            survey.relevance.add(threads.rank(pending.thread)? as u32, accesses, span.nature.fixed);
        }
        for gate in gates {
            survey.relevance.add_gate(&gate);
        }
        let joint = survey.joint(execution, threads, units, simulation)?;
        for (thread, accesses) in probed {
            // What follows in a state that a block left at another cut is more than the trace tells.
            survey.relevance.add(*thread, accesses, false);
        }
        survey.relevance.add_joint(&joint);
        Ok(survey)
    }

    /// The operations that hang on the states of several objects, with their threads.
    fn joint(
        &self,
        execution: &Execution,
        threads: &Threads,
        units: &Units,
        simulation: &Simulation,
    ) -> Result<Vec<(u32, Vec<Access>)>, AnalyzeError> {
        // The life of threads is shared by its nature.
        let lifecycle = simulation.locations.object(ObjectId::THREADS);
        let mut joint = Vec::new();
        for (number, span) in self.spans.iter().enumerate() {
            let (thread, accesses) = match number.checked_sub(units.len()) {
                None => {
                    let events = units.events(number);
                    (execution.events[events.start].thread, self.accesses(span, simulation, events))
                }
                Some(pending) => (
                    execution.pending[pending].thread,
                    &self.possible[span.start as usize..span.end as usize],
                ),
            };
            let hangs_on_states = span.nature.gated || !span.nature.fixed;
            let of_objects = || accesses.iter().filter(|access| Some(access.object) != lifecycle);
            let mut objects = of_objects().map(|access| access.object);
            let first = objects.next();
            if hangs_on_states && objects.any(|object| Some(object) != first) {
                joint.push((threads.rank(thread)? as u32, of_objects().copied().collect()));
            }
        }
        Ok(joint)
    }

    pub(crate) fn accesses<'s>(
        &'s self,
        span: &Span,
        simulation: &'s Simulation,
        events: Range<usize>,
    ) -> &'s [Access] {
        match span.nature.fixed {
            true => simulation.accesses(events),
            false => &self.possible[span.start as usize..span.end as usize],
        }
    }
}

/// The nature of a unit by its first operation.
fn nature(simulation: &Simulation, operation: &Operation, block: Block) -> Nature {
    let nature = relevance::nature(simulation, operation);
    match block {
        Block::Alone => nature,
        _ => Nature { fixed: true, gated: nature.gated, incoherent: true },
    }
}
