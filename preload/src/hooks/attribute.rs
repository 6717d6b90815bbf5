//! Extended attributes of files: a part of their metadata.

use super::hooks;
use crate::abi::{Kind, READS, WRITES};
use crate::call::Call;
use crate::path::Last;
use libc::{c_char, c_int, c_void, size_t, ssize_t};

hooks! {
    fn getxattr(path: *const c_char, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t =
        reads(path, Last::Followed);
    fn lgetxattr(path: *const c_char, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t =
        reads(path, Last::Kept);
    fn fgetxattr(fd: c_int, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t =
        Call::on(Kind::Stat, READS, fd);
    fn listxattr(path: *const c_char, names: *mut c_char, size: size_t) -> ssize_t = reads(path, Last::Followed);
    fn llistxattr(path: *const c_char, names: *mut c_char, size: size_t) -> ssize_t = reads(path, Last::Kept);
    fn flistxattr(fd: c_int, names: *mut c_char, size: size_t) -> ssize_t = Call::on(Kind::Stat, READS, fd);
    fn setxattr(path: *const c_char, name: *const c_char, value: *const c_void, size: size_t, flags: c_int) -> c_int =
        changes(path, Last::Followed);
    fn lsetxattr(path: *const c_char, name: *const c_char, value: *const c_void, size: size_t, flags: c_int) -> c_int =
        changes(path, Last::Kept);
    fn fsetxattr(fd: c_int, name: *const c_char, value: *const c_void, size: size_t, flags: c_int) -> c_int =
        Call::on(Kind::Change, WRITES, fd);
    fn removexattr(path: *const c_char, name: *const c_char) -> c_int = changes(path, Last::Followed);
    fn lremovexattr(path: *const c_char, name: *const c_char) -> c_int = changes(path, Last::Kept);
    fn fremovexattr(fd: c_int, name: *const c_char) -> c_int = Call::on(Kind::Change, WRITES, fd);
}

fn reads(path: *const c_char, last: Last) -> Call {
    Call::at(Kind::Stat, READS, path, last)
}

fn changes(path: *const c_char, last: Last) -> Call {
    Call::at(Kind::Change, WRITES, path, last)
}
