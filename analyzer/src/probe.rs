//! What was seen of opaque blocks: in the execution itself, and in the probes that were run on its behalf.
//!
//! # Model
//! A *deed* is what one block did once: what it read, wrote and left, in the names of the execution that is analyzed,
//! and behind which units. A probe ends its fixed schedule with the unit `a` and, unless that is blocked then, with the
//! unit `r`: these two are its deeds, whether opaque or not, because a block's deed may hang on what `a` did.

use crate::checks;
use crate::error::AnalyzeError;
use crate::locations::{Access, Locations};
use crate::names::{Names, Translation};
use crate::simulation::Simulation;
use crate::threads::Threads;
use crate::units::Units;
use frontrun_formats::{Block, Execution, Location, Operation, Value};
use std::ops::Range;

/// The execution of a schedule that an analysis wanted, see [`crate::Explored::wanted`].
pub struct Probe<'p> {
    execution: &'p Execution,
    threads: Threads,
    units: Units,
    simulation: Simulation,
}

impl<'p> Probe<'p> {
    /// # Errors
    /// When the execution is not a whole run of its schedule, or contradicts the operation table.
    pub fn new(execution: &'p Execution) -> Result<Probe<'p>, AnalyzeError> {
        checks::whole(execution)?;
        let threads = Threads::new(execution)?;
        let units = Units::of(execution)?;
        checks::prefix(execution, &threads, &units)?;
        let simulation = Simulation::of(execution)?;
        Ok(Probe { execution, threads, units, simulation })
    }

    /// What was executed.
    pub fn execution(&self) -> &'p Execution {
        self.execution
    }
}

/// What a unit did once.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    /// Whose, and how many units of the thread come before it.
    pub(crate) thread: usize,
    pub(crate) unit_index: u32,
    pub(crate) reads: Vec<Location>,
    pub(crate) writes: Vec<Location>,
    pub(crate) values: Vec<(Location, Value)>,
}

/// The deeds that a probe was made for.
#[derive(Debug)]
pub(crate) struct Probed {
    /// By thread: how many units were executed before `a`.
    pub(crate) behind: Vec<u32>,
    pub(crate) a: Deed,
    pub(crate) r: Option<Deed>,
}

/// All that was seen.
#[derive(Debug)]
pub(crate) struct Deeds {
    /// Of the execution's own blocks.
    pub(crate) own: Vec<Deed>,
    pub(crate) probed: Vec<Probed>,
}

impl Deeds {
    pub(crate) fn of<'e>(
        execution: &'e Execution,
        threads: &Threads,
        units: &Units,
        simulation: &Simulation,
        probes: &[Probe<'e>],
        names: &mut Names<'e>,
    ) -> Result<Deeds, AnalyzeError> {
        let own = own(execution, threads, units, simulation)?;
        let probed: Result<Option<_>, _> =
            probes.iter().map(|probe| probed(execution, threads, units, probe, names)).collect();
        Ok(Deeds { own, probed: probed?.ok_or(AnalyzeError::UselessProbe)? })
    }

    /// By thread, the accesses that probes saw: of what is foreign, everything in the execution that it may be.
    pub(crate) fn touched(&self, names: &Names, locations: &mut Locations) -> Vec<(u32, Vec<Access>)> {
        let known: Vec<Location> = (0..locations.len() as u32).map(|number| locations.name(number)).collect();
        let deeds = self.probed.iter().flat_map(|probed| [Some(&probed.a), probed.r.as_ref()]).flatten();
        let mut accesses = |deed: &Deed| {
            let mut accesses = Vec::new();
            for (at, write) in deed.touched() {
                if names.is_foreign(at) {
                    let perhaps = known.iter().filter(|other| names.may_overlap(at, **other));
                    accesses.extend(perhaps.map(|other| locations.intern_access(*other, write)));
                } else {
                    accesses.push(locations.intern_access(at, write));
                }
            }
            accesses
        };
        deeds.map(|deed| (deed.thread as u32, accesses(deed))).collect()
    }
}

/// The deeds of the execution's own blocks.
fn own(
    execution: &Execution,
    threads: &Threads,
    units: &Units,
    simulation: &Simulation,
) -> Result<Vec<Deed>, AnalyzeError> {
    let mut counts = vec![0; threads.len()];
    let mut deeds = Vec::new();
    for unit in 0..units.len() {
        let events = units.events(unit);
        let thread = threads.rank(execution.events[events.start].thread)?;
        if execution.events[events.start].block != Block::Alone {
            deeds.push(deed(thread, counts[thread], simulation, events));
        }
        counts[thread] += 1;
    }
    Ok(deeds)
}

/// The deeds of a probe in the names of the execution that it was made for.
fn probed<'e>(
    of: &'e Execution,
    threads: &Threads,
    units: &Units,
    probe: &Probe<'e>,
    names: &mut Names<'e>,
) -> Result<Option<Probed>, AnalyzeError> {
    let prefix = &probe.execution.header.schedule.entries;
    let Some(a) = prefix.iter().rposition(|entry| !entry.head) else { return Ok(None) };
    let here = by_thread(of, threads, units)?;
    let there = by_thread(probe.execution, &probe.threads, &probe.units)?;
    let rank_here = |unit: usize| {
        let thread = probe.execution.events[probe.units.events(unit).start].thread;
        probe.execution.path(thread).and_then(|path| threads.rank_of_path(of, path))
    };
    let mut behind = vec![0u32; threads.len()];
    let mut translation = names.translation(probe.execution);
    for unit in 0..a {
        let Some(thread) = rank_here(unit) else { return Ok(None) };
        let Some(same) = here[thread].get(behind[thread] as usize) else { return Ok(None) };
        let (here, there) = (&of.events[same.clone()], &probe.execution.events[probe.units.events(unit)]);
        for (here, there) in here.iter().zip(there) {
            names.pair(&mut translation, &here.operation, &there.operation);
        }
        behind[thread] += 1;
    }
    for (thread, count) in behind.iter().enumerate() {
        let Some(other) =
            of.path(threads.id(thread)).and_then(|path| probe.threads.rank_of_path(probe.execution, path))
        else {
            continue;
        };
        let next_here = next(of, threads, &here, thread, *count);
        let next_there = next(probe.execution, &probe.threads, &there, other, *count);
        if let (Some(here), Some(there)) = (next_here, next_there) {
            names.pair(&mut translation, here, there);
        }
    }
    let mut translated = |unit: usize| {
        let thread = rank_here(unit)?;
        let mut deed = deed(thread, behind[thread], &probe.simulation, probe.units.events(unit));
        deed.translate(names, &mut translation);
        Some(deed)
    };
    let (first, second) = (translated(a), (a + 1 < prefix.len()).then(|| translated(a + 1)).flatten());
    Ok(first.map(|a| Probed { behind, a, r: second }))
}

/// By thread: the events of its units.
fn by_thread(
    execution: &Execution,
    threads: &Threads,
    units: &Units,
) -> Result<Vec<Vec<Range<usize>>>, AnalyzeError> {
    let mut of_thread = vec![Vec::new(); threads.len()];
    for unit in 0..units.len() {
        let events = units.events(unit);
        of_thread[threads.rank(execution.events[events.start].thread)?].push(events);
    }
    Ok(of_thread)
}

/// The first operation of the thread's unit with this index, executed or pending, whose operands are the same in every
/// state. Which locations a block touches, and in which order it says so, may hang on the state.
fn next<'e>(
    execution: &'e Execution,
    threads: &Threads,
    units: &[Vec<Range<usize>>],
    thread: usize,
    index: u32,
) -> Option<&'e Operation> {
    let is_same =
        |operation: &Operation, block| block == Block::Alone || !matches!(operation, Operation::Touch { .. });
    if let Some(events) = units[thread].get(index as usize) {
        let event = &execution.events[events.start];
        return is_same(&event.operation, event.block).then_some(&event.operation);
    }
    let mine = |thread_id| threads.id(thread) == thread_id;
    let pending = execution.pending.iter().find(|pending| mine(pending.thread))?;
    let is_next = units[thread].len() == index as usize && is_same(&pending.operation, pending.block);
    is_next.then_some(&pending.operation)
}

fn deed(thread: usize, unit_index: u32, simulation: &Simulation, events: Range<usize>) -> Deed {
    let mut touched: Vec<(Location, bool)> = Vec::new();
    for Access { location, write, .. } in simulation.accesses(events.clone()) {
        let at = simulation.locations.name(*location);
        match touched.iter_mut().find(|(known, _)| *known == at) {
            Some((_, written)) => *written |= write,
            None => touched.push((at, *write)),
        }
    }
    let pick = |write: bool| touched.iter().filter(|(_, w)| *w == write).map(|(at, _)| *at).collect();
    let first = simulation.written.partition_point(|written| (written.event as usize) < events.start);
    let values = simulation.written[first..]
        .iter()
        .take_while(|written| (written.event as usize) < events.end)
        .map(|written| (simulation.locations.name(written.location), written.value.clone()));
    let (reads, writes): (Vec<Location>, Vec<Location>) = (pick(false), pick(true));
    // The simulation keeps only what it looks at; that something was written tells more.
    let unknown = writes.iter().map(|at| (*at, Value::Unknown));
    let values = unknown.chain(values).collect();
    Deed { thread, unit_index, reads, writes, values }
}

impl Deed {
    fn translate<'e>(&mut self, names: &mut Names<'e>, translation: &mut Translation<'e>) {
        for at in self.reads.iter_mut().chain(&mut self.writes) {
            *at = names.location(translation, *at);
        }
        for (at, value) in &mut self.values {
            *at = names.location(translation, *at);
            *value = names.value(translation, value);
        }
    }

    /// What it touched, each with whether it was written.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (Location, bool)> + '_ {
        let reads = self.reads.iter().map(|at| (*at, false));
        reads.chain(self.writes.iter().map(|at| (*at, true)))
    }
}
