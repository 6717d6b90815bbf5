//! Where a thread waits for its turn.
//!
//! Invariant: at most one seat of a run holds the turn. Handing it over is one atomic store and one futex wake;
//! nothing spins. The caller releases the interpreter's lock *before* it wakes the next thread, so that the
//! woken thread does not run into it.
//!
//! Not here: who is next (gate).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};

/// One thread's place to wait.
#[derive(Debug, Default)]
pub struct Seat {
    turn: AtomicBool,
    owner: OnceLock<Thread>,
    arrival: Mutex<bool>,
    arrived: Condvar,
}

impl Seat {
    /// Declares the calling thread to be the one that waits here. Must come before the first [`Seat::wait`].
    pub fn occupy(&self) {
        let _ = self.owner.set(thread::current());
        *self.arrival.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.arrived.notify_all();
    }

    /// Waits until the thread of this seat has arrived.
    pub fn await_arrival(&self) {
        let mut arrival = self.arrival.lock().unwrap_or_else(PoisonError::into_inner);
        while !*arrival {
            arrival = self.arrived.wait(arrival).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives the turn to the thread of this seat.
    pub fn give_turn(&self) {
        self.turn.store(true, Ordering::Release);
        if let Some(owner) = self.owner.get() {
            owner.unpark();
        }
    }

    /// Wakes whoever waits at this seat, or for its thread, for good.
    pub fn let_go(&self) {
        *self.arrival.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.arrived.notify_all();
        self.give_turn();
    }

    /// Waits until the turn is given, and takes it.
    pub fn wait(&self) {
        while !self.turn.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}
