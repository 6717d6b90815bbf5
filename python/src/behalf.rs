//! On whose behalf code runs that is not in scope.
//!
//! Model: what such code does counts as done by its caller, who is looked for up the stack. A few modules of the
//! standard library (`functools`, `dataclasses`, `collections`, …) work on their callers' objects, so it is as if the
//! caller had done it; everything else out of scope is a part of one opaque block of the caller. What hidden code calls
//! (the import of a module, the bookkeeping of threads, a test runner) is as invisible as hidden code itself, except
//! code in scope.
//! Native code counts when code of another kind calls it, and what it calls does not.
//!
//! Where no code in scope is found, as in a thread that runs a function of a library, it counts all the same; only the
//! main thread's hidden code calls nothing that counts, since what a test runner does is no part of the program.

use crate::controlled;
use crate::interpreter::Frame;
use crate::site::{self, Seen};
use frontrun_formats::ThreadId;

/// How what the code of `frame`, which is seen as `seen`, does counts: as done by code in scope, or as a part of an
/// opaque block; `None` when it does not.
///
/// # Safety
/// The frame is live, belongs to the calling thread `me`, and the interpreter's lock is held.
pub unsafe fn counts(me: ThreadId, frame: Frame, seen: Seen) -> Option<Seen> {
    let mut counts = match seen {
        Seen::InScope => return Some(seen),
        Seen::Hidden | Seen::Driving => return None,
        Seen::Atomic | Seen::Closed => Seen::Atomic,
        Seen::OnBehalf | Seen::Made | Seen::Native => Seen::InScope,
    };
    let mut hidden = false;
    // SAFETY: as the caller promises.
    unsafe {
        let mut at = frame.caller();
        while let Some(frame) = at {
            if let Some((constant, is_function)) = frame.code() {
                match site::of_constant(constant).map(|site| site.seen) {
                    Some(Seen::InScope) => return (!hidden).then_some(counts),
                    // Whoever drives an event loop has no part in what its tasks do.
                    Some(Seen::Driving) if controlled::step().is_some() => {
                        return (!hidden).then_some(counts);
                    }
                    Some(Seen::Native) => return None,
                    Some(Seen::Atomic | Seen::Closed) if hidden => return None,
                    Some(Seen::Atomic | Seen::Closed) => counts = Seen::Atomic,
                    Some(Seen::Hidden | Seen::Driving) => hidden = true,
                    None if !is_function => return None,
                    _ => {}
                }
            }
            at = frame.caller();
        }
    }
    let by_a_runner = hidden && me == ThreadId(0) && seen != Seen::Made;
    (!by_a_runner).then_some(counts)
}
