//! The exploration of a program from its command line: which runner is used when.
//!
//! Model: the program is started once and runs to its checkpoint, where it becomes one fork server for each
//! core. If it ends before, that run was the first execution: if it had alternatives after all, they are run in
//! fresh interpreters, the last resort.
//!
//! Not here: the loop itself (explore).

use crate::error::ReplayError;
use crate::explore::{self, ExploreConfig};
use crate::protocol::{RunReply, RunRequest};
use crate::report::Report;
use crate::spawn::{self, Mode, SpawnRunner};
use crate::target::Target;
use crate::worker::{Readiness, Runner, Worker};
use crate::workspace::Workspace;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long servers may take to notice that nobody will ask again.
const FAREWELL: Duration = Duration::from_secs(5);

/// How to start a program for exploration.
#[derive(Clone, Copy, Debug)]
pub struct Startup {
    /// How many fork servers; at least one.
    pub workers: usize,
    /// A program that reaches neither its checkpoint nor its end within this time is killed.
    pub timeout: Duration,
}

impl Default for Startup {
    fn default() -> Self {
        let workers = crate::pin::available_cores().len().clamp(1, 64);
        Startup { workers, timeout: Duration::from_secs(60) }
    }
}

/// Explores a program. Setting `interrupt` stops it after the runs in work.
pub fn explore_program(
    target: &Target,
    startup: Startup,
    config: &ExploreConfig,
    interrupt: &AtomicBool,
) -> Result<Report, ReplayError> {
    let workspace = Workspace::open(&config.directory, config.keep_traces)?;
    let trace = config.directory.join("startup.frz");
    let output = config.directory.join("startup.out");
    let (mut server, mut workers) = Server::start(target, startup.workers, &trace, &output)?;
    let deadline = Instant::now() + startup.timeout;
    let mut patient = || Instant::now() < deadline && !interrupt.load(Ordering::Relaxed);
    let runners: Vec<Box<dyn Runner>> = match workers[0].wait_ready(&mut patient)? {
        Readiness::Ready => workers.into_iter().map(|worker| Box::new(worker) as Box<dyn Runner>).collect(),
        Readiness::Ended | Readiness::GivenUp => {
            drop(workers);
            let reply = server.first_run(deadline.saturating_duration_since(Instant::now()), interrupt)?;
            vec![Box::new(FirstRun {
                reply: Some(reply),
                trace: trace.clone(),
                output: output.clone(),
                rest: SpawnRunner::new(target.clone()),
            })]
        }
    };
    let report = explore::explore_in(&workspace, config, runners, interrupt);
    server.end();
    let _ = std::fs::remove_file(&trace);
    if std::fs::metadata(&output).is_ok_and(|metadata| metadata.len() == 0) {
        let _ = std::fs::remove_file(&output);
    }
    Ok(report)
}

/// The process that becomes the servers. Dropping it kills it.
struct Server {
    child: Option<Child>,
    output: PathBuf,
    started: Instant,
}

impl Server {
    fn start(
        target: &Target,
        workers: usize,
        trace: &Path,
        output: &Path,
    ) -> Result<(Server, Vec<Worker>), ReplayError> {
        let pairs: Vec<(UnixStream, UnixStream)> = (0..workers.max(1))
            .map(|_| UnixStream::pair())
            .collect::<Result<_, _>>()
            .map_err(ReplayError::io("make sockets for", &target.python))?;
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let fds: Vec<RawFd> = theirs.iter().map(AsRawFd::as_raw_fd).collect();
        let command = spawn::command(target, Mode::Serve { trace, sockets: &fds }, None)?;
        let started = Instant::now();
        let child = spawn::start(command, Some(output), fds)?;
        // With our copies of their ends closed, the end of a server is the end of its stream.
        drop(theirs);
        let server = Server { child: Some(child), output: output.to_owned(), started };
        Ok((server, ours.into_iter().map(Worker::new).collect()))
    }

    /// The program ended without serving, or is to end now: its run is the first execution.
    fn first_run(&mut self, left: Duration, interrupt: &AtomicBool) -> Result<RunReply, ReplayError> {
        let Some(child) = self.child.take() else { return Ok(RunReply::default()) };
        let ended = spawn::finish(&child, left.max(Duration::from_millis(1)), Some(&self.output), interrupt)
            .map_err(ReplayError::io("wait for", &self.output))?;
        if ended.abandoned {
            return Err(ReplayError::Interrupted);
        }
        let micros = self.started.elapsed().as_micros() as u64;
        let (code, signal, timed_out) = (ended.code, ended.signal, ended.timed_out);
        Ok(RunReply { id: 0, code, signal, timed_out, micros, error: None })
    }

    fn end(&mut self) {
        if let Some(child) = self.child.take() {
            // It is killed if it does not end by itself, and how it ends does not matter any more.
            let _ = spawn::finish(&child, FAREWELL, Some(&self.output), &AtomicBool::new(false));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = spawn::finish(&child, Duration::ZERO, None, &AtomicBool::new(false));
        }
    }
}

/// Answers the first request with a run that has already been made, and the others with fresh interpreters.
struct FirstRun {
    reply: Option<RunReply>,
    trace: PathBuf,
    output: PathBuf,
    rest: SpawnRunner,
}

impl Runner for FirstRun {
    fn run(&mut self, request: &RunRequest) -> Result<RunReply, ReplayError> {
        let Some(reply) = self.reply.take() else { return self.rest.run(request) };
        // Without a recording the run is judged by its end alone.
        let _ = std::fs::rename(&self.trace, &request.trace);
        if let Some(output) = &request.output {
            let _ = std::fs::rename(&self.output, output);
        }
        Ok(RunReply { id: request.id, ..reply })
    }
}
