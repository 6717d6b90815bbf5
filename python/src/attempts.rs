//! What a wait is where nothing waits: an attempt that succeeds.
//!
//! Model: a step of an event loop is one opaque block, in which only the first event may have to wait. What would wait later
//! on, and need not, is recorded as an attempt; at another cut the attempt may fail, and then the block is another one.

use frontrun_formats::{Location, ObjectId, Operation, Part};

/// The same operation without waiting, where there is such a one.
pub fn attempt(operation: &Operation) -> Option<Operation> {
    Some(match *operation {
        Operation::Acquire { lock } => Operation::TryAcquire { lock },
        Operation::SemaphoreAcquire { semaphore } => Operation::SemaphoreTry { semaphore },
        Operation::Enter { gate, place } => Operation::TryEnter { gate, place },
        Operation::EventWait { event } => Operation::EventIsSet { event },
        Operation::QueuePut { queue, bound } => Operation::QueueTryPut { queue, bound },
        Operation::QueueGet { queue } => Operation::QueueTryGet { queue },
        Operation::Join { thread } => {
            Operation::Read { at: Location::new(ObjectId::THREADS, Part::Ended(thread)) }
        }
        _ => return None,
    })
}

/// What an attempt that has failed reports.
pub fn failure(attempt: &Operation) -> u8 {
    u8::from(matches!(attempt, Operation::Read { .. }))
}
