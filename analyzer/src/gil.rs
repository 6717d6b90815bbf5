//! Whether an interpreter with a GIL can have an execution.
//!
//! # Model
//! Such an interpreter switches threads at some places only, which the recorder notes ([`Event::gil_switch`]). Between
//! two of them, a thread's units are a *group*: they run without another thread in between. An execution is reachable
//! if some execution of its class keeps every group together.
//!
//! # Why the contraction decides
//! The executions of a class are the linear extensions of its happens-before order. Contract each group to one vertex,
//! with an edge between two vertices where a unit of the one happens before a unit of the other.
//! - If a linear extension keeps the groups together, they stand in some order, every edge of the contraction points
//!   forwards in it, and so the contraction has no cycle.
//! - If the contraction has no cycle, sort it topologically and write each group out in program order. Two units of one
//!   group are of one thread, so program order is all there is between them; between two groups every order of units
//!   has an edge, which points forwards. So this is a linear extension, and it keeps the groups together.
//!
//! Units that conflict with nobody do not matter for that: each can stand right before the next unit of its thread that
//! does, or, at the thread's end, right behind the last one. Their places to switch count all the same.
//!
//! # Invariants
//! What is not known counts as reachable: an operation that can have to wait is a place to switch, whether it had to wait or not,
//! and so is the end of an opaque block within which threads can switch.
//!
//! [`Event::gil_switch`]: frontrun_formats::Event::gil_switch

use crate::trace::Trace;

/// Whether some execution of the trace's class keeps together what runs without a switch.
///
/// # Complexity
/// Relevant events times the number of threads.
pub(crate) fn is_reachable(trace: &Trace) -> bool {
    let groups = groups(trace);
    is_acyclic(&edges(trace, &groups), groups.iter().max().map_or(0, |last| last + 1))
}

/// The number of each node's group.
fn groups(trace: &Trace) -> Vec<usize> {
    let mut groups = vec![0; trace.nodes.len()];
    let mut next = 0;
    for thread in 0..trace.width() {
        let parts = parts(trace, thread);
        let mut last = None;
        for &node in &trace.of_thread[thread] {
            let part = parts[trace.nodes[node as usize].subject.unit_index as usize];
            next += usize::from(last.is_some_and(|last| last != part));
            last = Some(part);
            groups[node as usize] = next;
        }
        next += usize::from(last.is_some());
    }
    groups
}

/// For each unit of a thread: how many places to switch there are up to its beginning.
fn parts(trace: &Trace, thread: usize) -> Vec<usize> {
    let mut count = 0;
    let mut inside = false;
    let part = |unit: &u32| {
        let events = &trace.execution.events[trace.units.events(*unit as usize)];
        count += usize::from(inside || events[0].gil_switch);
        inside = events[1..].iter().any(|event| event.gil_switch);
        count
    };
    trace.units_of[thread].iter().map(part).collect()
}

/// The edges of the contraction, some of them more than once. Clocks name the last unit of each thread that happens
/// before one; earlier ones of that thread are before it by program order.
fn edges(trace: &Trace, groups: &[usize]) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    for node in 0..trace.nodes.len() {
        let subject = &trace.nodes[node].subject;
        for (thread, count) in trace.clock(node).iter().enumerate() {
            let before = if thread == subject.thread { subject.index } else { *count };
            let Some(last) = before.checked_sub(1) else { continue };
            let edge = (groups[trace.node_of(thread, last)], groups[node]);
            if edge.0 != edge.1 {
                edges.push(edge);
            }
        }
    }
    edges
}

/// Whether a graph of so many vertices has no cycle: vertices without a predecessor can be taken away until none is left.
fn is_acyclic(edges: &[(usize, usize)], vertices: usize) -> bool {
    let mut predecessors = vec![0usize; vertices];
    let mut successors = vec![Vec::new(); vertices];
    for (from, to) in edges {
        predecessors[*to] += 1;
        successors[*from].push(*to);
    }
    let mut free: Vec<usize> = (0..vertices).filter(|vertex| predecessors[*vertex] == 0).collect();
    let mut taken = 0;
    while let Some(vertex) = free.pop() {
        taken += 1;
        for successor in &successors[vertex] {
            predecessors[*successor] -= 1;
            if predecessors[*successor] == 0 {
                free.push(*successor);
            }
        }
    }
    taken == vertices
}
