//! What a finished run means: its recording, its end as the operating system tells it, and its schedule in one.
//!
//! The recording is believed first: a program that failed and was then killed has failed. Only where it does
//! not say how the run ended does the process's own end decide. Pure.

use crate::divergence::{self, Divergence};
use crate::protocol::RunReply;
use frontrun_formats::{Execution, Failure, FailureKind, Outcome, Schedule};

/// What became of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The program did what it should.
    Passed,
    /// The program failed.
    Failed(Failure),
    /// The run was not the one that its schedule describes.
    Diverged(Divergence),
    /// There is no usable recording, for a reason that is not the program's.
    Unrecorded(String),
}

/// A run and whether its recording is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What became of it.
    pub end: RunEnd,
    /// Whether the recording reaches the end of the execution, so that its alternatives are all there. Those
    /// of a run that was cut short cannot be explored.
    pub complete: bool,
}

/// Classifies a run. `recording` is its trace as far as it could be read, or why it could not.
pub fn classify(
    reply: &RunReply,
    recording: Result<&Execution, &str>,
    schedule: &Schedule,
    known: &[&Execution],
) -> Classified {
    if let Some(error) = &reply.error {
        return cut(RunEnd::Unrecorded(error.clone()));
    }
    let outcome = recording.ok().and_then(|execution| execution.outcome.as_ref());
    let Some(outcome) = outcome else { return cut(end_of_process(reply, recording.err())) };
    let start =
        recording.ok().and_then(|run| known.iter().find_map(|first| divergence::other_start(run, first)));
    if let Some(divergence) = start {
        return cut(RunEnd::Diverged(divergence));
    }
    if let Outcome::Diverged { step, expected, actual } = outcome {
        let said = Divergence { step: *step, expected: expected.clone(), actual: actual.clone() };
        let divergence = match recording {
            Ok(execution) => divergence::reported(execution, schedule, known, said),
            Err(_) => said,
        };
        return cut(RunEnd::Diverged(divergence));
    }
    if let Some(divergence) = recording.ok().and_then(|e| divergence::compare(e, schedule, known)) {
        return cut(RunEnd::Diverged(divergence));
    }
    let end = match outcome {
        Outcome::Failed(failure) => RunEnd::Failed(failure.clone()),
        _ => match failure_of_process(reply) {
            Some(failure) => RunEnd::Failed(failure),
            None => RunEnd::Passed,
        },
    };
    Classified { end, complete: recording.is_ok_and(|execution| !execution.truncated) }
}

fn cut(end: RunEnd) -> Classified {
    Classified { end, complete: false }
}

/// The end of a run whose recording has no outcome.
fn end_of_process(reply: &RunReply, unreadable: Option<&str>) -> RunEnd {
    if reply.timed_out || reply.signal.is_some() {
        return failure_of_process(reply).map_or(RunEnd::Passed, RunEnd::Failed);
    }
    match (reply.code, unreadable) {
        (_, Some(reason)) => RunEnd::Unrecorded(format!(
            "the process exited with code {} and left no readable recording: {reason}",
            reply.code.unwrap_or_default()
        )),
        (Some(0) | None, None) => {
            RunEnd::Unrecorded("the process exited before its recording was complete".to_owned())
        }
        (Some(code), None) => RunEnd::Failed(failure(
            FailureKind::Crash,
            format!("the process exited with code {code} before its recording was complete"),
        )),
    }
}

/// The failure that lies in the end of the process itself.
fn failure_of_process(reply: &RunReply) -> Option<Failure> {
    if reply.timed_out {
        let message = format!("the run did not end within {:.1} s and was killed", reply.micros as f64 / 1e6);
        return Some(failure(FailureKind::Hang, message));
    }
    if let Some(signal) = reply.signal {
        return Some(failure(
            FailureKind::Crash,
            format!("the process was killed by {}", signal_name(signal)),
        ));
    }
    match reply.code {
        Some(code) if code != 0 => {
            Some(failure(FailureKind::ExitCode, format!("the program exited with code {code}")))
        }
        _ => None,
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message, thread: None, details: String::new() }
}

/// The usual name of a signal.
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(outcome: Option<Outcome>) -> Execution {
        Execution { truncated: outcome.is_none(), outcome, ..Execution::default() }
    }

    fn end(reply: RunReply, outcome: Option<Outcome>) -> Classified {
        classify(&reply, Ok(&recording(outcome)), &Schedule::default(), &[])
    }

    fn kind(classified: &Classified) -> Option<FailureKind> {
        match &classified.end {
            RunEnd::Failed(failure) => Some(failure.kind),
            _ => None,
        }
    }

    #[test]
    fn the_recording_is_believed_before_the_process() {
        let deadlock = Outcome::Failed(failure(FailureKind::Deadlock, "all wait".to_owned()));
        let killed = RunReply { signal: Some(9), timed_out: true, ..RunReply::default() };
        let found = end(killed.clone(), Some(deadlock));
        assert_eq!((kind(&found), found.complete), (Some(FailureKind::Deadlock), true));
        let hung = end(killed, None);
        assert_eq!((kind(&hung), hung.complete), (Some(FailureKind::Hang), false));
    }

    #[test]
    fn a_passed_run_with_a_bad_exit_has_failed() {
        let exited = |code| RunReply { code: Some(code), ..RunReply::default() };
        assert_eq!(end(exited(0), Some(Outcome::Passed)).end, RunEnd::Passed);
        assert_eq!(kind(&end(exited(2), Some(Outcome::Passed))), Some(FailureKind::ExitCode));
        assert_eq!(kind(&end(exited(2), None)), Some(FailureKind::Crash));
        assert!(matches!(end(exited(0), None).end, RunEnd::Unrecorded(_)));
    }

    #[test]
    fn a_signal_is_a_crash_and_is_named() {
        let found = end(RunReply { signal: Some(11), ..RunReply::default() }, None);
        let RunEnd::Failed(failure) = &found.end else { panic!("{found:?}") };
        assert_eq!(failure.message, "the process was killed by SIGSEGV");
    }

    #[test]
    fn a_run_without_a_recording_is_no_failure_of_the_program() {
        let reply = RunReply { code: Some(1), ..RunReply::default() };
        let found = classify(&reply, Err("no such file"), &Schedule::default(), &[]);
        assert!(matches!(found.end, RunEnd::Unrecorded(_)));
    }
}
