//! Which random schedules an exploration runs instead of all classes, and what that is worth.
//!
//! Model: the first attempt has no randomness: it takes the run rule of the exhaustive search, and so shows how many
//! threads and steps there are, and whether any other class exists. Each further attempt is one schedule, a pure
//! function of the plan's seed, the attempt's number and the first recording. The samplers take turns.
//!
//! Not here: the draws themselves (recorder), the loop (explore).

use frontrun_formats::random::SplitMix;
use frontrun_formats::{Event, Execution, Location, Operation, Sampler, Sampling, Schedule, Tail};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

/// A sampler as a caller asks for it; the rest is known after the first attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplerKind {
    /// [`Sampler::Walk`].
    Walk,
    /// [`Sampler::Pct`] for bugs of this depth.
    Pct {
        /// How many ordering constraints make the bug; one more than the preemptions that it needs.
        depth: u32,
    },
    /// [`Sampler::Pos`].
    Pos,
}

/// What is to be sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Executions to run, the first one included.
    pub attempts: u64,
    /// From which all others are derived.
    pub seed: u64,
    /// The samplers that take turns; at least one.
    pub samplers: Vec<SamplerKind>,
    /// After so many steps an execution goes on as a random walk.
    pub steps: u32,
}

/// What the first attempt shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// How many steps it has at which a thread may lose the turn; change points are spread over so many.
    pub steps: u32,
    /// Fingerprints of the places whose steps are not among them.
    pub ignored: Vec<u32>,
}

impl Ground {
    /// What an execution shows of which the events at the positions `relevant` could conflict with another thread's.
    pub fn of(execution: &Execution, relevant: &[usize]) -> Ground {
        let print = |event: &Event| execution.fingerprint(event);
        let minded: FxHashSet<u32> =
            relevant.iter().filter_map(|at| execution.events.get(*at)).map(print).collect();
        let is_dull = |event: &&Event| match event.operation {
            Operation::Read { at } => is_constant(execution, at) && !minded.contains(&print(event)),
            // To lose the turn at the begin or end of a thread is the same as to lose it at the step before or after.
            ref other => other.is_lifecycle(),
        };
        let ignored: BTreeSet<u32> = execution.events.iter().filter(is_dull).map(print).collect();
        let counts = |event: &&Event| !ignored.contains(&print(event));
        let steps = execution.events.iter().filter(counts).count() as u32;
        Ground { steps, ignored: ignored.into_iter().collect() }
    }
}

/// Whether a location is one that programs write to rarely once they run: of a module, a class, or a closure.
fn is_constant(execution: &Execution, at: Location) -> bool {
    let object = execution.objects.get(at.object.index());
    object.is_some_and(|object| ["module", "type", "cell"].contains(&execution.text(object.type_name)))
}

impl Plan {
    /// All samplers, for executions of a few hundred steps.
    pub fn new(attempts: u64, seed: u64) -> Plan {
        use SamplerKind::{Pct, Pos, Walk};
        let samplers =
            vec![Pct { depth: 2 }, Pos, Pct { depth: 2 }, Walk, Pct { depth: 2 }, Pct { depth: 3 }];
        Plan { attempts, seed, samplers, steps: 300 }
    }

    /// The schedules of all attempts but the first, after which `ground` is known.
    pub fn schedules(&self, ground: &Ground) -> Vec<Schedule> {
        let mut made: FxHashMap<SamplerKind, u64> = FxHashMap::default();
        let horizon = self.horizon(ground);
        let schedule = |attempt: u64| {
            let kind = self.samplers[(attempt - 1) as usize % self.samplers.len()];
            let nth = made.entry(kind).or_default();
            let (seed, mirrored) = (self.derived(kind, *nth), false);
            let drawn = Sampling {
                sampler: Sampler::Walk,
                seed,
                steps: self.steps,
                mirrored,
                ignored: ground.ignored.clone(),
            };
            let sampling = match kind {
                SamplerKind::Walk => drawn,
                SamplerKind::Pos => Sampling { sampler: Sampler::Pos, ..drawn },
                SamplerKind::Pct { depth } => self.change_points(depth, *nth, horizon, drawn),
            };
            *nth += 1;
            Schedule { tail: Tail::Sampled(sampling), ..Schedule::default() }
        };
        (1..self.attempts).map(schedule).collect()
    }

    /// Over how many steps change points are spread.
    pub fn horizon(&self, ground: &Ground) -> u32 {
        if ground.steps == 0 { self.steps } else { ground.steps.min(self.steps) }
    }

    /// The `nth` attempt at bugs of this depth. The first change points are dealt without repetition, which is never
    /// worse than drawing them; when all have been dealt, they are dealt once more with the threads' order reversed.
    fn change_points(&self, depth: u32, nth: u64, horizon: u32, drawn: Sampling) -> Sampling {
        let kind = SamplerKind::Pct { depth };
        let (round, within) = (nth / u64::from(horizon), (nth % u64::from(horizon)) as usize);
        let original = round / 2 * u64::from(horizon) + within as u64;
        let mut points: Vec<u32> = (1..=horizon).collect();
        let mut random = SplitMix(self.derived(kind, u64::MAX - round / 2));
        for last in (1..points.len()).rev() {
            points.swap(last, random.below(last as u32 + 1) as usize);
        }
        let first = if depth > 1 { points[within] } else { 0 };
        let sampler = Sampler::Pct { first, further: depth.saturating_sub(2), horizon };
        Sampling { sampler, seed: self.derived(kind, original), mirrored: round % 2 == 1, ..drawn }
    }

    fn derived(&self, kind: SamplerKind, nth: u64) -> u64 {
        let tag = match kind {
            SamplerKind::Walk => 0,
            SamplerKind::Pos => 1,
            SamplerKind::Pct { depth } => 2 + u64::from(depth),
        };
        let stream = SplitMix(SplitMix(self.seed).next().wrapping_add(tag)).next();
        SplitMix(stream.wrapping_add(nth)).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrun_formats::{Block, ObjectId, ObjectInfo, Part, Site, SiteId, StringId, ThreadId};

    fn samplings(plan: &Plan, ground: &Ground) -> Vec<Sampling> {
        let sampling = |schedule: Schedule| match schedule.tail {
            Tail::Sampled(sampling) => sampling,
            other => panic!("{other:?}"),
        };
        plan.schedules(ground).into_iter().map(sampling).collect()
    }

    fn plan(samplers: Vec<SamplerKind>, attempts: u64, seed: u64) -> Plan {
        Plan { attempts, seed, samplers, steps: 300 }
    }

    #[test]
    fn attempts_take_the_samplers_in_turn_and_differ() {
        let samplers = vec![SamplerKind::Pos, SamplerKind::Walk];
        let ground = Ground { steps: 7, ignored: vec![3] };
        let first = samplings(&plan(samplers.clone(), 5, 1), &ground);
        let drawn: Vec<Sampler> = first.iter().map(|sampling| sampling.sampler).collect();
        assert_eq!(drawn, [Sampler::Pos, Sampler::Walk, Sampler::Pos, Sampler::Walk]);
        let mut seeds: Vec<u64> = first.iter().map(|sampling| sampling.seed).collect();
        seeds.extend(samplings(&plan(samplers, 5, 2), &ground).iter().map(|sampling| sampling.seed));
        assert_eq!(seeds.iter().collect::<BTreeSet<_>>().len(), 8);
    }

    #[test]
    fn change_points_are_dealt_once_in_each_round_and_then_mirrored() {
        let ground = Ground { steps: 7, ignored: vec![] };
        let dealt = samplings(&plan(vec![SamplerKind::Pct { depth: 2 }], 22, 1), &ground);
        let first = |sampling: &Sampling| match sampling.sampler {
            Sampler::Pct { first, further: 0, horizon: 7 } => first,
            other => panic!("{other:?}"),
        };
        for round in dealt.chunks(7) {
            assert_eq!(round.iter().map(first).collect::<BTreeSet<_>>(), (1..=7).collect());
        }
        for (one, other) in dealt[..7].iter().zip(&dealt[7..14]) {
            assert_eq!(Sampling { mirrored: true, ..one.clone() }, *other);
        }
        assert_ne!(dealt[0].seed, dealt[14].seed);
    }

    #[test]
    fn begins_and_ends_and_reads_of_constants_are_no_place_to_lose_the_turn() {
        let at = |column| Site { column, line: 1, ..Site::default() };
        let read = |object| Operation::Read { at: Location::new(ObjectId(object), Part::State) };
        let event = |site, operation| Event {
            thread: ThreadId(0),
            site: SiteId(site),
            operation,
            result: 1,
            block: Block::Alone,
            gil_switch: true,
        };
        let named = |name| ObjectInfo { type_name: StringId(name), label: StringId(name) };
        let execution = Execution {
            strings: vec!["module".into(), "Counter".into()],
            objects: vec![named(0), named(1)],
            sites: (0..4).map(at).collect(),
            events: vec![
                event(0, Operation::Start),
                event(1, read(0)),
                event(2, read(0)),
                event(3, read(1)),
                event(3, read(1)),
            ],
            ..Execution::default()
        };
        let ground = Ground::of(&execution, &[2]);
        assert_eq!(ground.steps, 3);
        let mut ignored: Vec<u32> = execution.events[..2].iter().map(|e| execution.fingerprint(e)).collect();
        ignored.sort_unstable();
        assert_eq!(ground.ignored, ignored);
    }
}
