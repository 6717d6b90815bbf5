//! Why nobody can go on: who waits for what, who could end the wait, and whether that is a circle.
//!
//! # Model
//! A thread that is blocked at the end waits for a resource; its holders are the threads that could still end
//! the wait: the owner of the lock, the thread to be joined. The wait-for graph has an edge from a waiting
//! thread to each unfinished holder. What nobody holds (a notification, a flag, an item, a permit) nobody is
//! going to give.

use crate::describe;
use crate::missed::{Missed, Search};
use crate::simulation::Simulation;
use crate::threads::Threads;
use frontrun_formats::semantics::State;
use frontrun_formats::semantics::waits::{self, Wanted};
use frontrun_formats::{Execution, Location, ObjectId, Operation, Outcome, SiteId, ThreadId, ThreadPath};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// The program is stuck: somebody is unfinished, and nobody can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// The class of deadlock; the first of the list that applies.
    pub kind: DeadlockKind,
    /// The threads of a circle, each waiting for the next one and the last one for the first; empty without one.
    pub cycle: Vec<ThreadPath>,
    /// All waiting threads, in the order of their paths.
    pub waits: Vec<Wait>,
}

/// The class of a deadlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadlockKind {
    /// Several threads wait for one another.
    Cycle,
    /// A thread waits for a lock that it holds itself, or for its own end.
    SelfDeadlock,
    /// A lock's owner ended without giving it back.
    OrphanLock,
    /// A thread goes on for ever reading what nobody is going to change.
    Livelock,
    /// What a thread waits for was given too early: before the thread waited, or although it had looked already.
    LostWakeup,
    /// A thread waits for what nobody is going to give: a notification, a flag, an item, a permit.
    MissingWakeup,
}

impl DeadlockKind {
    /// The term that reports begin with.
    pub fn term(self) -> &'static str {
        match self {
            DeadlockKind::Cycle => "circular wait",
            DeadlockKind::SelfDeadlock => "self-deadlock",
            DeadlockKind::OrphanLock => "orphan lock",
            DeadlockKind::Livelock => "livelock",
            DeadlockKind::LostWakeup => "lost wake-up",
            DeadlockKind::MissingWakeup => "missing wake-up",
        }
    }

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            DeadlockKind::Cycle => "cycle",
            DeadlockKind::SelfDeadlock => "self_deadlock",
            DeadlockKind::OrphanLock => "orphan_lock",
            DeadlockKind::Livelock => "livelock",
            DeadlockKind::LostWakeup => "lost_wakeup",
            DeadlockKind::MissingWakeup => "missing_wakeup",
        }
    }
}

/// One thread's wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who.
    pub thread: ThreadPath,
    /// Where in the source.
    pub site: SiteId,
    /// Whether it waits by reading, in a loop.
    pub loops: bool,
    /// What it would do next.
    pub operation: Operation,
    /// The object it waits for; `None` for another thread's start or end.
    pub object: Option<ObjectId>,
    /// What it waits for, as text.
    pub resource: String,
    /// Who could end the wait: the lock's owner or the thread that is joined, whether finished or not.
    pub holders: Vec<ThreadPath>,
    /// Where the holder took the lock, when it is one.
    pub taken_at: Option<SiteId>,
    /// Whether the thread belongs to [`Deadlock::cycle`].
    pub in_cycle: bool,
    /// What others did that could have ended the wait, had it come at another time; in the order in which they did it.
    pub missed: Vec<Missed>,
}

/// What a blocked operation waits for.
struct Blocked {
    object: Option<ObjectId>,
    holder: Option<ThreadId>,
    resource: String,
    lock: bool,
}

/// The deadlock at the end of the execution, if somebody is unfinished. Daemons that wait when the program ends well are
/// none.
pub(crate) fn deadlock(
    execution: &Execution,
    threads: &Threads,
    simulation: &Simulation,
) -> Option<Deadlock> {
    if execution.pending.is_empty() || execution.outcome == Some(Outcome::Passed) {
        return None;
    }
    let mut order: Vec<usize> = (0..execution.pending.len()).collect();
    order.sort_by_key(|at| threads.rank(execution.pending[*at].thread).unwrap_or(usize::MAX));
    let state = simulation.state();
    let blocked: Vec<Blocked> = order
        .iter()
        .map(|at| {
            let pending = &execution.pending[*at];
            blocked(execution, pending.thread, &pending.operation, &state)
        })
        .collect();
    let waiting: Vec<ThreadId> = order.iter().map(|at| execution.pending[*at].thread).collect();
    let (cycle, alone) = circle(&waiting, &blocked);
    let orphan =
        blocked.iter().any(|wait| wait.lock && wait.holder.is_some_and(|holder| !waiting.contains(&holder)));
    let loops =
        |at: &usize| waits::loops(&execution.pending[*at].operation, |id| describe::is_served(execution, id));
    let mut searches: Vec<Search> = order
        .iter()
        .map(|at| &execution.pending[*at])
        .map(|pending| Search::new(execution, simulation, pending.thread, &pending.operation))
        .collect();
    let kind = match () {
        () if cycle.len() > 1 => DeadlockKind::Cycle,
        () if alone => DeadlockKind::SelfDeadlock,
        () if orphan => DeadlockKind::OrphanLock,
        () if order.iter().any(loops) => DeadlockKind::Livelock,
        () if searches.iter().any(|search| search.lost) => DeadlockKind::LostWakeup,
        () => DeadlockKind::MissingWakeup,
    };
    let path = |id: ThreadId| execution.path(id).cloned().unwrap_or_default();
    let waits = order.iter().zip(&blocked).zip(searches.drain(..)).map(|((at, blocked), search)| {
        let pending = &execution.pending[*at];
        let lock = blocked.object.filter(|_| blocked.lock);
        Wait {
            thread: path(pending.thread),
            site: pending.site,
            operation: pending.operation.clone(),
            loops: loops(at),
            object: blocked.object,
            resource: blocked.resource.clone(),
            holders: blocked.holder.map(path).into_iter().collect(),
            taken_at: blocked.holder.zip(lock).and_then(|(owner, lock)| taken_at(execution, owner, lock)),
            in_cycle: cycle.contains(&pending.thread),
            missed: search.missed(execution),
        }
    });
    Some(Deadlock { kind, waits: waits.collect(), cycle: cycle.iter().map(|id| path(*id)).collect() })
}

/// What the operation waits for in the final state, in which it is not enabled.
fn blocked(execution: &Execution, thread: ThreadId, operation: &Operation, state: &impl State) -> Blocked {
    let object =
        |id: ObjectId, resource: String| Blocked { object: Some(id), holder: None, resource, lock: false };
    let any = |of: &[Location], resource: String| Blocked {
        object: of.first().map(|at| at.object),
        holder: None,
        resource,
        lock: false,
    };
    let name = |id: ObjectId| describe::object(execution, id);
    match waits::wanted(operation, thread, state) {
        Wanted::Lock(id, owner) => {
            let holder = owner.filter(|id| execution.path(*id).is_some());
            return Blocked { object: Some(id), holder, resource: name(id), lock: true };
        }
        Wanted::End(other) => {
            let resource = format!("the end of {}", describe::thread(execution, other));
            return Blocked { object: None, holder: Some(other), resource, lock: false };
        }
        Wanted::Gift => {}
    }
    match *operation {
        Operation::ConditionWake { condition, .. } => {
            object(condition, format!("a notification of {}", name(condition)))
        }
        Operation::Start => {
            Blocked { object: None, holder: None, resource: "its own start".to_string(), lock: false }
        }
        Operation::SemaphoreAcquire { semaphore } => {
            object(semaphore, format!("a permit of {}", name(semaphore)))
        }
        Operation::Resume { awaited: Some(future), .. } => {
            object(future, "the future that it awaits to be done".to_owned())
        }
        Operation::Resume { awaited: None, host, .. } => object(host, format!("its turn in {}", name(host))),
        Operation::RunLoop { until, .. } => object(until, "what its event loop runs".to_owned()),
        Operation::Enter { gate, .. } => object(gate, format!("{} to be open", name(gate))),
        Operation::EventWait { event } => object(event, format!("{} to be set", name(event))),
        Operation::BarrierLeave { barrier, .. } => {
            object(barrier, format!("more threads at {}", name(barrier)))
        }
        Operation::QueuePut { queue, .. } => object(queue, format!("room in {}", name(queue))),
        Operation::AwaitChange { ref of } | Operation::ResumeOnChange { ref of, .. } => {
            let names: Vec<String> = of.iter().map(|at| describe::location(execution, *at)).collect();
            any(of, format!("a change of {}", names.join(", ")))
        }
        Operation::ChannelTake { channel, .. } => {
            object(channel, format!("something to come from {}", name(channel)))
        }
        Operation::ChannelWait { ref of } => {
            let names: Vec<String> = of.iter().map(|at| name(at.object)).collect();
            any(of, format!("something to come from {}", names.join(" or ")))
        }
        Operation::QueueGet { queue } => object(queue, format!("an item in {}", name(queue))),
        ref other => Blocked { object: None, holder: None, resource: format!("{other:?}"), lock: false },
    }
}

/// The threads of one circle of the wait-for graph in waiting order, and whether a thread waits for itself.
fn circle(waiting: &[ThreadId], blocked: &[Blocked]) -> (Vec<ThreadId>, bool) {
    let mut graph: DiGraph<ThreadId, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = waiting.iter().map(|thread| graph.add_node(*thread)).collect();
    let target = |at: usize| {
        let holder = blocked[at].holder?;
        waiting.iter().position(|thread| *thread == holder)
    };
    for at in 0..waiting.len() {
        if let Some(other) = target(at) {
            graph.add_edge(nodes[at], nodes[other], ());
        }
    }
    let alone = (0..waiting.len()).any(|at| target(at) == Some(at));
    // Of several circles the one with the lowest thread is reported.
    let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
    let Some(start) = circles.filter_map(|circle| circle.into_iter().map(NodeIndex::index).min()).min()
    else {
        let own = (0..waiting.len()).find(|at| target(*at) == Some(*at));
        return (own.map(|at| waiting[at]).into_iter().collect(), alone);
    };
    // Every thread waits for at most one other, so the circle can simply be followed.
    let mut cycle = vec![waiting[start]];
    let mut at = target(start);
    while let Some(next) = at.filter(|next| *next != start) {
        cycle.push(waiting[next]);
        at = target(next);
    }
    (cycle, alone)
}

/// Where the owner took the lock that it holds at the end.
fn taken_at(execution: &Execution, owner: ThreadId, wanted: ObjectId) -> Option<SiteId> {
    let takes = |operation: &Operation, result: u8| match *operation {
        Operation::Acquire { lock }
        | Operation::ConditionWake { lock, .. }
        | Operation::ConditionWakeTimed { lock, .. } => lock == wanted,
        Operation::TryAcquire { lock } => lock == wanted && result == 1,
        _ => false,
    };
    let event = execution
        .events
        .iter()
        .rfind(|event| event.thread == owner && takes(&event.operation, event.result))?;
    Some(event.site)
}
