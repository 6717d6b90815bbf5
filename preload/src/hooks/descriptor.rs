//! Descriptors that come, multiply and go: `open`, `close`, `dup`, `pipe`, and the locks of `fcntl`.

use super::hooks;
use crate::abi::{BOTH, Kind, READS};
use crate::call::{Call, Effect};
use libc::{AT_FDCWD, c_char, c_int, c_long, c_uint, mode_t};

const MAKES: c_int = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;

hooks! {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = Call::open(AT_FDCWD, path, flags);
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int = Call::open(AT_FDCWD, path, flags);
    fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        Call::open(directory, path, flags);
    fn openat64(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int =
        Call::open(directory, path, flags);
    fn __open_2(path: *const c_char, flags: c_int) -> c_int = Call::open(AT_FDCWD, path, flags);
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int = Call::open(AT_FDCWD, path, flags);
    fn __openat_2(directory: c_int, path: *const c_char, flags: c_int) -> c_int = Call::open(directory, path, flags);
    fn __openat64_2(directory: c_int, path: *const c_char, flags: c_int) -> c_int =
        Call::open(directory, path, flags);
    fn creat(path: *const c_char, mode: mode_t) -> c_int = Call::open(AT_FDCWD, path, MAKES);
    fn creat64(path: *const c_char, mode: mode_t) -> c_int = Call::open(AT_FDCWD, path, MAKES);

    fn close(fd: c_int) -> c_int = Call::on(Kind::Close, 0, fd).effect(Effect::Closes);
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int = close_range_call(first, last, flags);

    fn dup(fd: c_int) -> c_int = Call::on(Kind::Duplicate, 0, fd).effect(Effect::Duplicates);
    fn dup2(fd: c_int, to: c_int) -> c_int = Call::on(Kind::Duplicate, 0, fd).effect(Effect::Duplicates);
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int =
        Call::on(Kind::Duplicate, 0, fd).effect(Effect::Duplicates);

    fn pipe(ends: *mut c_int) -> c_int = Call::on(Kind::Pair, 0, -1).effect(Effect::Pairs(ends, b"pipe"));
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int =
        Call::on(Kind::Pair, 0, -1).effect(Effect::Pairs(ends, b"pipe"));

    fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int = fcntl_call(fd, command);
    fn fcntl64(fd: c_int, command: c_int, argument: c_long) -> c_int = fcntl_call(fd, command);
}

fn fcntl_call(fd: c_int, command: c_int) -> Call {
    match command {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => Call::on(Kind::Duplicate, 0, fd).effect(Effect::Duplicates),
        libc::F_GETLK | libc::F_OFD_GETLK => Call::on(Kind::Lock, READS, fd),
        libc::F_SETLK | libc::F_SETLKW | libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            Call::on(Kind::Lock, BOTH, fd)
        }
        _ => Call::on(Kind::Lock, 0, fd).ignored(),
    }
}

fn close_range_call(first: c_uint, last: c_uint, flags: c_int) -> Call {
    let call = Call::on(Kind::Close, 0, -1);
    // With this flag nothing is closed now.
    let later = flags & libc::CLOSE_RANGE_CLOEXEC as c_int != 0;
    if later { call.ignored() } else { call.effect(Effect::ClosesRange(first, last)) }
}
