//! Files that are mapped into memory. What happens through the mapping is not seen; that there is one, is.

use super::hooks;
use crate::abi::{BOTH, Kind, READS, WRITES};
use crate::call::Call;
use libc::{c_int, c_void, off_t, size_t};

hooks! {
    fn mmap(address: *mut c_void, length: size_t, protection: c_int, flags: c_int, fd: c_int,
        offset: off_t) -> *mut c_void = maps(length, protection, flags, fd, offset);
    fn mmap64(address: *mut c_void, length: size_t, protection: c_int, flags: c_int, fd: c_int,
        offset: off_t) -> *mut c_void = maps(length, protection, flags, fd, offset);
    fn msync(address: *mut c_void, length: size_t, flags: c_int) -> c_int =
        Call::on(Kind::Map, WRITES, -1).length(length);
}

fn maps(length: size_t, protection: c_int, flags: c_int, fd: c_int, offset: off_t) -> Call {
    let shared = flags & libc::MAP_SHARED != 0 && protection & libc::PROT_WRITE != 0;
    let call = Call::on(Kind::Map, if shared { BOTH } else { READS }, fd).length(length).offset(offset);
    // Memory alone is not a resource; allocators ask for it all the time.
    if fd < 0 || flags & libc::MAP_ANONYMOUS != 0 { call.ignored() } else { call }
}
