//! Which events can matter: those that an event, or an operation that was pending at the end, of another thread
//! could conflict with at some cut. Everything else is left out of the search.
//!
//! # Invariants
//! What is left out conflicts with nothing that other threads do, in no state, so it never is what a class is
//! told apart by. An event of another thread that decides a footprint or an enabling condition is never left
//! out: on an object with a footprint that hangs on the state, relevance is a matter of the object, not of its
//! parts. Nor is what opaque blocks wait for, since a block is evaluated in states in which it may have to, nor what a
//! thread does to an object of its own, where an operation that others conflict with on a second object hangs on it.

use crate::kind::{self, Nature, Possible};
use crate::locations::Access;
use crate::simulation::Simulation;
use frontrun_formats::{Operation, ThreadId};

/// Threads that do something: none, one (its rank), or several.
#[derive(Clone, Copy)]
struct Who(u32);

impl Who {
    const NOBODY: Who = Who(u32::MAX);
    const SEVERAL: Who = Who(u32::MAX - 1);

    fn add(&mut self, thread: u32) {
        *self = match *self {
            Who(u32::MAX) => Who(thread),
            Who(one) if one == thread => Who(one),
            _ => Who::SEVERAL,
        };
    }

    fn other_than(self, thread: u32) -> bool {
        self.0 != Who::NOBODY.0 && self.0 != thread
    }
}

#[derive(Clone, Copy)]
struct Sharing {
    touch: Who,
    write: Who,
}

impl Sharing {
    const NONE: Sharing = Sharing { touch: Who::NOBODY, write: Who::NOBODY };

    fn add(&mut self, thread: u32, write: bool) {
        self.touch.add(thread);
        if write {
            self.write.add(thread);
        }
    }

    fn conflicts(self, thread: u32, write: bool) -> bool {
        if write { self.touch.other_than(thread) } else { self.write.other_than(thread) }
    }
}

/// The sharing of every location and object.
pub(crate) struct Relevance {
    locations: Vec<Sharing>,
    objects: Vec<Sharing>,
    wholes: Vec<Sharing>,
    /// By object: some footprint on it hangs on the state.
    fluid: Vec<bool>,
    /// By object: an opaque block waits for it, and is evaluated in states in which it may have to; or an operation that
    /// matters hangs on its state, and on that of another object.
    awaited: Vec<bool>,
}

impl Relevance {
    pub(crate) fn new(simulation: &Simulation) -> Relevance {
        let objects = simulation.locations.objects();
        Relevance {
            locations: vec![Sharing::NONE; simulation.locations.len()],
            objects: vec![Sharing::NONE; objects],
            wholes: vec![Sharing::NONE; objects],
            fluid: vec![false; objects],
            awaited: vec![false; objects],
        }
    }

    /// Takes note of what a thread may do.
    pub(crate) fn add(&mut self, thread: u32, accesses: &[Access], fixed: bool) {
        for access in accesses {
            self.locations[access.location as usize].add(thread, access.write);
            self.objects[access.object as usize].add(thread, access.write);
            if access.whole {
                self.wholes[access.object as usize].add(thread, access.write);
            }
            if !fixed {
                self.fluid[access.object as usize] = true;
            }
        }
    }

    /// Takes note of what an opaque block waits for.
    pub(crate) fn add_gate(&mut self, accesses: &[Access]) {
        accesses.iter().for_each(|access| self.awaited[access.object as usize] = true);
    }

    /// Takes note of operations that hang on the states of several objects, each of which matters as soon as one does.
    pub(crate) fn add_joint(&mut self, operations: &[(u32, Vec<Access>)]) {
        let mut rest: Vec<&(u32, Vec<Access>)> = operations.iter().collect();
        loop {
            let before = rest.len();
            let (matter, others) = rest.into_iter().partition(|(thread, of)| self.relevant(*thread, of));
            let matter: Vec<&(u32, Vec<Access>)> = matter;
            matter.iter().for_each(|(_, accesses)| self.add_gate(accesses));
            rest = others;
            if rest.len() == before {
                return;
            }
        }
    }

    /// Whether another thread may conflict with these accesses of `thread`.
    pub(crate) fn relevant(&self, thread: u32, accesses: &[Access]) -> bool {
        accesses.iter().any(|access| {
            let object = access.object as usize;
            if self.awaited[object] {
                return true;
            }
            if self.fluid[object] {
                return self.objects[object].touch.other_than(thread);
            }
            self.locations[access.location as usize].conflicts(thread, access.write)
                || self.wholes[object].conflicts(thread, access.write)
                || access.whole && self.objects[object].conflicts(thread, access.write)
        })
    }
}

/// The nature of an operation of this execution.
pub(crate) fn nature(simulation: &Simulation, operation: &Operation) -> Nature {
    let mut nature = kind::nature(operation, known_length(simulation, operation));
    if nature.fixed {
        return nature;
    }
    match kind::deciding(operation) {
        Some(at) if simulation.constant(at) => {
            nature.fixed = true;
            nature.incoherent = false;
        }
        _ => {
            // A key that is made present by a plain write changes what a store does to the shape, which the
            // plain write did not touch.
            nature.incoherent |= kind::tracked(operation).iter().any(|object| simulation.patched(*object));
        }
    }
    nature
}

/// Everything that an operation of this execution could touch in some state.
pub(crate) fn possible(simulation: &Simulation, operation: &Operation, thread: ThreadId) -> Possible {
    kind::possible(operation, thread, known_length(simulation, operation))
}

fn known_length(simulation: &Simulation, operation: &Operation) -> bool {
    kind::tracked(operation).iter().all(|object| simulation.known_length(*object))
}
