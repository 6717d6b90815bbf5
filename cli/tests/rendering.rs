//! What is printed, from data made by hand.

use frontrun_analyzer::DeadlockKind;
use frontrun_cli::render::lanes::{LaneOptions, Rows, lanes};
use frontrun_cli::render::style::Style;
use frontrun_cli::render::{analysis, exploration, names, value};
use frontrun_formats::{
    Block, Event, Execution, Failure, FailureKind, KeyId, Location, ObjectId, ObjectInfo, Operation, Outcome,
    Part, Site, SiteId, Source, StringId, ThreadId, ThreadInfo, ThreadPath,
};
use frontrun_replayer::analysis::{RaceAccess, RaceReport};
use frontrun_replayer::divergence::Divergence;
use frontrun_replayer::{BoundedBy, FoundFailure, Report};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAM: &str = "counter = Counter()\n\n    value = self.value\n    self.value = value + 1\n";

/// Two threads that both read before either writes.
fn lost_update() -> Execution {
    let site = |line: u32| Site {
        file: StringId(0),
        function: StringId(0),
        line,
        end_line: line,
        column: 4,
        end_column: 9,
        unit: line,
    };
    let at = Location::new(ObjectId(0), Part::Key(KeyId(0)));
    let event = |thread, site, operation| Event {
        thread: ThreadId(thread),
        site: SiteId(site),
        operation,
        result: 1,
        block: Block::Alone,
        gil_switch: true,
    };
    let (read, write) = (Operation::Read { at }, Operation::Write { at });
    let spawn = |thread| Operation::Spawn { thread: ThreadId(thread) };
    let join = |thread| Operation::Join { thread: ThreadId(thread) };
    let mut events = vec![event(0, 0, spawn(1)), event(0, 0, spawn(2))];
    events.extend([event(1, 0, Operation::Start), event(1, 2, read.clone())]);
    events.extend([event(2, 0, Operation::Start), event(2, 2, read)]);
    events.extend([event(1, 3, write.clone()), event(1, 0, Operation::End), event(0, 1, join(1))]);
    events.extend([event(2, 3, write), event(2, 0, Operation::End), event(0, 1, join(2))]);
    events.push(event(0, 0, Operation::End));
    let thread = |path: ThreadPath, name: &str| ThreadInfo { path, name: name.to_owned() };
    Execution {
        strings: ["/home/me/app.py", "Counter", "Counter#1", "'value'"].map(str::to_owned).to_vec(),
        keys: vec![StringId(3)],
        sites: vec![site(0), site(1), site(3), site(4)],
        objects: vec![ObjectInfo { type_name: StringId(1), label: StringId(2) }],
        threads: vec![
            thread(ThreadPath::main(), "MainThread"),
            thread(ThreadPath::main().child(0), "first"),
            thread(ThreadPath::main().child(1), "second"),
        ],
        events,
        sources: vec![Source { path: "/home/me/app.py".to_owned(), hash: 0, text: Some(PROGRAM.to_owned()) }],
        outcome: Some(Outcome::Failed(Failure {
            kind: FailureKind::Assertion,
            message: "AssertionError: 1".to_owned(),
            thread: Some(ThreadPath::main()),
            details: "Traceback\n".to_owned(),
        })),
        ..Execution::default()
    }
}

fn drawn(rows: Rows) -> String {
    lanes(&lost_update(), LaneOptions { rows, width: 97, style: Style::plain() })
}

#[test]
fn an_execution_is_drawn_as_source_lines_in_lanes() {
    let expected = " step  t0 MainThread                 t0.0 first                    t0.1 second
    1  start t0.0; start t0.1
    4                                3: value = self.value [R a]
    6                                                              3: value = self.value [R a]
    7                                4: self.value = value… [W a]
    9  1: counter = Counter()
   10                                                              4: self.value = value… [W a]
   12  1: counter = Counter()
    a  Counter#1.value
failed in t0: assertion: AssertionError: 1
  Traceback
";
    assert_eq!(drawn(Rows::SourceLines), expected);
}

/// The same, with steps of the standard library between those of the program: an internal lock's state, which both
/// threads write, and the program's value, which one reads.
fn with_library(library: &str) -> Execution {
    let mut execution = lost_update();
    execution.strings.push(library.to_owned());
    execution.sites.push(Site { file: StringId(4), line: 9, end_line: 9, ..Site::default() });
    let step = |thread, operation| Event {
        thread: ThreadId(thread),
        site: SiteId(4),
        operation,
        result: 1,
        block: Block::Alone,
        gil_switch: true,
    };
    let internal = Operation::Write { at: Location::new(ObjectId(7), Part::State) };
    let value = Operation::Read { at: Location::new(ObjectId(0), Part::Key(KeyId(0))) };
    execution.events.splice(4..4, [step(1, internal.clone())]);
    execution.events.splice(7..7, [step(2, internal), step(2, value)]);
    execution
}

#[test]
fn what_the_standard_library_does_among_itself_is_left_out() {
    let options = LaneOptions { rows: Rows::SourceLines, width: 97, style: Style::plain() };
    let text = lanes(&with_library("/usr/lib/python3.12/queue.py"), options);
    assert!(!text.contains("W b") && text.contains("read Counter#1.value … [R a]"), "{text}");
    assert!(
        text.contains("\n       2 steps of the standard library left out: frontrun show --events"),
        "{text}"
    );
    let text = lanes(&with_library("/usr/lib/python3.12/site-packages/queue.py"), options);
    assert!(text.contains("\n    b  "), "{text}");
    assert!(!text.contains("left out"), "{text}");
    let mut asked_for = with_library("/usr/lib/python3.12/queue.py");
    asked_for.header.environment.flags.push(("include".to_owned(), "queue".to_owned()));
    assert!(!lanes(&asked_for, options).contains("left out"), "the user asked about it");
}

#[test]
fn every_step_has_a_line_on_request() {
    let text = drawn(Rows::Steps);
    assert!(text.contains("    4  t0.0  read Counter#1.value  (app.py:3) [R a]\n"), "{text}");
    assert!(text.contains("    8  t0.0  end\n"), "{text}");
    assert!(text.contains("    9  t0    join t0.0  (app.py:1)\n"), "{text}");
}

#[test]
fn an_analysis_tells_both_sides_of_a_race_and_what_to_do_next() {
    let mut execution = lost_update();
    // Behind an empty schedule the lowest thread goes first, so this one is in the order of the run rule.
    execution.events.swap(4, 6);
    execution.events.swap(5, 7);
    let done = frontrun_analyzer::analyze(&execution).unwrap();
    let text = analysis::analysis(&execution, &done, "t.frz", Style::plain());
    assert!(
        text.starts_with("t.frz: 3 threads, 13 steps\nfailed in t0: assertion: AssertionError: 1\n"),
        "{text}"
    );
    let race =
        "   1  Counter#1.value\n      step 5: t0.0 writes it  app.py:4\n          self.value = value + 1\n";
    assert!(text.contains(race), "{text}");
    assert!(text.ends_with("\nnext: frontrun replay t.frz --schedule 1\n"), "{text}");
}

fn failure(number: u32) -> FoundFailure {
    FoundFailure {
        kind: FailureKind::Deadlock,
        standstill: Some(DeadlockKind::Cycle),
        message: "2 threads wait".to_owned(),
        details: String::new(),
        trace: PathBuf::from(format!("a dir/failure-{number}.frz")),
        output: None,
        executions_before: 0,
        gil: Some(number == 1),
    }
}

fn text(report: &Report) -> String {
    let explained: Vec<exploration::Explained<'_>> = report
        .failures
        .iter()
        .take(1)
        .map(|failure| exploration::Explained { failure, interleaving: "lanes\n".to_owned() })
        .collect();
    exploration::report(report, &explained, Some((2, 3)), Style::plain())
}

#[test]
fn a_failed_exploration_says_what_how_often_and_how_to_do_it_again() {
    let report = Report {
        executions: 7,
        failures: (1..=24).map(failure).collect(),
        most_threads: 2,
        elapsed: Duration::from_millis(12),
        bounded_by: Some(BoundedBy::FirstFailure),
        ..Report::default()
    };
    let text = text(&report);
    let head = "failed: 24 failures in 7 executions (12 ms)\n\nfailure 1: deadlock: circular wait: 2 threads wait\nlanes\n\
                 builds: with a GIL, too: CPython can switch threads at these places\n\
                reproduced 2/3 in fresh interpreters\nreplay it: frontrun replay 'a dir/failure-1.frz'\n";
    assert!(text.starts_with(head), "{text}");
    assert!(
        text.contains(
            "\nand 23 more failures:\n  'a dir/failure-2.frz'  deadlock: circular wait: 2 threads wait\n"
        ),
        "{text}"
    );
    assert!(text.contains("failure-21.frz") && !text.contains("failure-22.frz"), "{text}");
    assert!(text.ends_with("stopped there; --keep-going looks for more\n"), "{text}");
}

#[test]
fn a_diverged_exploration_names_the_first_step_and_the_usual_reasons() {
    let divergence =
        Divergence { step: 4, expected: "t0 to read".to_owned(), actual: "t0 writes".to_owned() };
    let report =
        Report { executions: 5, diverged: 2, first_divergence: Some(divergence), ..Report::default() };
    let text = text(&report);
    assert!(text.starts_with("diverged: 2 runs of 5 did not follow the schedule\n"), "{text}");
    assert!(text.contains("first divergence: step 5: expected t0 to read, but t0 writes\n"), "{text}");
}

#[test]
fn races_of_an_exploration_are_told_without_an_order() {
    let access =
        |action: &str, line| RaceAccess { file: "/a/b.py".to_owned(), line, action: action.to_owned() };
    let race = RaceReport {
        location: "Counter#1.value".to_owned(),
        accesses: [access("reads", 3), access("writes", 4)],
    };
    let report = Report { executions: 1, most_threads: 2, races: vec![race], ..Report::default() };
    let expected =
        "1 race seen:\n  Counter#1.value: one thread reads it at b.py:3, another writes it at b.py:4\n";
    assert!(text(&report).ends_with(expected), "{}", text(&report));
}

#[test]
fn every_bound_is_explained() {
    let bounds = [
        BoundedBy::Executions,
        BoundedBy::Time,
        BoundedBy::Preemptions,
        BoundedBy::Interrupt,
        BoundedBy::Memory,
        BoundedBy::CutRuns,
        BoundedBy::LeftBehind,
        BoundedBy::Trust,
    ];
    for bound in bounds {
        let report = Report {
            executions: 2,
            most_threads: 2,
            bounded_by: Some(bound),
            waiting: 1,
            ..Report::default()
        };
        let headline = exploration::headline(&report, Style::plain());
        let (claim, reason) = headline.split_once("; ").unwrap();
        assert_eq!(claim, "bounded: no failure in 2 executions (0 ms)");
        assert!(reason.len() > 10, "{bound:?}: {reason}");
    }
}

#[test]
fn the_verdict_has_the_order_and_the_keys_that_scripts_were_promised() {
    let report = Report { executions: 7, failures: vec![failure(1)], ..Report::default() };
    let text = serde_json::to_string(&value::verdict(&report)).unwrap();
    let expected = r#"{"schema":1,"verdict":"failed","executions":7,"failures":[{"kind":"deadlock","trace":"a dir/failure-1.frz","message":"circular wait: 2 threads wait","gil_reachable":true}],"bounded_by":null}"#;
    assert_eq!(text, expected);
    let full = value::report(&report, None);
    let short = serde_json::to_value(value::verdict(&report)).unwrap();
    for (key, value) in short.as_object().unwrap().iter().filter(|(key, _)| *key != "failures") {
        assert_eq!(&full[key], value);
    }
}

#[test]
fn words_for_a_shell_are_quoted_where_needed() {
    assert_eq!(names::shell_word(Path::new(".frontrun/a-b/failure-1.frz")), ".frontrun/a-b/failure-1.frz");
    assert_eq!(names::shell_word(Path::new("it's")), r"'it'\''s'");
    assert_eq!(names::shell_word(Path::new("a b")), "'a b'");
}

#[test]
fn a_failure_names_its_kind_once() {
    assert_eq!(names::failure(FailureKind::Deadlock, "deadlock: all wait"), "deadlock: all wait");
    assert_eq!(names::failure(FailureKind::Exception, "KeyError: 1"), "exception: KeyError: 1");
}
