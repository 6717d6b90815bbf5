//! Every subcommand and every exit code, over the model program in the place of Python.

#[path = "../../replayer/tests/model/interpreter.rs"]
mod interpreter;
#[path = "../../replayer/tests/model/mod.rs"]
mod model;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What separates the test harness's own words from the command's.
const BEGIN: &str = "\u{1}";

/// Not a test: the entry of the interpreter's role.
#[test]
fn fake_interpreter() {
    interpreter::main();
}

/// Not a test: the entry of the command's role.
#[test]
fn fake_command() {
    let Ok(words) = std::env::var("FAKE_COMMAND") else { return };
    let words: Vec<String> = serde_json::from_str(&words).unwrap();
    let python = std::env::var_os("FAKE_PYTHON").unwrap();
    print!("{BEGIN}");
    let code = frontrun_cli::main(words.iter().map(Into::into).collect(), python, "".into());
    std::process::exit(code);
}

struct Machine(TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let words: Vec<&str> = ["frontrun"].iter().chain(words).copied().collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["fake_command", "--exact", "--nocapture", "--test-threads=1"]);
        command.env("FAKE_COMMAND", serde_json::to_string(&words).unwrap());
        command.env("FAKE_PYTHON", interpreter::python(self.0.path()));
        command.current_dir(self.0.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words).output().unwrap())
    }

    /// Runs and checks the code.
    fn ends_in(&self, code: i32, words: &[&str]) -> Ran {
        let ran = self.run(words);
        assert_eq!(ran.code, code, "{words:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }
}

impl Ran {
    fn of(output: std::process::Output) -> Ran {
        let out = String::from_utf8_lossy(&output.stdout);
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: out.split_once(BEGIN).map_or("", |(_, own)| own).to_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

#[test]
fn a_failure_is_found_explained_kept_and_confirmed() {
    let machine = Machine::new();
    let ran = machine.ends_in(1, &["explore", "-m", "counter"]);
    assert!(ran.out.starts_with("failed: 1 failure in "), "{}", ran.out);
    assert!(ran.out.contains("failure 1: invariant: an update was lost"), "{}", ran.out);
    assert!(ran.out.contains("reproduced 3/3 in fresh interpreters"), "{}", ran.out);
    assert!(ran.out.contains("replay it: frontrun replay .frontrun/counter/failure-1.frz"), "{}", ran.out);
    assert!(machine.path(".frontrun/counter/first.frz").exists());
    let verdict = machine.json(".frontrun/counter/verdict.json");
    assert_eq!(verdict["verdict"], "failed");
    assert_eq!(verdict["reproduced"], serde_json::json!({ "runs": 3, "reproduced": 3 }));
    let replayed = machine.ends_in(1, &["replay", ".frontrun/counter/failure-1.frz", "--times", "20"]);
    assert!(replayed.out.contains("reproduced 20/20: invariant: an update was lost"), "{}", replayed.out);
}

#[test]
fn the_json_of_an_exploration_has_its_five_keys_and_no_more() {
    let machine = Machine::new();
    let ran = machine.ends_in(1, &["explore", "--json", "--keep-going", "-o", "out", "-m", "counter"]);
    let verdict = ran.json();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&verdict), ["bounded_by", "executions", "failures", "schema", "verdict"]);
    assert_eq!(keys(&verdict["failures"][0]), ["gil_reachable", "kind", "message", "trace"]);
    assert_eq!((&verdict["schema"], &verdict["executions"]), (&1.into(), &4.into()));
    assert_eq!(verdict["bounded_by"], Value::Null);
    for failure in verdict["failures"].as_array().unwrap() {
        assert!(machine.path(failure["trace"].as_str().unwrap()).exists());
    }
    // A run that cannot even begin has a verdict, too.
    let missing = machine.ends_in(127, &["explore", "--json", "missing.py"]);
    assert_eq!(missing.json()["verdict"], "error");
}

#[test]
fn the_exit_code_of_an_exploration_tells_its_verdict() {
    let machine = Machine::new();
    let ran = machine.ends_in(0, &["explore", "-m", "independent"]);
    assert!(ran.out.starts_with("exhausted: "), "{}", ran.out);
    let ran = machine.ends_in(5, &["explore", "-m", "single"]);
    assert!(ran.out.starts_with("nothing to explore: "), "{}", ran.out);
    let ran = machine.ends_in(124, &["explore", "--max-executions", "1", "-m", "inversion"]);
    assert!(
        ran.out.contains("stopped by --max-executions, at least 1 more execution not run"),
        "{}",
        ran.out
    );
    let ran = machine.ends_in(124, &["explore", "--preemption-bound", "0", "-m", "counter"]);
    assert!(ran.out.contains("left out by --preemption-bound"), "{}", ran.out);
    let ran = machine.ends_in(4, &["explore", "-m", "diverging"]);
    assert!(ran.out.contains("first divergence: step "), "{}", ran.out);
}

#[test]
fn ctrl_c_stops_an_exploration_and_keeps_the_verdict() {
    let machine = Machine::new();
    let child = machine.command(&["explore", "--json", "-m", "seven"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(600));
    // SAFETY: a signal to a process of this test.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}\n{}", ran.out, ran.err);
    let verdict = ran.json();
    assert_eq!((&verdict["verdict"], &verdict["bounded_by"]), (&"bounded".into(), &"interrupt".into()));
    assert_eq!(machine.json(".frontrun/seven/verdict.json")["bounded_by"], "interrupt");
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    let machine = Machine::new();
    for words in
        [&["explore"][..], &["explore", "--max-time", "0", "-m", "counter"], &["nonsense"], &["record", "-"]]
    {
        machine.ends_in(2, words);
    }
    assert!(machine.ends_in(127, &["explore", "python", "missing.py"]).err.contains("missing.py"));
    assert!(machine.ends_in(127, &["record", "no-such-command"]).err.contains("no-such-command"));
    machine.ends_in(0, &["--help"]);
    machine.ends_in(0, &["explore", "--help"]);
    assert!(machine.ends_in(0, &["completions", "bash"]).out.contains("_frontrun"));
}

#[test]
fn what_is_no_trace_is_refused_by_name() {
    let machine = Machine::new();
    std::fs::write(machine.path("bad.frz"), "no trace").unwrap();
    for words in
        [&["analyze", "bad.frz"][..], &["replay", "bad.frz"], &["show", "bad.frz"], &["info", "bad.frz"]]
    {
        assert!(machine.ends_in(3, words).err.contains("bad.frz"));
    }
    machine.ends_in(3, &["analyze", "missing.frz"]);
}

#[test]
fn record_analyze_replay_lead_from_the_first_execution_to_the_failure() {
    let machine = Machine::new();
    let recorded = machine.ends_in(0, &["record", "-o", "t.frz", "-m", "counter"]);
    assert!(recorded.err.contains("next: frontrun analyze t.frz"), "{}", recorded.err);
    let analyzed = machine.ends_in(0, &["analyze", "t.frz"]);
    assert!(analyzed.out.contains("1 race\n   1  x.x\n"), "{}", analyzed.out);
    assert!(analyzed.out.contains("next: frontrun replay t.frz --schedule 1"), "{}", analyzed.out);
    let json = machine.ends_in(0, &["analyze", "t.frz", "--json"]);
    assert_eq!(json.out, machine.ends_in(0, &["analyze", "t.frz", "--json"]).out);
    assert_eq!(json.json()["schedules"].as_array().unwrap().len(), 1);
    assert!(machine.ends_in(0, &["analyze", "t.frz", "--format", "dot"]).out.starts_with("digraph"));
    let replayed = machine.ends_in(1, &["replay", "t.frz", "--schedule", "1"]);
    assert!(replayed.out.contains("failed: invariant: an update was lost"), "{}", replayed.out);
    assert!(replayed.out.contains("again: frontrun replay t.1.frz --times 20"), "{}", replayed.out);
    let again = machine.ends_in(1, &["replay", "t.1.frz", "--times", "5"]);
    assert!(again.out.contains("reproduced 5/5: invariant: an update was lost"), "{}", again.out);
    machine.ends_in(1, &["analyze", "t.1.frz"]);
    assert!(machine.ends_in(0, &["replay", "t.frz"]).out.contains("reproduced 1/1: passed"));
    let too_far = machine.ends_in(2, &["replay", "t.frz", "--schedule", "2"]);
    assert!(too_far.err.contains("`frontrun analyze t.frz` lists one"), "{}", too_far.err);
}

#[test]
fn nothing_is_overwritten_without_being_told() {
    let machine = Machine::new();
    std::fs::write(machine.path("mine.frz"), "mine").unwrap();
    let refused = machine.ends_in(2, &["record", "-o", "mine.frz", "-m", "counter"]);
    assert!(refused.err.contains("pass -f to overwrite it"), "{}", refused.err);
    assert_eq!(std::fs::read_to_string(machine.path("mine.frz")).unwrap(), "mine");
    machine.ends_in(0, &["record", "-f", "-o", "mine.frz", "-m", "counter"]);
    // An alternative may be run again, but what merely has its name stays.
    machine.ends_in(1, &["replay", "mine.frz", "--schedule", "1"]);
    machine.ends_in(1, &["replay", "mine.frz", "--schedule", "1"]);
    std::fs::write(machine.path("mine.1.frz"), "mine").unwrap();
    machine.ends_in(2, &["replay", "mine.frz", "--schedule", "1"]);
    machine.ends_in(1, &["replay", "mine.frz", "--schedule", "1", "-f"]);
    machine.ends_in(2, &["record", "-o", "no/such/folder.frz", "-m", "counter"]);
}

#[test]
fn a_recording_without_a_name_is_called_after_the_program() {
    let machine = Machine::new();
    machine.ends_in(0, &["record", "-m", "counter"]);
    let names = std::fs::read_dir(machine.0.path()).unwrap().flatten();
    let names: Vec<String> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let recorded =
        names.iter().filter(|name| name.starts_with("frontrun-counter.") && name.ends_with(".frz"));
    assert_eq!(recorded.count(), 1, "{names:?}");
}

#[test]
fn a_deadlock_is_explained_by_who_waits_for_whom() {
    let machine = Machine::new();
    machine.ends_in(1, &["explore", "-m", "inversion"]);
    let trace = ".frontrun/inversion/failure-1.frz";
    for command in ["analyze", "show"] {
        let ran = machine.run(&[command, trace]);
        assert!(ran.out.contains("each of these threads waits for the next one"), "{}", ran.out);
        assert!(ran.out.contains("t0.0 waits for lock, which t0.1 took at model.py:202"), "{}", ran.out);
    }
    let deadlock = &machine.ends_in(1, &["analyze", trace, "--json"]).json()["deadlock"];
    assert_eq!(
        (&deadlock["kind"], &deadlock["cycle"]),
        (&"cycle".into(), &serde_json::json!(["t0.0", "t0.1"]))
    );
}

#[test]
fn a_trace_is_shown_and_described() {
    let machine = Machine::new();
    machine.ends_in(0, &["record", "-o", "t.frz", "-m", "counter"]);
    let steps = machine.ends_in(0, &["show", "t.frz", "--events"]).out;
    assert!(steps.contains("t0.0  read x.x  (model.py:102) [R a]"), "{steps}");
    let shown = machine.ends_in(0, &["show", "t.frz", "--json"]).json();
    assert_eq!(
        shown["events"].as_array().unwrap().len(),
        steps.lines().filter(|l| l.contains("(model.py:")).count()
    );
    let info = machine.ends_in(0, &["info", "t.frz"]).out;
    assert!(info.contains("command     python -m counter\n"), "{info}");
    assert_eq!(machine.ends_in(0, &["info", "t.frz", "--json"]).json()["python_version"][1], 12);
}

#[test]
fn what_was_recorded_with_another_python_is_refused() {
    let machine = Machine::new();
    machine.ends_in(0, &["record", "-o", "t.frz", "-m", "counter"]);
    let path = machine.path("t.frz");
    let mut execution = frontrun_formats::file::read_file(&path).unwrap();
    execution.header.environment.python_version = (3, 11, 4);
    frontrun_formats::file::write_file(&path, &execution).unwrap();
    let refused = machine.ends_in(3, &["replay", "t.frz"]);
    assert!(refused.err.contains("was recorded with Python 3.11, and this is 3.12"), "{}", refused.err);
}

#[test]
fn a_recording_that_was_cut_off_is_shown_and_not_analyzed() {
    let machine = Machine::new();
    machine.ends_in(0, &["record", "-o", "t.frz", "-m", "counter"]);
    let path = machine.path("t.frz");
    let bytes = std::fs::read(&path).unwrap();
    let mut cut = bytes.len() - 1;
    while frontrun_formats::file::read(&bytes[..cut]).is_ok_and(|execution| execution.outcome.is_some()) {
        cut -= 1;
    }
    std::fs::write(&path, &bytes[..cut]).unwrap();
    let refused = machine.ends_in(3, &["analyze", "t.frz"]);
    assert!(refused.err.contains("t.frz"), "{}", refused.err);
    machine.ends_in(0, &["show", "t.frz"]);
}
