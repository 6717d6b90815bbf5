//! The atomic things of an execution: events alone, and opaque blocks of events.
//!
//! # Invariants
//! The events of a unit are consecutive and of one thread, and only the first can have to wait; an execution in which
//! that is not so is refused. A schedule has one entry for each unit.

use crate::error::AnalyzeError;
use crate::kind;
use frontrun_formats::{Block, Execution, Operation};
use std::ops::Range;

/// The units of one execution, numbered in the order in which they were executed.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The first event of each, and the number of events.
    starts: Vec<u32>,
}

impl Units {
    pub(crate) fn of(execution: &Execution) -> Result<Units, AnalyzeError> {
        let mut starts = Vec::with_capacity(execution.events.len() + 1);
        for unit in execution.units() {
            let (first, later) = (&execution.events[unit.start], &execution.events[unit.start + 1..unit.end]);
            let waits = |operation: &Operation| kind::nature(operation, true).gated;
            let given_up = |operation: &Operation| matches!(operation, Operation::Elapse { .. });
            let broken = first.block == Block::Later
                || first.block == Block::First && given_up(&first.operation)
                || later.iter().any(|event| waits(&event.operation) || given_up(&event.operation));
            if broken {
                return Err(AnalyzeError::BrokenBlock { position: unit.start });
            }
            starts.push(unit.start as u32);
        }
        starts.push(execution.events.len() as u32);
        Ok(Units { starts })
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The positions of a unit's events.
    pub(crate) fn events(&self, unit: usize) -> Range<usize> {
        self.starts[unit] as usize..self.starts[unit + 1] as usize
    }

    /// The unit that an event belongs to.
    pub(crate) fn containing(&self, event: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= event) - 1
    }
}
