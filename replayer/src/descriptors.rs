//! The descriptors of a forked run: what it would share with its siblings becomes its own.
//!
//! # Model
//! A descriptor and those made from it with `dup` share one position in the file. Two kinds are taken apart:
//! * those that lead to where the server prints now lead to the output of the run, also where the program has put
//!   them away under other numbers, as a test runner that captures output does;
//! * files without a name, which nobody but this process and its forks can reach, are copied.
//!
//! Invariant: descriptors that shared a file before share it afterwards.
//!
//! Not here: files with a name. A program that has opened one before its checkpoint is forked earlier.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;

/// Device and inode.
type Identity = (u64, u64);

/// The file to which the server prints, while nobody else does.
static PRINTED_TO: OnceLock<Option<Identity>> = OnceLock::new();

/// Notes to which file this process prints, before the program can put the descriptor away. Later calls do nothing.
pub fn remember_output() {
    PRINTED_TO.get_or_init(|| metadata(1).filter(|file| file.is_file()).map(|file| identity(&file)));
}

/// In a forked run: standard input is empty, what the server printed to is `output` if there is one, and files
/// without a name are the run's own.
pub(crate) fn take_apart(output: Option<&Path>) -> io::Result<()> {
    let fds = open_descriptors()?;
    replace(&File::open("/dev/null")?, 0)?;
    if let Some(path) = output {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(0)?;
        match PRINTED_TO.get().copied().flatten() {
            Some(printed_to) => {
                for fd in fds.iter().filter(|fd| is(**fd, printed_to)) {
                    replace(&file, *fd)?;
                }
            }
            None => {
                replace(&file, 1)?;
                replace(&file, 2)?;
            }
        }
    }
    copy_nameless(&fds)
}

/// Gives the files without a name among `fds` a copy each.
fn copy_nameless(fds: &[RawFd]) -> io::Result<()> {
    let mut copies: HashMap<Identity, File> = HashMap::new();
    for fd in fds {
        let Some(file) = metadata(*fd).filter(|file| file.is_file() && file.nlink() == 0) else { continue };
        let at = identity(&file);
        let copy = match copies.entry(at) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => place.insert(copy_of(*fd)?),
        };
        replace(copy, *fd)?;
    }
    Ok(())
}

/// A file without a name that has the content, the position and the status flags of `fd`.
fn copy_of(fd: RawFd) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    // SAFETY: the descriptor is open, and is not closed here: the `File` is never dropped.
    let mut original = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    // The descriptor itself may be for writing alone.
    let readable = File::open(format!("/dev/fd/{fd}")).or_else(|_| original.try_clone())?;
    let mut block = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        match readable.read_at(&mut block, at)? {
            0 => break,
            count => copy.write_all(&block[..count])?,
        }
        at = copy.stream_position()?;
    }
    copy.seek(SeekFrom::Start(original.stream_position()?))?;
    // SAFETY: both calls take integers.
    let done = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(copy.as_raw_fd(), libc::F_SETFL, flags)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(copy) }
}

/// Lets `fd` lead to `file`. Whether `exec` closes it stays as it was.
fn replace(file: &File, fd: RawFd) -> io::Result<()> {
    // SAFETY: the calls take integers; who uses the number finds an open descriptor there at any time.
    let done = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFD);
        match libc::dup2(file.as_raw_fd(), fd) {
            -1 => -1,
            _ if flags > 0 => libc::fcntl(fd, libc::F_SETFD, flags),
            done => done,
        }
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let names = std::fs::read_dir("/dev/fd")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // The listing's own descriptor is closed by now, and has no metadata.
    let fds: Vec<RawFd> = names.filter_map(|name| name.parse().ok()).collect();
    Ok(fds.into_iter().filter(|fd| metadata(*fd).is_some()).collect())
}

fn metadata(fd: RawFd) -> Option<Metadata> {
    // SAFETY: a descriptor that is not open gives an error; none is closed, since the `File` is never dropped.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd) }).metadata().ok()
}

fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

fn is(fd: RawFd, other: Identity) -> bool {
    metadata(fd).is_some_and(|file| identity(&file) == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_copied_file_has_the_content_and_position_and_is_shared_as_before() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one two").unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        let mut twin = file.try_clone().unwrap();
        let before = identity(&file.metadata().unwrap());
        copy_nameless(&[file.as_raw_fd(), twin.as_raw_fd()]).unwrap();
        assert_ne!(identity(&file.metadata().unwrap()), before);
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "two");
        twin.write_all(b"!").unwrap();
        assert_eq!(file.stream_position().unwrap(), 8);
    }

    #[test]
    fn a_file_that_is_open_for_writing_alone_is_copied_too() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all(b"one").unwrap();
        path.close().unwrap();
        copy_nameless(&[file.as_raw_fd()]).unwrap();
        file.write_all(b" two").unwrap();
        let mut text = String::new();
        File::open(format!("/dev/fd/{}", file.as_raw_fd())).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }
}
