//! Existence and metadata of paths and of open files.
//!
//! The `__xstat` functions are what programs built against glibc before 2.33 call.

use super::hooks;
use crate::abi::{Kind, READS};
use crate::call::Call;
use crate::path::Last;
use libc::{c_char, c_int, c_uint, c_void, size_t, ssize_t};

hooks! {
    fn stat(path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Followed);
    fn stat64(path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Followed);
    fn lstat(path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Kept);
    fn lstat64(path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Kept);
    fn fstat(fd: c_int, status: *mut c_void) -> c_int = Call::on(Kind::Stat, READS, fd);
    fn fstat64(fd: c_int, status: *mut c_void) -> c_int = Call::on(Kind::Stat, READS, fd);
    fn fstatat(directory: c_int, path: *const c_char, status: *mut c_void, flags: c_int) -> c_int =
        within(directory, path, flags);
    fn fstatat64(directory: c_int, path: *const c_char, status: *mut c_void, flags: c_int) -> c_int =
        within(directory, path, flags);
    fn statx(directory: c_int, path: *const c_char, flags: c_int, mask: c_uint, status: *mut c_void) -> c_int =
        within(directory, path, flags);
    fn __xstat(version: c_int, path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Followed);
    fn __xstat64(version: c_int, path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Followed);
    fn __lxstat(version: c_int, path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Kept);
    fn __lxstat64(version: c_int, path: *const c_char, status: *mut c_void) -> c_int = at(path, Last::Kept);
    fn __fxstat(version: c_int, fd: c_int, status: *mut c_void) -> c_int = Call::on(Kind::Stat, READS, fd);
    fn __fxstat64(version: c_int, fd: c_int, status: *mut c_void) -> c_int = Call::on(Kind::Stat, READS, fd);
    fn __fxstatat(version: c_int, directory: c_int, path: *const c_char, status: *mut c_void, flags: c_int) -> c_int =
        within(directory, path, flags);
    fn __fxstatat64(version: c_int, directory: c_int, path: *const c_char, status: *mut c_void, flags: c_int) -> c_int =
        within(directory, path, flags);

    fn access(path: *const c_char, mode: c_int) -> c_int = at(path, Last::Followed);
    fn faccessat(directory: c_int, path: *const c_char, mode: c_int, flags: c_int) -> c_int =
        within(directory, path, flags);
    fn eaccess(path: *const c_char, mode: c_int) -> c_int = at(path, Last::Followed);
    fn euidaccess(path: *const c_char, mode: c_int) -> c_int = at(path, Last::Followed);
    fn readlink(path: *const c_char, buffer: *mut c_char, size: size_t) -> ssize_t = at(path, Last::Kept);
    fn readlinkat(directory: c_int, path: *const c_char, buffer: *mut c_char, size: size_t) -> ssize_t =
        within(directory, path, libc::AT_SYMLINK_NOFOLLOW);
}

fn at(path: *const c_char, last: Last) -> Call {
    Call::at(Kind::Stat, READS, path, last)
}

fn within(directory: c_int, path: *const c_char, flags: c_int) -> Call {
    let last = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Last::Kept } else { Last::Followed };
    Call::on(Kind::Stat, READS, -1).in_directory(directory, path, last)
}
