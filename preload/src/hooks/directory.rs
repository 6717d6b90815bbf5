//! Reading directories.
//!
//! The kernel is asked when the buffer of a directory stream is empty, that is by the first `readdir` and now and
//! then; each `readdir` is reported as a read of the directory, which is coarse and never too little.

use super::hooks;
use crate::abi::{Kind, READS};
use crate::call::{Call, Effect};
use crate::path::Last;
use libc::{DIR, c_char, c_int, dirent, dirent64};

hooks! {
    fn opendir(path: *const c_char) -> *mut DIR =
        Call::at(Kind::Open, READS, path, Last::Followed).effect(Effect::Opens);
    fn readdir(directory: *mut DIR) -> *mut dirent = Call::on(Kind::ReadDirectory, READS, libc::dirfd(directory));
    fn readdir64(directory: *mut DIR) -> *mut dirent64 =
        Call::on(Kind::ReadDirectory, READS, libc::dirfd(directory));
    fn closedir(directory: *mut DIR) -> c_int =
        Call::on(Kind::Close, 0, libc::dirfd(directory)).effect(Effect::Closes);
}
