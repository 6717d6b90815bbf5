//! The clock that a controlled program sees: the real one, plus the time that waits and sleeps would have taken.
//!
//! Model: a sleep takes no time and moves the clock; so does a wait whose time runs out. A wait of less than
//! [`IMPATIENT`] may find its time run out whenever it would have to wait, since any thread can be that late; a longer one
//! does so only when no thread is enabled.
//!
//! There are two other clocks: on the *explored* one every wait is like a short one, and on the *real* one sleeps and waits
//! that give up take their time.
//!
//! Not here: the functions that read it (time_calls, dates).

use crate::controlled;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Waits shorter than this may time out at any moment.
pub const IMPATIENT: Duration = Duration::from_secs(1);

static NANOS: AtomicU64 = AtomicU64::new(0);
static KIND: AtomicU8 = AtomicU8::new(VIRTUAL);

const VIRTUAL: u8 = 0;
const EXPLORED: u8 = 1;
const REAL: u8 = 2;

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
        Some(time) if time < IMPATIENT || KIND.load(Ordering::Relaxed) == EXPLORED => Wait::Impatient(time),
        Some(time) => Wait::Patient(time),
    }
}

/// Lets time pass. On the real clock the calling thread sleeps, with the turn in its hand but not the interpreter's lock.
pub fn advance(time: Duration) {
    if KIND.load(Ordering::Relaxed) == REAL {
        // SAFETY: the calling thread holds the interpreter's lock, and takes it again.
        unsafe {
            let state = ffi::PyEval_SaveThread();
            std::thread::sleep(time);
            ffi::PyEval_RestoreThread(state);
        }
        return;
    }
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let _ = NANOS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_add(nanos)));
}

/// Takes back the time that has passed on this clock alone, for the next run of this process.
pub fn reset() {
    NANOS.store(0, Ordering::Relaxed);
}

/// The time that has passed on this clock alone; none for a thread that is not controlled.
pub fn ahead() -> Duration {
    match controlled::controlled_thread() {
        Some(_) => Duration::from_nanos(NANOS.load(Ordering::Relaxed)),
        None => Duration::ZERO,
    }
}
