//! The fork server: an interpreter at its checkpoint that turns each request into a process.
//!
//! Model: [`serve`] is called once, at the checkpoint, and returns in every child with the request that the
//! child is to carry out; in the server itself it returns when the other side is gone. The server has at most
//! one run at a time and nothing of a run outlives it: the run leads a process group, which is killed at its
//! end, and it dies with the server.
//!
//! Not here: the interpreter. How to fork one (with its own hooks before and after) is the caller's closure.

use crate::descriptors;
use crate::output;
use crate::pin;
use crate::protocol::{self, Hello, PROTOCOL_VERSION, RunReply, RunRequest};
use crate::reap::{self, Watch};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How a child ends that could not even be set up; what it says about it goes to standard error.
const CHILD_SETUP_FAILED: i32 = 70;

/// What [`serve`] returned for.
#[derive(Debug)]
pub enum Served {
    /// This process is a child: carry out the request, write the recording, then `_exit`.
    Child(RunRequest),
    /// This process is the server and nobody will ask again: `_exit`.
    Closed,
}

/// Serves on the first socket, and forks one more server, pinned to a core of its own, for each further one.
/// Returns in every child, and [`Served::Closed`] in every server.
pub fn serve_many(
    sockets: Vec<UnixStream>,
    fork: &mut dyn FnMut() -> io::Result<libc::pid_t>,
) -> io::Result<Served> {
    let cores = pin::available_cores();
    let mut sockets = sockets.into_iter();
    let first = sockets.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut helpers = Vec::new();
    let mut nth = 0;
    while let Some(socket) = sockets.next() {
        nth += 1;
        let parent = process_id();
        match fork() {
            Ok(0) => {
                drop((first, sockets));
                reap::die_with(parent);
                return serve_pinned(socket, &cores, nth, fork);
            }
            Ok(pid) => helpers.push(pid),
            // One server fewer: its socket closes unanswered, which the other side understands.
            Err(_) => drop(socket),
        }
    }
    let served = serve_pinned(first, &cores, 0, fork)?;
    if let Served::Closed = served {
        for pid in helpers {
            // SAFETY: a null status is allowed.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
    }
    Ok(served)
}

fn serve_pinned(
    socket: UnixStream,
    cores: &[usize],
    nth: usize,
    fork: &mut dyn FnMut() -> io::Result<libc::pid_t>,
) -> io::Result<Served> {
    if !cores.is_empty() {
        // Pinning is for speed only, so a system that forbids it is not an error.
        let _ = pin::pin_to_core(cores[nth % cores.len()]);
    }
    serve(socket, fork)
}

/// Greets, then makes one run after the other until the other side is gone. `fork` returns 0 in the child.
pub fn serve(
    mut socket: UnixStream,
    fork: &mut dyn FnMut() -> io::Result<libc::pid_t>,
) -> io::Result<Served> {
    // The descriptor came through exec; programs that the runs start must not inherit it.
    set_close_on_exec(&socket)?;
    reap::become_subreaper();
    let server = process_id();
    if protocol::send(&socket, &Hello { version: PROTOCOL_VERSION, pid: server as u32 }).is_err() {
        // A short exploration is over before its last server is there.
        return Ok(Served::Closed);
    }
    while let Some(request) = protocol::receive::<RunRequest>(&mut socket)? {
        let started = Instant::now();
        let reply = match fork() {
            Ok(0) => {
                drop(socket);
                enter_child(server, &request);
                return Ok(Served::Child(request));
            }
            Ok(pid) => match watch_child(pid, &request, &socket)? {
                Some(reply) => RunReply { micros: started.elapsed().as_micros() as u64, ..reply },
                None => return Ok(Served::Closed),
            },
            Err(error) => RunReply {
                id: request.id,
                error: Some(format!("fork failed: {error}")),
                ..RunReply::default()
            },
        };
        if protocol::send(&socket, &reply).is_err() {
            return Ok(Served::Closed);
        }
    }
    Ok(Served::Closed)
}

fn process_id() -> libc::pid_t {
    std::process::id() as libc::pid_t
}

fn set_close_on_exec(socket: &UnixStream) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: takes integers.
    match unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A child that cannot be set up must not return into the caller, who would take it for the server.
fn enter_child(server: libc::pid_t, request: &RunRequest) {
    // SAFETY: takes two integers; the server does the same, whoever comes first.
    unsafe { libc::setpgid(0, 0) };
    reap::die_with(server);
    if let Err(error) = descriptors::take_apart(request.output.as_deref()) {
        eprintln!("frontrun: setting up the run: {error}");
        // SAFETY: ends this process without running anything of the interpreter.
        unsafe { libc::_exit(CHILD_SETUP_FAILED) };
    }
}

/// Waits for a run; `None` when the other side has gone away meanwhile.
fn watch_child(pid: libc::pid_t, request: &RunRequest, socket: &UnixStream) -> io::Result<Option<RunReply>> {
    // SAFETY: takes two integers. It fails when the child was faster, or has already ended.
    unsafe { libc::setpgid(pid, pid) };
    let mut tick = || {
        if let Some(path) = &request.output {
            output::stem_flood(path);
        }
        true
    };
    let timeout = Duration::from_millis(request.timeout_ms);
    let ended = reap::wait(pid, Watch { timeout, hangup: Some(socket.as_fd()), tick: &mut tick })?;
    if let Some(path) = &request.output {
        // The output is an aid to the reader; a run counts without it.
        let _ = output::keep_end(path);
    }
    if ended.abandoned {
        return Ok(None);
    }
    Ok(Some(RunReply {
        id: request.id,
        code: ended.code,
        signal: ended.signal,
        timed_out: ended.timed_out,
        ..RunReply::default()
    }))
}
