//! An execution reduced to what matters, with clocks and indices: what the search works on.
//!
//! # Model
//! A *node* is a relevant unit: an event, or an opaque block. Indices and cuts count nodes, not events. The clock of a node is its past and
//! itself. A *step* is a chunk of nodes and the head for whose sake they were pulled forward; behind the fixed
//! prefix every node is the head of a step of its own.
//!
//! # Invariants
//! Whatever an irrelevant unit is inside of can be told from the nodes: it conflicts with nothing, so it goes
//! wherever its thread's next node goes. A chunk contains, of every thread, nothing behind its last node.

use crate::changes::{Asking, Changes};
use crate::cut::{Cut, join};
use crate::error::AnalyzeError;
use crate::history::{CutState, History};
use crate::index::Index;
use crate::locations::{Access, Locations};
use crate::memory::Memory;
use crate::simulation::Simulation;
use crate::subject::{Node, Origin, Subject};
use crate::survey::Survey;
use crate::threads::Threads;
use crate::units::Units;
use frontrun_formats::semantics::Value;
use frontrun_formats::{Block, Execution, Location, Operation};
use std::ops::Range;

/// The reduced execution.
#[derive(Debug)]
pub(crate) struct Trace<'e> {
    pub(crate) execution: &'e Execution,
    pub(crate) threads: Threads,
    pub(crate) units: Units,
    pub(crate) locations: Locations,
    pub(crate) nodes: Vec<Node<'e>>,
    /// Relevant operations that were pending at the end.
    pub(crate) pending: Vec<Subject<'e>>,
    /// Operations that were given up, each with the node that gave it up: they were pending until then.
    pub(crate) given_up: Vec<(usize, Subject<'e>)>,
    /// By thread: the positions of its nodes, and those of all its units.
    pub(crate) of_thread: Vec<Vec<u32>>,
    pub(crate) units_of: Vec<Vec<u32>>,
    /// The first node that belongs to a new step.
    pub(crate) first_new: usize,
    /// Some relevant operation is incoherent.
    pub(crate) incoherent: bool,
    /// What nodes touched as executed.
    pub(crate) index: Index,
    /// What nodes and pending operations could touch at some cut; `None` when that is the same.
    possible_index: Option<Index>,
    pub(crate) history: History,
    changes: Changes,
    accesses: Vec<Access>,
    clocks: Vec<u32>,
    before: Vec<u32>,
    /// The nodes that belong to chunks, and for each the join of the clocks of itself and the later ones.
    chunks: Vec<u32>,
    chunk_clocks: Vec<u32>,
}

impl<'e> Trace<'e> {
    /// Reduces an execution that [`crate::checks`] has passed.
    pub(crate) fn new(
        execution: &'e Execution,
        threads: Threads,
        units: Units,
        mut simulation: Simulation,
        probed: &[(u32, Vec<Access>)],
        everything_incoherent: bool,
    ) -> Result<Trace<'e>, AnalyzeError> {
        let mut survey = Survey::of(execution, &threads, &units, &mut simulation, probed)?;
        if everything_incoherent {
            survey.spans.iter_mut().for_each(|span| span.nature.incoherent = true);
        }
        let width = threads.len();
        let mut trace = Trace {
            execution,
            threads,
            units,
            locations: Locations::default(),
            nodes: Vec::new(),
            pending: Vec::new(),
            given_up: Vec::new(),
            of_thread: vec![Vec::new(); width],
            units_of: vec![Vec::new(); width],
            first_new: 0,
            incoherent: false,
            index: Index::default(),
            possible_index: None,
            history: History::default(),
            changes: Changes::of(execution.awaited(), width),
            accesses: Vec::new(),
            clocks: Vec::new(),
            before: vec![0; width],
            chunks: Vec::new(),
            chunk_clocks: Vec::new(),
        };
        trace.add_nodes(&survey, &simulation)?;
        trace.add_pending(&survey, &simulation)?;
        let units = &trace.units;
        let nodes =
            trace.nodes.iter().map(|node| (units.events(node.unit), node.subject.thread, node.subject.index));
        trace.history = History::new(execution, &simulation, nodes, &mut trace.locations, width);
        trace.follow_changes();
        trace.build_index();
        trace.build_clocks();
        trace.build_chunks();
        Ok(trace)
    }

    /// The state behind a cut, and behind one more operation that left the values `after`.
    pub(crate) fn state<'t>(&'t self, cut: &'t [u32], after: &'t [(Location, Value)]) -> CutState<'t> {
        let asking = Asking { changes: &self.changes, threads: &self.threads };
        CutState { asking, history: &self.history, locations: &self.locations, cut, after }
    }

    /// How many threads there are.
    pub(crate) fn width(&self) -> usize {
        self.of_thread.len()
    }

    /// The past of a node, including itself.
    pub(crate) fn clock(&self, node: usize) -> &[u32] {
        let width = self.width();
        &self.clocks[node * width..(node + 1) * width]
    }

    /// Everything at nodes before this one.
    pub(crate) fn before(&self, node: usize) -> &[u32] {
        let width = self.width();
        &self.before[node * width..(node + 1) * width]
    }

    /// The node with this index in its thread.
    pub(crate) fn node_of(&self, thread: usize, index: u32) -> usize {
        self.of_thread[thread][index as usize] as usize
    }

    /// The past of the operation as far as program order tells.
    pub(crate) fn base(&self, subject: &Subject) -> Cut {
        self.base_at(subject.thread, subject.index)
    }

    /// The same for an operation of `thread` with so many nodes before it.
    pub(crate) fn base_at(&self, thread: usize, index: u32) -> Cut {
        match index {
            0 => Cut::from_elem(0, self.width()),
            index => Cut::from_slice(self.clock(self.node_of(thread, index - 1))),
        }
    }

    /// The steps that this execution is the first to have, as ranges of nodes.
    pub(crate) fn new_steps(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut start = self.first_new;
        std::iter::from_fn(move || {
            let first = start;
            self.nodes.get(first)?;
            let same = |node: &Node| node.step == first;
            start += 1 + self.nodes[first + 1..].iter().take_while(|node| same(node)).count();
            Some(first..start)
        })
    }

    /// What the operation touches, if that is fixed; what it touched as executed, otherwise.
    pub(crate) fn accesses(&self, subject: &Subject) -> &[Access] {
        &self.accesses[subject.accesses.start as usize..subject.accesses.end as usize]
    }

    /// What the operation could touch.
    pub(crate) fn possible(&self, subject: &Subject) -> &[Access] {
        &self.accesses[subject.possible.start as usize..subject.possible.end as usize]
    }

    /// Who could touch what.
    pub(crate) fn possible_index(&self) -> &Index {
        self.possible_index.as_ref().unwrap_or(&self.index)
    }

    /// Adds to `cut` the past of every chunk node behind `node` (maximality, algorithm section 4).
    pub(crate) fn join_chunks_behind(&self, node: usize, cut: &mut [u32]) {
        let first = self.chunks.partition_point(|chunk| *chunk as usize <= node);
        if first < self.chunks.len() {
            let width = self.width();
            join(cut, &self.chunk_clocks[first * width..(first + 1) * width]);
        }
    }

    /// The past, without the operation itself, that accesses have right behind the cut.
    pub(crate) fn past(&self, cut: &[u32], base: &[u32], accesses: &[Access]) -> Cut {
        let mut past = Cut::from_slice(base);
        for thread in 0..self.width() {
            if cut[thread] <= past[thread] {
                continue;
            }
            if let Some(last) = self.index.last_conflict(accesses, thread, cut[thread])
                && last >= past[thread]
            {
                join(&mut past, self.clock(self.node_of(thread, last)));
            }
        }
        past
    }

    /// The nodes from `first` on that conflict with the access, thread by thread.
    pub(crate) fn conflicting(
        &self,
        access: Access,
        first: usize,
    ) -> impl Iterator<Item = usize> + use<'_, 'e> {
        (0..self.width()).flat_map(move |thread| {
            let rows = self.index.conflicting(access, thread);
            rows.into_iter().flat_map(move |row| self.nodes_from(thread, row, first))
        })
    }

    /// The nodes from `first` on that write exactly this location, or also those that read it.
    pub(crate) fn touching(
        &self,
        location: u32,
        reads: bool,
        first: usize,
    ) -> impl Iterator<Item = usize> + use<'_, 'e> {
        (0..self.width()).flat_map(move |thread| {
            self.nodes_from(thread, self.index.touching(location, reads, thread), first)
        })
    }

    fn nodes_from<'t>(
        &'t self,
        thread: usize,
        row: &'t [u32],
        first: usize,
    ) -> impl Iterator<Item = usize> + use<'t, 'e> {
        let nodes = &self.of_thread[thread];
        let start = row.partition_point(|index| (nodes[*index as usize] as usize) < first);
        row[start..].iter().map(|index| nodes[*index as usize] as usize)
    }

    fn add_nodes(&mut self, survey: &Survey, simulation: &Simulation) -> Result<(), AnalyzeError> {
        let execution = self.execution;
        let prefix = &execution.header.schedule.entries;
        let last_step = prefix.iter().rposition(|entry| entry.opens_step).unwrap_or(0);
        let (mut step, mut step_unit) = (0, 0);
        self.first_new = usize::MAX;
        for unit in 0..self.units.len() {
            let events = self.units.events(unit);
            let event = &execution.events[events.start];
            let thread = self.threads.rank(event.thread)?;
            let (head, opens) = prefix.get(unit).map_or((true, true), |e| (e.head, e.opens_step));
            if opens {
                (step, step_unit) = (self.nodes.len(), unit);
            }
            let unit_index = self.units_of[thread].len() as u32;
            self.units_of[thread].push(unit as u32);
            let span = &survey.spans[unit];
            let possible = survey.accesses(span, simulation, events.clone());
            // That nobody was enabled says something about every thread, so every event matters then.
            if !survey.elapses && !survey.relevance.relevant(thread as u32, possible) {
                continue;
            }
            if unit >= last_step {
                self.first_new = self.first_new.min(self.nodes.len());
            }
            let exact = simulation.accesses(events.clone());
            let accesses = self.copy(exact, &simulation.locations);
            let possible = match span.nature.fixed {
                true => accesses.clone(),
                false => self.copy(possible, &simulation.locations),
            };
            self.incoherent |= span.nature.incoherent && event.block == Block::Alone;
            let subject = Subject {
                origin: Origin::Event(events.start),
                operation: &event.operation,
                opaque: event.block != Block::Alone,
                id: event.thread,
                thread,
                index: self.of_thread[thread].len() as u32,
                unit_index,
                nature: span.nature,
                accesses,
                possible,
            };
            if let Operation::Elapse { of } = &event.operation {
                let given_up = self.given_up(survey, simulation, events.start, of, &subject);
                self.given_up.push((self.nodes.len(), given_up));
            }
            self.of_thread[thread].push(self.nodes.len() as u32);
            self.nodes.push(Node { subject, unit, event: events.start, head, step, step_unit });
        }
        self.first_new = self.first_new.min(self.nodes.len());
        Ok(())
    }

    fn add_pending(&mut self, survey: &Survey, simulation: &Simulation) -> Result<(), AnalyzeError> {
        let execution = self.execution;
        for (position, pending) in execution.pending.iter().enumerate() {
            let thread = self.threads.rank(pending.thread)?;
            let span = &survey.spans[self.units.len() + position];
            let possible = &survey.possible[span.start as usize..span.end as usize];
            if !survey.relevance.relevant(thread as u32, possible) {
                continue;
            }
            let possible = self.copy(possible, &simulation.locations);
            self.incoherent |= span.nature.incoherent;
            self.pending.push(Subject {
                origin: Origin::Pending(position),
                operation: &pending.operation,
                opaque: pending.block != Block::Alone,
                id: pending.thread,
                thread,
                index: self.of_thread[thread].len() as u32,
                unit_index: self.units_of[thread].len() as u32,
                nature: span.nature,
                accesses: possible.clone(),
                possible,
            });
        }
        Ok(())
    }

    /// The operation that was given up at `position`, as pending there.
    fn given_up(
        &mut self,
        survey: &Survey,
        simulation: &Simulation,
        position: usize,
        of: &'e Operation,
        at: &Subject<'e>,
    ) -> Subject<'e> {
        let place = survey.given_up.partition_point(|(event, _)| *event < position);
        let span = survey.given_up[place].1;
        let possible =
            self.copy(&survey.possible[span.start as usize..span.end as usize], &simulation.locations);
        self.incoherent |= span.nature.incoherent;
        Subject {
            origin: Origin::Elapsed(position),
            operation: of,
            nature: span.nature,
            accesses: possible.clone(),
            possible,
            ..at.clone()
        }
    }

    /// Copies accesses, renumbered: locations that only irrelevant events touch get no number.
    fn copy(&mut self, accesses: &[Access], from: &Locations) -> Range<u32> {
        let start = self.accesses.len() as u32;
        for access in accesses {
            let copy = self.locations.intern_access(from.name(access.location), access.write);
            self.accesses.push(copy);
        }
        start..self.accesses.len() as u32
    }

    fn follow_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let mut changes = std::mem::take(&mut self.changes);
        for node in &self.nodes {
            let subject = &node.subject;
            for access in self.accesses(subject) {
                let at = self.locations.name(access.location);
                changes.add(subject.thread, (subject.index, node.event as u32), at, access.write);
            }
        }
        self.changes = changes;
    }

    fn build_index(&mut self) {
        let nodes = &self.nodes;
        let triples = |pick: fn(&Subject) -> Range<u32>| {
            let accesses = &self.accesses;
            nodes.iter().flat_map(move |node| {
                let subject = &node.subject;
                let range = pick(subject);
                accesses[range.start as usize..range.end as usize]
                    .iter()
                    .map(|access| (subject.thread as u32, subject.index, *access))
            })
        };
        let width = self.width();
        let index = Index::new(width, &self.locations, triples(|subject| subject.accesses.clone()));
        let possible = nodes
            .iter()
            .any(|node| !node.subject.nature.fixed)
            .then(|| Index::new(width, &self.locations, triples(|subject| subject.possible.clone())));
        self.index = index;
        self.possible_index = possible;
    }

    /// Clocks by location: the join of the clocks of all who wrote it, and of all who touched it, is the past
    /// of the next one who reads or writes it.
    fn build_clocks(&mut self) {
        let width = self.width();
        let (locations, objects) = (self.locations.len(), self.locations.objects());
        let mut memory = Memory::new(width, locations, objects);
        self.clocks = Vec::with_capacity(self.nodes.len() * width);
        self.before = Vec::with_capacity((self.nodes.len() + 1) * width);
        let mut count = Cut::from_elem(0, width);
        for node in 0..self.nodes.len() {
            self.before.extend_from_slice(&count);
            let subject = &self.nodes[node].subject;
            let mut clock = self.base(subject);
            for access in self.accesses(subject) {
                memory.join_into(&mut clock, *access, &self.locations);
            }
            if matches!(subject.operation, Operation::Elapse { .. }) {
                join(&mut clock, &count);
            }
            clock[subject.thread] = subject.index + 1;
            for access in self.accesses(subject) {
                memory.add(&clock, *access);
            }
            count[subject.thread] += 1;
            self.clocks.extend_from_slice(&clock);
        }
        self.before.extend_from_slice(&count);
    }

    fn build_chunks(&mut self) {
        let width = self.width();
        self.chunks =
            (0..self.nodes.len()).filter(|node| !self.nodes[*node].head).map(|n| n as u32).collect();
        let mut clocks = vec![0; self.chunks.len() * width];
        for place in (0..self.chunks.len()).rev() {
            let (here, behind) = clocks[place * width..].split_at_mut(width);
            here.copy_from_slice(self.clock(self.chunks[place] as usize));
            if let Some(behind) = behind.get(..width) {
                join(here, behind);
            }
        }
        self.chunk_clocks = clocks;
    }
}
