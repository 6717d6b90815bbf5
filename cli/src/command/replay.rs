//! `frontrun replay`: the recorded execution again, or one of its alternatives, in fresh interpreters.

use super::{Overwrite, beside, check_output};
use crate::Host;
use crate::args::Replay;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render::names::{self, shell_word};
use crate::render::style::Style;
use crate::signal::{self, INTERRUPTED};
use frontrun_formats::{Execution, Input, Outcome, Schedule};
use frontrun_replayer::classify::{RunEnd, classify};
use frontrun_replayer::proof::{self, Proof, ProofConfig};
use frontrun_replayer::{RunRequest, Runner, SpawnRunner, Target, spawn, trace_file};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) fn run(args: &Replay, host: &Host) -> Result<ExitCode, CliError> {
    let execution = trace_file::read(&args.trace)?;
    check_python(&args.trace, &execution, host)?;
    if args.hermetic {
        check_inputs(&args.trace, &execution)?;
    }
    let mut target = Target::of_recording(&execution.header, &host.python)?;
    target.preload = host.preload.clone();
    let mut runner = SpawnRunner::of_recording(target, args.trace.clone()).hermetic(args.hermetic);
    runner = runner.interrupted_by(&INTERRUPTED);
    signal::catch_interrupts();
    match args.schedule {
        Some(number) => run_alternative(args, &execution, number, &mut runner),
        None => run_again(args, &execution, &mut runner),
    }
}

/// Without what servers have told, all of it, nothing can be done without them.
fn check_inputs(trace: &Path, execution: &Execution) -> Result<(), CliError> {
    let path = trace.to_owned();
    let flags = &execution.header.environment.flags;
    if execution.header.target.call.is_some() || !flags.iter().any(|(flag, _)| flag == "record-io") {
        return Err(CliError::NoInputs(path));
    }
    if execution.truncated {
        let reason = "the recording was cut off before what servers have told was written".to_owned();
        return Err(CliError::Unrecorded { path, reason });
    }
    match execution.inputs.iter().find_map(|input| match input {
        Input::Unrecorded { reason } => Some(reason.clone()),
        _ => None,
    }) {
        Some(reason) => Err(CliError::Unrecorded { path, reason }),
        None => Ok(()),
    }
}

/// Instruction offsets and the operations behind a line differ between minor versions of CPython, so a schedule
/// for one cannot be followed on another.
fn check_python(trace: &Path, execution: &Execution, host: &Host) -> Result<(), CliError> {
    let environment = &execution.header.environment;
    let (major, minor, _) = environment.python_version;
    let own = spawn::interpreter_version(&host.python)?;
    if (major, minor) == (own.0, own.1) {
        return Ok(());
    }
    Err(CliError::OtherPython {
        path: trace.to_owned(),
        recorded: (major, minor),
        own: (own.0, own.1),
        executable: match environment.executable.as_str() {
            "" => format!("python{major}.{minor}"),
            executable => executable.to_owned(),
        },
    })
}

fn timeout(args: &Replay) -> Duration {
    Duration::from_secs_f64(args.timeout)
}

/// The recorded execution, `--times` over.
fn run_again(args: &Replay, execution: &Execution, runner: &mut SpawnRunner) -> Result<ExitCode, CliError> {
    let temporary =
        tempfile::tempdir().map_err(|source| CliError::Write { path: std::env::temp_dir(), source })?;
    let directory = match &args.output {
        Some(output) if args.times > 1 => {
            std::fs::create_dir_all(output)
                .map_err(|source| CliError::Write { path: output.clone(), source })?;
            output.clone()
        }
        Some(output) => {
            check_output(output, Overwrite::from_flag(args.force))?;
            temporary.path().to_owned()
        }
        None => temporary.path().to_owned(),
    };
    let config = ProofConfig {
        times: args.times,
        directory: &directory,
        // One run has the terminal; of many, nobody could read what they print.
        output: (args.times > 1).then(|| temporary.path()),
        timeout: timeout(args),
    };
    let proof = proof::confirm(runner, execution, config, &INTERRUPTED)?;
    if let (Some(output), [run]) = (&args.output, &proof.runs[..])
        && args.times == 1
    {
        copy(&run.trace, output)?;
    }
    crate::print(&proof_text(&args.trace, execution, &proof));
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Ok(ExitCode::Interrupted);
    }
    Ok(code_of_proof(&proof))
}

fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    let copied = std::fs::copy(from, to).map(|_| ());
    copied.map_err(|source| CliError::Write { path: to.to_owned(), source })
}

/// A failure in any run is one; that the recorded failure did not happen again is none.
fn code_of_proof(proof: &Proof) -> ExitCode {
    let codes = proof.runs.iter().map(|run| code_of(&run.end));
    let gravity = |code: &ExitCode| {
        let order = [ExitCode::NoFailure, ExitCode::Internal, ExitCode::Diverged, ExitCode::Failure];
        order.iter().position(|other| other == code)
    };
    codes.max_by_key(gravity).unwrap_or(ExitCode::NoFailure)
}

fn code_of(end: &RunEnd) -> ExitCode {
    match end {
        RunEnd::Passed => ExitCode::NoFailure,
        RunEnd::Failed(_) => ExitCode::Failure,
        RunEnd::Diverged(_) => ExitCode::Diverged,
        RunEnd::Unrecorded(_) => ExitCode::Internal,
    }
}

fn proof_text(trace: &Path, execution: &Execution, proof: &Proof) -> String {
    let style = Style::of_stdout();
    let (reproduced, times) = (proof.reproduced(), proof.runs.len());
    let what = match &execution.outcome {
        Some(Outcome::Failed(failure)) => names::failure(failure.kind, &failure.message),
        Some(Outcome::Passed) => "passed".to_owned(),
        Some(Outcome::Diverged { .. }) => "diverged".to_owned(),
        None => "was cut off".to_owned(),
    };
    let line = format!("reproduced {reproduced}/{times}: {what}");
    let mut text = if reproduced == times { style.bold(&line) } else { style.bad(&line) } + "\n";
    if let Some(other) = proof.runs.iter().find(|run| !run.reproduced) {
        text.push_str(&format!("instead: {}\n", end_text(&other.end)));
    }
    text.push_str(&format!("see it: frontrun show {}\n", shell_word(trace)));
    text
}

fn end_text(end: &RunEnd) -> String {
    match end {
        RunEnd::Passed => "passed".to_owned(),
        RunEnd::Failed(failure) => format!("failed: {}", names::failure(failure.kind, &failure.message)),
        RunEnd::Diverged(divergence) => format!("diverged at {divergence}"),
        RunEnd::Unrecorded(reason) => format!("not recorded: {reason}"),
    }
}

/// Alternative `number` of the recorded execution.
fn run_alternative(
    args: &Replay,
    execution: &Execution,
    number: u32,
    runner: &mut SpawnRunner,
) -> Result<ExitCode, CliError> {
    let analysis = frontrun_analyzer::analyze(execution)
        .map_err(|reason| CliError::Analysis { path: args.trace.clone(), reason })?;
    let available = analysis.alternatives.len();
    let Some(alternative) = analysis.alternatives.into_iter().nth(number as usize - 1) else {
        return Err(CliError::NoSchedule { path: args.trace.clone(), wanted: number, available });
    };
    let reason = alternative.reason.line(execution);
    let trace = args.output.clone().unwrap_or_else(|| beside(&args.trace, number));
    if args.output.is_some() || !is_recording_of(&trace, &alternative.schedule) {
        check_output(&trace, Overwrite::from_flag(args.force))?;
    }
    let _ = std::fs::remove_file(&trace);
    let request = RunRequest {
        id: number.into(),
        schedule: alternative.schedule,
        trace: trace.clone(),
        output: None,
        timeout_ms: timeout(args).as_millis() as u64,
        give_way_ms: None,
        parent: Some(execution.header.schedule.id()),
    };
    let reply = runner.run(&request)?;
    let recording = trace_file::read(&trace);
    let unreadable = recording.as_ref().err().map(ToString::to_string);
    let read = recording.as_ref().map_err(|_| unreadable.as_deref().unwrap_or_default());
    let end = classify(&reply, read, &request.schedule, &[execution]).end;
    crate::print(&alternative_text(number, &reason, &end, &trace));
    Ok(code_of(&end))
}

/// Whether a file holds what is about to be written: then nothing is lost by writing it again.
fn is_recording_of(trace: &Path, schedule: &Schedule) -> bool {
    trace_file::read(trace).is_ok_and(|execution| execution.header.schedule == *schedule)
}

fn alternative_text(number: u32, reason: &str, end: &RunEnd, trace: &Path) -> String {
    let style = Style::of_stdout();
    let word = shell_word(trace);
    let outcome = match end {
        RunEnd::Passed => style.good("passed"),
        other => style.bad(&end_text(other)),
    };
    let next = match end {
        RunEnd::Passed => format!("next: frontrun analyze {word}\n"),
        RunEnd::Failed(_) => {
            format!("see it: frontrun show {word}\nagain: frontrun replay {word} --times 20\n")
        }
        RunEnd::Diverged(_) => format!("see it: frontrun show {word}\n"),
        RunEnd::Unrecorded(_) => String::new(),
    };
    format!("schedule {number}: {reason}\n{outcome}\nrecorded {word}\n{next}")
}
