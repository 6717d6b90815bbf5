//! Waiting for one process with a limit, and leaving nothing of it behind.
//!
//! Model: the process leads a process group of its own, so everything that it started and that did not leave
//! the group can be killed with it. The group is killed while the leader is still a zombie: until it is reaped
//! its number cannot belong to anyone else.
//!
//! Not here: how the process was started (server, spawn).

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often a wait looks up from the process at its surroundings.
const TICK: Duration = Duration::from_millis(200);

/// How much longer a process may take that wants to go on and gets no processor, or waits for the disk.
const GRACE: Duration = Duration::from_secs(25);

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal, if one ended it.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// Whether it was killed because nobody is interested any more.
    pub abandoned: bool,
}

/// What a wait minds besides its process.
pub(crate) struct Watch<'a> {
    /// The process is killed after this.
    pub timeout: Duration,
    /// The process is killed when the other side of this socket is gone.
    pub hangup: Option<BorrowedFd<'a>>,
    /// Called now and then while the process runs; `false` gives up on it.
    pub tick: &'a mut dyn FnMut() -> bool,
}

/// Waits for `pid`, the leader of a process group; kills what is left of the group; reaps.
pub(crate) fn wait(pid: libc::pid_t, watch: Watch<'_>) -> io::Result<Ended> {
    let pidfd = open_pidfd(pid);
    let started = Instant::now();
    let deadline = started + watch.timeout;
    let (mut timed_out, mut abandoned) = (false, false);
    loop {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let limit = if left.is_zero() { TICK } else { left.min(TICK) };
        match poll(pid, pidfd.as_ref(), watch.hangup, limit)? {
            Awoken::Ended => break,
            Awoken::HungUp => abandoned = true,
            Awoken::Nothing if left.is_zero() => {
                timed_out = now >= deadline + GRACE || !is_starved(pid, now - started);
            }
            Awoken::Nothing => abandoned = !(watch.tick)(),
        }
        if timed_out || abandoned {
            break;
        }
    }
    kill_group(pid);
    let status = reap(pid)?;
    reap_group(pid);
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    Ok(Ended { code, signal, timed_out, abandoned })
}

enum Awoken {
    Ended,
    HungUp,
    Nothing,
}

/// Whether a process wants to go on now, and got a processor for less than a quarter of the time so far. One that the
/// machine keeps waiting for its disk does nothing either.
fn is_starved(pid: libc::pid_t, so_far: Duration) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // State, and the times in user and kernel mode as fields 14 and 15, behind a name that may hold anything.
    let (mut wants, mut ticks) = (false, 0);
    for stat in stats {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        wants |= matches!(fields.first(), Some(&"R" | &"D"));
        ticks += fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    }
    // SAFETY: takes an integer.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as f64;
    wants && ticks as f64 / per_second < so_far.as_secs_f64() / 4.0
}

/// Kernels and sandboxes without process descriptors make the wait fall back to asking every millisecond.
fn open_pidfd(pid: libc::pid_t) -> Option<OwnedFd> {
    // SAFETY: takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a descriptor that was just made for us and that nobody else knows.
    i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn poll(
    pid: libc::pid_t,
    pidfd: Option<&OwnedFd>,
    hangup: Option<BorrowedFd<'_>>,
    limit: Duration,
) -> io::Result<Awoken> {
    let entry = |fd: i32, events| libc::pollfd { fd, events, revents: 0 };
    // A negative descriptor is one that poll(2) skips.
    let mut fds = [
        entry(pidfd.map_or(-1, |fd| fd.as_raw_fd()), libc::POLLIN),
        entry(hangup.map_or(-1, |fd| fd.as_raw_fd()), libc::POLLRDHUP),
    ];
    let limit = if pidfd.is_some() { limit } else { limit.min(Duration::from_millis(1)) };
    // Rounded up: a wait of less than a millisecond must not become a busy loop.
    let millis = limit.as_micros().div_ceil(1000) as i32;
    // SAFETY: the pointer and the length describe `fds`.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, millis) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Awoken::Nothing) } else { Err(error) };
    }
    if fds[0].revents != 0 || (pidfd.is_none() && has_ended(pid)) {
        return Ok(Awoken::Ended);
    }
    Ok(if fds[1].revents != 0 { Awoken::HungUp } else { Awoken::Nothing })
}

fn has_ended(pid: libc::pid_t) -> bool {
    // SAFETY: an all-zero siginfo_t is valid, and waitid fills it in.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` lives through the call.
    let failed = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags) } != 0;
    // SAFETY: waitid with WEXITED fills in the fields of a child's end, or leaves zeros.
    failed || unsafe { info.si_pid() } != 0
}

/// Kills every member of the process group that `leader` leads.
pub(crate) fn kill_group(leader: libc::pid_t) {
    if leader > 1 {
        // SAFETY: takes two integers. It fails when nobody is left, which is what is wanted.
        unsafe {
            libc::kill(-leader, libc::SIGKILL);
            libc::kill(leader, libc::SIGKILL);
        }
    }
}

fn reap(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` lives through the call.
        if unsafe { libc::waitpid(pid, &mut status, 0) } == pid {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps the members of a killed group that have become ours, see [`become_subreaper`].
fn reap_group(leader: libc::pid_t) {
    loop {
        // SAFETY: a null status is allowed.
        if unsafe { libc::waitpid(-leader, std::ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted
        {
            return;
        }
    }
}

/// Orphans of the runs become children of this process, so that it can reap them.
pub(crate) fn become_subreaper() {
    // SAFETY: takes integers; where it is not supported, orphans go to the init process as ever.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Ends this process when `parent` ends, at once if that has already happened.
pub(crate) fn die_with(parent: libc::pid_t) {
    // SAFETY: these take integers. The second look closes the window in which the parent ended before the
    // request was in force.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::getppid() != parent {
            libc::_exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[expect(clippy::zombie_processes, reason = "whoever asked waits for it by its number")]
    fn start(script: &str) -> libc::pid_t {
        let child = Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap();
        child.id() as libc::pid_t
    }

    fn wait_for(script: &str, millis: u64) -> Ended {
        let watch = Watch { timeout: Duration::from_millis(millis), hangup: None, tick: &mut || true };
        wait(start(script), watch).unwrap()
    }

    #[test]
    fn code_signal_and_timeout_are_told_apart() {
        assert_eq!(wait_for("exit 3", 5000), Ended { code: Some(3), ..Ended::default() });
        assert_eq!(wait_for("kill -11 $$", 5000), Ended { signal: Some(11), ..Ended::default() });
        let hung = wait_for("sleep 60", 50);
        assert_eq!(hung, Ended { signal: Some(9), timed_out: true, ..Ended::default() });
    }

    #[test]
    fn what_the_process_left_behind_is_killed() {
        let pid = start("sleep 61 & sleep 61 & exit 0");
        wait(pid, Watch { timeout: Duration::from_secs(5), hangup: None, tick: &mut || true }).unwrap();
        // The orphans die of the signal at once, but whoever adopted them may take a moment to reap them.
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !members_alive(pid)
        });
        assert!(gone);
    }

    fn members_alive(group: libc::pid_t) -> bool {
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok()).any(|stat| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[0] != "Z" && fields[2] == group.to_string()
        })
    }
}
