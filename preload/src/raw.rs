//! The system calls that the shim makes for itself, directly, so that no hook sees them; and `errno`.

use libc::{c_char, c_int, c_long, c_void, syscall};

/// `errno` of the calling thread.
pub fn errno() -> c_int {
    // SAFETY: the location is the calling thread's own and always valid.
    unsafe { *libc::__errno_location() }
}

/// Sets `errno`.
pub fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = value }
}

/// The process id, from the kernel: a `vfork` child must see its own.
pub fn process_id() -> c_int {
    // SAFETY: takes no argument and cannot fail.
    unsafe { syscall(libc::SYS_getpid) as c_int }
}

/// The kernel's id of the calling thread.
pub fn thread_id() -> c_int {
    // SAFETY: as above.
    unsafe { syscall(libc::SYS_gettid) as c_int }
}

/// Lets another thread run.
pub fn yield_now() {
    // SAFETY: as above.
    unsafe { syscall(libc::SYS_sched_yield) };
}

/// Fresh zeroed memory that is never given back, or null.
pub fn pages(bytes: usize) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let address =
        unsafe { syscall(libc::SYS_mmap, 0 as c_long, bytes, protection, flags, -1 as c_long, 0 as c_long) };
    if address == -1 { std::ptr::null_mut() } else { address as *mut u8 }
}

/// Device, inode and mode of an open descriptor.
pub fn fstat(fd: c_int) -> Option<(u64, u64, u32)> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is of the kernel's `struct stat`, which on 64-bit Linux is libc's.
    let result = unsafe { syscall(libc::SYS_fstat, fd, status.as_mut_ptr()) };
    // SAFETY: filled on success; all-zero is valid otherwise.
    let status = unsafe { status.assume_init() };
    (result == 0).then_some((status.st_dev, status.st_ino, status.st_mode))
}

/// The position of an open file, or None where there is none.
pub fn position(fd: c_int) -> Option<i64> {
    // SAFETY: moves nothing (0 from the current position).
    let result = unsafe { syscall(libc::SYS_lseek, fd, 0 as c_long, libc::SEEK_CUR) };
    (result >= 0).then_some(result)
}

/// The target of a symbolic link (`link` ends with 0), as a length; None when it is none.
pub fn readlink(link: &[u8], target: &mut [u8]) -> Result<usize, c_int> {
    debug_assert_eq!(link.last(), Some(&0));
    let directory = libc::AT_FDCWD;
    // SAFETY: `link` is terminated, `target` is as long as we say.
    let length =
        unsafe { syscall(libc::SYS_readlinkat, directory, link.as_ptr(), target.as_mut_ptr(), target.len()) };
    if length < 0 { Err(errno()) } else { Ok(length as usize) }
}

/// The working directory, as a length without the terminator.
pub fn working_directory(buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: the buffer is as long as we say.
    let length = unsafe { syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    (length > 0).then(|| length as usize - 1)
}

/// Which of a socket's two addresses.
pub enum End {
    /// Its own.
    Local,
    /// The peer's.
    Peer,
}

/// The address of a socket, as a length.
pub fn socket_address(fd: c_int, end: End, address: &mut libc::sockaddr_storage) -> Option<libc::socklen_t> {
    let number = match end {
        End::Local => libc::SYS_getsockname,
        End::Peer => libc::SYS_getpeername,
    };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: both pointers are to live values, and the length is that of the buffer.
    let result = unsafe { syscall(number, fd, std::ptr::from_mut(address), &raw mut length) };
    (result == 0).then_some(length)
}

/// Writes without blocking the way the caller's `write` would; returns the count or -1.
pub fn write(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: the slice is valid for its length.
    unsafe { syscall(libc::SYS_write, fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) as isize }
}

/// Adds `O_NONBLOCK` to an open file.
pub fn set_nonblocking(fd: c_int) {
    // SAFETY: changes a flag of the open file only.
    unsafe {
        let flags = syscall(libc::SYS_fcntl, fd, libc::F_GETFL);
        if flags >= 0 {
            syscall(libc::SYS_fcntl, fd, libc::F_SETFL, flags | c_long::from(libc::O_NONBLOCK));
        }
    }
}

/// The length of a C string.
///
/// # Safety
/// `text` is terminated by 0.
pub unsafe fn length(text: *const c_char) -> usize {
    // SAFETY: by contract.
    unsafe { libc::strlen(text) }
}

/// Whether writes to `fd` go to the end of the file.
pub fn appends(fd: c_int) -> bool {
    // SAFETY: reads a flag of the open file.
    let flags = unsafe { syscall(libc::SYS_fcntl, fd, libc::F_GETFL) };
    flags >= 0 && flags & c_long::from(libc::O_APPEND) != 0
}
