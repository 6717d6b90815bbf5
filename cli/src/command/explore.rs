//! `frontrun explore`: the loop, its progress, its directory and its verdict.

use crate::Host;
use crate::args::Explore;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::progress::{self, Verbosity};
use crate::render::exploration::{self, EXPLAINED, Explained};
use crate::render::lanes::{LaneOptions, Rows, lanes};
use crate::render::style::{self, Style};
use crate::render::value;
use crate::signal::{self, INTERRUPTED};
use frontrun_formats::FailureKind;
use frontrun_replayer::proof::{self, ProofConfig};
use frontrun_replayer::{
    AfterFailure, BoundedBy, ExploreConfig, FoundFailure, KeepTraces, Plan, ReplayError, Report, SpawnRunner,
    Startup, Target, Verdict, explore_program, trace_file,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn run(args: &Explore, host: &Host) -> Result<ExitCode, CliError> {
    let result = explore(args, host);
    if let (Err(error), true) = (&result, args.json) {
        // Whoever reads the object gets one, however early it ends; the exit code says what is wrong.
        let report = Report { errors: vec![error.to_string()], ..Report::default() };
        crate::print_json(&value::verdict(&report));
    }
    result
}

fn explore(args: &Explore, host: &Host) -> Result<ExitCode, CliError> {
    let target = super::target(&args.target, &args.scope, host)?;
    let directory = args.output.clone().unwrap_or_else(|| PathBuf::from(".frontrun").join(target.slug()));
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let progress = progress::for_terminal(verbosity);
    let config = config(args, directory.clone(), progress.sink());
    let mut startup = Startup::default();
    if let Some(jobs) = args.jobs {
        startup.workers = jobs as usize;
    }
    signal::catch_interrupts();
    let report = match explore_program(&target, startup, &config, &INTERRUPTED) {
        Err(ReplayError::Interrupted) => {
            Report { bounded_by: Some(BoundedBy::Interrupt), ..Report::default() }
        }
        report => report?,
    };
    progress.say("confirming the failure in fresh interpreters");
    let reproduced = confirm(args, &target, &report, &directory);
    drop(progress);
    let reproduced = reproduced.unwrap_or_else(|error| {
        eprintln!("frontrun: the failure could not be confirmed: {error}");
        None
    });
    let path = directory.join("verdict.json");
    let full = format!("{:#}\n", value::report(&report, reproduced));
    std::fs::write(&path, full).map_err(|source| CliError::Write { path, source })?;
    if args.json {
        crate::print_json(&value::verdict(&report));
    } else {
        let style = Style::of_stdout();
        let explained: Vec<Explained<'_>> =
            report.failures.iter().take(EXPLAINED).map(|failure| explain(failure, style)).collect();
        crate::print(&exploration::report(&report, &explained, reproduced, style));
    }
    Ok(code(&report))
}

fn config(
    args: &Explore,
    directory: PathBuf,
    progress: std::sync::Arc<dyn frontrun_replayer::progress::Progress>,
) -> ExploreConfig {
    ExploreConfig {
        max_executions: args.max_executions,
        max_time: args.max_time.map(Duration::from_secs_f64),
        preemption_bound: args.preemption_bound,
        sampling: args.sample.map(|attempts| Plan::new(attempts, args.seed)),
        fail_on_race: args.fail_on_race,
        gil: args.gil,
        after_failure: if args.keep_going { AfterFailure::Continue } else { AfterFailure::Stop },
        timeout_per_run: Duration::from_secs_f64(args.timeout),
        directory,
        keep_traces: if args.keep_all { KeepTraces::All } else { KeepTraces::FirstAndFailing },
        progress,
    }
}

/// Does the first failure again in fresh interpreters: the proof that it does not hang on the fork server.
fn confirm(
    args: &Explore,
    target: &Target,
    report: &Report,
    directory: &Path,
) -> Result<Option<(usize, usize)>, CliError> {
    let Some(failure) = report.failures.first().filter(|_| args.confirm > 0) else { return Ok(None) };
    // A run that was killed early may have left nothing to follow.
    let Ok(original) = trace_file::read(&failure.trace) else { return Ok(None) };
    let temporary = tempfile::tempdir_in(directory)
        .map_err(|source| CliError::Write { path: directory.to_owned(), source })?;
    let mut runner =
        SpawnRunner::of_recording(target.clone(), failure.trace.clone()).interrupted_by(&INTERRUPTED);
    // A fresh interpreter imports everything again, which the limit of a forked run does not cover. That a run hangs
    // takes all of this time to find out.
    let (times, starting) = match failure.kind {
        FailureKind::Hang => (1, Duration::from_secs(10)),
        _ => (args.confirm, Startup::default().timeout),
    };
    let config = ProofConfig {
        times,
        directory: temporary.path(),
        output: Some(temporary.path()),
        timeout: Duration::from_secs_f64(args.timeout) + starting,
    };
    let proof = proof::confirm(&mut runner, &original, config, &INTERRUPTED)?;
    Ok(Some((proof.reproduced(), proof.runs.len())).filter(|(_, times)| *times > 0))
}

fn explain(failure: &FoundFailure, style: Style) -> Explained<'_> {
    let options = LaneOptions { rows: Rows::SourceLines, width: style::width(), style };
    let interleaving = trace_file::read(&failure.trace).map(|execution| lanes(&execution, options));
    Explained { failure, interleaving: interleaving.unwrap_or_default() }
}

/// An interrupt counts only if it kept something from being run: it may have come too late for that.
fn code(report: &Report) -> ExitCode {
    match report.verdict() {
        Verdict::Failed => ExitCode::Failure,
        Verdict::Diverged => ExitCode::Diverged,
        Verdict::Error => ExitCode::Internal,
        Verdict::Bounded if report.bounded_by == Some(BoundedBy::Interrupt) => ExitCode::Interrupted,
        Verdict::Bounded => ExitCode::Bounded,
        Verdict::Exhausted if report.explored_nothing() => ExitCode::NothingExplored,
        Verdict::Exhausted => ExitCode::NoFailure,
    }
}
