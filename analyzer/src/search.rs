//! The alternatives of one execution (algorithm, section 4): which operation `a` can be put before which
//! earlier head `r`, with which further events in between.
//!
//! # Model
//! For every new head `a`, and every operation that was pending at the end, every earlier head `r` that it
//! could conflict with is a candidate. What is to be executed before `a` is a cut `Z`: everything before `r`,
//! what `a` and the chunks behind `r` need, and any down-closed choice of further events that may conflict with
//! `a`. `leaf.rs` decides about each cut.
//!
//! Pairs of which one is an opaque block are not here: `blocks.rs`.
//!
//! *Late* work: when footprints are incoherent, an event of a new step can matter only at another cut, for a
//! pair of older events. Then the pair is tried again with a cut that contains an event of the new step.
//!
//! # Invariants
//! No two cuts of one execution, and no two executions of one exploration, give one class: `leaf.rs`.

use crate::alternative::{Alternative, Reason, Schedules};
use crate::cut::{Cut, join};
use crate::leaf::{Leaf, Pair};
use crate::locations::Access;
use crate::subject::Subject;
use crate::trace::Trace;
use std::ops::{ControlFlow, Range};

/// Receives alternatives one by one.
pub(crate) type Visitor<'v> = &'v mut dyn FnMut(Alternative) -> ControlFlow<()>;

/// Calls `visit` with every alternative, until it breaks.
pub(crate) fn alternatives(trace: &Trace, visit: Visitor) -> ControlFlow<()> {
    let mut search = Search {
        trace,
        schedules: Schedules::new(trace),
        leaf: Leaf::new(trace),
        near_a: vec![Vec::new(); trace.width()],
        near_r: vec![Vec::new(); trace.width()],
        candidates: Vec::new(),
        refused: Vec::new(),
        visit,
    };
    for step in trace.new_steps() {
        let end = step.end;
        let last = &trace.nodes[end - 1];
        if last.head {
            search.overtake(&last.subject, end - 1)?;
            for (_, given_up) in trace.given_up.iter().filter(|(node, _)| *node == end - 1) {
                search.overtake(given_up, end - 1)?;
            }
        }
        if trace.incoherent {
            search.late(step)?;
        }
    }
    for pending in &trace.pending {
        search.overtake(pending, trace.nodes.len())?;
    }
    ControlFlow::Continue(())
}

struct Search<'t, 'e, 'v> {
    trace: &'t Trace<'e>,
    schedules: Schedules<'t, 'e>,
    leaf: Leaf<'t, 'e>,
    /// By thread: indices of the nodes that could conflict with `a`, and with `r`.
    near_a: Vec<Vec<u32>>,
    near_r: Vec<Vec<u32>>,
    /// Events that may be added to the cut, in execution order.
    candidates: Vec<usize>,
    /// Those that were left out on the current branch.
    refused: Vec<usize>,
    visit: Visitor<'v>,
}

impl<'t, 'e> Search<'t, 'e, '_> {
    /// All pairs with the operation `a` at node position `at`.
    fn overtake(&mut self, a: &'t Subject<'e>, at: usize) -> ControlFlow<()> {
        let base = self.trace.base(a);
        gather(self.trace, a, &base, self.trace.before(at), &mut self.near_a);
        for r in self.heads(at) {
            self.pair(a, &base, r, at, None)?;
        }
        ControlFlow::Continue(())
    }

    /// The heads among `near_a` before node `at`, in execution order.
    fn heads(&self, at: usize) -> Vec<usize> {
        let trace = self.trace;
        let before = trace.before(at);
        let mut heads: Vec<usize> = (0..trace.width())
            .flat_map(|thread| {
                let inside = move |index: &&u32| **index < before[thread];
                self.near_a[thread].iter().take_while(inside).map(move |index| trace.node_of(thread, *index))
            })
            .filter(|node| trace.nodes[*node].head)
            .collect();
        heads.sort_unstable();
        heads
    }

    /// Pairs of older heads that an event of the new step may come between.
    fn late(&mut self, step: Range<usize>) -> ControlFlow<()> {
        let mut pairs = Vec::new();
        for member in step.clone() {
            self.late_pairs(member, step.start, &mut pairs);
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut last = None;
        let mut base = Cut::new();
        for (a, r) in pairs {
            let trace = self.trace;
            let subject = &trace.nodes[a].subject;
            if last != Some(a) {
                base = trace.base(subject);
                gather(trace, subject, &base, trace.before(step.end), &mut self.near_a);
                last = Some(a);
            }
            self.pair(subject, &base, r, step.end, Some(step.clone()))?;
        }
        ControlFlow::Continue(())
    }

    /// Pairs `(a, r)` of heads before `end`, both concurrent with `member`, of which one is incoherent and `a`,
    /// or an incoherent `r`, may conflict with `member`.
    fn late_pairs(&mut self, member: usize, end: usize, pairs: &mut Vec<(usize, usize)>) {
        let trace = self.trace;
        let subject = &trace.nodes[member].subject;
        let clock = trace.clock(member);
        let concurrent = |node: usize| {
            let other = &trace.nodes[node].subject;
            trace.nodes[node].head && other.thread != subject.thread && clock[other.thread] <= other.index
        };
        gather(trace, subject, clock, trace.before(end), &mut self.near_a);
        for near in self.heads(end).into_iter().filter(|node| concurrent(*node)) {
            let this = &trace.nodes[near].subject;
            let base = trace.base(this);
            // As `a`, behind an `r` that it does not depend on.
            gather(trace, this, &base, trace.before(near), &mut self.near_r);
            for r in nodes(trace, &self.near_r).filter(|node| concurrent(*node)) {
                if this.nature.incoherent || trace.nodes[r].subject.nature.incoherent {
                    pairs.push((near, r));
                }
            }
            // As `r`.
            if this.nature.incoherent {
                gather(trace, this, trace.before(near), trace.before(end), &mut self.near_r);
                for a in nodes(trace, &self.near_r).filter(|node| concurrent(*node)) {
                    let base = trace.base(&trace.nodes[a].subject);
                    if a != near && base[this.thread] <= this.index {
                        pairs.push((a, near));
                    }
                }
            }
        }
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
        let node = &trace.nodes[r];
        let overtaken = &node.subject;
        if a.opaque || overtaken.opaque {
            return ControlFlow::Continue(());
        }
        let mut cut = Cut::from_slice(trace.before(r));
        join(&mut cut, base);
        trace.join_chunks_behind(r, &mut cut);
        if cut[overtaken.thread] > overtaken.index || cut[a.thread] > a.index {
            return ControlFlow::Continue(());
        }
        self.collect_candidates(a, r, &cut, end);
        let pair = Pair { a, r, base: base.clone(), late };
        self.refused.clear();
        self.grow(&pair, 0, cut)
    }

    /// The nodes behind `r` that may be added: concurrent with `r` and not behind `a`.
    fn collect_candidates(&mut self, a: &Subject, r: usize, cut: &[u32], end: usize) {
        let trace = self.trace;
        let overtaken = &trace.nodes[r].subject;
        self.candidates.clear();
        if trace.width() < 3 {
            return;
        }
        if overtaken.nature.incoherent {
            gather(trace, overtaken, cut, trace.before(end), &mut self.near_r);
        }
        let before = trace.before(end);
        for thread in (0..trace.width()).filter(|thread| *thread != a.thread && *thread != overtaken.thread) {
            let mut add = |near: &[u32]| {
                let start = near.partition_point(|index| *index < cut[thread]);
                for index in near[start..].iter().take_while(|index| **index < before[thread]) {
                    let candidate = trace.node_of(thread, *index);
                    let clock = trace.clock(candidate);
                    if clock[overtaken.thread] > overtaken.index || clock[a.thread] > a.index {
                        break;
                    }
                    self.candidates.push(candidate);
                }
            };
            add(&self.near_a[thread]);
            if overtaken.nature.incoherent {
                add(&self.near_r[thread]);
            }
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
    }

    /// Every down-closed way to add candidates from `next` on.
    fn grow(&mut self, pair: &Pair<'t, 'e>, mut next: usize, cut: Cut) -> ControlFlow<()> {
        let trace = self.trace;
        let inside = |node: usize| {
            let subject = &trace.nodes[node].subject;
            subject.index < cut[subject.thread]
        };
        while next < self.candidates.len() && inside(self.candidates[next]) {
            next += 1;
        }
        let Some(&candidate) = self.candidates.get(next) else { return self.decide(pair, &cut) };
        self.refused.push(candidate);
        self.grow(pair, next + 1, cut.clone())?;
        self.refused.pop();
        let clock = trace.clock(candidate);
        let needs_refused = self.refused.iter().any(|refused| {
            let refused = &trace.nodes[*refused].subject;
            clock[refused.thread] > refused.index
        });
        if needs_refused {
            return ControlFlow::Continue(());
        }
        let mut cut = cut;
        join(&mut cut, clock);
        self.grow(pair, next + 1, cut)
    }

    fn decide(&mut self, pair: &Pair<'t, 'e>, cut: &[u32]) -> ControlFlow<()> {
        let Some(found) = self.leaf.decide(pair, cut) else { return ControlFlow::Continue(()) };
        let trace = self.trace;
        let schedule = self.schedules.schedule(pair.a.origin, pair.r, cut, found.blocks);
        let reason = Reason {
            first: pair.a.origin,
            second: trace.nodes[pair.r].event,
            location: found.location,
            blocks: found.blocks,
        };
        (self.visit)(Alternative { schedule, reason })
    }
}

/// By thread, the indices of the nodes inside `end` and outside `start` that could conflict with the operation.
fn gather(trace: &Trace, subject: &Subject, start: &[u32], end: &[u32], into: &mut [Vec<u32>]) {
    let accesses: &[Access] = trace.possible(subject);
    let index = trace.possible_index();
    for (thread, near) in into.iter_mut().enumerate() {
        near.clear();
        if thread == subject.thread || start[thread] >= end[thread] {
            continue;
        }
        let mut rows = 0;
        for access in accesses {
            for row in index.conflicting(*access, thread) {
                let first = row.partition_point(|index| *index < start[thread]);
                let last = row.partition_point(|index| *index < end[thread]);
                if first < last {
                    near.extend_from_slice(&row[first..last]);
                    rows += 1;
                }
            }
        }
        // One row ascends already, but an object's row has an event once per part that it touches.
        if rows > 1 {
            near.sort_unstable();
        }
        near.dedup();
    }
}

/// The nodes that were gathered.
fn nodes<'s>(trace: &'s Trace, near: &'s [Vec<u32>]) -> impl Iterator<Item = usize> + 's {
    near.iter()
        .enumerate()
        .flat_map(move |(thread, near)| near.iter().map(move |index| trace.node_of(thread, *index)))
}
