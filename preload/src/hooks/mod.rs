//! The hooked functions: one macro, and one file a family.
//!
//! A hook is declared with the function's C signature and the description of the call:
//! `fn fsync(fd: c_int) -> c_int = Call::on(Kind::Sync, READS, fd);`. Everything else is the same for all, but for waits:
//! `at once timeout = 0` says what a listener changes when their time has run out, and for what is sent: `in part count` names
//! the number of bytes, which a listener may lessen. `elsewhere (address, length)` are arguments for which it may name others.
//!
//! Variadic functions (`open`, `fcntl`) are declared with the argument that may follow. On x86-64 and aarch64
//! Linux variadic integer arguments travel like named ones, so what the caller passed, or the garbage when it
//! passed none, is handed on unchanged.
//!
//! The `_chk` functions are what `-D_FORTIFY_SOURCE` makes of a call whose buffer size the compiler knows.

mod attribute;
mod descriptor;
mod directory;
mod file;
mod memory;
mod socket;
mod stat;
mod stream;
mod transfer;
mod wait;

use std::ffi::CStr;

/// The hook that stands in front of the function `name`, if there is one.
pub fn hook_of(name: &CStr) -> Option<usize> {
    let families = [
        attribute::HOOKS,
        descriptor::HOOKS,
        directory::HOOKS,
        file::HOOKS,
        memory::HOOKS,
        socket::HOOKS,
        stat::HOOKS,
        stream::HOOKS,
        transfer::HOOKS,
        wait::HOOKS,
    ];
    families.into_iter().flatten().find(|hook| hook.name == name).map(|hook| hook.function as usize)
}

/// A hook by its name.
pub struct Hook {
    name: &'static CStr,
    function: *const (),
}

// SAFETY: addresses of functions, which live for ever.
unsafe impl Sync for Hook {}

/// Looks up all real functions.
pub fn resolve_all() {
    attribute::resolve();
    descriptor::resolve();
    directory::resolve();
    file::resolve();
    memory::resolve();
    socket::resolve();
    stat::resolve();
    stream::resolve();
    transfer::resolve();
    wait::resolve();
}

/// The name of a function as C has it.
macro_rules! c_name {
    ($name:ident) => {
        match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => panic!("an identifier has no zero byte"),
        }
    };
}
use c_name;

/// Declares hooks, see the module.
macro_rules! hooks {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $call:expr
        $(, at once $late:ident = $now:expr)? $(, in part $count:ident)? $(, elsewhere ($address:ident, $length:ident))?;)*) => {
        #[allow(non_upper_case_globals, reason = "named like the functions")]
        mod real {
            use super::*;
            $(pub static $name: crate::symbol::Symbol<unsafe extern "C-unwind" fn($($type),*) -> $result> =
                crate::symbol::Symbol::new(crate::hooks::c_name!($name));)*
        }

        /// The hooks of this family.
        pub const HOOKS: &[crate::hooks::Hook] = &[
            $(crate::hooks::Hook { name: crate::hooks::c_name!($name), function: hooked::$name as *const () },)*
        ];

        /// Looks up the real functions of this family.
        pub fn resolve() {
            $(real::$name.resolve();)*
        }

        /// The hooks themselves, which no other object can replace, unlike a symbol that is exported.
        #[allow(non_snake_case, reason = "named like the functions")]
        mod hooked {
            use super::*;
            $(
                pub unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $result {
                    use crate::returned::Returned;
                    let Some(function) = real::$name.get() else {
                        crate::raw::set_errno(libc::ENOSYS);
                        return <$result as Returned>::FAILED;
                    };
                    if crate::listener::idle() {
                        // SAFETY: the caller's own call, handed on.
                        return unsafe { function($($argument),*) };
                    }
                    #[allow(unused_unsafe, reason = "some descriptions read through pointer arguments")]
                    // SAFETY: pointer arguments are what the function's contract says; the caller vouches for it.
                    let mut call: crate::call::Call = unsafe { $call };
                    call.begin(real::$name.name(), [$($argument as u64),*]);
                    $(let $late = if call.is_at_once() { $now } else { $late };)?
                    $(let $count = call.part_of($count);)?
                    $(
                        let elsewhere = call.elsewhere();
                        let ($address, $length) =
                            elsewhere.as_ref().map_or(($address, $length), |other| other.arguments());
                    )?
                    let result = if call.is_too_early() {
                        crate::raw::set_errno(libc::EAGAIN);
                        <$result as Returned>::FAILED
                    } else {
                        // SAFETY: the caller's own call, handed on.
                        unsafe { function($($argument),*) }
                    };
                    call.finish(result.value(), result.failed(), result.descriptor());
                    result
                }
            )*
        }

        $(
            #[unsafe(no_mangle)]
            unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $result {
                // SAFETY: the caller's own call, handed on.
                unsafe { hooked::$name($($argument),*) }
            }
        )*
    };
}
use hooks;
