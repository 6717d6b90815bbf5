//! Happens-before as a graph: the events that can matter, and the orders between them that follow from no
//! others.
//!
//! # Model
//! Event `f` happens before `e` when both belong to one thread and `f` is earlier, or when they conflict and
//! `f` is earlier, or by a chain of such pairs. Clocks hold the same relation; an edge `f → e` is left out when
//! another event lies between them, so the graph is its own transitive reduction.
//!
//! # Not here
//! Irrelevant events: they are ordered by their thread alone.

use crate::describe;
use crate::trace::Trace;
use frontrun_formats::Execution;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef, IntoNodeReferences};
use std::fmt::Write;

/// Why one event is before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// They are of one thread.
    Program,
    /// They conflict.
    Conflict,
}

/// The graph. A node's weight is the event's position in the execution.
#[derive(Clone, Debug)]
pub struct HappensBefore {
    graph: DiGraph<usize, Order>,
    /// By node: how many nodes of each thread are in its past or are itself.
    clocks: Vec<Vec<u32>>,
    threads: Vec<(usize, u32)>,
}

impl HappensBefore {
    /// The transitive reduction of the execution's happens-before order.
    ///
    /// # Complexity
    /// Events times the square of the number of threads.
    pub(crate) fn of(trace: &Trace) -> HappensBefore {
        let mut graph = DiGraph::new();
        let nodes: Vec<NodeIndex> = trace.nodes.iter().map(|node| graph.add_node(node.event)).collect();
        for later in 0..trace.nodes.len() {
            let subject = &trace.nodes[later].subject;
            for earlier in covered_by(trace, later) {
                let same = trace.nodes[earlier].subject.thread == subject.thread;
                let order = if same { Order::Program } else { Order::Conflict };
                graph.add_edge(nodes[earlier], nodes[later], order);
            }
        }
        HappensBefore {
            graph,
            clocks: (0..trace.nodes.len()).map(|node| trace.clock(node).to_vec()).collect(),
            threads: trace.nodes.iter().map(|node| (node.subject.thread, node.subject.index)).collect(),
        }
    }

    /// The graph: node weights are positions in [`Execution::events`], edges go from earlier to later.
    pub fn graph(&self) -> &DiGraph<usize, Order> {
        &self.graph
    }

    /// Whether one event happens before the other; `None` when one of them is not a node.
    pub fn before(&self, earlier: usize, later: usize) -> Option<bool> {
        let find = |event: usize| {
            let nodes = self.graph.raw_nodes();
            nodes.binary_search_by_key(&event, |node| node.weight).ok()
        };
        let (earlier, later) = (find(earlier)?, find(later)?);
        let (thread, index) = self.threads[earlier];
        Some(earlier != later && self.clocks[later][thread] > index)
    }

    /// The graph in the language of Graphviz: one cluster per thread, conflicts dashed.
    ///
    /// `execution` is the one that the graph was made of.
    pub fn to_dot(&self, execution: &Execution) -> String {
        let mut dot = String::from("digraph happens_before {\n  node [shape=box, fontname=monospace];\n");
        let mut threads: Vec<_> = self.graph.node_references().collect();
        threads.sort_by_key(|(node, event)| (execution.path(execution.events[**event].thread), *node));
        let mut last = None;
        for (node, event) in threads {
            let at = &execution.events[*event];
            if last != Some(at.thread) {
                let close = if last.is_some() { "  }\n" } else { "" };
                let name = escape(&describe::thread(execution, at.thread));
                let _ = writeln!(dot, "{close}  subgraph \"cluster {name}\" {{\n    label=\"{name}\";");
                last = Some(at.thread);
            }
            let text = escape(&describe::event(execution, *event));
            let _ = writeln!(dot, "    e{} [label=\"{text}\"];", self.graph[node]);
        }
        if last.is_some() {
            dot.push_str("  }\n");
        }
        for edge in self.graph.edge_references() {
            let style = if *edge.weight() == Order::Conflict { " [style=dashed]" } else { "" };
            let _ =
                writeln!(dot, "  e{} -> e{}{style};", self.graph[edge.source()], self.graph[edge.target()]);
        }
        dot.push_str("}\n");
        dot
    }
}

/// The nodes right before a node: those of its past that are in the past of no other one, in thread order.
pub(crate) fn covered_by(trace: &Trace, node: usize) -> Vec<usize> {
    let subject = &trace.nodes[node].subject;
    let clock = trace.clock(node);
    let last: Vec<usize> = (0..trace.width())
        .filter_map(|thread| {
            let inside = clock[thread] - u32::from(thread == subject.thread);
            (inside > 0).then(|| trace.node_of(thread, inside - 1))
        })
        .collect();
    let between = |earlier: usize| {
        let this = &trace.nodes[earlier].subject;
        last.iter().any(|other| *other != earlier && trace.clock(*other)[this.thread] > this.index)
    };
    last.iter().copied().filter(|earlier| !between(*earlier)).collect()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
