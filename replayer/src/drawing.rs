//! Executions that are drawn at random while all classes are searched.
//!
//! Model: what a search runs one after the other is much alike, so a failure that many classes have can be far away in it.
//! A search that goes on for long therefore draws an execution now and then, first often, then rarely. Drawn executions are
//! no part of the search: they add nothing to its numbers, and what they tell is a failure or nothing.
//!
//! Not here: which schedules are drawn (sampling), and that a search ends at the first failure, without which nothing is
//! drawn (explore).

use crate::analysis;
use crate::sampling::{Plan, SamplerKind};
use frontrun_formats::{Execution, Schedule};

/// Before so many runs nothing is drawn: most searches have ended by then.
const BEFORE: u64 = 32;

/// Of so many runs that follow, one in [`OFTEN`] is drawn; after them, one in [`RARELY`].
const EAGER: u64 = 512;
const OFTEN: u64 = 4;
const RARELY: u64 = 32;

/// So many executions are drawn at most.
const MOST: u64 = 4096;

/// What is drawn, in order.
pub(crate) struct Drawing {
    schedules: std::vec::IntoIter<Schedule>,
    begun: u64,
}

impl Drawing {
    /// A drawing for the program whose first execution this is. Few preemptions come first: they are the easiest to
    /// understand.
    pub(crate) fn new(first: &Execution) -> Drawing {
        use SamplerKind::{Pct, Pos};
        let samplers = vec![Pct { depth: 2 }, Pct { depth: 2 }, Pct { depth: 3 }, Pos];
        let plan = Plan { samplers, ..Plan::new(MOST, 0) };
        // An execution that cannot be analyzed gives no ground to draw from.
        let ground = analysis::examine_sampled(first).map(|insight| insight.ground);
        let schedules = ground.map(|ground| plan.schedules(&ground)).unwrap_or_default();
        Drawing { schedules: schedules.into_iter(), begun: 0 }
    }

    /// The next schedule, if one is due after so many runs of all kinds.
    pub(crate) fn next(&mut self, runs: u64) -> Option<Schedule> {
        if self.begun >= due(runs) {
            return None;
        }
        self.begun += 1;
        self.schedules.next()
    }
}

/// How many executions are drawn among so many runs.
pub(crate) fn due(runs: u64) -> u64 {
    let behind = runs.saturating_sub(BEFORE);
    behind.min(EAGER) / OFTEN + behind.saturating_sub(EAGER) / RARELY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_searches_draw_nothing_and_long_ones_less_and_less() {
        assert_eq!(due(BEFORE), 0);
        assert_eq!(due(BEFORE + EAGER), EAGER / OFTEN);
        assert_eq!(due(BEFORE + EAGER + 10 * RARELY), EAGER / OFTEN + 10);
    }

    #[test]
    fn an_execution_that_tells_nothing_draws_nothing() {
        let mut drawing = Drawing::new(&Execution::default());
        assert_eq!(drawing.next(1 << 20), None);
    }
}
