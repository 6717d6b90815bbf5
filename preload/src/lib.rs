//! What libc was asked: the `LD_PRELOAD` shim `libfrontrun_io.so`.
//!
//! It stands in front of the libc functions through which a program reaches files, sockets and pipes, forwards
//! every call, and reports what was asked of which *resource* (`file:/abs/path`, `socket:127.0.0.1:5432`,
//! `pipe`). In a controlled process a report is a call of a registered function ([`frontrun_shim_register`]),
//! synchronously before and after the real call, so that I/O takes its place in the order of Python events.
//! Elsewhere it is one line into the pipe `FRONTRUN_IO_FD` ([`line`](mod@line)).
//!
//! # Rules of the house
//! This code runs inside every process that was started under frontrun, in the middle of calls that may come
//! from signal handlers, from allocators and from threads that Python does not know. Therefore:
//!
//! * **Forward, always.** Whatever goes wrong here, the real function is called with the arguments that came,
//!   its result is returned, and `errno` is what it left. Nothing is printed, ever: not to 1, not to 2.
//! * **Idle costs nothing.** While nobody listens, a hook is two relaxed loads and the call. No lock, no TLS, no
//!   allocation, no system call. Where somebody listens to other threads, a call that opens and closes nothing costs
//!   little more.
//! * **No allocator.** Memory comes from `mmap` and from statics; `malloc` may be what called us. So no `Box`,
//!   `Vec`, `String`, `format!`, `println!`, no std I/O (it would call our own `write`), no std locks.
//! * **No recursion.** A per-thread guard is set while shim code runs; a hooked call that arrives then, from the
//!   callback, from a signal handler, from libc, is forwarded without a report. The guard is *not* set during
//!   the real call: a handler that interrupts a blocked `read` is a caller like any other.
//! * **No destructor across a real call.** `read` and its like are cancellation points: `pthread_cancel` unwinds
//!   through our frame, which is allowed for frames without anything to drop (hence `C-unwind` and no RAII).
//! * **Small frames.** Handlers run on alternate stacks of 8 KiB: nothing larger than a few hundred bytes lives
//!   on the stack, paths are resolved in static scratch space.
//! * **A child is somebody else.** A `vfork` child shares our memory: it is recognised by its pid and its calls
//!   are forwarded untracked. A `fork` child owns its copy: `pthread_atfork` hands it over unlocked.
//! * **Own system calls are raw** (`syscall`), so that they are never reported.
//!
//! # Order of construction
//! Calls come before our constructor ran (other libraries' constructors, the loader): all statics are valid when
//! zero, and zero means idle.
//!
//! # Not here
//! What an operation means (which conflicts with which, when it is enabled) is the listener's business. What no
//! preload can see: system calls made without libc, static binaries, setuid programs, formatted stdio (`fprintf`,
//! `fscanf` cannot be forwarded from Rust: variadic), whose buffers are seen at `fflush` and `fclose`. Where an
//! observed program passes an invalid pointer, the shim may fault where the kernel would have said `EFAULT`.

#![cfg(target_os = "linux")]

mod abi;
mod address;
mod attach;
mod call;
mod hooks;
mod line;
mod listener;
mod lock;
mod name;
mod path;
mod pipe;
mod raw;
mod returned;
mod scratch;
mod symbol;
mod table;
mod thread;

use abi::{ABI, Callback};

/// The version of [`abi`]. Python asks for it through the process's global symbols, which doubles as the question
/// whether the shim is preloaded at all; another number is refused.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_io_abi() -> u32 {
    ABI
}

/// Makes `callback` the listener of this process, or removes it; returns [`ABI`].
///
/// It is called from controlled threads only ([`frontrun_shim_control`]), before and after each hooked call, with
/// `errno` already saved and the guard set, so its own I/O is not reported. It may block in the before phase: that
/// is how a thread is held until its turn. It may come with or without the GIL held, and in a signal handler. It
/// must not unwind.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_shim_register(callback: Option<Callback>) -> u32 {
    listener::register(callback);
    ABI
}

/// Makes `fd`, a pipe, the one that events are written to, as if `FRONTRUN_IO_FD` had named it; a descriptor that is no
/// pipe ends the writing.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_shim_pipe(fd: libc::c_int) {
    listener::change_pipe(fd);
}

/// Numbers the openings to come from `first` on: those of processes that are forked from one and compared with each other
/// need numbers of their own.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_shim_number_from(first: u64) {
    table::number_from(first);
}

/// Puts the hooks in front of libc for the objects that are loaded now: for a process that was started without
/// `LD_PRELOAD` and loaded this library later. May be called again when more objects have been loaded. Returns how many
/// places now lead to a hook that did not before.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_shim_attach() -> u32 {
    attach::attach()
}

/// Makes the calling thread controlled (1) or not (0); returns what it was. Threads start uncontrolled. The
/// listener turns itself off with it while it writes its own files.
#[unsafe(no_mangle)]
pub extern "C" fn frontrun_shim_control(on: u32) -> u32 {
    u32::from(thread::control(on != 0))
}

/// Runs at load time, before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn construct() {
        hooks::resolve_all();
        listener::construct();
    }
    construct
};
