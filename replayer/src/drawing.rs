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

/// What is drawn, in order. Few preemptions come first: they are the easiest to understand. An execution that cannot be
/// analyzed leaves the samplers without ground, which they can do without.
pub(crate) fn schedules(first: Option<&Execution>) -> Vec<Schedule> {
    use SamplerKind::{Pct, Pos};
    let samplers = vec![Pct { depth: 2 }, Pct { depth: 2 }, Pct { depth: 3 }, Pos];
    let insight = first.and_then(|first| analysis::examine_sampled(first).ok()).unwrap_or_default();
    Plan { samplers, ..Plan::new(MOST + 1, 0) }.schedules(&insight.ground)
}

/// How many executions are drawn among so many runs of all kinds.
pub(crate) fn due(runs: u64) -> u64 {
    let behind = runs.saturating_sub(BEFORE);
    (behind.min(EAGER) / OFTEN + behind.saturating_sub(EAGER) / RARELY).min(MOST)
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
    fn there_is_a_schedule_for_all_that_is_drawn() {
        let schedules = schedules(Some(&Execution::default()));
        assert_eq!(schedules.len() as u64, due(u64::MAX));
        assert!(schedules.iter().all(|schedule| !schedule.tail.is_lowest()));
    }
}
