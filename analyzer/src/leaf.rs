//! Whether a cut gives a child: the tests at the leaves of the search (algorithm, section 4).
//!
//! # Model
//! `q` is what the cut has beyond everything before `r`. At the cut, footprints are evaluated anew. `a` must be
//! enabled and either conflict with `r` or disable it. The chunk, which is what lies between the beginning of
//! `r`'s step and `r`, must be exactly the new past of `r` (of `a`, when `r` is disabled), and `a` must be the
//! last of it in the canonical order: no other maximal event of the chunk belongs to a higher thread.

use crate::cut::{Cut, covered};
use crate::locations::Access;
use crate::subject::Subject;
use crate::trace::Trace;
use frontrun_formats::Location;
use frontrun_formats::semantics::{self, Effect};
use smallvec::SmallVec;
use std::ops::Range;

/// An operation and the earlier head that it is to overtake.
pub(crate) struct Pair<'t, 'e> {
    pub(crate) a: &'t Subject<'e>,
    pub(crate) r: usize,
    /// The past of `a` in program order.
    pub(crate) base: Cut,
    /// The new step, one of whose events must be inside the cut.
    pub(crate) late: Option<Range<usize>>,
}

impl Pair<'_, '_> {
    /// Whether a late pair's cut has an event of the new step.
    pub(crate) fn is_new(&self, trace: &Trace, cut: &[u32]) -> bool {
        let inside = |node: usize| {
            let subject = &trace.nodes[node].subject;
            subject.index < cut[subject.thread]
        };
        self.late.as_ref().is_none_or(|step| step.clone().any(inside))
    }
}

/// A child.
pub(crate) struct Found {
    /// `r` is disabled by `a`.
    pub(crate) blocks: bool,
    /// On what they conflict.
    pub(crate) location: Location,
}

pub(crate) type Accesses = SmallVec<[Access; 4]>;

/// What `a` and `r` do at a cut.
pub(crate) struct Footprints {
    pub(crate) a: Accesses,
    /// `None` when `a` disables `r`.
    pub(crate) r: Option<Accesses>,
    /// Where they conflict.
    pub(crate) location: Option<Location>,
}

/// Decides about cuts, and counts them.
pub(crate) struct Leaf<'t, 'e> {
    trace: &'t Trace<'e>,
}

impl<'t, 'e> Leaf<'t, 'e> {
    pub(crate) fn new(trace: &'t Trace<'e>) -> Self {
        Leaf { trace }
    }

    /// Whether the cut gives a child; neither operation is an opaque block.
    pub(crate) fn decide(&mut self, pair: &Pair<'t, 'e>, cut: &[u32]) -> Option<Found> {
        if !pair.is_new(self.trace, cut) {
            return None;
        }
        let r = &self.trace.nodes[pair.r].subject;
        let footprints = self.footprints(pair.a, r, cut)?;
        self.judge(pair, cut, &footprints, r.nature.incoherent)
    }

    /// Whether the cut gives a child when `a` and `r` do there what `footprints` says; `incoherent` says that `r` may
    /// depend on events that `a` does not depend on.
    pub(crate) fn judge(
        &self,
        pair: &Pair<'t, 'e>,
        cut: &[u32],
        footprints: &Footprints,
        incoherent: bool,
    ) -> Option<Found> {
        let trace = self.trace;
        let node = &trace.nodes[pair.r];
        let r = &node.subject;
        let past = trace.past(cut, &pair.base, &footprints.a);
        if !incoherent && !covered(cut, trace.before(pair.r), &past) {
            return None;
        }
        let prefix = trace.before(node.step);
        let mut chunk = Cut::from_slice(cut);
        let mut clock = past;
        chunk[pair.a.thread] = pair.a.index + 1;
        clock[pair.a.thread] = pair.a.index + 1;
        let Some(accesses) = &footprints.r else {
            let location = footprints.location?;
            return covered(&chunk, prefix, &clock).then_some(Found { blocks: true, location });
        };
        let location = footprints.location?;
        let mut new_past = trace.past(cut, &trace.base(r), accesses);
        crate::cut::join(&mut new_past, &clock);
        let canonical =
            covered(&chunk, prefix, &new_past) && self.last_is_a(pair.a.thread, cut, &chunk, prefix, &clock);
        canonical.then_some(Found { blocks: false, location })
    }

    /// Whether no maximal event of the chunk belongs to a higher thread than `a`.
    fn last_is_a(&self, a: usize, cut: &[u32], chunk: &[u32], prefix: &[u32], clock: &[u32]) -> bool {
        let trace = self.trace;
        (a + 1..trace.width()).all(|higher| {
            if chunk[higher] <= prefix[higher] || clock[higher] >= chunk[higher] {
                return true;
            }
            // Clocks grow along a thread, so its last event in the chunk is the one to ask.
            (0..trace.width()).any(|thread| {
                thread != higher
                    && cut[thread] > prefix[thread]
                    && trace.clock(trace.node_of(thread, cut[thread] - 1))[higher] >= chunk[higher]
            })
        })
    }

    /// What the two do right behind the cut; `None` when `a` is not enabled there.
    fn footprints(&self, a: &Subject, r: &Subject, cut: &[u32]) -> Option<Footprints> {
        let trace = self.trace;
        let plain = |subject: &Subject| subject.nature.fixed && !subject.nature.gated;
        if plain(a) && plain(r) {
            return Some(self.fixed_footprints(a, r));
        }
        let before = trace.state(cut, &[]);
        if a.nature.gated && !semantics::enabled(a.operation, a.id, &before) {
            return None;
        }
        let effect = semantics::effect(a.operation, a.id, &before);
        let after = trace.state(cut, &effect.values);
        if r.nature.gated && !semantics::enabled(r.operation, r.id, &after) {
            let location = self.common(&effect, trace.possible(r));
            return Some(Footprints { a: self.resolve(&effect), r: None, location });
        }
        let other = semantics::effect(r.operation, r.id, &after);
        Some(Footprints {
            a: self.resolve(&effect),
            r: Some(self.resolve(&other)),
            location: conflict(&effect, &other),
        })
    }

    fn fixed_footprints(&self, a: &Subject, r: &Subject) -> Footprints {
        let trace = self.trace;
        let (mine, other) = (trace.accesses(a), trace.accesses(r));
        let hit = mine.iter().find_map(|x| {
            let y = other.iter().find(|y| x.conflicts(**y))?;
            Some(if x.whole { *y } else { *x })
        });
        Footprints {
            a: mine.iter().copied().collect(),
            r: Some(other.iter().copied().collect()),
            location: hit.map(|access| trace.locations.name(access.location)),
        }
    }

    fn resolve(&self, effect: &Effect) -> Accesses {
        let locations = &self.trace.locations;
        let reads = effect.reads.iter().map(|at| locations.access(*at, false));
        reads.chain(effect.writes.iter().map(|at| locations.access(*at, true))).collect()
    }

    /// What `a` wrote that the blocked operation looks at.
    fn common(&self, effect: &Effect, accesses: &[Access]) -> Option<Location> {
        let looked_at = |at: &&Location| {
            accesses.iter().any(|access| self.trace.locations.name(access.location).overlaps(**at))
        };
        effect.writes.iter().find(looked_at).copied()
    }
}

/// Where two effects conflict; the more precise of the two names.
fn conflict(a: &Effect, r: &Effect) -> Option<Location> {
    let precise = |x: &Location, y: &Location| if x.part == frontrun_formats::Part::Whole { *y } else { *x };
    let hit = |writes: &[Location], others: &[Location]| {
        writes.iter().find_map(|w| others.iter().find(|o| o.overlaps(*w)).map(|o| precise(w, o)))
    };
    hit(&a.writes, &r.writes).or_else(|| hit(&a.writes, &r.reads)).or_else(|| hit(&r.writes, &a.reads))
}
