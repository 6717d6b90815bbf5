//! Files and their names: length, durability, advisory locks; rename, unlink, link, directories, modes.
//!
//! `remove`, `mkstemp` and their like are libc functions that call the kernel without passing a hook, so they
//! have their own.

use super::hooks;
use crate::abi::{BOTH, Kind, READS, WRITES};
use crate::call::{Call, Effect};
use crate::path::Last;
use libc::{
    AT_FDCWD, c_char, c_int, c_uint, c_void, dev_t, gid_t, mode_t, off_t, size_t, ssize_t, timespec, timeval,
    uid_t,
};

hooks! {
    fn ftruncate(fd: c_int, length: off_t) -> c_int = Call::on(Kind::Truncate, WRITES, fd).offset(length);
    fn ftruncate64(fd: c_int, length: off_t) -> c_int = Call::on(Kind::Truncate, WRITES, fd).offset(length);
    fn truncate(path: *const c_char, length: off_t) -> c_int =
        Call::at(Kind::Truncate, WRITES, path, Last::Followed).offset(length);
    fn truncate64(path: *const c_char, length: off_t) -> c_int =
        Call::at(Kind::Truncate, WRITES, path, Last::Followed).offset(length);
    fn fsync(fd: c_int) -> c_int = Call::on(Kind::Sync, READS, fd);
    fn fdatasync(fd: c_int) -> c_int = Call::on(Kind::Sync, READS, fd);
    fn flock(fd: c_int, operation: c_int) -> c_int = Call::on(Kind::Lock, BOTH, fd);
    fn lockf(fd: c_int, command: c_int, length: off_t) -> c_int = Call::on(Kind::Lock, BOTH, fd);
    fn lockf64(fd: c_int, command: c_int, length: off_t) -> c_int = Call::on(Kind::Lock, BOTH, fd);
    fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int =
        Call::on(Kind::Truncate, WRITES, fd).offset(offset).length(length as usize);
    fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int =
        Call::on(Kind::Truncate, WRITES, fd).offset(offset).length(length as usize);

    fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int =
        Call::on(Kind::Truncate, WRITES, fd).offset(offset).length(length as usize);
    fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int =
        Call::on(Kind::Truncate, WRITES, fd).offset(offset).length(length as usize);
    fn sync_file_range(fd: c_int, offset: off_t, length: off_t, flags: c_uint) -> c_int =
        Call::on(Kind::Sync, READS, fd).offset(offset).length(length as usize);
    fn syncfs(fd: c_int) -> c_int = Call::on(Kind::Sync, READS, fd);

    fn rename(from: *const c_char, to: *const c_char) -> c_int = renames(AT_FDCWD, from, AT_FDCWD, to);
    fn renameat(from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char) -> c_int =
        renames(from_directory, from, to_directory, to);
    fn renameat2(from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char,
        flags: c_uint) -> c_int = renames(from_directory, from, to_directory, to);
    fn unlink(path: *const c_char) -> c_int = Call::at(Kind::Unlink, WRITES, path, Last::Kept);
    fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int = unlinkat_call(directory, path, flags);
    fn remove(path: *const c_char) -> c_int = Call::at(Kind::Unlink, WRITES, path, Last::Kept);
    fn link(from: *const c_char, to: *const c_char) -> c_int =
        Call::at(Kind::Link, BOTH, from, Last::Kept).to(AT_FDCWD, to);
    fn linkat(from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char,
        flags: c_int) -> c_int = linkat_call(from_directory, from, to_directory, to, flags);
    fn symlink(target: *const c_char, path: *const c_char) -> c_int = Call::at(Kind::Link, WRITES, path, Last::Kept);
    fn symlinkat(target: *const c_char, directory: c_int, path: *const c_char) -> c_int =
        path_call(Kind::Link, directory, path, Last::Kept);
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int = Call::at(Kind::MakeDirectory, WRITES, path, Last::Kept);
    fn mkdirat(directory: c_int, path: *const c_char, mode: mode_t) -> c_int =
        path_call(Kind::MakeDirectory, directory, path, Last::Kept);
    fn rmdir(path: *const c_char) -> c_int = Call::at(Kind::RemoveDirectory, WRITES, path, Last::Kept);
    fn mkfifo(path: *const c_char, mode: mode_t) -> c_int = Call::at(Kind::Link, WRITES, path, Last::Kept);
    fn mkfifoat(directory: c_int, path: *const c_char, mode: mode_t) -> c_int =
        path_call(Kind::Link, directory, path, Last::Kept);
    fn mknod(path: *const c_char, mode: mode_t, device: dev_t) -> c_int =
        Call::at(Kind::Link, WRITES, path, Last::Kept);
    fn mknodat(directory: c_int, path: *const c_char, mode: mode_t, device: dev_t) -> c_int =
        path_call(Kind::Link, directory, path, Last::Kept);

    fn chmod(path: *const c_char, mode: mode_t) -> c_int = Call::at(Kind::Change, WRITES, path, Last::Followed);
    fn fchmod(fd: c_int, mode: mode_t) -> c_int = Call::on(Kind::Change, WRITES, fd);
    fn fchmodat(directory: c_int, path: *const c_char, mode: mode_t, flags: c_int) -> c_int =
        path_call(Kind::Change, directory, path, last_of(flags));
    fn chown(path: *const c_char, owner: uid_t, group: gid_t) -> c_int =
        Call::at(Kind::Change, WRITES, path, Last::Followed);
    fn lchown(path: *const c_char, owner: uid_t, group: gid_t) -> c_int =
        Call::at(Kind::Change, WRITES, path, Last::Kept);
    fn fchown(fd: c_int, owner: uid_t, group: gid_t) -> c_int = Call::on(Kind::Change, WRITES, fd);
    fn fchownat(directory: c_int, path: *const c_char, owner: uid_t, group: gid_t, flags: c_int) -> c_int =
        path_call(Kind::Change, directory, path, last_of(flags));
    fn utime(path: *const c_char, times: *const c_void) -> c_int =
        Call::at(Kind::Change, WRITES, path, Last::Followed);
    fn utimes(path: *const c_char, times: *const timeval) -> c_int =
        Call::at(Kind::Change, WRITES, path, Last::Followed);
    fn lutimes(path: *const c_char, times: *const timeval) -> c_int =
        Call::at(Kind::Change, WRITES, path, Last::Kept);
    fn futimes(fd: c_int, times: *const timeval) -> c_int = Call::on(Kind::Change, WRITES, fd);
    fn utimensat(directory: c_int, path: *const c_char, times: *const timespec, flags: c_int) -> c_int =
        if path.is_null() { Call::on(Kind::Change, WRITES, directory) }
        else { path_call(Kind::Change, directory, path, last_of(flags)) };
    fn futimens(fd: c_int, times: *const timespec) -> c_int = Call::on(Kind::Change, WRITES, fd);

    fn mkstemp(template: *mut c_char) -> c_int = appears();
    fn mkstemp64(template: *mut c_char) -> c_int = appears();
    fn mkostemp(template: *mut c_char, flags: c_int) -> c_int = appears();
    fn mkostemp64(template: *mut c_char, flags: c_int) -> c_int = appears();
    fn mkstemps(template: *mut c_char, suffix: c_int) -> c_int = appears();
    fn mkstemps64(template: *mut c_char, suffix: c_int) -> c_int = appears();
    fn mkostemps(template: *mut c_char, suffix: c_int, flags: c_int) -> c_int = appears();
    fn mkostemps64(template: *mut c_char, suffix: c_int, flags: c_int) -> c_int = appears();

    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t = copies(from, to, count);
    fn sendfile64(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t = copies(from, to, count);
    fn copy_file_range(from: c_int, from_offset: *mut off_t, to: c_int, to_offset: *mut off_t, count: size_t,
        flags: c_uint) -> ssize_t = copies(from, to, count);
    fn splice(from: c_int, from_offset: *mut off_t, to: c_int, to_offset: *mut off_t, count: size_t,
        flags: c_uint) -> ssize_t = copies(from, to, count);
}

fn path_call(kind: Kind, directory: c_int, path: *const c_char, last: Last) -> Call {
    Call::on(kind, WRITES, -1).in_directory(directory, path, last)
}

fn renames(from_directory: c_int, from: *const c_char, to_directory: c_int, to: *const c_char) -> Call {
    Call::on(Kind::Rename, BOTH, -1).in_directory(from_directory, from, Last::Kept).to(to_directory, to)
}

fn unlinkat_call(directory: c_int, path: *const c_char, flags: c_int) -> Call {
    let kind = if flags & libc::AT_REMOVEDIR != 0 { Kind::RemoveDirectory } else { Kind::Unlink };
    path_call(kind, directory, path, Last::Kept)
}

fn linkat_call(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_int,
) -> Call {
    let last = if flags & libc::AT_SYMLINK_FOLLOW != 0 { Last::Followed } else { Last::Kept };
    Call::on(Kind::Link, BOTH, -1).in_directory(from_directory, from, last).to(to_directory, to)
}

fn last_of(flags: c_int) -> Last {
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Last::Kept } else { Last::Followed }
}

/// The path is in the template, once the call has chosen it.
fn appears() -> Call {
    Call::on(Kind::Open, BOTH, -1).effect(Effect::Appears)
}

/// The resource is the source, the other one the destination.
fn copies(from: c_int, to: c_int, count: size_t) -> Call {
    Call::on(Kind::Read, BOTH, from).anywhere().length(count).with_descriptor(to)
}
