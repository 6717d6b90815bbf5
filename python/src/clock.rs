//! The clock that a controlled program sees: it shows when the run began, plus the time that waits and sleeps would have taken.
//!
//! Model: real time does not go on, so that nothing hangs on how fast the machine is; a look at the clock takes [`LOOK`], so
//! that a loop which looks at it until a moment comes has an end. A sleep takes no time and moves the clock; so does a wait whose time runs out. A wait of less than
//! [`IMPATIENT`] may find its time run out whenever it would have to wait, since any thread can be that late; a longer one
//! does so only when no thread is enabled.
//!
//! Many short rests are a long one: a thread that has rested for [`IMPATIENT`] in all goes on resting only when no thread is
//! enabled. So one that polls until a deadline is not late because it never let the others run.
//!
//! There are two other clocks: on the *explored* one every wait is like a short one, and on the *real* one sleeps and waits
//! that give up take their time.
//!
//! Not here: the functions that read it (time_calls, dates).

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Waits shorter than this may time out at any moment.
pub const IMPATIENT: Duration = Duration::from_secs(1);

/// How long it takes to look at the clock.
const LOOK: Duration = Duration::from_micros(10);

/// A rest counts as one of this length at least, so that the shortest ones come to an end, too.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// Waits are compared in units of this, which no number of looks before them should change.
const GRAIN: Duration = Duration::from_millis(100);

static NANOS: AtomicU64 = AtomicU64::new(0);
/// What the clocks showed when the run began, in nanoseconds.
static CALENDAR: AtomicI64 = AtomicI64::new(0);
static MONOTONIC: AtomicI64 = AtomicI64::new(0);
static KIND: AtomicU8 = AtomicU8::new(VIRTUAL);

const VIRTUAL: u8 = 0;
const EXPLORED: u8 = 1;
const REAL: u8 = 2;

thread_local! {
    /// For how long this thread has slept, or waited in vain, in this run.
    static RESTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Sets the clock of the runs of this process: "virtual", "explored" or "real".
#[pyfunction]
pub fn set_clock(name: &str) -> PyResult<()> {
    let kind = match name {
        "virtual" => VIRTUAL,
        "explored" => EXPLORED,
        "real" => REAL,
        _ => {
            return Err(PyValueError::new_err(format!(
                "no clock is called {name:?}; there are 'virtual', 'explored' and 'real'"
            )));
        }
    };
    KIND.store(kind, Ordering::Relaxed);
    Ok(())
}

/// How a wait with a timeout behaves.
pub enum Wait {
    /// Like one without: for as long as it takes.
    Forever,
    /// Gives up only when no thread is enabled.
    Patient(Duration),
    /// May give up at any moment, like an attempt that does not wait.
    Impatient(Duration),
}

/// What a wait of so many seconds is; `None` has no limit.
pub fn wait(seconds: Option<f64>) -> Wait {
    match seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)) {
        None => Wait::Forever,
        Some(time) if time.is_zero() || rounded(time) < IMPATIENT && !has_rested_enough() => {
            Wait::Impatient(time)
        }
        Some(time) if KIND.load(Ordering::Relaxed) == EXPLORED => Wait::Impatient(time),
        Some(time) => Wait::Patient(rounded(time)),
    }
}

fn rounded(time: Duration) -> Duration {
    let grains = time.saturating_add(GRAIN / 2).as_nanos() / GRAIN.as_nanos();
    u32::try_from(grains).map_or(time, |grains| GRAIN * grains)
}

/// Whether the calling thread's rests give way to all that other threads can do.
pub fn has_rested_enough() -> bool {
    rounded(RESTED.get()) >= IMPATIENT && KIND.load(Ordering::Relaxed) != EXPLORED
}

/// The calling thread has just become another one.
pub fn forget_rests() {
    RESTED.set(Duration::ZERO);
}

/// Lets time pass while the calling thread rests. On the real clock the calling thread sleeps, with the turn in its hand but
/// not the interpreter's lock.
pub fn advance(time: Duration) {
    give_up(time, time);
}

/// The same for a thread that has waited for `time`, of which all but `rest` passed while others gave up waiting.
pub fn give_up(time: Duration, rest: Duration) {
    RESTED.set(RESTED.get().saturating_add(time.max(SHORTEST_REST)));
    if KIND.load(Ordering::Relaxed) == REAL {
        // SAFETY: the calling thread holds the interpreter's lock, and takes it again.
        unsafe {
            let state = ffi::PyEval_SaveThread();
            std::thread::sleep(rest);
            ffi::PyEval_RestoreThread(state);
        }
        return;
    }
    pass(rest);
}

fn pass(time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let _ = NANOS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_add(nanos)));
}

/// Lets time pass until this much has passed in all.
pub fn advance_to(time: Duration) {
    NANOS.fetch_max(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The time that sleeps and waits have taken in this run; a look at it takes none.
pub fn passed() -> Duration {
    Duration::from_nanos(NANOS.load(Ordering::Relaxed))
}

/// Starts the clock of a run.
pub fn start() {
    NANOS.store(0, Ordering::Relaxed);
    CALENDAR.store(shown_by(libc::CLOCK_REALTIME), Ordering::Relaxed);
    MONOTONIC.store(shown_by(UPTIME), Ordering::Relaxed);
}

/// The clock of `time.monotonic` and `time.perf_counter`.
#[cfg(not(target_os = "macos"))]
pub const UPTIME: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_os = "macos")]
pub const UPTIME: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

fn shown_by(clock: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is valid for a write.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// What the time of the day or the monotonic clock shows in this run, in nanoseconds; `None` on the real clock, and for
/// other clocks. The real one is not looked at: two looks at it are never at the same moment.
pub fn now(clock: libc::clockid_t) -> Option<i64> {
    let began = match clock {
        _ if KIND.load(Ordering::Relaxed) == REAL => return None,
        libc::CLOCK_REALTIME => &CALENDAR,
        UPTIME => &MONOTONIC,
        _ => return None,
    };
    pass(LOOK);
    let passed = i64::try_from(NANOS.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
    Some(began.load(Ordering::Relaxed).saturating_add(passed))
}

/// By how many nanoseconds this clock is ahead of the real one.
pub fn ahead() -> i64 {
    now(UPTIME).map_or(0, |now| now - shown_by(UPTIME))
}

/// Sets how much time has passed: another process that shares the clock has had the turn.
pub fn set_passed(nanos: u64) {
    NANOS.store(nanos, Ordering::Relaxed);
}
