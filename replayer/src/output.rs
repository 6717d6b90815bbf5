//! What a run prints: a file that cannot fill the disk.
//!
//! The file is opened for appending, so whoever cuts it while the run is writing loses old text and nothing
//! else: while the run goes on, a file beyond [`FLOOD`] is emptied; after it, the last [`KEPT`] bytes stay. A
//! limit on the process (RLIMIT_FSIZE) would also hit the recording, and a pipe would need a reader.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// A run that has printed this much is flooding.
const FLOOD: u64 = 32 << 20;

/// How much is kept, counted from the end, where the reason of a failure usually is.
pub const KEPT: u64 = 1 << 20;

/// While the run goes on: empties a file that has grown beyond all use. Losing this race costs disk space only.
pub(crate) fn stem_flood(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > FLOOD) {
        let _ = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0));
    }
}

/// After the run: keeps the last [`KEPT`] bytes.
pub(crate) fn keep_end(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    if length <= KEPT {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length - KEPT))?;
    let mut end = Vec::new();
    (&mut file).take(KEPT).read_to_end(&mut end)?;
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut text = vec![b'x'; 3 << 20];
        text.extend_from_slice(b"the end");
        std::fs::write(&path, &text).unwrap();
        keep_end(&path).unwrap();
        let kept = std::fs::read(&path).unwrap();
        assert_eq!(kept.len() as u64, KEPT);
        assert!(kept.ends_with(b"the end"));
    }
}
