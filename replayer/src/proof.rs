//! Doing it again: the order that a recording took, enforced from the first to the last event in fresh
//! interpreters, and whether the same happened.

use crate::classify::{self, RunEnd};
use crate::error::ReplayError;
use crate::protocol::RunRequest;
use crate::trace_file::{self, schedule_of};
use crate::worker::Runner;
use frontrun_formats::{Execution, FailureKind, Outcome};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a recording was reproduced.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Each run that was made.
    pub runs: Vec<ProofRun>,
}

impl Proof {
    /// In how many runs the same happened.
    pub fn reproduced(&self) -> usize {
        self.runs.iter().filter(|run| run.reproduced).count()
    }
}

/// One replayed run.
#[derive(Clone, Debug)]
pub struct ProofRun {
    /// Its recording.
    pub trace: PathBuf,
    /// What became of it.
    pub end: RunEnd,
    /// Whether that is what the original says.
    pub reproduced: bool,
}

/// How to re-enact.
#[derive(Clone, Copy, Debug)]
pub struct ProofConfig<'a> {
    /// How often.
    pub times: u32,
    /// Where the recordings go, as `replay-N.frz`.
    pub directory: &'a Path,
    /// Where the output of run N goes, as `replay-N.out`; inherited when there is none.
    pub output: Option<&'a Path>,
    /// A run that takes longer is killed.
    pub timeout: Duration,
}

/// Re-enacts a recording. Setting `interrupt` stops it after the run in work, or when the runner is interrupted.
pub fn confirm(
    runner: &mut dyn Runner,
    original: &Execution,
    config: ProofConfig<'_>,
    interrupt: &AtomicBool,
) -> Result<Proof, ReplayError> {
    let schedule = schedule_of(original);
    let mut proof = Proof::default();
    for nth in 1..=config.times {
        if interrupt.load(Ordering::Relaxed) {
            break;
        }
        let request = RunRequest {
            id: nth.into(),
            schedule: schedule.clone(),
            trace: config.directory.join(format!("replay-{nth}.frz")),
            output: config.output.map(|directory| directory.join(format!("replay-{nth}.out"))),
            timeout_ms: config.timeout.as_millis() as u64,
            give_way_ms: None,
            parent: original.header.parent,
        };
        let reply = match runner.run(&request) {
            Err(ReplayError::Interrupted) => break,
            reply => reply?,
        };
        let recording = trace_file::read(&request.trace);
        let reason = recording.as_ref().err().map(ToString::to_string);
        let read = recording.as_ref().map_err(|_| reason.as_deref().unwrap_or_default());
        let end = classify::classify(&reply, read, &schedule, &[original]).end;
        let reproduced = is_same(original, &end);
        proof.runs.push(ProofRun { trace: request.trace, end, reproduced });
    }
    Ok(proof)
}

/// Whether a run ended as the original did. An original without an outcome was cut off, by a hang or a crash.
fn is_same(original: &Execution, end: &RunEnd) -> bool {
    match (&original.outcome, end) {
        (Some(Outcome::Passed), RunEnd::Passed) => true,
        (Some(Outcome::Failed(then)), RunEnd::Failed(now)) => {
            then.kind == now.kind
                && (lasting(&then.message) == lasting(&now.message)
                    || origin(&then.details).is_some_and(|place| origin(&now.details) == Some(place)))
        }
        (None, RunEnd::Failed(now)) => matches!(now.kind, FailureKind::Hang | FailureKind::Crash),
        _ => false,
    }
}

/// Where an exception came from and of which type it is, as its traceback says. What a message tells may be drawn anew
/// in each process (identifiers, say); who fails at the same line by the same type, in the same order of all steps,
/// fails alike.
fn origin(details: &str) -> Option<(&str, &str)> {
    let lines = || details.lines().filter(|line| !line.trim().is_empty());
    let Some(place) = lines().rfind(|line| line.starts_with("  File \"")) else {
        // A test runner's own form: the last line says `file:line: type`.
        let (place, kind) = lines().next_back()?.rsplit_once(": ")?;
        return place.rsplit_once(':')?.1.parse::<u32>().is_ok().then_some((place, kind));
    };
    let last = lines().skip_while(|line| *line != place).find(|line| !line.starts_with(' '))?;
    Some((place, last.split(':').next()?))
}

/// What of a message is the same in other processes.
fn lasting(message: &str) -> String {
    without_numbers_in_paths(&without_addresses(message))
}

/// A message without the numbers that stand for where objects lie in memory, which differ between processes:
/// hexadecimal ones after `0x`, and decimal ones of ten digits and more.
fn without_addresses(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let hexadecimal = rest.strip_prefix("0x").unwrap_or_default();
        let digits = match hexadecimal.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hexadecimal.len()) {
            0 => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
            count => count + 2,
        };
        if digits == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if digits < 10 {
            kept.push_str(&rest[..digits]);
        }
        rest = &rest[digits..];
    }
    kept
}

/// A message without the digits of the paths in it: test runners number their temporary folders.
fn without_numbers_in_paths(message: &str) -> String {
    let words = message.split_inclusive(char::is_whitespace);
    words
        .flat_map(|word| {
            let is_path = word.contains('/');
            word.chars().filter(move |letter| !(is_path && letter.is_ascii_digit()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_left_out_of_messages() {
        assert_eq!(without_addresses("<A at 0x7fd814288500> id=140006078797472é"), "<A at > id=é");
        assert_eq!(without_addresses("0x1f 12345678 é 1 == 2"), "0x1f 12345678 é 1 == 2");
    }

    #[test]
    fn an_exception_comes_from_a_line_and_is_of_a_type() {
        let native = "Traceback:\n  File \"a.py\", line 1, in f\n    g()\n  File \"a.py\", line 4, in g\n    x\nValueError: id 7\n";
        assert_eq!(origin(native), Some(("  File \"a.py\", line 4, in g", "ValueError")));
        let reported =
            "    def test():\n>   assert a == 1\nE   assert 2 == 1\n\ntest_a.py:39: AssertionError\n";
        assert_eq!(origin(reported), Some(("test_a.py:39", "AssertionError")));
        assert_eq!(origin("no place: at all"), None);
        assert_eq!(origin(""), None);
    }

    #[test]
    fn numbers_in_paths_are_left_out_of_messages() {
        assert_eq!(without_numbers_in_paths("12: '/tmp/pytest-7/x' is 3"), "12: '/tmp/pytest-/x' is 3");
    }
}
