//! Who runs next: enforces a schedule's prefix, then lets the lowest enabled thread go first, or the one that is drawn.
//!
//! Model: every controlled thread is either at a switch point (parked, or about to decide) or ended. A thread
//! at a switch point has a pending operation when it may block; without one it is always enabled. One thread
//! holds the turn. The gate knows the abstract state of synchronisation objects only, which is all that
//! enabledness hangs on.
//!
//! An opaque block is one step: its first event is decided about and has an entry in the schedule, the others follow
//! without a decision, so the turn stays. Whoever asks for a decision has left the block.
//!
//! Invariant: the decision is a pure function of the schedule and of what was executed so far; never of time.
//!
//! Not here: waiting (parking), what is written down (recording), how threads are drawn (sampling).

mod leaving;
mod patience;
mod tail;
mod watching;

use crate::sampling::Draws;
use crate::watch::Watches;
use frontrun_formats::semantics::{self, State};
use frontrun_formats::{Block, Location, ObjectId, Operation, Schedule, Tail, ThreadId, ThreadPath, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::time::Duration;

use leaving::Leaving;
pub use watching::only_reads;
use watching::{is_of_a_list, plain_reads, read_in_vain};

/// What a thread at a switch point should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Execute the operation: the turn stays here.
    Go,
    /// Hand the turn to this thread and wait.
    Switch(ThreadId),
    /// No thread is enabled and some have not ended.
    Stuck,
    /// The schedule cannot be followed at this entry.
    Diverged(Divergence),
}

/// What `me` should do if `next` goes next.
fn turn_of(next: ThreadId, me: ThreadId) -> Decision {
    if next == me { Decision::Go } else { Decision::Switch(next) }
}

/// Where and how a run left its schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Index of the schedule entry.
    pub step: u64,
    /// The thread that the entry names.
    pub thread: ThreadPath,
    /// What was found instead.
    pub actual: Actual,
}

/// What was found where a schedule entry could not be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actual {
    /// The thread does not exist (yet).
    NoSuchThread,
    /// The thread has ended.
    Ended,
    /// The thread waits and is not enabled.
    Blocked,
    /// The thread is elsewhere: another kind of operation or another place in the source.
    Elsewhere,
}

#[derive(Debug, Default)]
struct Seated {
    path: ThreadPath,
    /// What it waits to do, where that can block.
    pending: Option<Operation>,
    /// What it is about to do where that cannot block, if anybody needs to know.
    announced: Option<Operation>,
    /// Until when it is willing to wait, where it is not for ever.
    deadline: Option<Duration>,
    /// Its time has run out: it may go on although its operation is not enabled.
    elapsed: bool,
    children: u32,
    ended: bool,
    /// Somebody has waited for its end.
    joined: bool,
    /// It is in the middle of an opaque block.
    in_block: bool,
    /// It has come to the end of the program.
    left: bool,
    /// It is where it has rested before, and could go on resting for ever.
    rests_again: bool,
    /// It has changed something since its last round began.
    wrote: bool,
}

/// Abstract values of synchronisation objects, as far as they have been seen.
#[derive(Debug, Default)]
pub struct SyncState {
    values: FxHashMap<Location, Value>,
    watches: Watches,
    /// Containers that were changed in a way that the operation table does not follow.
    reshaped: FxHashSet<ObjectId>,
}

impl State for SyncState {
    fn value(&self, at: Location) -> Value {
        self.values.get(&at).cloned().unwrap_or(Value::Int(0))
    }

    fn has_changed(&self, at: Location, thread: ThreadId) -> bool {
        self.watches.has_changed(at, thread)
    }
}

/// The scheduler of one run.
#[derive(Debug)]
pub struct Gate {
    threads: Vec<Seated>,
    /// Thread ids in the order of their paths.
    order: Vec<ThreadId>,
    schedule: Schedule,
    /// Entry threads resolved to ids, as far as they exist.
    resolved: Vec<Option<ThreadId>>,
    /// Steps executed so far: events alone, and opaque blocks.
    executed: usize,
    state: SyncState,
    /// Whether a lower thread may have become enabled since the last decision.
    stale: bool,
    /// Where threads are drawn at random after the prefix.
    draws: Option<Draws>,
    /// Which children of the main thread make the next steps, where the caller says so.
    turns: VecDeque<ThreadPath>,
    leaving: Leaving,
    /// The latest deadline that somebody has given up at. Giving up comes after everything before it, so executions of
    /// one class agree about when a wait began by this clock; by no other they do.
    now: Duration,
}

impl Gate {
    /// A gate for a run under `schedule`, with the main thread seated as number 0.
    pub fn new(schedule: Schedule) -> Self {
        let resolved =
            schedule.threads.iter().map(|p| (*p == ThreadPath::main()).then_some(ThreadId(0))).collect();
        let main = Seated { path: ThreadPath::main(), ..Seated::default() };
        let draws = match schedule.tail {
            Tail::Lowest | Tail::Turns(_) => None,
            Tail::Sampled(ref sampling) => Some(Draws::new(sampling.clone())),
        };
        let turns = match &schedule.tail {
            Tail::Turns(turns) => turns.iter().map(|child| ThreadPath::main().child(*child)).collect(),
            _ => VecDeque::new(),
        };
        Gate {
            threads: vec![main],
            order: vec![ThreadId(0)],
            schedule,
            resolved,
            executed: 0,
            state: SyncState::default(),
            stale: true,
            draws,
            turns,
            leaving: Leaving::default(),
            now: Duration::ZERO,
        }
    }

    /// Seats a new thread, the next child of `parent`. It is disabled until its spawn is executed.
    pub fn seat(&mut self, parent: ThreadId) -> ThreadId {
        let parent = &mut self.threads[parent.index()];
        let path = parent.path.child(parent.children);
        parent.children += 1;
        let id = ThreadId(self.threads.len() as u32);
        for (entry, resolved) in self.schedule.threads.iter().zip(&mut self.resolved) {
            if *entry == path {
                *resolved = Some(id);
            }
        }
        let at = self.order.partition_point(|other| self.threads[other.index()].path < path);
        self.threads.push(Seated { path, pending: Some(Operation::Start), ..Seated::default() });
        self.order.insert(at, id);
        id
    }

    /// Says what a thread that does not decide for itself would do next, and until when it is willing to wait for that:
    /// a task, on whose behalf its event loop asks.
    pub fn propose(&mut self, thread: ThreadId, next: Operation, deadline: Option<Duration>) {
        let seated = &mut self.threads[thread.index()];
        (seated.pending, seated.deadline) = (Some(next), deadline);
        self.stale = true;
    }

    /// What a thread would do next, where that can block, and until when it is willing to wait for it.
    pub fn proposed(&self, thread: ThreadId) -> (Option<Operation>, Option<Duration>) {
        let seated = &self.threads[thread.index()];
        (seated.pending.clone(), seated.deadline)
    }

    /// The path of a thread.
    pub fn path(&self, thread: ThreadId) -> &ThreadPath {
        &self.threads[thread.index()].path
    }

    /// How many steps have been executed: events alone, and opaque blocks.
    pub fn executed(&self) -> usize {
        self.executed
    }

    /// The abstract state of synchronisation objects.
    pub fn state(&self) -> &SyncState {
        &self.state
    }

    /// Tells the gate the value that a location had before the run touched it.
    pub fn set_initial(&mut self, at: Location, value: Value) {
        self.state.values.entry(at).or_insert(value);
    }

    /// Whether the gate has been told, or has seen, a value of this location.
    pub fn knows(&self, at: Location) -> bool {
        self.state.values.contains_key(&at)
    }

    /// Notes what `me` is about to do, where the decision hangs on it.
    pub fn announce(&mut self, me: ThreadId, operation: &Operation) {
        let clears = matches!(operation, Operation::EventClear { .. });
        if clears || self.draws.is_some() || !self.turns.is_empty() {
            self.threads[me.index()].announced = Some(operation.clone());
        }
    }

    /// Decides who goes next when `me`, which holds the turn, has reached a switch point. `pending` is its
    /// next operation where that can block, `patience` how long it would wait for it, if not for ever.
    pub fn decide(
        &mut self,
        me: ThreadId,
        pending: Option<Operation>,
        patience: Option<Duration>,
    ) -> Decision {
        let deadline = patience.map(|time| self.now.saturating_add(time));
        let seated = &mut self.threads[me.index()];
        (seated.pending, seated.deadline) = (pending, deadline);
        self.decide_as_proposed(me)
    }

    /// The same for a thread that [has proposed](Gate::propose) what it does next.
    pub fn decide_as_proposed(&mut self, me: ThreadId) -> Decision {
        self.threads[me.index()].in_block = false;
        if let Some(entry) = self.schedule.entries.get(self.executed) {
            return self.follow(me, entry.thread as usize);
        }
        let next = if self.draws.is_some() {
            self.draw()
        } else if !self.turns.is_empty() {
            self.take_turn()
        } else {
            if !self.stale && self.is_enabled(me) {
                return turn_of(self.first_to_notice(me), me);
            }
            self.stale = false;
            let lowest = self.order.iter().copied().find(|thread| self.is_enabled(*thread));
            lowest.map(|lowest| self.first_to_notice(lowest))
        };
        match next {
            Some(next) => turn_of(next, me),
            None if self.threads.iter().all(|thread| thread.ended) => Decision::Go,
            None => match self.leaving.first() {
                Some(first) => turn_of(first, me),
                None => self.elapse(me),
            },
        }
    }

    /// What a thread is about to do, as far as it is known.
    fn next_of(&self, thread: ThreadId) -> Option<&Operation> {
        let seated = &self.threads[thread.index()];
        seated.pending.as_ref().or(seated.announced.as_ref())
    }

    fn follow(&mut self, me: ThreadId, entry: usize) -> Decision {
        let actual = match self.resolved.get(entry).copied().flatten() {
            None => Actual::NoSuchThread,
            Some(thread) if self.threads[thread.index()].ended => Actual::Ended,
            Some(thread) if !self.is_able(thread) => {
                if let Some(next) = self.wait_in_vain(thread) {
                    return turn_of(next, me);
                }
                Actual::Blocked
            }
            Some(thread) => return turn_of(thread, me),
        };
        Decision::Diverged(self.divergence(actual))
    }

    fn divergence(&self, actual: Actual) -> Divergence {
        let entry = self.schedule.entries[self.executed];
        let thread = self.schedule.threads.get(entry.thread as usize).cloned().unwrap_or_default();
        Divergence { step: self.executed as u64, thread, actual }
    }

    /// Whether `thread` is in the middle of an opaque block, so that its next event may join it without a decision.
    pub fn is_in_block(&self, thread: ThreadId) -> bool {
        self.threads[thread.index()].in_block
    }

    /// Ends the block of `thread`: its next event is a step of its own.
    pub fn end_block(&mut self, thread: ThreadId) {
        self.threads[thread.index()].in_block = false;
    }

    /// Notes that `thread` executes `operation`. A synchronisation operation changes the abstract state and so
    /// may enable others. [`Block::Later`] is for a thread that [is in a block](Gate::is_in_block).
    ///
    /// # Errors
    /// When the schedule expects something else here than what `fingerprint` says.
    pub fn execute(
        &mut self,
        thread: ThreadId,
        operation: &Operation,
        result: u8,
        block: Block,
        fingerprint: impl Fn() -> u32,
    ) -> Result<(), Divergence> {
        if block != Block::Later
            && let Err(divergence) = self.begin_step(thread, fingerprint)
        {
            // Whoever reports the divergence wants to say what came instead.
            self.threads[thread.index()].pending = Some(operation.clone());
            return Err(divergence);
        }
        if matches!(operation, Operation::Elapse { .. }) {
            self.let_time_pass(thread);
        }
        let seated = &mut self.threads[thread.index()];
        seated.in_block = block != Block::Alone;
        (seated.pending, seated.announced, seated.deadline, seated.elapsed) = (None, None, None, false);
        seated.rests_again = false;
        self.leaving.count();
        self.take_note(thread, operation, result);
        Ok(())
    }

    fn begin_step(&mut self, thread: ThreadId, fingerprint: impl Fn() -> u32) -> Result<(), Divergence> {
        if let Some(entry) = self.schedule.entries.get(self.executed) {
            if self.resolved.get(entry.thread as usize).copied().flatten() != Some(thread) {
                return Err(self.divergence(Actual::Blocked));
            }
            if entry.expect != 0 && entry.expect != fingerprint() {
                return Err(self.divergence(Actual::Elsewhere));
            }
        }
        if let Some(draws) = &mut self.draws {
            draws.note(thread, fingerprint());
        }
        self.executed += 1;
        Ok(())
    }

    /// Lets the abstract state follow.
    fn take_note(&mut self, thread: ThreadId, operation: &Operation, result: u8) {
        match *operation {
            Operation::Elapse { .. } => self.stale = true,
            Operation::Join { thread } => self.threads[thread.index()].joined = true,
            _ => self.follow_shapes(thread, operation),
        }
        let synchronises = is_synchronisation(operation);
        if synchronises || self.state.watches.any() && is_of_a_list(operation) {
            let effect = semantics::effect(operation, thread, &self.state);
            let writes = !effect.writes.is_empty();
            let changes = writes && !self.state.watches.balances(thread, operation, result);
            self.threads[thread.index()].wrote |= changes;
            if self.state.watches.any() {
                self.watch_over(thread, &effect.reads, (writes, changes), |at| {
                    effect.writes.iter().any(|written| written.overlaps(at))
                });
            }
            if synchronises {
                self.state.values.extend(effect.values);
                self.threads[thread.index()].ended |= *operation == Operation::End;
                self.stale = true;
            }
        } else {
            let in_vain = read_in_vain(operation, result);
            let reads = in_vain.as_ref().map_or_else(|| plain_reads(operation), std::slice::from_ref);
            let writes =
                reads.is_empty() && !matches!(operation, Operation::Pause | Operation::Elapse { .. });
            self.threads[thread.index()].wrote |= writes;
            if !self.state.watches.any() {
                return;
            }
            self.watch_over(thread, reads, (writes, writes), |at| {
                semantics::has_written(operation, result, at)
            });
        }
    }

    /// Whether `thread` goes on in its turn: it could, and is not left behind at the end of the program.
    pub fn is_enabled(&self, thread: ThreadId) -> bool {
        self.is_able(thread) && !self.is_left_behind(thread)
    }

    /// Another thread that could go on in its turn.
    pub fn another_enabled(&self, me: ThreadId) -> Option<ThreadId> {
        self.order.iter().copied().find(|thread| *thread != me && self.is_enabled(*thread))
    }

    /// Whether `thread` could go on.
    fn is_able(&self, thread: ThreadId) -> bool {
        let seated = &self.threads[thread.index()];
        let can = |operation| semantics::enabled(operation, thread, &self.state);
        !seated.ended && !seated.left && seated.pending.as_ref().is_none_or(can)
    }

    /// Takes back a thread that was seated and could not be started.
    pub fn abandon(&mut self, thread: ThreadId) {
        self.threads[thread.index()].ended = true;
    }

    /// Whether a thread has ended.
    pub fn has_ended(&self, thread: ThreadId) -> bool {
        self.threads.get(thread.index()).is_none_or(|seated| seated.ended)
    }

    /// Whether all threads but one have been joined, so that what this one does next comes after all that was done.
    pub fn is_one_left(&self) -> bool {
        self.threads.iter().filter(|thread| !thread.joined).count() <= 1
    }

    /// The threads that have not ended, with what they wait for; those that are left behind at the end of the program
    /// pause.
    pub fn unfinished(&self) -> impl Iterator<Item = (ThreadId, Option<&Operation>)> {
        let all = (0..self.threads.len()).map(|index| ThreadId(index as u32));
        all.filter(|thread| !self.threads[thread.index()].ended).map(|thread| {
            let pending = self.threads[thread.index()].pending.as_ref();
            let sleeps = matches!(pending, Some(Operation::AwaitChange { of }) if of.is_empty());
            let rests = sleeps || self.is_able(thread) && self.is_left_behind(thread);
            (thread, if rests { Some(&Operation::Pause) } else { pending })
        })
    }

    /// Whether the whole fixed prefix has been executed.
    pub fn prefix_done(&self) -> bool {
        self.executed >= self.schedule.entries.len()
    }
}

/// Whether an operation acts on a synchronisation object, so that it can enable or disable others.
fn is_synchronisation(operation: &Operation) -> bool {
    use Operation as O;
    !matches!(
        operation,
        O::Read { .. }
            | O::Write { .. }
            | O::Touch { .. }
            | O::DictStore { .. }
            | O::DictSetDefault { .. }
            | O::DictRemove { .. }
            | O::SetAdd { .. }
            | O::ListAppend { .. }
            | O::ListPop { .. }
            | O::ListGet { .. }
            | O::ListSet { .. }
            | O::ListChange { .. }
            | O::Clear { .. }
            | O::AwaitChange { .. }
            | O::Pause
            | O::Elapse { .. }
    )
}

#[cfg(test)]
mod tests;
