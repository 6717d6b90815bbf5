//! One pass over the events that evaluates the operation table from the initial state: the footprint of every
//! event, the abstract values that it left, and whether the recorder saw what the table says.
//!
//! # Invariants
//! Every event was enabled in the state before it and had the predicted result; at the end no unfinished thread
//! is enabled. Otherwise the execution is refused.
//!
//! # Not here
//! Which of the events matter (`relevance.rs`), and states at other cuts than the recorded one (`cut.rs`).

use crate::error::AnalyzeError;
use crate::kind;
use crate::locations::{Access, Locations};
use frontrun_formats::semantics::changes::Changes;
use frontrun_formats::semantics::{self, State, UNKNOWN_RESULT, Value};
use frontrun_formats::{Execution, Location, ObjectId, Operation, Part, ThreadId};
use std::ops::Range;

/// A value that an event left in a location.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) location: u32,
    pub(crate) event: u32,
    pub(crate) value: Value,
}

/// What the pass found out.
#[derive(Debug, Default)]
pub(crate) struct Simulation {
    pub(crate) locations: Locations,
    accesses: Vec<Access>,
    /// Where the accesses of an event begin; one more than there are events.
    starts: Vec<u32>,
    /// The values left in objects whose state is looked at, in order.
    pub(crate) written: Vec<Written>,
    /// By location: the value before the first event, with its place in [`Execution::initial`].
    pub(crate) initial: Vec<Option<(u32, Value)>>,
    /// By object: an operation of the table is applied to it.
    tracked: Vec<bool>,
    /// By object: the length of a list may be unknown somewhere.
    unknown: Vec<bool>,
    /// By object: a part of it is written by an operation that names its locations itself.
    patched: Vec<bool>,
    /// By object: all of it was given a value at once.
    overwritten: Vec<bool>,
    /// By location: its value was something else before.
    changed: Vec<bool>,
    current: Vec<Option<(u32, Value)>>,
    changes: Changes,
    clock: u32,
}

impl Simulation {
    pub(crate) fn of(execution: &Execution) -> Result<Simulation, AnalyzeError> {
        let mut simulation = Simulation::default();
        simulation.prepare(execution);
        for position in 0..execution.events.len() {
            simulation.step(execution, position)?;
        }
        simulation.starts.push(simulation.accesses.len() as u32);
        simulation.current.resize(simulation.locations.len(), None);
        simulation.changed.resize(simulation.locations.len(), false);
        simulation.initial.resize(simulation.locations.len(), None);
        Ok(simulation)
    }

    /// The locations that the events at these positions read and wrote.
    pub(crate) fn accesses(&self, events: Range<usize>) -> &[Access] {
        &self.accesses[self.starts[events.start] as usize..self.starts[events.end] as usize]
    }

    /// Refuses an execution in which a thread could have gone on at the end.
    pub(crate) fn check_end(&self, execution: &Execution) -> Result<(), AnalyzeError> {
        for pending in &execution.pending {
            let Some(path) = execution.path(pending.thread) else {
                return Err(AnalyzeError::UnknownThread(pending.thread));
            };
            // A thread that the end of the program has left behind.
            if pending.operation == Operation::Pause {
                continue;
            }
            if semantics::enabled(&pending.operation, pending.thread, &self.state()) {
                return Err(AnalyzeError::StoppedEarly {
                    thread: path.clone(),
                    operation: Box::new(pending.operation.clone()),
                });
            }
        }
        Ok(())
    }

    /// The state behind the last event.
    pub(crate) fn state(&self) -> impl State + '_ {
        self.now()
    }

    fn now(&self) -> Current<'_> {
        Current { locations: &self.locations, values: &self.current, changes: &self.changes }
    }

    /// Whether the list's length is known in every state.
    pub(crate) fn known_length(&self, object: ObjectId) -> bool {
        self.locations.object(object).is_none_or(|object| !flag(&self.unknown, object))
    }

    /// Whether somebody writes parts of an object whose footprints the table computes, without the table.
    pub(crate) fn patched(&self, object: ObjectId) -> bool {
        self.locations.object(object).is_some_and(|object| flag(&self.patched, object))
    }

    /// Whether the location has one value at every cut. Only meaningful for what [`kind::deciding`] gives: such
    /// a location is written only by operations that look at nothing else, so what never changed in the
    /// recorded order cannot change in another one either.
    pub(crate) fn constant(&self, at: Location) -> bool {
        let Some(object) = self.locations.object(at.object) else { return true };
        !flag(&self.overwritten, object)
            && self.locations.number(at).is_none_or(|location| !flag(&self.changed, location))
    }

    fn prepare(&mut self, execution: &Execution) {
        self.changes = Changes::of(execution.awaited());
        let operations = execution.events.iter().map(|event| &event.operation);
        for operation in operations.chain(execution.pending.iter().map(|pending| &pending.operation)) {
            for object in kind::tracked(operation) {
                let object = self.locations.intern_object(object) as usize;
                raise(&mut self.tracked, object);
            }
        }
        for (at, value) in &execution.initial {
            if *value == Value::Unknown && matches!(at.part, Part::Shape | Part::Whole) {
                let object = self.locations.intern_object(at.object) as usize;
                raise(&mut self.unknown, object);
            }
            let location = self.locations.intern(*at) as usize;
            self.current.resize(self.current.len().max(location + 1), None);
            self.current[location] = Some((self.clock, value.clone()));
            self.clock += 1;
        }
        self.initial.clone_from(&self.current);
        self.starts.reserve(execution.events.len() + 1);
        self.accesses.reserve(execution.events.len() + execution.events.len() / 4);
    }

    fn step(&mut self, execution: &Execution, position: usize) -> Result<(), AnalyzeError> {
        let event = &execution.events[position];
        let operation = &event.operation;
        self.starts.push(self.accesses.len() as u32);
        let raw = kind::raw(operation);
        let state = self.now();
        if !raw && !semantics::enabled(operation, event.thread, &state) {
            return Err(AnalyzeError::NotEnabled {
                position,
                thread: execution.path(event.thread).cloned().unwrap_or_default(),
                operation: Box::new(operation.clone()),
            });
        }
        let effect = semantics::effect(operation, event.thread, &state);
        // What a plain access reports is not in the table: nothing depends on it.
        if !raw && effect.result != event.result && effect.result != UNKNOWN_RESULT {
            return Err(AnalyzeError::ModelMismatch {
                position,
                thread: execution.path(event.thread).cloned().unwrap_or_default(),
                operation: Box::new(operation.clone()),
                recorded: event.result,
                predicted: effect.result,
            });
        }
        self.changes.executed(event.thread, &effect);
        for (at, write) in
            effect.reads.iter().map(|at| (*at, false)).chain(effect.writes.iter().map(|at| (*at, true)))
        {
            let access = self.locations.intern_access(at, write);
            self.accesses.push(access);
        }
        for (at, value) in effect.values {
            self.write(position, operation, at, value);
        }
        Ok(())
    }

    fn write(&mut self, position: usize, operation: &Operation, at: Location, value: Value) {
        let location = self.locations.intern(at);
        let object = self.locations.object_of(location) as usize;
        if !flag(&self.tracked, object as u32) {
            return;
        }
        if kind::raw(operation) {
            match at.part {
                Part::Whole => raise(&mut self.unknown, object),
                Part::Shape => {
                    raise(&mut self.unknown, object);
                    raise(&mut self.patched, object);
                }
                _ => raise(&mut self.patched, object),
            }
        }
        if at.part == Part::Whole {
            raise(&mut self.overwritten, object);
        }
        if self.now().value(at) != value {
            raise(&mut self.changed, location as usize);
        }
        self.current.resize(self.current.len().max(location as usize + 1), None);
        self.current[location as usize] = Some((self.clock, value.clone()));
        self.clock += 1;
        self.written.push(Written { location, event: position as u32, value });
    }
}

/// Sets a flag of a list that is as long as it had to be so far.
fn raise(flags: &mut Vec<bool>, index: usize) {
    if flags.len() <= index {
        flags.resize(index + 1, false);
    }
    flags[index] = true;
}

fn flag(flags: &[bool], index: u32) -> bool {
    flags.get(index as usize).copied().unwrap_or_default()
}

/// The state behind the events so far. The later of a part's own value and that of the whole counts.
struct Current<'s> {
    locations: &'s Locations,
    values: &'s [Option<(u32, Value)>],
    changes: &'s Changes,
}

impl State for Current<'_> {
    fn value(&self, at: Location) -> Value {
        let get = |location: Option<u32>| location.and_then(|l| self.values.get(l as usize)?.as_ref());
        let own = get(self.locations.number(at));
        let whole = get(self.locations.whole_around(at));
        match (own, whole) {
            (Some((own, value)), Some((whole, _))) if own > whole => value.clone(),
            (_, Some((_, value))) | (Some((_, value)), None) => value.clone(),
            (None, None) => Value::Int(0),
        }
    }

    fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.changes.has_changed(at, thread)
    }
}
