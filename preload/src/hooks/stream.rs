//! The stdio functions that can be hooked: libc's own reads and writes of a stream's buffer pass no hook, so the
//! function that the program calls is reported, at no particular place in the file.
//!
//! Output of functions that are not here (`fprintf`) becomes visible at `fflush` or `fclose`, reported as a write of
//! whatever was in the buffer. Input of those (`fscanf`) is not seen beyond the `fopen`.

use super::hooks;
use crate::abi::{BOTH, Kind, READS, WRITES};
use crate::call::{Call, Effect};
use crate::path::Last;
use crate::raw;
use libc::{FILE, c_char, c_int, c_long, c_void, off_t, size_t, ssize_t};

hooks! {
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut FILE = opens(path, mode);
    fn fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE = opens(path, mode);
    fn fclose(stream: *mut FILE) -> c_int = on(Kind::Close, WRITES, stream).effect(Effect::Closes);
    fn pclose(stream: *mut FILE) -> c_int = on(Kind::Close, WRITES, stream).effect(Effect::Closes);
    fn fflush(stream: *mut FILE) -> c_int = on(Kind::Write, WRITES, stream);
    fn fread(buffer: *mut c_void, size: size_t, count: size_t, stream: *mut FILE) -> size_t =
        on(Kind::Read, READS, stream).length(size.saturating_mul(count));
    fn __fread_chk(buffer: *mut c_void, room: size_t, size: size_t, count: size_t, stream: *mut FILE) -> size_t =
        on(Kind::Read, READS, stream).length(size.saturating_mul(count));
    fn fwrite(buffer: *const c_void, size: size_t, count: size_t, stream: *mut FILE) -> size_t =
        on(Kind::Write, WRITES, stream).length(size.saturating_mul(count));
    fn fgets(line: *mut c_char, size: c_int, stream: *mut FILE) -> *mut c_char =
        on(Kind::Read, READS, stream).length(size as usize);
    fn __fgets_chk(line: *mut c_char, room: size_t, size: c_int, stream: *mut FILE) -> *mut c_char =
        on(Kind::Read, READS, stream).length(size as usize);
    fn getline(line: *mut *mut c_char, size: *mut size_t, stream: *mut FILE) -> ssize_t =
        on(Kind::Read, READS, stream);
    fn getdelim(line: *mut *mut c_char, size: *mut size_t, delimiter: c_int, stream: *mut FILE) -> ssize_t =
        on(Kind::Read, READS, stream);
    fn __getdelim(line: *mut *mut c_char, size: *mut size_t, delimiter: c_int, stream: *mut FILE) -> ssize_t =
        on(Kind::Read, READS, stream);
    fn fputs(text: *const c_char, stream: *mut FILE) -> c_int = on(Kind::Write, WRITES, stream);
    fn fputc(byte: c_int, stream: *mut FILE) -> c_int = on(Kind::Write, WRITES, stream).length(1);
    fn putc(byte: c_int, stream: *mut FILE) -> c_int = on(Kind::Write, WRITES, stream).length(1);
    fn vfprintf(stream: *mut FILE, format: *const c_char, list: *mut c_void) -> c_int =
        on(Kind::Write, WRITES, stream);
    fn __vfprintf_chk(stream: *mut FILE, flag: c_int, format: *const c_char, list: *mut c_void) -> c_int =
        on(Kind::Write, WRITES, stream);
    fn fgetc(stream: *mut FILE) -> c_int = on(Kind::Read, READS, stream).length(1);
    fn getc(stream: *mut FILE) -> c_int = on(Kind::Read, READS, stream).length(1);
    fn fseek(stream: *mut FILE, offset: c_long, whence: c_int) -> c_int = on(Kind::Seek, BOTH, stream);
    fn fseeko(stream: *mut FILE, offset: off_t, whence: c_int) -> c_int = on(Kind::Seek, BOTH, stream);
    fn fseeko64(stream: *mut FILE, offset: off_t, whence: c_int) -> c_int = on(Kind::Seek, BOTH, stream);
    fn tmpfile() -> *mut FILE = Call::on(Kind::Open, BOTH, -1).effect(Effect::Appears);
    fn tmpfile64() -> *mut FILE = Call::on(Kind::Open, BOTH, -1).effect(Effect::Appears);
}

/// # Safety
/// `stream` is null (all streams) or open.
unsafe fn on(kind: Kind, access: u8, stream: *mut FILE) -> Call {
    let saved = raw::errno();
    // SAFETY: by contract.
    let fd = if stream.is_null() { -1 } else { unsafe { libc::fileno(stream) } };
    raw::set_errno(saved); // A stream in memory has no descriptor, which `fileno` takes for an error.
    Call::on(kind, access, fd).anywhere()
}

/// # Safety
/// `mode` is null or terminated by 0.
unsafe fn opens(path: *const c_char, mode: *const c_char) -> Call {
    // SAFETY: by contract.
    let reads = mode.is_null() || unsafe { *mode } == b'r' as c_char;
    Call::at(Kind::Open, if reads { READS } else { BOTH }, path, Last::Followed).effect(Effect::Opens)
}
