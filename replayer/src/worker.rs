//! The side of a fork server that asks: one run at a time, by request and reply.
//!
//! [`Runner`] is the seam of the exploration: whatever can turn a [`RunRequest`] into a recording and a
//! [`RunReply`] can explore. Implementations: [`Worker`] here, fresh interpreters in `spawn`.

use crate::error::ReplayError;
use crate::protocol::{self, Hello, PROTOCOL_VERSION, RunReply, RunRequest};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How much later than a run's own time limit a healthy server may answer, on a busy machine.
const REPLY_MARGIN: Duration = Duration::from_secs(30);

/// How often a wait for a server looks up.
const TICK: Duration = Duration::from_millis(100);

/// Makes runs, each in a process of its own.
pub trait Runner: Send {
    /// Makes the run and waits for its end. An error means that this runner cannot make any more runs.
    fn run(&mut self, request: &RunRequest) -> Result<RunReply, ReplayError>;
}

/// Makes a run, and once more with twice the time if it did not end: a machine that was busy elsewhere for seconds
/// is no failure of the program. Neither is a loop that waits for threads which do not get their turn; so the second time
/// they do before it is over.
pub fn run_twice_if_cut(runner: &mut dyn Runner, request: &RunRequest) -> Result<RunReply, ReplayError> {
    let reply = runner.run(request)?;
    if !reply.timed_out {
        return Ok(reply);
    }
    let timeout_ms = request.timeout_ms.saturating_mul(2);
    runner.run(&RunRequest { timeout_ms, give_way_ms: Some(timeout_ms / 5 * 4), ..request.clone() })
}

/// One fork server.
#[derive(Debug)]
pub struct Worker {
    stream: UnixStream,
    /// Whether the server has greeted.
    ready: bool,
}

/// Whether a server has reached its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It has, and can be asked.
    Ready,
    /// Its process ended before.
    Ended,
    /// The caller gave up waiting.
    GivenUp,
}

impl Worker {
    /// The client of the server at the other end of `stream`.
    pub fn new(stream: UnixStream) -> Worker {
        Worker { stream, ready: false }
    }

    /// Waits for the greeting for as long as `patient` says so; it is asked about every 100 ms.
    pub fn wait_ready(&mut self, patient: &mut dyn FnMut() -> bool) -> Result<Readiness, ReplayError> {
        if self.ready {
            return Ok(Readiness::Ready);
        }
        self.stream.set_read_timeout(Some(TICK)).map_err(lost)?;
        loop {
            // A greeting is sent in one piece and is smaller than any socket buffer: a timeout falls before
            // its first byte.
            match protocol::receive::<Hello>(&mut self.stream) {
                Ok(Some(hello)) if hello.version == PROTOCOL_VERSION => break,
                Ok(Some(hello)) => {
                    return Err(ReplayError::WorkerLost(format!(
                        "speaks version {} of the protocol instead of {PROTOCOL_VERSION}; reinstall frontrun",
                        hello.version
                    )));
                }
                Ok(None) => return Ok(Readiness::Ended),
                Err(error) if is_timeout(&error) => {
                    if !patient() {
                        return Ok(Readiness::GivenUp);
                    }
                }
                Err(error) => return Err(lost(error)),
            }
        }
        self.ready = true;
        Ok(Readiness::Ready)
    }
}

impl Runner for Worker {
    fn run(&mut self, request: &RunRequest) -> Result<RunReply, ReplayError> {
        let limit = Duration::from_millis(request.timeout_ms) + REPLY_MARGIN;
        let deadline = Instant::now() + limit;
        if self.wait_ready(&mut || Instant::now() < deadline)? != Readiness::Ready {
            return Err(ReplayError::WorkerLost("is gone".to_owned()));
        }
        self.stream.set_read_timeout(Some(limit)).map_err(lost)?;
        protocol::send(&self.stream, request).map_err(lost)?;
        let reply = protocol::receive::<RunReply>(&mut self.stream).map_err(|error| {
            if is_timeout(&error) {
                ReplayError::WorkerLost("does not answer".to_owned())
            } else {
                lost(error)
            }
        })?;
        match reply {
            Some(reply) if reply.id == request.id => Ok(reply),
            Some(_) => Err(ReplayError::WorkerLost("answered another request".to_owned())),
            None => Err(ReplayError::WorkerLost("ended during a run".to_owned())),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn lost(error: io::Error) -> ReplayError {
    ReplayError::WorkerLost(format!("cannot be reached: {error}"))
}
