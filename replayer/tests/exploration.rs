//! Whole explorations with real processes, over a model program in the place of Python.

#[path = "model/interpreter.rs"]
mod interpreter;
mod model;

use frontrun_formats::FailureKind;
use frontrun_replayer::analysis::RaceReport;
use frontrun_replayer::proof::{self, ProofConfig};
use frontrun_replayer::*;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Not a test: the entry of the interpreter's role.
#[test]
fn fake_interpreter() {
    interpreter::main();
}

struct Setup {
    directory: TempDir,
    target: Target,
    config: ExploreConfig,
}

fn setup(program: &str) -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let python = interpreter::python(directory.path());
    let target = Target::parse(&["-m".into(), OsString::from(program)], &python, None).unwrap();
    let mut config = ExploreConfig::new(directory.path().join("results"));
    config.after_failure = AfterFailure::Continue;
    config.timeout_per_run = Duration::from_secs(10);
    Setup { directory, target, config }
}

fn startup() -> Startup {
    Startup { workers: 2, timeout: Duration::from_secs(20) }
}

fn run(setup: &Setup) -> Report {
    let report = explore_program(&setup.target, startup(), &setup.config, &AtomicBool::new(false)).unwrap();
    assert_no_process_left(setup.directory.path());
    report
}

/// Every process of an exploration has the directory in its environment or arguments.
fn assert_no_process_left(directory: &Path) {
    let needle = directory.to_str().unwrap().as_bytes();
    let own = std::process::id().to_string();
    let alive = |_| {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            entry.file_name().to_str() != Some(&own) && environment.windows(needle.len()).any(|w| w == needle)
        })
    };
    let gone = (0..100).any(|n| {
        std::thread::sleep(Duration::from_millis(if n == 0 { 0 } else { 20 }));
        !alive(n)
    });
    assert!(gone, "a process was left behind");
}

#[test]
fn a_block_is_run_where_nothing_tells_what_it_does() {
    let report = run(&setup("opaque"));
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!((report.executions, report.classes), (3, 3));
    assert_eq!(report.verdict(), Verdict::Exhausted);
    assert!(report.redundant <= 3, "{} redundant runs", report.redundant);
}

/// Counts its runs, and interrupts the exploration after the first one if it is told to.
struct Counting {
    runner: SpawnRunner,
    runs: Arc<AtomicU32>,
    interrupt: Option<Arc<AtomicBool>>,
}

impl Runner for Counting {
    fn run(&mut self, request: &RunRequest) -> Result<RunReply, ReplayError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let reply = self.runner.run(request);
        if let Some(interrupt) = &self.interrupt {
            interrupt.store(true, Ordering::Relaxed);
        }
        reply
    }
}

#[test]
fn no_probe_is_begun_once_the_exploration_is_to_stop() {
    let setup = setup("opaque");
    let (runs, interrupt) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let runner = SpawnRunner::new(setup.target.clone());
    let runner = Counting { runner, runs: runs.clone(), interrupt: Some(interrupt.clone()) };
    let report = explore::explore(&setup.config, vec![Box::new(runner)], &interrupt).unwrap();
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!((report.executions, runs.load(Ordering::Relaxed)), (1, 1));
    assert_eq!((report.verdict(), report.bounded_by), (Verdict::Bounded, Some(BoundedBy::Interrupt)));
}

#[test]
fn a_probe_that_crashes_counts() {
    for after_failure in [AfterFailure::Stop, AfterFailure::Continue] {
        let mut setup = setup("peeking");
        setup.config.after_failure = after_failure;
        let report = run(&setup);
        assert_eq!((report.errors.len(), report.diverged), (0, 0));
        let kinds: Vec<FailureKind> = report.failures.iter().map(|failure| failure.kind).collect();
        assert_eq!((report.verdict(), kinds), (Verdict::Failed, vec![FailureKind::Crash]));
        assert!(report.cut_runs > 0, "what comes after a crash is not known");
    }
}

#[test]
fn two_increments_have_four_classes_and_the_lost_update_is_found() {
    let setup = setup("counter");
    let report = run(&setup);
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!((report.executions, report.classes), (4, 4));
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(report.failures.len(), 2);
    assert_eq!(report.failures[0].kind, FailureKind::Invariant);
    let outcomes: Vec<(&str, u64)> =
        report.outcomes.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(outcomes, [("x=1", 2), ("x=2", 2)]);
    let results = &setup.config.directory;
    let mut names: Vec<String> =
        std::fs::read_dir(results).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".frz"));
    names.sort();
    assert_eq!(names, ["failure-1.frz", "failure-2.frz", "first.frz"]);
}

#[test]
fn independent_threads_have_one_class() {
    let report = run(&setup("independent"));
    assert_eq!((report.executions, report.verdict()), (1, Verdict::Exhausted));
}

#[test]
fn a_lock_inversion_has_three_classes_and_a_deadlock() {
    let report = run(&setup("inversion"));
    assert_eq!((report.executions, report.classes), (3, 3));
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].kind, FailureKind::Deadlock);
}

#[test]
fn the_first_failure_stops_the_exploration_unless_told_otherwise() {
    let mut setup = setup("counter3");
    setup.config.after_failure = AfterFailure::Stop;
    let report = run(&setup);
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(report.bounded_by, Some(BoundedBy::FirstFailure));
    assert!(report.waiting > 0);
}

#[test]
fn what_is_drawn_beside_a_search_adds_nothing_to_its_numbers() {
    let mut setup = setup("five");
    let report = run(&setup);
    assert_eq!((report.executions, report.drawn), (120, 0), "whoever wants all failures gets each once");
    setup.config.after_failure = AfterFailure::Stop;
    let report = run(&setup);
    assert_eq!((report.executions, report.classes, report.verdict()), (120, 120, Verdict::Exhausted));
    assert_eq!((report.outcomes.values().sum::<u64>(), report.errors.len()), (120, 0));
    assert!((20..60).contains(&report.drawn), "{} drawn", report.drawn);
    setup.config.max_executions = Some(90);
    let report = run(&setup);
    assert_eq!((report.executions, report.bounded_by), (90, Some(BoundedBy::Executions)));
    setup.config.preemption_bound = Some(1);
    assert_eq!(run(&setup).drawn, 0, "it may have more preemptions");
}

#[test]
fn a_budget_bounds_only_what_was_not_run() {
    let mut setup = setup("inversion");
    setup.config.max_executions = Some(1);
    let report = run(&setup);
    assert_eq!((report.executions, report.verdict()), (1, Verdict::Bounded));
    assert_eq!(report.bounded_by, Some(BoundedBy::Executions));
    setup.config.max_executions = Some(3);
    assert_eq!(run(&setup).bounded_by, None);
    setup.config.max_executions = None;
    setup.config.max_time = Some(Duration::ZERO);
    let report = run(&setup);
    assert_eq!((report.executions, report.bounded_by), (0, Some(BoundedBy::Time)));
}

#[test]
fn schedules_beyond_the_preemption_bound_are_left_out_and_counted() {
    let mut setup = setup("counter");
    setup.config.preemption_bound = Some(0);
    let report = run(&setup);
    assert!(report.executions < 4 && report.beyond_preemption_bound > 0, "{report:?}");
    assert_eq!(report.bounded_by, Some(BoundedBy::Preemptions));
    assert_eq!(report.verdict(), Verdict::Bounded);
    setup.config.preemption_bound = Some(4);
    assert_eq!(run(&setup).executions, 4);
}

#[test]
fn a_run_that_does_something_else_is_reported_as_diverged() {
    let report = run(&setup("diverging"));
    assert_eq!(report.verdict(), Verdict::Diverged);
    assert!(report.diverged > 0 && report.first_divergence.is_some());
}

#[test]
fn a_run_that_touches_something_else_at_the_same_places_is_reported_as_diverged() {
    let report = run(&setup("wandering"));
    assert_eq!(report.verdict(), Verdict::Diverged, "{report:?}");
}

#[test]
fn the_races_of_all_executions_are_reported_once_each() {
    let report = run(&setup("counter"));
    let actions = |race: &RaceReport| race.accesses.each_ref().map(|access| access.action.clone());
    let found: Vec<_> = report.races.iter().map(actions).collect();
    assert!(!found.is_empty(), "{report:?}");
    assert!(found.iter().all(|actions| actions.contains(&"writes".to_owned())), "{found:?}");
}

#[test]
fn a_hanging_run_is_killed_and_the_others_go_on() {
    let mut setup = setup("hanging");
    setup.config.timeout_per_run = Duration::from_millis(300);
    let report = run(&setup);
    assert!(!report.failures.is_empty());
    assert!(report.failures.iter().all(|failure| failure.kind == FailureKind::Hang), "{report:?}");
    assert!(report.executions > report.failures.len() as u64);
    assert_eq!(report.cut_runs, report.failures.len() as u64);
    assert_eq!(report.bounded_by, Some(BoundedBy::CutRuns), "what comes after a hang is not known");
}

#[test]
fn a_killed_run_is_a_crash_and_the_others_go_on() {
    let report = run(&setup("dying"));
    assert!(!report.failures.is_empty());
    let crashed =
        |failure: &FoundFailure| failure.kind == FailureKind::Crash && failure.message.contains("SIGKILL");
    assert!(report.failures.iter().all(crashed), "{report:?}");
    assert!(report.executions > report.failures.len() as u64);
}

#[test]
fn a_flood_of_output_does_not_fill_the_disk() {
    let mut setup = setup("flooding");
    setup.config.timeout_per_run = Duration::from_secs(3);
    let report = run(&setup);
    assert_eq!(report.failures[0].kind, FailureKind::Hang);
    let output = report.failures[0].output.as_ref().unwrap();
    assert!(std::fs::metadata(output).unwrap().len() <= 1 << 20);
}

#[test]
fn a_program_without_threads_explores_nothing() {
    let report = run(&setup("single"));
    assert_eq!(report.executions, 1);
    assert!(report.explored_nothing());
}

#[test]
fn an_interrupt_stops_after_the_runs_in_work() {
    struct SetAfterTwo(Arc<AtomicBool>);
    impl progress::Progress for SetAfterTwo {
        fn ran(&self, snapshot: &progress::Snapshot) {
            self.0.store(snapshot.executions >= 2, Ordering::Relaxed);
        }
    }
    let mut setup = setup("counter3");
    let interrupt = Arc::new(AtomicBool::new(false));
    setup.config.progress = Arc::new(SetAfterTwo(interrupt.clone()));
    let report = explore_program(&setup.target, startup(), &setup.config, &interrupt).unwrap();
    assert_eq!(report.bounded_by, Some(BoundedBy::Interrupt));
    assert!(report.executions >= 2 && report.executions < 20);
    assert_no_process_left(setup.directory.path());
}

#[test]
fn fresh_interpreters_explore_the_same_and_confirm_a_failure() {
    let setup = setup("counter");
    let runner = Box::new(SpawnRunner::new(setup.target.clone()));
    let never = AtomicBool::new(false);
    let report = explore::explore(&setup.config, vec![runner], &never).unwrap();
    assert_eq!((report.executions, report.failures.len()), (4, 2));
    let trace = &report.failures[0].trace;
    let original = trace_file::read(trace).unwrap();
    let mut runner = SpawnRunner::of_recording(setup.target.clone(), trace.clone());
    let config = ProofConfig {
        times: 3,
        directory: setup.directory.path(),
        output: Some(setup.directory.path()),
        timeout: Duration::from_secs(10),
    };
    let proof = proof::confirm(&mut runner, &original, config, &never).unwrap();
    assert_eq!(proof.reproduced(), 3, "{proof:?}");
    assert_no_process_left(setup.directory.path());
}

#[test]
fn a_server_that_dies_is_an_error_and_not_an_exhausted_search() {
    let setup = setup("counter");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(theirs);
    let runners: Vec<Box<dyn Runner>> = vec![Box::new(Worker::new(ours))];
    let report = explore::explore(&setup.config, runners, &AtomicBool::new(false)).unwrap();
    assert_eq!((report.verdict(), report.waiting), (Verdict::Error, 1));
}

#[test]
fn many_runs_take_milliseconds_each() {
    let mut setup = setup("counter3");
    let started = Instant::now();
    setup.config.max_executions = Some(100);
    let report = run(&setup);
    assert!(report.executions > 10);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
