//! A thread that goes on for ever keeps those from going on that come behind it in the order, although its loop may wait
//! for them.
//!
//! Model: where it has had half the time that the run has in all, it gives way until nobody else is enabled. Whether it then
//! comes to an end decides between a program that is right as long as threads are treated fairly, and one that hangs. When
//! it gave way hangs on the time, so the execution says nothing about others, and counts as diverged.
//!
//! Not here: loops that are known to wait (spinning), rests (clock).

use super::{get, reach_patiently, site_number};
use crate::site::Site;
use frontrun_formats::{Operation, ThreadId};
use std::time::{Duration, Instant};

/// The clock is looked at once in so many steps.
const SELDOM: u32 = 1 << 12;

/// How long that may go on.
pub struct Patience {
    began: Instant,
    limit: Duration,
    steps: u32,
    /// What happened, once somebody has given way.
    pub given_way: Option<String>,
}

impl Patience {
    /// For a run that may take so long; none is no limit.
    pub fn of(time_limit: Duration) -> Patience {
        Patience { began: Instant::now(), limit: time_limit / 2, steps: 0, given_way: None }
    }

    fn is_over(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.steps.is_multiple_of(SELDOM)
            && !self.limit.is_zero()
            && self.given_way.is_none()
            && self.began.elapsed() > self.limit
    }
}

/// Whether `me`, which comes to a step, has to give way.
pub fn ends(me: ThreadId) -> bool {
    // SAFETY: `me` holds the turn and the lock.
    unsafe { get() }.is_some_and(|run| {
        run.patience.is_over()
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
        let seconds = run.patience.limit.as_secs_f64();
        run.patience.given_way =
            Some(format!("{path} went on for {seconds:.1} s ({place}) while {other} could have gone on"));
    }
    reach_patiently(me, position, Operation::AwaitChange { of: Box::new([]) }, Some(Duration::MAX));
    true
}
