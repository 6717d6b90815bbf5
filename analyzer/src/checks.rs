//! Whether an execution is what it says it is: a whole run of its schedule under the run rule.
//!
//! # Model
//! The run rule (algorithm, section 3): the fixed schedule in its order, then always the lowest enabled thread,
//! until nobody is enabled. If that thread is to clear an event, one that waits for it and is enabled goes before
//! it. The last step of the fixed schedule was made by an analysis that predicted its past: its chunk is exactly
//! what its head newly depends on.

use crate::cut::{Cut, covered};
use crate::error::AnalyzeError;
use crate::threads::Threads;
use crate::touched;
use crate::trace::Trace;
use crate::units::Units;
use frontrun_formats::{Execution, Operation, Outcome, semantics};

/// Refuses what is not a whole run.
pub(crate) fn whole(execution: &Execution) -> Result<(), AnalyzeError> {
    match &execution.outcome {
        Some(Outcome::Diverged { step, expected, actual }) => {
            return Err(AnalyzeError::Diverged {
                step: *step,
                expected: expected.clone(),
                actual: actual.clone(),
            });
        }
        None => return Err(AnalyzeError::Truncated { reason: "it has no outcome" }),
        Some(_) => {}
    }
    if execution.truncated {
        return Err(AnalyzeError::Truncated { reason: "its end is missing" });
    }
    Ok(())
}

/// Refuses a run that did not execute its schedule.
pub(crate) fn prefix(execution: &Execution, threads: &Threads, units: &Units) -> Result<(), AnalyzeError> {
    let schedule = &execution.header.schedule;
    if units.len() < schedule.entries.len() {
        return Err(AnalyzeError::PrefixNotExecuted {
            wanted: schedule.entries.len(),
            executed: units.len(),
        });
    }
    let ranks: Vec<Option<usize>> =
        schedule.threads.iter().map(|path| threads.rank_of_path(execution, path)).collect();
    let touched = touched::fingerprints(execution, units, schedule.entries.len());
    for (unit, (entry, touches)) in schedule.entries.iter().zip(touched).enumerate() {
        let position = units.events(unit).start;
        let event = &execution.events[position];
        let wanted = ranks.get(entry.thread as usize).copied().flatten();
        if wanted != Some(threads.rank(event.thread)?) {
            let expected = match schedule.threads.get(entry.thread as usize) {
                Some(path) => path.to_string(),
                None => format!("thread {}", entry.thread),
            };
            let actual = execution.path(event.thread).map(ToString::to_string).unwrap_or_default();
            return Err(AnalyzeError::PrefixMismatch { position, expected, actual });
        }
        if entry.expect != 0 && entry.expect != execution.fingerprint(event) {
            return Err(AnalyzeError::PrefixMismatch {
                position,
                expected: format!("an operation with the fingerprint {:08x}", entry.expect),
                actual: format!("{:?} with {:08x}", event.operation, execution.fingerprint(event)),
            });
        }
        if entry.touches != 0 && entry.touches != touches {
            let thread = execution.path(event.thread).cloned().unwrap_or_default();
            let touched = touched::listed(execution, units.events(unit));
            return Err(AnalyzeError::TouchedOther { position, thread, touched });
        }
    }
    Ok(())
}

/// Refuses a run in which, behind the prefix, a thread went first although it was another's turn.
pub(crate) fn lowest(trace: &Trace) -> Result<(), AnalyzeError> {
    let execution = trace.execution;
    let start = execution.header.schedule.entries.len();
    let mut turn = Turn::at(trace, start);
    for unit in start..trace.units.len() {
        let position = trace.units.events(unit).start;
        let event = &execution.events[position];
        let mine = trace.threads.rank(event.thread)?;
        let lowest = (0..mine).find(|thread| turn.enabled(*thread)).unwrap_or(mine);
        if turn.first_to_notice(lowest) != mine {
            let thread = execution.path(event.thread).cloned().unwrap_or_default();
            return Err(AnalyzeError::NotLowest { position, thread });
        }
        turn.pass(mine, unit);
    }
    Ok(())
}

/// How far every thread has come.
struct Turn<'t, 'e> {
    trace: &'t Trace<'e>,
    /// By thread: units, and nodes, that were executed so far.
    units: Vec<usize>,
    cut: Cut,
}

impl<'t, 'e> Turn<'t, 'e> {
    fn at(trace: &'t Trace<'e>, start: usize) -> Self {
        let executed = |thread: usize| trace.units_of[thread].partition_point(|at| (*at as usize) < start);
        let nodes = |thread: usize| {
            trace.of_thread[thread].partition_point(|node| trace.nodes[*node as usize].unit < start) as u32
        };
        let width = trace.width();
        Turn { trace, units: (0..width).map(executed).collect(), cut: (0..width).map(nodes).collect() }
    }

    /// Who goes before the lowest enabled thread, if that clears an event: one that waits for it. Otherwise that thread.
    fn first_to_notice(&self, lowest: usize) -> usize {
        let Some(&Operation::EventClear { event }) = self.next(lowest) else { return lowest };
        let waits = |thread: &usize| {
            self.next(*thread) == Some(&Operation::EventWait { event }) && self.enabled(*thread)
        };
        (0..self.trace.width()).find(waits).unwrap_or(lowest)
    }

    /// What the thread does next.
    fn next(&self, thread: usize) -> Option<&'e Operation> {
        let trace = self.trace;
        match trace.units_of[thread].get(self.units[thread]) {
            Some(unit) => Some(&trace.execution.events[trace.units.events(*unit as usize).start].operation),
            None => {
                trace.pending.iter().find(|pending| pending.thread == thread).map(|subject| subject.operation)
            }
        }
    }

    /// Whether the thread could go on.
    fn enabled(&self, thread: usize) -> bool {
        let trace = self.trace;
        let subject = match trace.units_of[thread].get(self.units[thread]) {
            Some(next) => {
                let node = trace.of_thread[thread].get(self.cut[thread] as usize);
                let node = node.map(|node| &trace.nodes[*node as usize]);
                match node.filter(|node| node.unit == *next as usize) {
                    Some(node) => &node.subject,
                    // Nobody else has a part in what it waits for, so it could have been executed at once.
                    None => return true,
                }
            }
            // A pending operation that nobody else has a part in waits in vain from the beginning.
            None => match trace.pending.iter().find(|pending| pending.thread == thread) {
                Some(pending) => pending,
                None => return false,
            },
        };
        let state = trace.state(&self.cut, &[]);
        // Giving up comes when nobody is enabled, so it is no reason for another to wait.
        !matches!(subject.operation, Operation::Elapse { .. })
            && (!subject.nature.gated || semantics::enabled(subject.operation, subject.id, &state))
    }

    fn pass(&mut self, thread: usize, unit: usize) {
        self.units[thread] += 1;
        let node = self.trace.of_thread[thread].get(self.cut[thread] as usize);
        if node.is_some_and(|node| self.trace.nodes[*node as usize].unit == unit) {
            self.cut[thread] += 1;
        }
    }
}

/// Refuses a run whose last forced step does not depend on exactly the events that were put before its head.
pub(crate) fn predicted_past(trace: &Trace) -> Result<(), AnalyzeError> {
    let prefix = trace.execution.header.schedule.entries.len();
    if prefix == 0 || trace.first_new == trace.nodes.len() {
        return Ok(());
    }
    let Some(last) = trace.nodes.iter().rposition(|node| node.unit < prefix) else { return Ok(()) };
    let node = &trace.nodes[last];
    // A schedule of a person or of the minimiser has no chunks, and claims nothing.
    if node.step == last {
        return Ok(());
    }
    let mut past = Cut::from_slice(trace.clock(last));
    past[node.subject.thread] -= 1;
    let mut inside = Cut::from_slice(trace.before(last));
    inside[node.subject.thread] = node.subject.index;
    if covered(&inside, trace.before(node.step), &past) {
        return Ok(());
    }
    Err(AnalyzeError::UnexpectedPast { position: node.event })
}
