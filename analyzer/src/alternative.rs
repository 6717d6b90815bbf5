//! What could have happened instead: the schedule of another execution and why it is one.

use crate::describe;
use crate::subject::Origin;
use crate::touched;
use crate::trace::Trace;
use frontrun_formats::{Block, Execution, Location, Operation, Schedule, ScheduleEntry, SiteId, ThreadId};
use rustc_hash::FxHashMap;

/// A work item: the fixed schedule of one further execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// What to execute.
    pub schedule: Schedule,
    /// In what it differs from the execution that it was derived from.
    pub reason: Reason,
}

/// Which operation was put before which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The operation that now goes first.
    pub first: Origin,
    /// The event that it overtakes.
    pub second: usize,
    /// On what they conflict.
    pub location: Location,
    /// Whether `second` is blocked once `first` has been executed (it takes the lock, for instance).
    pub blocks: bool,
}

impl Reason {
    /// One line, e.g. `t0.1 writes Counter#1.value (bank.py:12) before t0.0 reads it (bank.py:11)`.
    ///
    /// `parent` is the execution that was analyzed.
    pub fn line(&self, parent: &Execution) -> String {
        let (first, first_site) = self.first.place(parent);
        let second = &parent.events[self.second];
        let blocks = if self.blocks { ", which then has to wait" } else { "" };
        format!(
            "{} {} {} ({}) before {} {} it ({}){blocks}",
            describe::thread(parent, first),
            verb(self.first.operation(parent), self.first.block(parent)),
            describe::location(parent, self.location),
            describe::site(parent, first_site),
            describe::thread(parent, second.thread),
            verb(&second.operation, second.block),
            describe::site(parent, second.site),
        )
    }
}

/// What is done to the location of a reason.
fn verb(operation: &Operation, block: Block) -> &'static str {
    if block == Block::Alone { describe::verb(operation) } else { "touches" }
}

impl Origin {
    /// How it is tied to an opaque block.
    pub fn block(self, execution: &Execution) -> Block {
        match self {
            Origin::Event(at) => execution.events[at].block,
            Origin::Pending(at) => execution.pending[at].block,
            Origin::Elapsed(_) => Block::Alone,
        }
    }

    /// Who does it, and where in the source.
    pub fn place(self, execution: &Execution) -> (ThreadId, SiteId) {
        match self {
            Origin::Event(at) | Origin::Elapsed(at) => {
                (execution.events[at].thread, execution.events[at].site)
            }
            Origin::Pending(at) => (execution.pending[at].thread, execution.pending[at].site),
        }
    }

    /// What is done.
    pub fn operation(self, execution: &Execution) -> &Operation {
        match self {
            Origin::Event(at) => &execution.events[at].operation,
            Origin::Elapsed(at) => match &execution.events[at].operation {
                Operation::Elapse { of } => of,
                other => other,
            },
            Origin::Pending(at) => &execution.pending[at].operation,
        }
    }
}

/// Makes schedules out of cuts.
pub(crate) struct Schedules<'t, 'e> {
    trace: &'t Trace<'e>,
    /// One entry per unit, as executed; made when the first alternative needs it.
    template: Vec<ScheduleEntry>,
    fingerprints: FxHashMap<(SiteId, u8), u32>,
    /// The chunk's units.
    chunk: Vec<u32>,
}

impl<'t, 'e> Schedules<'t, 'e> {
    pub(crate) fn new(trace: &'t Trace<'e>) -> Self {
        Schedules { trace, template: Vec::new(), fingerprints: FxHashMap::default(), chunk: Vec::new() }
    }

    /// The execution's events up to the step of node `overtaken`, then those of the cut behind them, then
    /// `first`, then, unless it is blocked, `overtaken`.
    pub(crate) fn schedule(
        &mut self,
        first: Origin,
        overtaken: usize,
        cut: &[u32],
        blocks: bool,
    ) -> Schedule {
        if self.template.is_empty() {
            self.fill_template();
        }
        let trace = self.trace;
        let node = &trace.nodes[overtaken];
        self.collect_chunk(first, overtaken, cut);
        let mut entries = Vec::with_capacity(node.step_unit + self.chunk.len() + 2);
        entries.extend_from_slice(&self.template[..node.step_unit]);
        for unit in &self.chunk {
            let entry = self.template[*unit as usize];
            entries.push(ScheduleEntry { head: false, opens_step: false, ..entry });
        }
        entries.push(ScheduleEntry { head: false, opens_step: false, ..self.entry(first) });
        entries[node.step_unit].opens_step = true;
        if !blocks {
            // Behind `first` it may touch something else.
            let overtaken = self.template[node.unit];
            entries.push(ScheduleEntry { head: true, opens_step: false, touches: 0, ..overtaken });
        }
        self.named(entries)
    }

    /// Units at or behind the beginning of the step that are inside the cut, in execution order. Irrelevant
    /// units are inside when a node of their thread behind them is, or when `first` is behind them.
    fn collect_chunk(&mut self, first: Origin, overtaken: usize, cut: &[u32]) {
        let trace = self.trace;
        let node = &trace.nodes[overtaken];
        let first_thread = first.place(trace.execution).0;
        self.chunk.clear();
        for (thread, units) in trace.units_of.iter().enumerate() {
            let below = |limit: usize| units.partition_point(|unit| (*unit as usize) < limit);
            let mut end = below(node.unit);
            if let Some(last) = cut[thread].checked_sub(1) {
                end = end.max(trace.nodes[trace.node_of(thread, last)].subject.unit_index as usize + 1);
            }
            if trace.threads.id(thread) == first_thread {
                end = match first {
                    Origin::Event(at) | Origin::Elapsed(at) => below(trace.units.containing(at)),
                    Origin::Pending(_) => units.len(),
                };
            }
            let start = below(node.step_unit);
            if start < end {
                self.chunk.extend_from_slice(&units[start..end]);
            }
        }
        self.chunk.sort_unstable();
    }

    fn fill_template(&mut self) {
        let execution = self.trace.execution;
        let prefix = &execution.header.schedule.entries;
        let units = &self.trace.units;
        self.template = touched::fingerprints(execution, units, units.len())
            .into_iter()
            .enumerate()
            .map(|(unit, touches)| {
                let entry = self.entry(Origin::Event(units.events(unit).start));
                let (head, opens_step) =
                    prefix.get(unit).map_or((true, true), |entry| (entry.head, entry.opens_step));
                ScheduleEntry { head, opens_step, touches, ..entry }
            })
            .collect();
    }

    /// The entry of an operation; its thread is given as a rank.
    fn entry(&mut self, origin: Origin) -> ScheduleEntry {
        let execution = self.trace.execution;
        let (thread, site) = origin.place(execution);
        let operation = origin.operation(execution);
        let expect = *self.fingerprints.entry((site, operation.kind())).or_insert_with(|| {
            execution.site(site).map_or(1, |at| {
                frontrun_formats::execution::fingerprint(operation.kind(), execution.text(at.file), at)
            })
        });
        let rank = self.trace.threads.rank(thread).unwrap_or_default();
        ScheduleEntry { thread: rank as u32, expect, head: true, opens_step: true, touches: 0 }
    }

    /// Names the threads that occur, in their order.
    fn named(&self, mut entries: Vec<ScheduleEntry>) -> Schedule {
        let trace = self.trace;
        let mut used = vec![false; trace.width()];
        for entry in &entries {
            used[entry.thread as usize] = true;
        }
        if used.contains(&false) {
            let mut numbers = vec![0; used.len()];
            for rank in 1..used.len() {
                numbers[rank] = numbers[rank - 1] + u32::from(used[rank - 1]);
            }
            for entry in &mut entries {
                entry.thread = numbers[entry.thread as usize];
            }
        }
        let threads = (0..trace.width())
            .filter(|rank| used[*rank])
            .filter_map(|rank| trace.execution.path(trace.threads.id(rank)).cloned())
            .collect();
        Schedule { threads, entries, ..Schedule::default() }
    }
}
