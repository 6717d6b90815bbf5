//! The canonical name of an execution's Mazurkiewicz class.
//!
//! # Model
//! Two executions are in one class when they have the same events with the same happens-before order. The name
//! is a hash of the events' threads, indices and clocks, in the fixed order of threads, so it does not depend
//! on the order of execution, on how threads and objects are numbered, nor on the process.
//!
//! # Invariants
//! Irrelevant events are left out, but counted. Of two executions of one class the same events are relevant,
//! and the clock of an irrelevant event is that of the relevant one before it: nothing is lost.

use crate::trace::Trace;
use xxhash_rust::xxh3::Xxh3;

/// The class of the trace.
pub(crate) fn id(trace: &Trace) -> u64 {
    let mut hash = Xxh3::new();
    let mut words: Vec<u8> = Vec::with_capacity(64);
    let mut number = 0u32;
    let numbers: Vec<u32> = (0..trace.width())
        .map(|thread| {
            let this = number;
            number += u32::from(!trace.units_of[thread].is_empty());
            this
        })
        .collect();
    for thread in 0..trace.width() {
        let units = trace.units_of[thread].len() as u32;
        if units == 0 {
            continue;
        }
        words.clear();
        if let Some(path) = trace.execution.path(trace.threads.id(thread)) {
            path.0.iter().for_each(|part| words.extend_from_slice(&part.to_le_bytes()));
        }
        words.extend_from_slice(&u32::MAX.to_le_bytes());
        words.extend_from_slice(&units.to_le_bytes());
        for node in &trace.of_thread[thread] {
            let node = *node as usize;
            words.extend_from_slice(&trace.nodes[node].subject.unit_index.to_le_bytes());
            for (other, count) in trace.clock(node).iter().enumerate() {
                if other == thread || *count == 0 {
                    continue;
                }
                let last = &trace.nodes[trace.node_of(other, *count - 1)].subject;
                words.extend_from_slice(&numbers[other].to_le_bytes());
                words.extend_from_slice(&(last.unit_index + 1).to_le_bytes());
            }
            words.extend_from_slice(&u32::MAX.to_le_bytes());
            if words.len() > 4096 {
                hash.update(&words);
                words.clear();
            }
        }
        hash.update(&words);
    }
    hash.digest()
}
