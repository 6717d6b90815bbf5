//! Random schedules: which enabled thread a sampler draws at each decision.
//!
//! Model: the gate asks once before each step, lists the enabled threads, and then tells which step was made. The answer
//! is a pure function of the sampling and of what was asked and told before: equal seeds give equal executions.
//!
//! Not here: who is enabled and what conflicts (gate), which seeds an exploration takes (replayer).

use frontrun_formats::random::SplitMix;
use frontrun_formats::{Sampler, Sampling, ThreadId};

/// Below the priorities of threads, above none: a change point gives a priority below this one.
const LOWERED: u64 = 1 << 32;

/// The draws of one run.
#[derive(Debug)]
pub struct Draws {
    sampling: Sampling,
    random: SplitMix,
    /// By thread; 0 for one that has none yet.
    priorities: Vec<u64>,
    /// After which of the steps that count the priority falls, and to which; PCT only.
    changes: Vec<(u64, u64)>,
    /// Steps that counted.
    counted: u64,
    /// Decisions made.
    made: u64,
}

impl Draws {
    /// The draws that `sampling` stands for.
    pub fn new(sampling: Sampling) -> Self {
        let mut random = SplitMix(sampling.seed);
        let changes = match sampling.sampler {
            Sampler::Pct { first, further, horizon } => {
                let drawn = (0..further).map(|nth| (1 + random.below(horizon), 2 + u64::from(nth)));
                let first = (first > 0).then_some((u64::from(first), 1));
                first.into_iter().chain(drawn).collect()
            }
            _ => Vec::new(),
        };
        Draws { sampling, random, priorities: Vec::new(), changes, counted: 0, made: 0 }
    }

    /// Notes the step that `thread` makes.
    pub fn note(&mut self, thread: ThreadId, fingerprint: u32) {
        if self.changes.is_empty() || self.sampling.ignored.binary_search(&fingerprint).is_ok() {
            return;
        }
        self.counted += 1;
        for (at, priority) in std::mem::take(&mut self.changes) {
            if at == self.counted {
                *self.priority_of(thread) = priority;
            } else {
                self.changes.push((at, priority));
            }
        }
    }

    /// Draws from `enabled`, which is not empty. `conflicts` tells whether the next steps of two threads conflict.
    pub fn draw(&mut self, enabled: &[ThreadId], conflicts: impl Fn(ThreadId, ThreadId) -> bool) -> ThreadId {
        let walks = self.is_walk() || self.sampling.sampler == Sampler::Walk;
        self.made += 1;
        if walks {
            return enabled[self.random.below(enabled.len() as u32) as usize];
        }
        let next = self.highest(enabled);
        if self.sampling.sampler == Sampler::Pos {
            for other in (0..self.priorities.len() as u32).map(ThreadId) {
                if other == next || conflicts(next, other) {
                    *self.priority_of(other) = 0;
                }
            }
        }
        next
    }

    fn is_walk(&self) -> bool {
        self.made >= u64::from(self.sampling.steps)
    }

    /// The thread with the highest priority; who has none gets one.
    fn highest(&mut self, among: &[ThreadId]) -> ThreadId {
        let mut best = (0, among[0]);
        for thread in among {
            if *self.priority_of(*thread) == 0 {
                let drawn = self.random.next() >> 1;
                let mirrored = if self.sampling.mirrored { u64::MAX >> 1 ^ drawn } else { drawn };
                *self.priority_of(*thread) = LOWERED + mirrored;
            }
            best = best.max((*self.priority_of(*thread), *thread));
        }
        best.1
    }

    fn priority_of(&mut self, thread: ThreadId) -> &mut u64 {
        if self.priorities.len() <= thread.index() {
            self.priorities.resize(thread.index() + 1, 0);
        }
        &mut self.priorities[thread.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ThreadId = ThreadId(0);
    const B: ThreadId = ThreadId(1);

    fn sampling(sampler: Sampler, seed: u64, steps: u32) -> Sampling {
        Sampling { sampler, seed, steps, mirrored: false, ignored: vec![] }
    }

    fn pct(first: u32, further: u32) -> Sampler {
        Sampler::Pct { first, further, horizon: 10 }
    }

    fn order(sampling: Sampling, steps: usize) -> Vec<ThreadId> {
        let mut draws = Draws::new(sampling);
        let step = |_| {
            let next = draws.draw(&[A, B], |_, _| true);
            draws.note(next, 1);
            next
        };
        (0..steps).map(step).collect()
    }

    fn run(sampler: Sampler, seed: u64, steps: usize) -> Vec<ThreadId> {
        order(sampling(sampler, seed, 1000), steps)
    }

    fn switches(order: &[ThreadId]) -> usize {
        order.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn equal_seeds_draw_equally_and_others_do_not() {
        for sampler in [Sampler::Walk, Sampler::Pos, pct(3, 1)] {
            assert_eq!(run(sampler, 7, 50), run(sampler, 7, 50));
            assert!((0..20).any(|seed| run(sampler, seed, 50) != run(sampler, 99, 50)), "{sampler:?}");
        }
    }

    #[test]
    fn pct_switches_after_its_change_points_alone() {
        for (seed, first) in (0..100).zip((1..=10).cycle()) {
            let order = run(pct(first, 0), seed, 12);
            let at = order.iter().position(|thread| *thread != order[0]);
            assert_eq!((switches(&order), at), (1, Some(first as usize)));
        }
    }

    #[test]
    fn drawn_change_points_are_spread_evenly() {
        let mut at = [0; 10];
        for seed in 0..10_000 {
            let order = run(pct(0, 1), seed, 12);
            at[order.iter().position(|thread| *thread != order[0]).unwrap() - 1] += 1;
        }
        assert!(at.iter().all(|count| (850..1150).contains(count)), "{at:?}");
    }

    #[test]
    fn a_mirrored_sampling_reverses_the_first_priorities() {
        for seed in 0..50 {
            let straight = sampling(pct(4, 0), seed, 1000);
            let mirrored = Sampling { mirrored: true, ..straight.clone() };
            assert_ne!(order(straight, 4), order(mirrored, 4));
        }
    }

    #[test]
    fn ignored_steps_do_not_count() {
        let ignoring = Sampling { ignored: vec![1], ..sampling(pct(2, 0), 5, 1000) };
        assert_eq!(switches(&order(ignoring, 20)), 0);
    }

    #[test]
    fn each_change_of_pct_costs_one_switch_at_most() {
        let counts = (0..100).map(|seed| switches(&run(pct(5, 1), seed, 12)));
        assert_eq!(counts.max(), Some(2));
    }

    #[test]
    fn partial_order_sampling_draws_anew_for_conflicting_steps_only() {
        let mut draws = Draws::new(sampling(Sampler::Pos, 3, 1000));
        let next = draws.draw(&[A, B], |_, _| false);
        let other = if next == A { B } else { A };
        let kept = draws.priorities[other.index()];
        assert_ne!(kept, 0);
        assert_eq!(draws.priorities[next.index()], 0);
        draws.draw(&[A, B], |_, _| true);
        assert_eq!(draws.priorities, [0, 0]);
    }

    #[test]
    fn after_its_steps_every_sampler_is_fair() {
        let mut draws = Draws::new(sampling(pct(0, 0), 1, 5));
        let order: Vec<_> = (0..100).map(|_| draws.draw(&[A, B], |_, _| false)).collect();
        assert_eq!(switches(&order[..5]), 0);
        assert!(switches(&order[5..]) > 20);
    }
}
