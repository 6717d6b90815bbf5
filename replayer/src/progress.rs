//! What an exploration tells while it goes on.

use std::time::Duration;

/// The state of an exploration after some run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Runs made.
    pub executions: u64,
    /// Of which failed.
    pub failures: u64,
    /// Items that wait.
    pub waiting: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Is told how an exploration gets on, from any of its threads, one at a time.
pub trait Progress: Send + Sync {
    /// A run has been made and counted.
    fn ran(&self, snapshot: &Snapshot);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn ran(&self, _: &Snapshot) {}
}
