//! Waiting for several descriptors at once: `poll`, `select`, `epoll`.
//!
//! Model: who waits for channels of this run waits until one of them has something to read or is closed. Its time runs out
//! when no thread can go on, however short it is. Writing never waits here, and all else that is waited for (other
//! processes, timers) is asked about in real time.
//!
//! Not here: channels and their ends (channels, endpoints).

use crate::channels::{self, with_endpoints};
use crate::controlled;
use crate::endpoints::inode;
use crate::run;
use crate::shim::{AGAIN, AT_ONCE, DONE, IoEvent};
use frontrun_formats::location::distinct;
use frontrun_formats::semantics::channels::ended;
use frontrun_formats::{Location, Operation, Part, ThreadId};
use libc::{c_int, c_short, pollfd};
use std::os::fd::RawFd;
use std::time::Duration;

/// What is waited for at one descriptor.
struct Interest {
    fd: RawFd,
    events: c_short,
}

/// Takes the step that a call is; `None` if it waits for no channel of this run.
pub fn take_step(me: ThreadId, event: &IoEvent, granted: bool) -> Option<u32> {
    if !run::is_recording() {
        return None;
    }
    let (interests, time) = asked(event)?;
    if !interests.iter().any(|interest| interest.events & libc::POLLIN != 0 && is_ours(interest.fd)) {
        return None;
    }
    let site = controlled::last_site();
    if !granted && run::reach(me, site, None) {
        return Some(AGAIN);
    }
    let (ours, others): (Vec<Interest>, Vec<Interest>) = interests
        .into_iter()
        .partition(|interest| interest.events & libc::POLLIN != 0 && is_ours(interest.fd));
    let of = distinct(ours.iter().filter_map(|interest| state(interest.fd)));
    let wait = Operation::ChannelWait { of: of.clone() };
    channels::check_taker(me, &wait);
    let writes = |interest: &Interest| Interest { events: interest.events & libc::POLLOUT, ..*interest };
    let else_where = others.iter().map(|other| pollfd { fd: other.fd, events: other.events, revents: 0 });
    let to_write = ours.iter().map(writes).map(|own| pollfd { fd: own.fd, events: own.events, revents: 0 });
    let mut rest: Vec<pollfd> = else_where.chain(to_write).filter(|one| one.events != 0).collect();
    let reads_elsewhere = others.iter().any(|other| other.events & libc::POLLIN != 0);
    if time == Some(Duration::ZERO) || is_any_ready(&mut rest, 0) {
        channels::execute(me, look(&of));
    } else if reads_elsewhere {
        // Who is outside answers in real time, and nobody here can be waited for meanwhile.
        channels::execute(me, look(&of));
        let is_ready = ours.iter().any(|own| is_to_read(own.fd));
        let patience = time.map_or(LONGEST, |time| time.as_millis().min(LONGEST as u128) as c_int);
        if !is_ready && !is_any_ready(&mut rest, patience) && patience == LONGEST {
            run::end_unfollowed("a descriptor to be ready", "it may be a thread that makes it so");
        }
    } else if run::reach_patiently(me, site, wait.clone(), time) {
        return Some(AT_ONCE);
    } else {
        channels::execute(me, wait);
    }
    for own in ours.iter().filter(|own| is_to_read(own.fd)) {
        channels::settle(own.fd, 0);
    }
    Some(DONE)
}

/// Looking at channels without waiting.
fn look(of: &[Location]) -> Operation {
    let reads = of.iter().flat_map(|at| [*at, ended(at.object)]).collect();
    Operation::Touch { reads, writes: Box::new([]) }
}

/// How long another process is waited for, in milliseconds of real time.
const LONGEST: c_int = 3000;

/// Whether what is read at this descriptor is a channel that only threads of this run use.
pub fn is_ours(fd: RawFd) -> bool {
    let end = inode(fd);
    let ours = with_endpoints(|endpoints| {
        let reads = endpoints.receives(end).is_some() || endpoints.listener(end).is_some();
        reads && !endpoints.is_shared(end)
    });
    ours.unwrap_or(false)
}

/// The state of the channel that is read at a descriptor.
pub fn state(fd: RawFd) -> Option<Location> {
    let end = inode(fd);
    let channel = with_endpoints(|endpoints| endpoints.receives(end).or_else(|| endpoints.listener(end)))??;
    Some(Location::new(channels::number(&channel)?, Part::State))
}

/// Whether there is something to read at a descriptor by what the threads have done.
fn is_to_read(fd: RawFd) -> bool {
    state(fd).is_some_and(|at| channels::is_ready(at.object))
}

fn is_any_ready(questions: &mut [pollfd], patience: c_int) -> bool {
    // SAFETY: a live slice and its length.
    !questions.is_empty()
        && unsafe { libc::poll(questions.as_mut_ptr(), questions.len() as libc::nfds_t, patience) } > 0
}

/// The descriptors that a call waits for.
pub fn waited(event: &IoEvent) -> Vec<RawFd> {
    let interests = asked(event).map_or_else(Vec::new, |(interests, _)| interests);
    interests.iter().map(|interest| interest.fd).filter(|fd| *fd >= 0).collect()
}

/// What a call waits for, and how long; no time is for ever.
fn asked(event: &IoEvent) -> Option<(Vec<Interest>, Option<Duration>)> {
    let a = event.arguments;
    let milliseconds = |time: u64| u64::try_from(time as c_int).ok().map(Duration::from_millis);
    match event.function() {
        "poll" | "__poll_chk" => Some((polled(a[0], a[1]), milliseconds(a[2]))),
        "ppoll" | "__ppoll_chk" => Some((polled(a[0], a[1]), timespec(a[2]))),
        "select" => Some((selected(a[0] as RawFd, [a[1], a[2]]), timeval(a[4]))),
        "pselect" => Some((selected(a[0] as RawFd, [a[1], a[2]]), timespec(a[4]))),
        "epoll_wait" | "epoll_pwait" => Some((registered(a[0] as RawFd)?, milliseconds(a[3]))),
        "epoll_pwait2" => Some((registered(a[0] as RawFd)?, timespec(a[3]))),
        _ => None,
    }
}

fn polled(at: u64, count: u64) -> Vec<Interest> {
    let (at, count) = (at as *const pollfd, count as usize);
    if at.is_null() {
        return Vec::new();
    }
    // SAFETY: the arguments of a call that is about to be made.
    let questions = unsafe { std::slice::from_raw_parts(at, count) };
    questions.iter().map(|one| Interest { fd: one.fd, events: one.events }).collect()
}

fn selected(end: RawFd, sets: [u64; 2]) -> Vec<Interest> {
    let is_in = |set: u64, fd: RawFd| {
        let set = set as *const libc::fd_set;
        // SAFETY: null or a set of the call that is about to be made, with room for `end` descriptors.
        !set.is_null() && unsafe { libc::FD_ISSET(fd, set) }
    };
    let [to_read, to_write] = sets;
    let interest = |fd: RawFd| {
        let reads = if is_in(to_read, fd) { libc::POLLIN } else { 0 };
        Interest { fd, events: reads | if is_in(to_write, fd) { libc::POLLOUT } else { 0 } }
    };
    (0..end.min(libc::FD_SETSIZE as RawFd)).map(interest).filter(|one| one.events != 0).collect()
}

/// What an `epoll` waits for, as the system tells it.
fn registered(epoll: RawFd) -> Option<Vec<Interest>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).ok()?;
    let entry = |line: &str| {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        let fd = words.next()?.parse().ok()?;
        let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
        // The numbers of `epoll` and `poll` are the same.
        Some(Interest { fd, events: events as c_short & (libc::POLLIN | libc::POLLOUT) })
    };
    let mut entries: Vec<Interest> = text.lines().filter_map(entry).collect();
    // The system lists them by where its files lie in memory.
    entries.sort_unstable_by_key(|interest| interest.fd);
    Some(entries)
}

fn timespec(at: u64) -> Option<Duration> {
    // SAFETY: null or an argument of the call that is about to be made.
    let time = unsafe { (at as *const libc::timespec).as_ref() }?;
    Some(Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), time.tv_nsec.clamp(0, 999_999_999) as u32))
}

fn timeval(at: u64) -> Option<Duration> {
    // SAFETY: as above.
    let time = unsafe { (at as *const libc::timeval).as_ref() }?;
    let micros = time.tv_usec.clamp(0, 999_999) as u64;
    Some(Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros))
}
