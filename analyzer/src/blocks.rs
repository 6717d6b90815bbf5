//! The alternatives of one execution in which an opaque block goes before something, or something before a block
//! (algorithm, section 14).
//!
//! # Model
//! As in `search.rs`, an operation `a` is put before an earlier head `r` behind a cut. But which locations a block
//! touches at a cut is known only from a run, so cuts are not chosen among the events that could conflict: they are
//! *grown*. The smallest cut is evaluated first, and only an event that conflicts with what `a` or `r` does there may be
//! added next. If no event of a larger cut conflicts with what they do, they do the same at the larger cut, which then
//! contains what neither depends on. A branch never adds what an earlier branch has added, so no cut is reached twice.
//!
//! Where nothing recorded tells what the pair does, its branch ends with a wish for a probe, and the analysis is made
//! again with the probe's records. When nothing is wanted any more the alternatives are complete. The schedule of a probe
//! that turns out to be an alternative is that of the alternative, so its run need not be made again.

use crate::alternative::{Alternative, Reason, Schedules};
use crate::conduct::{Conduct, Does, Doings, Question, conduct};
use crate::cut::{Cut, join};
use crate::kind;
use crate::leaf::{Leaf, Pair};
use crate::locations::Access;
use crate::memo::Memo;
use crate::search::Visitor;
use crate::subject::Subject;
use crate::trace::Trace;
use frontrun_formats::{Location, Operation, Schedule};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

/// Calls `visit` with every alternative, until it breaks, and adds to `wanted` the schedules that have to be run before
/// all are known.
pub(crate) fn alternatives(
    trace: &Trace,
    memo: &Memo,
    visit: Visitor,
    wanted: &mut Vec<Schedule>,
) -> ControlFlow<()> {
    let blocks = trace.nodes.iter().any(|node| node.subject.opaque)
        || trace.pending.iter().any(|pending| pending.opaque);
    if !blocks {
        return ControlFlow::Continue(());
    }
    let mut search = Search {
        trace,
        memo,
        schedules: Schedules::new(trace),
        leaf: Leaf::new(trace),
        writers: FxHashMap::default(),
        candidates: Vec::new(),
        visit,
        perhaps: FxHashMap::default(),
        asked: FxHashSet::default(),
        wanted,
    };
    for step in trace.new_steps() {
        let last = step.end - 1;
        if trace.nodes[last].head {
            search.overtake(&trace.nodes[last].subject, last, true)?;
            for (_, given_up) in trace.given_up.iter().filter(|(node, _)| *node == last) {
                search.overtake(given_up, last, false)?;
            }
        }
        for a in (0..step.start).filter(|node| trace.nodes[*node].head) {
            search.late(a, &step)?;
        }
    }
    for pending in &trace.pending {
        search.overtake(pending, trace.nodes.len(), false)?;
    }
    ControlFlow::Continue(())
}

struct Search<'t, 'e, 'v> {
    trace: &'t Trace<'e>,
    memo: &'v Memo<'t, 'e>,
    schedules: Schedules<'t, 'e>,
    leaf: Leaf<'t, 'e>,
    /// By node whose footprint hangs on the state: see [`Search::writers`].
    writers: FxHashMap<usize, Rc<[u32]>>,
    /// Events that may be added to the cut of the current pair, in execution order.
    candidates: Vec<usize>,
    visit: Visitor<'v>,
    /// By foreign location: the locations of the execution that it may be.
    perhaps: FxHashMap<Location, Vec<u32>>,
    /// The blocks that something is wanted for.
    asked: FxHashSet<(usize, u32)>,
    wanted: &'v mut Vec<Schedule>,
}

impl<'t, 'e> Search<'t, 'e, '_> {
    /// All pairs with `a`, which was `executed` as node `at`, or was pending there.
    fn overtake(&mut self, a: &'t Subject<'e>, at: usize, executed: bool) -> ControlFlow<()> {
        let trace = self.trace;
        let base = trace.base(a);
        let last_opener = match executed {
            true => None,
            false => openers(trace, a, 0).filter(|node| *node < at).max(),
        };
        for r in 0..at {
            if !self.is_pair(a, &base, r) {
                continue;
            }
            let promising = match executed {
                true => self.may_differ(at, r, at) || self.conflict(a, &trace.nodes[r].subject),
                false => last_opener.is_some_and(|node| node >= r),
            };
            if promising {
                self.pair(a, &base, r, at, None)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// All pairs with the older head `a` between which an event of the new step may come.
    fn late(&mut self, a: usize, step: &Range<usize>) -> ControlFlow<()> {
        let trace = self.trace;
        let subject = &trace.nodes[a].subject;
        if !step.clone().any(|member| self.concurrent(member, subject)) {
            return ControlFlow::Continue(());
        }
        let base = trace.base(subject);
        for r in 0..a {
            let overtaken = &trace.nodes[r].subject;
            let both = |member| self.concurrent(member, subject) && self.concurrent(member, overtaken);
            if !self.is_pair(subject, &base, r) || !step.clone().any(both) {
                continue;
            }
            let touches = |member: usize| {
                let member = &trace.nodes[member].subject;
                self.conflict(member, subject) || self.conflict(member, overtaken)
            };
            let touched = self.conflict(subject, overtaken) && step.clone().any(touches);
            if touched || self.may_differ(a, r, step.end - 1) {
                self.pair(subject, &base, r, step.end, Some(step.clone()))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether `a` and the node `r` could change places, and one of them is a block.
    fn is_pair(&self, a: &Subject, base: &[u32], r: usize) -> bool {
        let node = &self.trace.nodes[r];
        let overtaken = &node.subject;
        // Giving up touches nothing; what was given up is a pair of its own.
        let given_up = |subject: &Subject| matches!(subject.operation, Operation::Elapse { .. });
        node.head
            && (a.opaque || overtaken.opaque)
            && !given_up(a)
            && !given_up(overtaken)
            && overtaken.thread != a.thread
            && base[overtaken.thread] <= overtaken.index
    }

    /// Whether the node neither is, nor comes after, the operation, and is of another thread.
    fn concurrent(&self, node: usize, subject: &Subject) -> bool {
        self.trace.nodes[node].subject.thread != subject.thread
            && self.trace.clock(node)[subject.thread] <= subject.index
    }

    /// Whether `a` or `r` may do something else at a cut that lies between the nodes `r` and `last`.
    fn may_differ(&mut self, a: usize, r: usize, last: usize) -> bool {
        let hit = |writers: &[u32]| {
            let first = writers.partition_point(|writer| (*writer as usize) < r);
            writers.get(first).is_some_and(|writer| *writer as usize <= last)
        };
        hit(&self.writers(a)) || hit(&self.writers(r))
    }

    /// The nodes of other threads that write what a node touched, and that can be before as well as behind it; none
    /// when its footprint does not hang on the state.
    fn writers(&mut self, node: usize) -> Rc<[u32]> {
        let trace = self.trace;
        let subject = &trace.nodes[node].subject;
        if subject.nature.fixed && !subject.opaque {
            return Rc::from([]);
        }
        let find = || {
            let base = trace.base(subject);
            let mut writers = Vec::new();
            for thread in (0..trace.width()).filter(|thread| *thread != subject.thread) {
                let read = trace.accesses(subject).iter().map(|access| Access { write: false, ..*access });
                for index in read.flat_map(|access| trace.index.conflicting(access, thread)).flatten() {
                    let other = &trace.nodes[trace.node_of(thread, *index)].subject;
                    if *index >= base[thread] && trace.base(other)[subject.thread] <= subject.index {
                        writers.push(trace.node_of(thread, *index) as u32);
                    }
                }
            }
            writers.sort_unstable();
            writers.dedup();
            Rc::from(writers)
        };
        self.writers.entry(node).or_insert_with(find).clone()
    }

    /// Whether two nodes conflict as executed.
    fn conflict(&self, one: &Subject, other: &Subject) -> bool {
        let others = self.trace.accesses(other);
        self.trace.accesses(one).iter().any(|x| others.iter().any(|y| x.conflicts(*y)))
    }

    /// All cuts at which `a` goes before `r`; nodes at `end` or behind are not looked at.
    fn pair(
        &mut self,
        a: &'t Subject<'e>,
        base: &Cut,
        r: usize,
        end: usize,
        late: Option<Range<usize>>,
    ) -> ControlFlow<()> {
        let trace = self.trace;
        let overtaken = &trace.nodes[r].subject;
        let mut cut = Cut::from_slice(trace.before(r));
        join(&mut cut, base);
        trace.join_chunks_behind(r, &mut cut);
        if cut[overtaken.thread] > overtaken.index || cut[a.thread] > a.index {
            return ControlFlow::Continue(());
        }
        let may_come = |node: &usize| self.concurrent(*node, overtaken) && self.concurrent(*node, a);
        self.candidates = (r + 1..end).filter(may_come).collect();
        let pair = Pair { a, r, base: base.clone(), late };
        self.grow(&pair, cut, &mut Vec::new())
    }

    /// The cut, and all that follow from it without what is `refused`.
    fn grow(&mut self, pair: &Pair<'t, 'e>, cut: Cut, refused: &mut Vec<usize>) -> ControlFlow<()> {
        let trace = self.trace;
        let known = refused.len();
        let may_add = |candidate: usize, refused: &[usize]| {
            let subject = &trace.nodes[candidate].subject;
            let clock = trace.clock(candidate);
            subject.index >= cut[subject.thread]
                && !refused.iter().any(|refused| {
                    let refused = &trace.nodes[*refused].subject;
                    clock[refused.thread] > refused.index
                })
        };
        if let Some(step) = &pair.late
            && !pair.is_new(trace, &cut)
            && !self.candidates.iter().any(|node| step.contains(node) && may_add(*node, refused))
        {
            return ControlFlow::Continue(());
        }
        let doings = match conduct(trace, self.memo, pair, &cut) {
            Conduct::Unknown(question) => {
                self.want(pair, &cut, question);
                return ControlFlow::Continue(());
            }
            Conduct::Disabled => None,
            Conduct::Known(doings) => {
                self.decide(pair, &cut, &doings)?;
                Some(doings)
            }
        };
        let bearing = self.bearing(pair, doings.as_ref());
        for place in 0..self.candidates.len() {
            let candidate = self.candidates[place];
            if bearing.contains(&candidate) && may_add(candidate, refused) {
                let mut larger = cut.clone();
                join(&mut larger, trace.clock(candidate));
                self.grow(pair, larger, refused)?;
                refused.push(candidate);
            }
        }
        refused.truncate(known);
        ControlFlow::Continue(())
    }

    /// The nodes behind `r` that bear on what the pair does; `None` when `a` is not enabled.
    fn bearing(&mut self, pair: &Pair, doings: Option<&Doings>) -> FxHashSet<usize> {
        let trace = self.trace;
        let r = &trace.nodes[pair.r].subject;
        let mut nodes = FxHashSet::default();
        let Some(doings) = doings else {
            nodes.extend(openers(trace, pair.a, pair.r));
            return nodes;
        };
        self.add_conflicting(&doings.a, pair.r, &mut nodes);
        match &doings.r {
            None => nodes.extend(openers(trace, r, pair.r)),
            Some(does) if incoherent(pair.a, r) => self.add_conflicting(does, pair.r, &mut nodes),
            Some(_) => {}
        }
        nodes
    }

    /// Adds the nodes behind `r` that conflict with what was done, or do so perhaps.
    fn add_conflicting(&mut self, does: &Does, r: usize, nodes: &mut FxHashSet<usize>) {
        let trace = self.trace;
        for (at, write) in does.touched() {
            nodes.extend(trace.conflicting(trace.locations.access(at, write), r));
            if does.is_foreign() {
                let names = self.memo.names;
                let overlapping = |location: &u32| names.may_overlap(trace.locations.name(*location), at);
                let find = || (0..trace.locations.len() as u32).filter(overlapping).collect();
                let perhaps = self.perhaps.entry(at).or_insert_with(find);
                nodes.extend(perhaps.iter().flat_map(|location| trace.touching(*location, write, r)));
            }
        }
    }

    fn decide(&mut self, pair: &Pair<'t, 'e>, cut: &[u32], doings: &Doings) -> ControlFlow<()> {
        let trace = self.trace;
        if !pair.is_new(trace, cut) {
            return ControlFlow::Continue(());
        }
        let r = &trace.nodes[pair.r];
        let footprints = doings.footprints(self.memo);
        let Some(found) = self.leaf.judge(pair, cut, &footprints, incoherent(pair.a, &r.subject)) else {
            return ControlFlow::Continue(());
        };
        let schedule = self.schedules.schedule(pair.a.origin, pair.r, cut, found.blocks);
        let reason =
            Reason { first: pair.a.origin, second: r.event, location: found.location, blocks: found.blocks };
        (self.visit)(Alternative { schedule, reason })
    }

    /// Asks one question about a block at a time: the answer often tells what it does at the next cut, too.
    fn want(&mut self, pair: &Pair<'t, 'e>, cut: &[u32], question: Question) {
        let of = match question {
            Question::WhatA | Question::WhatAAndR => pair.a,
            Question::WhatR => &self.trace.nodes[pair.r].subject,
        };
        if self.asked.insert((of.thread, of.unit_index)) {
            let blocks = question == Question::WhatA;
            self.wanted.push(self.schedules.schedule(pair.a.origin, pair.r, cut, blocks));
        }
    }
}

/// Whether `r` may depend on events that `a` does not depend on. Behind a block even what the table calls coherent may:
/// the block can leave a state in which the footprint is another.
fn incoherent(a: &Subject, r: &Subject) -> bool {
    r.opaque || r.nature.incoherent || a.opaque && !r.nature.fixed
}

/// The nodes from `first` on that wrote something that decides whether the operation is enabled.
fn openers<'t>(trace: &'t Trace, subject: &Subject, first: usize) -> impl Iterator<Item = usize> + use<'t> {
    let looked_at = match subject.nature.gated {
        true => kind::possible(subject.operation, subject.id, true),
        false => kind::Possible::new(),
    };
    looked_at.into_iter().flat_map(move |(at, _)| trace.conflicting(trace.locations.access(at, false), first))
}
