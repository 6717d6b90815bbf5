//! Who is told: nobody, the registered callback, or the pipe. And what changes across `fork`.

use crate::abi::{Callback, DONE, IoEvent, Phase};
use crate::{line, name, pipe, raw, scratch, table, thread};
use libc::c_int;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, Ordering};

/// The environment variable with the number of the event pipe's writing end. `N:INODE` also names the pipe's
/// inode: a child that inherited the variable but not the descriptor then cannot take another pipe for it.
const PIPE_VARIABLE: &std::ffi::CStr = c"FRONTRUN_IO_FD";

const IDLE: u8 = 0;
const CALLBACK: u8 = 1;
const PIPE: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(IDLE);
static CALLBACK_ADDRESS: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
/// The process that the table describes. A `vfork` child is another one in the same memory.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Whether nobody listens.
#[inline]
pub fn idle() -> bool {
    MODE.load(Ordering::Relaxed) == IDLE
}

/// Whether the only listener is a function of this process that does not care for the calling thread.
#[inline]
pub fn is_out_of_earshot() -> bool {
    is_callback() && !thread::controlled()
}

/// Whether the calling process is the one that the table describes.
pub fn mine() -> bool {
    OWNER.load(Ordering::Relaxed) == raw::process_id()
}

/// Whether the calling thread's events are wanted.
pub fn wanted() -> bool {
    match MODE.load(Ordering::Relaxed) {
        CALLBACK => thread::controlled(),
        PIPE => true,
        _ => false,
    }
}

/// Whether the listener is a function of this process.
pub fn is_callback() -> bool {
    MODE.load(Ordering::Relaxed) == CALLBACK
}

/// Tells the listener; returns what it answers. The guard of the calling thread is set.
pub fn report(event: &IoEvent) -> u32 {
    match MODE.load(Ordering::Acquire) {
        CALLBACK => {
            let address = CALLBACK_ADDRESS.load(Ordering::Acquire);
            // SAFETY: only `register` stores there, and only addresses of `Callback`s; null is None.
            let callback = unsafe { std::mem::transmute::<*mut (), Option<Callback>>(address) };
            if let Some(callback) = callback {
                // SAFETY: the event is valid during the call, which is what a callback may rely on.
                return unsafe { callback(event) };
            }
        }
        PIPE if event.phase == Phase::After as u8 && !line::write(pipe::fd(), pipe::identity(), event) => {
            pipe_is_gone();
        }
        _ => {}
    }
    DONE
}

/// Stops writing to the pipe: its descriptor is something else now.
fn pipe_is_gone() {
    pipe::forget();
    let _ = MODE.compare_exchange(PIPE, IDLE, Ordering::Release, Ordering::Relaxed);
}

/// See [`crate::frontrun_shim_register`].
pub fn register(callback: Option<Callback>) {
    if idle() {
        // What was open before nobody listened may have been closed unseen.
        table::forget_range(0, u32::MAX);
    }
    OWNER.store(raw::process_id(), Ordering::Relaxed);
    let address = callback.map_or(std::ptr::null_mut(), |callback| callback as *mut ());
    CALLBACK_ADDRESS.store(address, Ordering::Release);
    let otherwise = if pipe::is_open() { PIPE } else { IDLE };
    MODE.store(if callback.is_some() { CALLBACK } else { otherwise }, Ordering::Release);
}

/// At load time.
pub fn construct() {
    OWNER.store(raw::process_id(), Ordering::Relaxed);
    // SAFETY: the handlers are functions of this library, which is never unloaded. A failure (no memory) leaves
    // fork children untracked, since their pid is not the owner's.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    // SAFETY: the environment is set up before constructors run, and no other thread exists yet.
    let value = unsafe { libc::getenv(PIPE_VARIABLE.as_ptr()) };
    if value.is_null() {
        return;
    }
    // SAFETY: `getenv` returns a terminated string.
    let value = unsafe { std::ffi::CStr::from_ptr(value) };
    if let Some((fd, inode)) = parse(value.to_bytes()) {
        open_pipe(fd, inode);
    }
}

/// `N` or `N:INODE`.
fn parse(value: &[u8]) -> Option<(c_int, Option<u64>)> {
    let value = std::str::from_utf8(value).ok()?;
    let (fd, inode) = value.split_once(':').map_or((value, None), |(fd, inode)| (fd, Some(inode)));
    let inode = inode.map(str::parse).transpose().ok()?;
    Some((fd.parse().ok()?, inode))
}

/// See [`crate::frontrun_shim_pipe`].
pub fn change_pipe(fd: c_int) {
    pipe_is_gone();
    if idle() {
        table::forget_range(0, u32::MAX);
        open_pipe(fd, None);
    }
}

fn open_pipe(fd: c_int, expected: Option<u64>) {
    let Some((device, inode, mode)) = raw::fstat(fd) else { return };
    if mode & libc::S_IFMT != libc::S_IFIFO || expected.is_some_and(|expected| expected != inode) {
        return;
    }
    // A reader that is slow, or waits for something we hold, must not stop the program: what does not fit is lost
    // and counted.
    raw::set_nonblocking(fd);
    pipe::set(fd, device, inode);
    MODE.store(PIPE, Ordering::Release);
}

/// Before `fork`: no other thread may be in a section, or the child would inherit a lock without a holder. A
/// thread that is inside the shim (a handler that forks, the callback) may be the holder and must not wait.
unsafe extern "C" fn prepare() {
    if !thread::inside() {
        table::before_fork();
        name::before_fork();
    }
}

unsafe extern "C" fn parent() {
    if !thread::inside() {
        name::after_fork();
        table::after_fork();
    }
}

unsafe extern "C" fn child() {
    name::after_fork();
    table::after_fork();
    scratch::reset();
    line::reset();
    OWNER.store(raw::process_id(), Ordering::Relaxed);
}
