//! A thread that goes on for ever keeps those from going on that come behind it in the order, although its loop may wait
//! for them.
//!
//! Model: in a run that is made once more because it did not end, such a thread gives way after a given time until nobody
//! else is enabled. Whether the program then comes to its end decides between one that is right as long as threads are
//! treated fairly, and one that hangs. When the thread gave way hangs on the clock, so the execution says nothing about
//! others, and counts as diverged.
//!
//! Not here: loops that are known to wait (spinning), rests (clock).

use super::{get, reach_patiently, site_number};
use crate::site::Site;
use frontrun_formats::{Operation, ThreadId};
use std::time::{Duration, Instant};

/// The clock is looked at once in so many steps.
const SELDOM: u32 = 1 << 12;

/// How long a thread may go on while others could.
pub struct Fairness {
    began: Instant,
    limit: Option<Duration>,
    steps: u32,
    /// What happened, once somebody has given way.
    pub given_way: Option<String>,
}

impl Fairness {
    /// For so long; none is for ever.
    pub fn of(limit: Option<Duration>) -> Fairness {
        Fairness { began: Instant::now(), limit, steps: 0, given_way: None }
    }

    fn is_over(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.steps.is_multiple_of(SELDOM)
            && self.given_way.is_none()
            && self.limit.is_some_and(|limit| self.began.elapsed() > limit)
    }
}

/// Whether `me`, which comes to a step, has gone on for too long and has to give way.
pub fn is_unfair(me: ThreadId) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    unsafe { get() }.is_some_and(|run| {
        run.fairness.is_over()
            && run.gate.prefix_done()
            && !run.gate.is_in_block(me)
            && run.gate.another_enabled(me).is_some()
    })
}

/// Lets the others go on for as long as any of them can. Returns that they did.
pub fn give_way(me: ThreadId, position: Option<&Site>) -> bool {
    let site = position.map(site_number);
    // SAFETY: as above; the borrow ends before the turn passes.
    if let Some(run) = unsafe { get() } {
        let place = site.and_then(|site| run.recording.place(site)).unwrap_or_default();
        let other = run.gate.another_enabled(me).map(|other| run.gate.path(other).to_string());
        let (path, other) = (run.gate.path(me), other.unwrap_or_default());
        let seconds = run.fairness.began.elapsed().as_secs_f64();
        run.fairness.given_way =
            Some(format!("{path} went on for {seconds:.1} s ({place}) while {other} could have gone on"));
    }
    reach_patiently(me, position, Operation::AwaitChange { of: Box::new([]) }, Some(Duration::MAX));
    true
}
