//! On whose behalf code of the standard library's helper modules runs.
//!
//! Model: a few modules (`functools`, `dataclasses`, `collections`, …) work on their callers' objects, so what they do
//! counts as done by the caller. The caller is looked for up the stack: code in scope makes it count; the body of a
//! module or class out of scope, which is busy defining itself, makes it invisible. Where neither is found, as in a
//! thread that runs such a function directly, it counts.

use crate::interpreter::Frame;
use crate::site;

/// Whether what the code of `frame` does counts as done by code in scope.
///
/// # Safety
/// The frame is live and the interpreter's lock is held.
pub unsafe fn counts(frame: Frame) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let mut at = frame.caller();
        while let Some(frame) = at {
            if let Some((constant, is_function)) = frame.code() {
                match site::of_constant(constant).map(|site| site.in_scope) {
                    Some(true) => return true,
                    None if !is_function => return false,
                    _ => {}
                }
            }
            at = frame.caller();
        }
        true
    }
}
