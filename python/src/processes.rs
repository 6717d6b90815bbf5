//! The processes that a run has made for its workers: none of them outlives it.
//!
//! Not here: what a worker process is (worker), who works for it here (workers).

use std::sync::{Mutex, PoisonError};

/// Those that have not been waited for.
static ALIVE: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Notes a process.
pub fn add(process: i32) {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner).push(process);
}

/// Forgets all of them: the calling process is one of them itself.
pub fn forget() {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Waits for the end of a process; returns its status as of `waitpid`, or `None` if it is none of the run's.
pub fn wait(process: i32) -> Option<i32> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != process);
    let mut status = 0;
    loop {
        // SAFETY: a valid place for the status.
        if unsafe { libc::waitpid(process, &raw mut status, 0) } == process {
            return Some(status);
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Kills those that are left, and waits for their ends: what they hold is free before the next run begins.
pub fn end_all() {
    let left = std::mem::take(&mut *ALIVE.lock().unwrap_or_else(PoisonError::into_inner));
    for process in &left {
        // SAFETY: a child that has not been waited for, so the number is still its own.
        unsafe { libc::kill(*process, libc::SIGKILL) };
    }
    for process in left {
        wait(process);
    }
}
