//! Content that is read and written through descriptors.

use super::hooks;
use crate::abi::{BOTH, Kind, READS, WRITES};
use crate::call::Call;
use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};

hooks! {
    fn read(fd: c_int, buffer: *mut c_void, count: size_t) -> ssize_t = reads(fd).length(count);
    fn __read_chk(fd: c_int, buffer: *mut c_void, count: size_t, size: size_t) -> ssize_t = reads(fd).length(count);
    fn pread(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t) -> ssize_t =
        reads(fd).length(count).offset(offset);
    fn pread64(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t) -> ssize_t =
        reads(fd).length(count).offset(offset);
    fn __pread_chk(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t, size: size_t) -> ssize_t =
        reads(fd).length(count).offset(offset);
    fn __pread64_chk(fd: c_int, buffer: *mut c_void, count: size_t, offset: off_t, size: size_t) -> ssize_t =
        reads(fd).length(count).offset(offset);
    fn readv(fd: c_int, parts: *const iovec, n_parts: c_int) -> ssize_t = reads(fd).vector(parts, n_parts as usize);
    fn preadv(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t) -> ssize_t =
        reads(fd).vector(parts, n_parts as usize).offset(offset);
    fn preadv64(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t) -> ssize_t =
        reads(fd).vector(parts, n_parts as usize).offset(offset);
    fn preadv2(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t, flags: c_int) -> ssize_t =
        or_position(reads(fd).vector(parts, n_parts as usize), offset);
    fn preadv64v2(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t, flags: c_int) -> ssize_t =
        or_position(reads(fd).vector(parts, n_parts as usize), offset);

    fn write(fd: c_int, buffer: *const c_void, count: size_t) -> ssize_t = writes(fd).length(count), in part count;
    fn pwrite(fd: c_int, buffer: *const c_void, count: size_t, offset: off_t) -> ssize_t =
        writes(fd).length(count).offset(offset);
    fn pwrite64(fd: c_int, buffer: *const c_void, count: size_t, offset: off_t) -> ssize_t =
        writes(fd).length(count).offset(offset);
    fn writev(fd: c_int, parts: *const iovec, n_parts: c_int) -> ssize_t = writes(fd).vector(parts, n_parts as usize);
    fn pwritev(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t) -> ssize_t =
        writes(fd).vector(parts, n_parts as usize).offset(offset);
    fn pwritev64(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t) -> ssize_t =
        writes(fd).vector(parts, n_parts as usize).offset(offset);
    fn pwritev2(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t, flags: c_int) -> ssize_t =
        or_position(writes(fd).vector(parts, n_parts as usize), offset);
    fn pwritev64v2(fd: c_int, parts: *const iovec, n_parts: c_int, offset: off_t, flags: c_int) -> ssize_t =
        or_position(writes(fd).vector(parts, n_parts as usize), offset);

    fn eventfd_read(fd: c_int, value: *mut u64) -> c_int = reads(fd).length(size_of::<u64>());
    fn eventfd_write(fd: c_int, value: u64) -> c_int = writes(fd).length(size_of::<u64>());

    fn lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t = Call::on(Kind::Seek, BOTH, fd);
    fn lseek64(fd: c_int, offset: off_t, whence: c_int) -> off_t = Call::on(Kind::Seek, BOTH, fd);
}

fn reads(fd: c_int) -> Call {
    Call::on(Kind::Read, READS, fd)
}

fn writes(fd: c_int) -> Call {
    Call::on(Kind::Write, WRITES, fd)
}

/// The second versions take -1 for the file's position.
fn or_position(call: Call, offset: off_t) -> Call {
    if offset == -1 { call } else { call.offset(offset) }
}
