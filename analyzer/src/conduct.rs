//! What `a` and `r` do at a cut when one of them is an opaque block.
//!
//! # Model
//! What is in the operation table is evaluated in the state at the cut; what a block does comes from a record that is
//! exact there ([`Memo`]). Where there is none, a probe is wanted: a run that puts `a` in front of `r` at this cut. Its
//! records then are exact, so that every question is asked once.

use crate::history::CutState;
use crate::leaf::{Footprints, Pair};
use crate::memo::{Author, Behind, Memo, Record};
use crate::subject::Subject;
use crate::trace::Trace;
use frontrun_formats::semantics;
use frontrun_formats::{Location, Value};
use smallvec::SmallVec;

/// What is known of `a` and `r` at a cut.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on the stack")]
pub(crate) enum Conduct {
    /// `a` is not enabled.
    Disabled,
    /// Only a run can tell.
    Unknown(Question),
    Known(Doings),
}

/// What has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// What `a` does; `r` may have to wait then, so it cannot be scheduled.
    WhatA,
    /// What `a` does, and `r` behind it.
    WhatAAndR,
    /// What `r` does.
    WhatR,
}

/// What the two do.
pub(crate) struct Doings {
    pub(crate) a: Does,
    /// `None` when `a` disables `r`.
    pub(crate) r: Option<Does>,
    /// Where they conflict.
    pub(crate) location: Option<Location>,
}

/// What one operation does.
pub(crate) struct Does {
    pub(crate) reads: SmallVec<[Location; 2]>,
    pub(crate) writes: SmallVec<[Location; 2]>,
    values: SmallVec<[(Location, Value); 2]>,
    /// Something that it touches is foreign, and this probe saw it.
    foreign: Option<usize>,
}

impl Does {
    fn of(record: &Record) -> Does {
        Does {
            reads: record.deed.reads.iter().copied().collect(),
            writes: record.deed.writes.iter().copied().collect(),
            values: record.deed.values.iter().cloned().collect(),
            foreign: record.probe.filter(|_| record.foreign),
        }
    }

    pub(crate) fn touched(&self) -> impl Iterator<Item = (Location, bool)> + '_ {
        let reads = self.reads.iter().map(|at| (*at, false));
        reads.chain(self.writes.iter().map(|at| (*at, true)))
    }

    /// Whether something that it touches has perhaps another name in the execution.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    fn conflicts_with(&self, other: &Does, overlap: impl Fn(Location, Location) -> bool) -> Option<Location> {
        self.touched().find_map(|(mine, written)| {
            let hit = |(at, write): &(Location, bool)| (written || *write) && overlap(mine, *at);
            let (other, _) = other.touched().find(hit)?;
            Some(if mine.part == frontrun_formats::Part::Whole { other } else { mine })
        })
    }
}

/// What the pair does right behind the cut.
pub(crate) fn conduct(trace: &Trace, memo: &Memo, pair: &Pair, cut: &[u32]) -> Conduct {
    let r = &trace.nodes[pair.r].subject;
    let before = trace.state(cut, &[]);
    if pair.a.nature.gated && !semantics::enabled(pair.a.operation, pair.a.id, &before) {
        return Conduct::Disabled;
    }
    if let Some((a, r)) = memo.probed_pair(pair.a, r, cut) {
        let (a, r) = (Does::of(a), Does::of(r));
        let location = a.conflicts_with(&r, Location::overlaps);
        return Conduct::Known(Doings { a, r: Some(r), location });
    }
    let Some(a) = does(memo, pair.a, cut, None, &before) else {
        return Conduct::Unknown(if r.nature.gated { Question::WhatA } else { Question::WhatAAndR });
    };
    let after = trace.state(cut, &a.values);
    if r.nature.gated {
        let gate = |written: &Location| {
            let looked_at = crate::kind::possible(r.operation, r.id, true);
            looked_at.into_iter().map(|(at, _)| at).find(|at| memo.names.may_overlap(*at, *written))
        };
        let hit = a.writes.iter().find_map(|written| Some((*written, gate(written)?)));
        if hit.is_some_and(|(written, at)| !written.overlaps(at)) {
            return Conduct::Unknown(Question::WhatA);
        }
        if !semantics::enabled(r.operation, r.id, &after) {
            let location = hit.map(|(_, at)| at);
            return Conduct::Known(Doings { a, r: None, location });
        }
    }
    let behind = Behind { reads: a.reads.clone(), writes: a.writes.clone() };
    let past = trace.past(cut, &pair.base, &memo.accesses(a.touched()));
    let author = Author { thread: pair.a.thread, unit_index: pair.a.unit_index, past };
    let Some(other) = does(memo, r, cut, Some((&author, &behind)), &after) else {
        return Conduct::Unknown(Question::WhatR);
    };
    let location = a.conflicts_with(&other, Location::overlaps);
    let one_probe = a.foreign.is_none() && other.foreign.is_none() || a.foreign == other.foreign;
    if location.is_none()
        && !one_probe
        && a.conflicts_with(&other, |x, y| memo.names.may_overlap(x, y)).is_some()
    {
        return Conduct::Unknown(Question::WhatR);
    }
    Conduct::Known(Doings { a, r: Some(other), location })
}

impl Doings {
    /// The same as accesses.
    pub(crate) fn footprints(&self, memo: &Memo) -> Footprints {
        Footprints {
            a: memo.accesses(self.a.touched()),
            r: self.r.as_ref().map(|r| memo.accesses(r.touched())),
            location: self.location,
        }
    }
}

/// What an operation does in a state; `None` when nothing recorded tells.
fn does(
    memo: &Memo,
    subject: &Subject,
    cut: &[u32],
    behind: Option<(&Author, &Behind)>,
    state: &CutState,
) -> Option<Does> {
    if !subject.opaque {
        let effect = semantics::effect(subject.operation, subject.id, state);
        let (reads, writes) = (effect.reads, effect.writes);
        return Some(Does { reads, writes, values: effect.values, foreign: None });
    }
    memo.predict(subject.thread, subject.unit_index, cut, behind).map(Does::of)
}
