//! The types that hooked functions return: what failure looks like in each, and where a new descriptor is.

use libc::{DIR, FILE, c_int, c_void};

/// What a hooked function can return.
pub trait Returned: Copy {
    /// What it returns when it cannot be called at all.
    const FAILED: Self;
    /// The value, widened.
    fn value(self) -> i64;
    /// Whether it means failure, so that `errno` says why.
    fn failed(self) -> bool;
    /// The descriptor that it is, or that is behind it.
    fn descriptor(self) -> c_int {
        -1
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Returned for $type {
            const FAILED: Self = -1;
            fn value(self) -> i64 {
                self as i64
            }
            fn failed(self) -> bool {
                self == -1
            }
            fn descriptor(self) -> c_int {
                self as c_int
            }
        }
    )*};
}
number!(i32, i64, isize);

/// The count of `fread` and `fwrite`, where a short one may be the end of the file, which is no failure.
impl Returned for usize {
    const FAILED: Self = 0;
    fn value(self) -> i64 {
        self as i64
    }
    fn failed(self) -> bool {
        false
    }
}

macro_rules! pointer {
    ($($type:ty, $stream:ident => $descriptor:expr, $null_is_failure:literal;)*) => {$(
        impl Returned for *mut $type {
            const FAILED: Self = std::ptr::null_mut();
            fn value(self) -> i64 {
                self as i64
            }
            fn failed(self) -> bool {
                self.is_null() && $null_is_failure || self as isize == -1
            }
            fn descriptor(self) -> c_int {
                let $stream = self;
                if self.is_null() { -1 } else { $descriptor }
            }
        }
    )*};
}
pointer! {
    // SAFETY: a stream that was just returned as open.
    FILE, stream => unsafe { libc::fileno(stream) }, true;
    // SAFETY: likewise.
    DIR, directory => unsafe { libc::dirfd(directory) }, true;
    c_void, _memory => -1, true;
    // Null at the end of the directory or the file.
    libc::dirent, _entry => -1, false;
    libc::dirent64, _entry => -1, false;
    libc::c_char, _line => -1, false;
}
