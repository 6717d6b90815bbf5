//! What an exploration has found so far, and what is still to be done.
//!
//! Invariant: two executions of one class are an error of ours, because the analyzer promises that each class is
//! reached once; and a run without [`Insight`] counts as cut short.
//!
//! Not here: who makes runs, and when to stop (explore).

use crate::analysis::{Derived, Insight, RaceReport, Refusal};
use crate::bag::{Added, Bag, WorkItem};
use crate::divergence::Divergence;
use crate::drawing;
use crate::examination::Examined;
use crate::probing::Probes;
use crate::report::{BoundedBy, Report};
use crate::sampling::Plan;
use frontrun_formats::{Block, Execution};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many of our own faults are spelled out; more would say the same again.
const MOST_ERRORS: usize = 20;

/// An item, what its run is found to be, and the probes that were made for it.
pub(crate) type Settled = (WorkItem, Examined, Probes);

/// The books.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) bag: Bag,
    pub(crate) report: Report,
    /// The number of the next run; runs that a lost runner did not make have one, too.
    pub(crate) next_run: u64,
    /// Why no further run is to be begun.
    pub(crate) stopped: Option<BoundedBy>,
    pub(crate) classes: FxHashSet<u64>,
    pub(crate) races: FxHashSet<RaceReport>,
    /// Runs that wait for one with a lower number, and the lowest number that has not been counted; sampling only.
    pub(crate) held: BTreeMap<u64, Option<Settled>>,
    pub(crate) next_to_count: u64,
    /// For naming what a diverged run was expected to do.
    pub(crate) first: Option<Arc<Execution>>,
    /// Whether runs change something outside their processes, so that no two may be under way at a time.
    pub(crate) alone: bool,
    /// How often runs that were under way together turned out to have disturbed each other.
    pub(crate) disturbances: u32,
    /// Whether the item that was added last has been run and has failed, so that it counts even if time is up.
    pub(crate) urgent: bool,
    /// How many executions have been drawn at random beside the search, and how many of these are in work.
    pub(crate) drawn: u64,
    pub(crate) drawn_in_work: u64,
    /// Why runners gave up, until it is known whether any item went without.
    pub(crate) lost_runners: Vec<String>,
}

impl Books {
    pub(crate) fn executions_begun(&self) -> u64 {
        self.report.executions + self.bag.in_work() as u64 - self.drawn_in_work
    }

    /// An item that is drawn at random, if it is time for one. Its schedule is looked up by whoever runs it.
    pub(crate) fn draw(&mut self) -> Option<WorkItem> {
        if self.drawn >= drawing::due(self.next_run) {
            return None;
        }
        let drawn = Some(self.drawn as usize);
        self.drawn += 1;
        self.bag.begin();
        self.drawn_in_work += 1;
        Some(WorkItem { drawn, ..WorkItem::default() })
    }

    /// Ends the work on an item that was drawn.
    pub(crate) fn finish_drawn(&mut self) {
        self.bag.finish();
        self.drawn_in_work -= 1;
    }

    /// The item that has been run as a probe and has failed, and the number of its run. That time is up does not keep it
    /// from being counted.
    pub(crate) fn take_urgent(&mut self, max_executions: Option<u64>) -> Option<(u64, WorkItem)> {
        let has_room = max_executions.is_none_or(|most| self.executions_begun() < most);
        if !std::mem::take(&mut self.urgent) || !has_room || self.stopped == Some(BoundedBy::FirstFailure) {
            return None;
        }
        let item = self.bag.take_latest()?;
        match item.made.as_ref().map(|made| made.run) {
            Some(number) => Some((number, item)),
            None => {
                self.bag.put_back(item);
                None
            }
        }
    }

    pub(crate) fn fault(&mut self, text: String) {
        if self.report.errors.len() < MOST_ERRORS {
            self.report.errors.push(text);
        }
    }

    pub(crate) fn diverged(&mut self, divergence: Divergence) {
        self.report.diverged += 1;
        self.report.first_divergence.get_or_insert(divergence);
    }

    /// What the recording says whatever became of the run, and whether its class is new.
    pub(crate) fn count_execution(&mut self, examined: &Examined, sampled: bool) {
        if let Some(execution) = &examined.execution {
            self.report.most_threads = self.report.most_threads.max(execution.threads.len());
            // Tasks switch where they suspend, whatever is in scope.
            self.report.switched |= execution.events.iter().any(|event| event.operation.resumes());
            for event in execution.events.iter().filter(|event| event.operation.is_access()) {
                let alone = event.block == Block::Alone;
                self.report.switched |= alone;
                self.report.blocks |= !alone;
            }
            let flags = &execution.header.environment.flags;
            // What processes do outside is all that they share, whatever code does it.
            self.report.switched |=
                flags.iter().any(|(flag, value)| flag == "execution" && value == "process");
            self.report.trusted |= flags.iter().any(|(flag, _)| flag == "trust");
            self.report.left_behind += u64::from(execution.leaves_threads_behind());
            if let Some(observed) = execution.observed.as_ref().filter(|_| !examined.beyond_gil) {
                *self.report.outcomes.entry(observed.clone()).or_default() += 1;
            }
        }
        match &examined.refusal {
            Some(Refusal::Diverged(divergence)) => self.diverged(divergence.clone()),
            Some(Refusal::Fault(fault)) => self.fault(fault.clone()),
            Some(Refusal::Cut) | None => {}
        }
        match &examined.insight {
            Some(insight) if !self.classes.insert(insight.class) && !sampled => self.fault(format!(
                "two executions of one equivalence class ({:016x}): please report this frontrun bug",
                insight.class
            )),
            Some(_) => {}
            None => self.report.cut_runs += 1,
        }
    }

    /// After the first attempt: draws the others, unless there is no other class to be found.
    pub(crate) fn add_attempts(&mut self, item: &WorkItem, insight: Option<Insight>, plan: &Plan) {
        let is_only = insight.as_ref().is_some_and(|i| i.complete && i.alternatives.is_empty());
        let insight = insight.unwrap_or_default();
        self.races.extend(insight.races);
        if item.schedule.tail.is_lowest() && !is_only {
            self.report.sampled = true;
            self.report.horizon = plan.horizon(&insight.ground);
            // The bag gives back first what was added last.
            for schedule in plan.schedules(&insight.ground).into_iter().rev() {
                self.bag.add(WorkItem { schedule, ..WorkItem::default() });
            }
        }
    }

    /// Gives back the runs of probes that are no alternatives, or for which there is no room.
    pub(crate) fn add_alternatives(
        &mut self,
        item: &WorkItem,
        insight: Option<Insight>,
        beyond_bound: u64,
        mut probes: Probes,
    ) -> Vec<u64> {
        self.report.beyond_preemption_bound += beyond_bound;
        let insight = insight.unwrap_or_else(|| Insight { complete: true, ..Insight::default() });
        self.races.extend(insight.races);
        let parent = Some(item.schedule.id());
        for Derived { schedule, preemptions } in insight.alternatives {
            let made = probes.take(&schedule);
            let item = WorkItem { schedule, preemptions, parent, made, ..WorkItem::default() };
            let added = self.bag.add(item);
            self.report.left_out += u64::from(added == Added::NoRoom);
        }
        if let Some((schedule, made)) = probes.take_failed() {
            let made = Some(made);
            let item = WorkItem { schedule, parent, made, for_failure: true, ..WorkItem::default() };
            self.urgent = self.bag.add(item) == Added::Yes;
            self.report.left_out += u64::from(!self.urgent);
            self.report.cut_runs += u64::from(!insight.complete);
        } else {
            // There are more, but how many nobody knows.
            self.report.left_out += u64::from(!insight.complete);
        }
        self.report.redundant += probes.runs().count() as u64;
        probes.runs().collect()
    }
}
