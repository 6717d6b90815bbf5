//! On whose behalf code of the standard library's helper modules runs.
//!
//! Model: a few modules (`functools`, `dataclasses`, `collections`, …) work on their callers' objects, so what they do
//! counts as done by the caller. The caller is looked for up the stack: code in scope makes it count; the body of a
//! module or class out of scope, which is busy defining itself, makes it invisible. Where neither is found, as in a
//! thread that runs such a function directly, it counts. Code that is seen as atomic is looked through in the same way,
//! and makes what it calls a part of its block.

use crate::interpreter::Frame;
use crate::site::{self, Seen};

/// How what the code of `frame`, which is seen as `seen`, does counts: as done by code in scope, or as a part of an
/// atomic block; `None` when it does not.
///
/// # Safety
/// The frame is live and the interpreter's lock is held.
pub unsafe fn counts(frame: Frame, seen: Seen) -> Option<Seen> {
    let mut counts = if seen == Seen::OnBehalf { Seen::InScope } else { seen };
    if seen == Seen::InScope {
        return Some(counts);
    }
    // SAFETY: as the caller promises.
    unsafe {
        let mut at = frame.caller();
        while let Some(frame) = at {
            if let Some((constant, is_function)) = frame.code() {
                match site::of_constant(constant).map(|site| site.seen) {
                    Some(Seen::InScope) => return Some(counts),
                    Some(Seen::Atomic) => counts = Seen::Atomic,
                    None if !is_function => return None,
                    _ => {}
                }
            }
            at = frame.caller();
        }
        Some(counts)
    }
}
