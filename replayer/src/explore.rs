//! The loop: take an item, run it, read its recording, classify it, put its alternatives into the bag.
//!
//! Model: one thread for each runner; all of them share one [`Bag`] and one [`Report`] behind a lock, which is
//! held for bookkeeping only, never during a run or an analysis. The exploration ends when the bag is done, or
//! when a reason to stop is found by whoever looks first; runs in work are then finished and counted.
//!
//! Nothing is dropped silently: an item that is not run is counted as waiting, a run that is cut short counts
//! as such.
//!
//! Not here: how a run is made (worker, spawn), what a run means (examination), which schedules are drawn (sampling),
//! what follows from it all (report).

use crate::analysis;
use crate::bag::WorkItem;
use crate::books::{Books, Settled};
use crate::classify::RunEnd;
use crate::drawing;
use crate::error::ReplayError;
use crate::examination::{self, Criteria, Examined};
use crate::probing::{Prober, Probes};
use crate::progress::{Progress, Silent, Snapshot};
use crate::protocol::RunRequest;
use crate::report::{BoundedBy, FoundFailure, Report};
use crate::sampling::Plan;
use crate::worker::{Runner, run_twice_if_cut};
use crate::workspace::{KeepTraces, Workspace};
use frontrun_formats::{Execution, Failure, Schedule};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a thread without work looks for reasons to stop.
const TICK: Duration = Duration::from_millis(50);

/// What an exploration may do, and where.
#[derive(Clone)]
pub struct ExploreConfig {
    /// The most executions to run.
    pub max_executions: Option<u64>,
    /// After this time no further run is begun.
    pub max_time: Option<Duration>,
    /// Schedules with more preemptions are left out.
    pub preemption_bound: Option<u32>,
    /// Draw executions at random instead of running every class.
    pub sampling: Option<Plan>,
    /// Whether a data race is a failure.
    pub fail_on_race: bool,
    /// Whether executions do not count that no interpreter with a GIL can have.
    pub gil: bool,
    /// Whether to go on after a failure.
    pub after_failure: AfterFailure,
    /// A run that takes longer is killed.
    pub timeout_per_run: Duration,
    /// Where recordings go.
    pub directory: PathBuf,
    /// Which of them stay.
    pub keep_traces: KeepTraces,
    /// Who is told how it gets on.
    pub progress: Arc<dyn Progress>,
}

/// What to do when an execution has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Begin no further run.
    Stop,
    /// Look for more.
    Continue,
}

impl ExploreConfig {
    /// No bounds, five seconds for each run, stop at the first failure.
    pub fn new(directory: PathBuf) -> ExploreConfig {
        ExploreConfig {
            max_executions: None,
            max_time: None,
            preemption_bound: None,
            sampling: None,
            fail_on_race: false,
            gil: false,
            after_failure: AfterFailure::Stop,
            timeout_per_run: Duration::from_secs(5),
            directory,
            keep_traces: KeepTraces::FirstAndFailing,
            progress: Arc::new(Silent),
        }
    }
}

/// Explores with one thread for each runner. Setting `interrupt` stops it after the runs in work.
///
/// An error means that nothing could be explored at all; whatever happens later is in the report.
pub fn explore(
    config: &ExploreConfig,
    runners: Vec<Box<dyn Runner>>,
    interrupt: &AtomicBool,
) -> Result<Report, ReplayError> {
    let workspace = Workspace::open(&config.directory, config.keep_traces)?;
    Ok(explore_in(&workspace, config, runners, interrupt))
}

/// As [`explore`], in a directory that is already open.
pub fn explore_in(
    workspace: &Workspace,
    config: &ExploreConfig,
    runners: Vec<Box<dyn Runner>>,
    interrupt: &AtomicBool,
) -> Report {
    let exploration = Exploration {
        config,
        workspace,
        interrupt,
        started: Instant::now(),
        shared: Mutex::new(Books::default()),
        drawing: OnceLock::new(),
        changed: Condvar::new(),
    };
    exploration.lock().bag.add(WorkItem::default());
    std::thread::scope(|scope| {
        for runner in runners {
            scope.spawn(|| exploration.work(runner));
        }
    });
    exploration.into_report()
}

struct Exploration<'a> {
    config: &'a ExploreConfig,
    workspace: &'a Workspace,
    interrupt: &'a AtomicBool,
    started: Instant,
    shared: Mutex<Books>,
    /// The schedules that are drawn beside the search, once one is: to make them, an execution is analyzed.
    drawing: OnceLock<Vec<Schedule>>,
    /// Something was added to the bag, finished, or stopped.
    changed: Condvar,
}

impl Exploration<'_> {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // A panic elsewhere ends the exploration when the scope joins; until then the numbers are consistent.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut runner: Box<dyn Runner>) {
        let ExploreConfig { preemption_bound, fail_on_race, gil, ref sampling, .. } = *self.config;
        while let Some((number, mut item, disturbances)) = self.take() {
            if let Some(nth) = item.drawn {
                item.schedule = self.drawn(nth);
            }
            let sampled = sampling.is_some() || item.drawn.is_some();
            let criteria = Criteria { preemption_bound, fail_on_race, gil, sampled };
            let made = match &item.made {
                Some(made) => Ok(made.reply.clone()),
                None => run_twice_if_cut(&mut *runner, &self.request(number, &item.schedule, item.parent)),
            };
            let examined = made.and_then(|reply| {
                let request = |schedule: &Schedule| self.request_probe(schedule, &item);
                // Where only some executions count, whether a probe does is not known when it has failed.
                let counts = !gil && preemption_bound.is_none();
                let stops_at_failure = self.config.after_failure == AfterFailure::Stop && counts;
                let mut prober = Prober::new(&mut *runner, &request, stops_at_failure);
                let first = self.lock().first.clone();
                let asked = self.request(number, &item.schedule, item.parent);
                let mut examined =
                    examination::examine(&criteria, &asked, &reply, first.as_deref(), &mut prober);
                if item.for_failure {
                    (examined.insight, examined.refusal) = (None, None);
                }
                let (probes, lost) = prober.finish();
                lost.map_or(Ok((examined, probes)), Err)
            });
            match examined {
                Ok((examined, probes)) => {
                    if self.is_undisturbed(&examined, &probes, disturbances) {
                        self.settle(number, Some((item, examined, probes)));
                    } else {
                        probes.runs().for_each(|run| self.workspace.discard(run));
                        self.put_back(number, item);
                    }
                }
                Err(error) => {
                    self.lock().lost_runners.push(error.to_string());
                    self.put_back(number, item);
                    return;
                }
            }
        }
    }

    fn request(&self, number: u64, schedule: &Schedule, parent: Option<u64>) -> RunRequest {
        RunRequest {
            id: number,
            schedule: schedule.clone(),
            trace: self.workspace.run_trace(number),
            output: Some(self.workspace.run_output(number)),
            timeout_ms: self.config.timeout_per_run.as_millis() as u64,
            give_way_ms: None,
            parent,
        }
    }

    /// `None` when the exploration is to stop.
    fn request_probe(&self, schedule: &Schedule, item: &WorkItem) -> Option<RunRequest> {
        let mut shared = self.lock();
        self.look_at_interrupt(&mut shared);
        self.look_at_time(&mut shared);
        if shared.stopped.is_some_and(|why| why != BoundedBy::Executions) {
            return None;
        }
        shared.next_run += 1;
        Some(self.request(shared.next_run - 1, schedule, Some(item.schedule.id())))
    }

    /// Stops where the user says so.
    fn look_at_interrupt(&self, shared: &mut Books) {
        if self.interrupt.load(Ordering::Relaxed) {
            shared.stopped.get_or_insert(BoundedBy::Interrupt);
        }
    }

    /// Stops where the time is up.
    fn look_at_time(&self, shared: &mut Books) {
        if self.config.max_time.is_some_and(|most| self.started.elapsed() >= most) {
            shared.stopped.get_or_insert(BoundedBy::Time);
        }
    }

    /// Returns an item whose run does not count.
    fn put_back(&self, number: u64, item: WorkItem) {
        let mut shared = self.lock();
        match item.drawn {
            Some(_) => shared.finish_drawn(),
            None => shared.bag.put_back(WorkItem { made: None, ..item }),
        }
        drop(shared);
        self.workspace.discard(number);
        self.settle(number, None);
        self.changed.notify_all();
    }

    /// Whether a run had the outside to itself, if it needs that. The first run that changes something there tells, and
    /// from then on one goes after the other; those that were under way with it are made again.
    fn is_undisturbed(&self, examined: &Examined, probes: &Probes, disturbances: u32) -> bool {
        let mut shared = self.lock();
        let changes = examined.execution.as_ref().is_some_and(Execution::changes_outside);
        if !shared.alone && (changes || probes.change_outside) {
            shared.alone = true;
            shared.disturbances += u32::from(shared.bag.in_work() > 1);
            // Nobody knows what else was under way when these were made.
            shared.bag.forget_made().into_iter().for_each(|made| self.workspace.discard(made.run));
        }
        shared.disturbances == disturbances
    }

    /// The next item, the number of its run, and how many disturbances there have been; `None` when there will not be
    /// an item.
    fn take(&self) -> Option<(u64, WorkItem, u32)> {
        let mut shared = self.lock();
        loop {
            if let Some((number, item)) = shared.take_urgent(self.config.max_executions) {
                return Some((number, item, shared.disturbances));
            }
            self.look_at_interrupt(&mut shared);
            if shared.stopped.is_some() || shared.bag.is_done() {
                self.changed.notify_all();
                return None;
            }
            let has_room = !shared.alone || shared.bag.in_work() == 0;
            if shared.bag.waiting() > 0 && has_room {
                // Only an item that would otherwise be run makes a budget a bound.
                if self.config.max_executions.is_some_and(|most| shared.executions_begun() >= most) {
                    shared.stopped = Some(BoundedBy::Executions);
                    continue;
                }
                self.look_at_time(&mut shared);
                if shared.stopped.is_some() {
                    continue;
                }
                let drawn = if self.draws() { shared.draw() } else { None };
                let item = drawn.or_else(|| shared.bag.take())?;
                let number = match &item.made {
                    Some(made) => made.run,
                    None => {
                        shared.next_run += 1;
                        shared.next_run - 1
                    }
                };
                return Some((number, item, shared.disturbances));
            }
            shared = self.changed.wait_timeout(shared, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether executions may be drawn beside the search: it is over at the first failure, whatever the number of its
    /// preemptions.
    fn draws(&self) -> bool {
        let ExploreConfig { ref sampling, preemption_bound, after_failure, .. } = *self.config;
        sampling.is_none() && preemption_bound.is_none() && after_failure == AfterFailure::Stop
    }

    /// The schedule that is drawn as the `nth`.
    fn drawn(&self, nth: usize) -> Schedule {
        let first = self.lock().first.clone();
        self.drawing.get_or_init(|| drawing::schedules(first.as_deref()))[nth].clone()
    }

    /// Enters a run into the books, or notes that run `number` was not made. Sampled runs are entered in the order of
    /// their numbers and none behind the last one that counts, so that a seed always gives the same report.
    fn settle(&self, number: u64, run: Option<Settled>) {
        let shared = &mut *self.lock();
        if self.config.sampling.is_none() {
            return run.into_iter().for_each(|settled| self.count(shared, number, settled));
        }
        shared.held.insert(number, run);
        while let Some(run) = shared.held.remove(&shared.next_to_count) {
            let number = shared.next_to_count;
            shared.next_to_count += 1;
            let Some(settled) = run else { continue };
            if shared.stopped == Some(BoundedBy::FirstFailure) {
                self.workspace.discard(number);
                shared.bag.put_back(settled.0);
            } else {
                self.count(shared, number, settled);
            }
        }
    }

    fn count(&self, shared: &mut Books, number: u64, (item, examined, probes): Settled) {
        if item.drawn.is_some() {
            return self.count_drawn(shared, number, examined);
        }
        let executions_before = shared.report.executions;
        match examined.beyond_gil {
            true => shared.report.beyond_gil += 1,
            false => shared.report.executions += 1,
        }
        shared.count_execution(&examined, self.config.sampling.is_some());
        if shared.report.first_trace.is_none() && examined.execution.is_some() {
            match self.workspace.keep_first(number) {
                Ok(path) => shared.report.first_trace = Some(path),
                Err(error) => shared.fault(error.to_string()),
            }
        }
        match &examined.classified.end {
            RunEnd::Passed => {}
            RunEnd::Failed(failure) => {
                self.keep_failure(shared, number, failure, &examined, executions_before)
            }
            RunEnd::Diverged(divergence) => shared.diverged(divergence.clone()),
            RunEnd::Unrecorded(reason) => shared.fault(reason.clone()),
        }
        self.workspace.discard(number);
        match &self.config.sampling {
            None => {
                let (insight, beyond) = (examined.insight, examined.beyond_bound);
                let unused = shared.add_alternatives(&item, insight, beyond, probes);
                unused.into_iter().for_each(|run| self.workspace.discard(run));
            }
            Some(plan) => shared.add_attempts(&item, examined.insight, plan),
        }
        if shared.first.is_none() {
            shared.first = examined.execution.map(Arc::new);
        }
        shared.bag.finish();
        self.tell(shared);
    }

    /// Enters a run that was drawn beside the search.
    fn count_drawn(&self, shared: &mut Books, number: u64, mut examined: Examined) {
        shared.report.drawn += 1;
        if let RunEnd::Failed(failure) = &examined.classified.end {
            self.keep_failure(shared, number, failure, &examined, shared.report.executions);
            shared.races.extend(examined.insight.take().into_iter().flat_map(|insight| insight.races));
        }
        self.workspace.discard(number);
        shared.finish_drawn();
        self.tell(shared);
    }

    /// Keeps what there is of a failure, and stops the exploration if it ends there.
    fn keep_failure(
        &self,
        shared: &mut Books,
        number: u64,
        failure: &Failure,
        examined: &Examined,
        executions_before: u64,
    ) {
        let nth = shared.report.failures.len() + 1;
        match self.workspace.keep_failure(number, nth) {
            Ok((trace, output)) => shared.report.failures.push(FoundFailure {
                kind: failure.kind,
                standstill: analysis::standstill(failure, examined.execution.as_ref()),
                message: failure.message.clone(),
                details: failure.details.clone(),
                trace,
                output,
                executions_before,
                gil: examined.gil,
            }),
            Err(error) => shared.fault(error.to_string()),
        }
        if self.config.after_failure == AfterFailure::Stop && shared.stopped.is_none() {
            shared.stopped = Some(BoundedBy::FirstFailure);
        }
    }

    /// Tells how the exploration gets on, and those who wait for work.
    fn tell(&self, shared: &Books) {
        self.config.progress.ran(&Snapshot {
            executions: shared.report.executions,
            failures: shared.report.failures.len() as u64,
            waiting: shared.bag.waiting() as u64,
            elapsed: self.started.elapsed(),
        });
        self.changed.notify_all();
    }

    fn into_report(self) -> Report {
        let elapsed = self.started.elapsed();
        let mut shared = self.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let waiting = shared.bag.waiting() as u64;
        shared.bag.forget_made().into_iter().for_each(|made| self.workspace.discard(made.run));
        if waiting > 0 && shared.stopped.is_none() {
            for reason in std::mem::take(&mut shared.lost_runners) {
                shared.fault(reason);
            }
        }
        let mut report = shared.report;
        report.elapsed = elapsed;
        report.waiting = waiting;
        report.classes = shared.classes.len() as u64;
        report.races = shared.races.into_iter().collect();
        report.races.sort();
        // A reason to stop that came when everything had been run has bounded nothing.
        let stopped = shared.stopped.filter(|_| waiting > 0 || report.left_out > 0);
        report.bounded_by = stopped
            .or((report.beyond_preemption_bound > 0).then_some(BoundedBy::Preemptions))
            .or((report.left_out > 0).then_some(BoundedBy::Memory))
            .or((report.cut_runs > 0).then_some(BoundedBy::CutRuns))
            .or((report.left_behind > 0).then_some(BoundedBy::LeftBehind))
            .or(report.sampled.then_some(BoundedBy::Attempts))
            .or((report.blocks && !report.switched).then_some(BoundedBy::Scope))
            .or(report.trusted.then_some(BoundedBy::Trust));
        report
    }
}
