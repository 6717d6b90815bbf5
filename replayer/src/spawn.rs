//! Starting fresh interpreters.
//!
//! Model: an interpreter is told what to do by one environment variable, [`CONFIG_VARIABLE`], which holds a
//! JSON object; `python -m frontrun._child` reads it. A recording that was made by an exploration called from
//! within a program is replayed by running that program as it is, with [`REPLAY_VARIABLE`] set: the call finds
//! itself there and re-enacts the one execution.
//!
//! Interpreters that run on their own lead a process group and die with this process, so none is left behind.
//!
//! Not here: what a command line means (target), waiting (reap), fork servers (session).

use crate::error::ReplayError;
use crate::output;
use crate::protocol::{RunReply, RunRequest};
use crate::reap::{self, Ended, Watch};
use crate::target::Target;
use crate::trace_file;
use crate::worker::Runner;
use serde_json::json;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Tells `frontrun._child` what to do, as JSON: `mode`, `trace`, `schedule`, `serve_fds`, `include`, `exclude`, `trust`,
/// `record_io`, `redact`, `hermetic`, `timeout_ms`, `parent`, and `command`, the command line for the recording's header.
pub const CONFIG_VARIABLE: &str = "FRONTRUN_CONFIG";

/// Tells an exploration within a program to re-enact one execution, as JSON: `trace`, `schedule`, `out`, `call`.
pub const REPLAY_VARIABLE: &str = "FRONTRUN_REPLAY";

/// What a fresh interpreter is to do.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Run the program once and record it.
    Record {
        /// Where the recording goes.
        trace: &'a Path,
    },
    /// Run the program once under a schedule and record it.
    Replay {
        /// Where the recording goes.
        trace: &'a Path,
        /// File of the schedule.
        schedule: &'a Path,
        /// For the recording's header.
        parent: Option<u64>,
        /// The recording that is replayed, where there is one.
        of: Option<&'a Path>,
        /// Whether that recording tells what servers have told.
        hermetic: bool,
    },
    /// Run the program to its checkpoint and serve from there.
    Serve {
        /// Where the recording goes if the program ends before it reaches its checkpoint.
        trace: &'a Path,
        /// One socket for each server.
        sockets: &'a [RawFd],
    },
}

/// The command that starts an interpreter, with all standard streams inherited.
pub fn command(target: &Target, mode: Mode<'_>, timeout: Option<Duration>) -> Result<Command, ReplayError> {
    let mut command = Command::new(&target.python);
    command.args(&target.options);
    match (&target.call, mode) {
        (Some(call), Mode::Replay { trace, schedule, of, .. }) => {
            command.args(&target.command);
            let config = json!({
                "trace": of.map(path_text).transpose()?,
                "schedule": path_text(schedule)?,
                "out": path_text(trace)?,
                "call": call,
            });
            command.env(REPLAY_VARIABLE, config.to_string());
        }
        _ => {
            command.args(["-m", "frontrun._child"]).args(&target.command);
            command.env(CONFIG_VARIABLE, config(target, mode, timeout)?.to_string());
        }
    }
    command.env("PYTHONHASHSEED", &target.hash_seed);
    if let Some(shim) = &target.preload {
        command.env("LD_PRELOAD", with_preload(shim));
    }
    if let Some(directory) = &target.directory {
        command.current_dir(directory);
    }
    Ok(command)
}

fn config(
    target: &Target,
    mode: Mode<'_>,
    timeout: Option<Duration>,
) -> Result<serde_json::Value, ReplayError> {
    let told = match mode {
        Mode::Replay { of, hermetic: true, .. } => of,
        _ => None,
    };
    let (name, trace, schedule, sockets, parent) = match mode {
        Mode::Record { trace } => ("record", trace, None, &[][..], None),
        Mode::Replay { trace, schedule, parent, .. } => ("replay", trace, Some(schedule), &[][..], parent),
        Mode::Serve { trace, sockets } => ("serve", trace, None, sockets, None),
    };
    Ok(json!({
        "mode": name,
        "trace": path_text(trace)?,
        "schedule": schedule.map(path_text).transpose()?,
        "serve_fds": sockets,
        "include": target.include,
        "exclude": target.exclude,
        "trust": target.trust,
        "record_io": target.record_io,
        "redact": target.redact,
        "hermetic": told.map(path_text).transpose()?,
        "clock": target.clock,
        "spurious_wakeups": target.spurious_wakeups,
        "free_threaded": target.free_threaded,
        "timeout_ms": timeout.map(|timeout| timeout.as_millis() as u64),
        "parent": parent,
        "command": target.command_line(),
    }))
}

/// Paths go to another process, whose working directory may be another one.
fn path_text(path: &Path) -> Result<String, ReplayError> {
    let absolute = std::path::absolute(path).map_err(ReplayError::io("resolve", path))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| ReplayError::NotUnicode(path.display().to_string()))
}

/// The value of `LD_PRELOAD` with the shim in front of what is there.
pub fn with_preload(shim: &Path) -> OsString {
    let mut value = shim.as_os_str().to_owned();
    if let Some(old) = std::env::var_os("LD_PRELOAD").filter(|old| !old.is_empty()) {
        value.push(":");
        value.push(old);
    }
    value
}

/// Starts an interpreter that runs on its own: nothing on standard input, its own process group, and it dies
/// with the calling thread. `inherited` are descriptors that it keeps.
pub(crate) fn start(
    mut command: Command,
    output: Option<&Path>,
    inherited: Vec<RawFd>,
) -> Result<Child, ReplayError> {
    command.stdin(Stdio::null()).process_group(0);
    if let Some(path) = output {
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            file.set_len(0)?;
            Ok((file.try_clone()?, file))
        };
        let (out, err) = open().map_err(ReplayError::io("write output", path))?;
        command.stdout(out).stderr(err);
    }
    let parent = std::process::id() as libc::pid_t;
    // SAFETY: between fork and exec only async-signal-safe calls are made: fcntl, prctl, getppid,
    // personality, _exit.
    unsafe {
        command.pre_exec(move || {
            for fd in &inherited {
                if libc::fcntl(*fd, libc::F_SETFD, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
            reap::die_with(parent);
            keep_addresses();
            Ok(())
        });
    }
    let python = PathBuf::from(command.get_program());
    command.spawn().map_err(ReplayError::io("start", python))
}

/// In the process to be: memory lies where it lay last time, so that a program that iterates over a set of objects,
/// which hash by address, does so in the same order. Where this is forbidden it goes without.
fn keep_addresses() {
    #[cfg(target_os = "linux")]
    // SAFETY: takes an integer; the present value is asked for with all bits set.
    unsafe {
        let now = libc::personality(0xffff_ffff);
        if now != -1 {
            libc::personality((now | libc::ADDR_NO_RANDOMIZE) as libc::c_ulong);
        }
    }
}

/// Waits for an interpreter that [`start`] started.
pub(crate) fn finish(
    child: &Child,
    timeout: Duration,
    output: Option<&Path>,
    interrupt: &AtomicBool,
) -> io::Result<Ended> {
    let mut tick = || {
        if let Some(path) = output {
            output::stem_flood(path);
        }
        !interrupt.load(Ordering::Relaxed)
    };
    let ended = reap::wait(child.id() as libc::pid_t, Watch { timeout, hangup: None, tick: &mut tick });
    if let Some(path) = output {
        // The output is an aid to the reader; a run counts without it.
        let _ = output::keep_end(path);
    }
    ended
}

/// The flag of a runner that nobody interrupts.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Makes each run in an interpreter of its own: slower than a fork server by a factor of five and more, and
/// independent of everything that happened before.
#[derive(Debug)]
pub struct SpawnRunner {
    target: Target,
    /// The recording that is replayed, where there is one.
    of: Option<PathBuf>,
    /// Whether the recording tells what servers have told.
    hermetic: bool,
    interrupt: &'static AtomicBool,
}

impl SpawnRunner {
    /// Runs `target`.
    pub fn new(target: Target) -> SpawnRunner {
        SpawnRunner { target, of: None, hermetic: false, interrupt: &NEVER }
    }

    /// Runs what `trace` is a recording of.
    pub fn of_recording(target: Target, trace: PathBuf) -> SpawnRunner {
        SpawnRunner { target, of: Some(trace), hermetic: false, interrupt: &NEVER }
    }

    /// What servers have told the recorded run is told again, and no server is connected to.
    pub fn hermetic(self, hermetic: bool) -> SpawnRunner {
        SpawnRunner { hermetic, ..self }
    }

    /// Setting `interrupt` kills the run in work, which then ends in [`ReplayError::Interrupted`].
    pub fn interrupted_by(self, interrupt: &'static AtomicBool) -> SpawnRunner {
        SpawnRunner { interrupt, ..self }
    }
}

impl Runner for SpawnRunner {
    fn run(&mut self, request: &RunRequest) -> Result<RunReply, ReplayError> {
        let started = Instant::now();
        let schedule = request.trace.with_extension("schedule");
        trace_file::write_schedule(&schedule, &request.schedule)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let mode = Mode::Replay {
            trace: &request.trace,
            schedule: &schedule,
            parent: request.parent,
            of: self.of.as_deref(),
            hermetic: self.hermetic,
        };
        let command = command(&self.target, mode, Some(timeout))?;
        let child = start(command, request.output.as_deref(), Vec::new())?;
        let ended = finish(&child, timeout, request.output.as_deref(), self.interrupt)
            .map_err(ReplayError::io("wait for", &self.target.python))?;
        let _ = std::fs::remove_file(&schedule);
        if ended.abandoned {
            return Err(ReplayError::Interrupted);
        }
        Ok(RunReply {
            id: request.id,
            code: ended.code,
            signal: ended.signal,
            timed_out: ended.timed_out,
            micros: started.elapsed().as_micros() as u64,
            error: None,
        })
    }
}

/// Refuses a target `-m module` when the interpreter finds no such module. Only the first part of a dotted name is
/// looked for: to look further, Python would have to run code of the package.
pub fn find_module(target: &Target) -> Result<(), ReplayError> {
    let [dash_m, name, ..] = &target.command[..] else { return Ok(()) };
    if dash_m != "-m" {
        return Ok(());
    }
    const NOT_FOUND: i32 = 9;
    let ask = format!("import sys, importlib.util as u; u.find_spec(sys.argv[1]) or sys.exit({NOT_FOUND})");
    let first = name.split('.').next().unwrap_or(name);
    let mut command = Command::new(&target.python);
    command.args(&target.options).args(["-c", &ask, first]).env_remove("LD_PRELOAD");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(directory) = &target.directory {
        command.current_dir(directory);
    }
    let status = command.status().map_err(ReplayError::io("start", &target.python))?;
    // Whatever else it says, running the module will say better.
    if status.code() != Some(NOT_FOUND) {
        return Ok(());
    }
    let reason = match name.as_str() {
        "pytest" => "it is not installed for this Python",
        _ => "there is no such module here or installed for this Python",
    };
    Err(ReplayError::TargetNotFound { name: name.clone(), reason })
}

/// The version of an interpreter, by asking it.
pub fn interpreter_version(python: &Path) -> Result<(u8, u8, u8), ReplayError> {
    let ask = "import sys; print(*sys.version_info[:3])";
    let output = Command::new(python).args(["-I", "-S", "-c", ask]).env_remove("LD_PRELOAD").output();
    let output = output.map_err(ReplayError::io("start", python))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u8> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [major, minor, micro] => Ok((major, minor, micro)),
        _ => Err(ReplayError::io("ask the version of", python)(io::ErrorKind::InvalidData.into())),
    }
}
