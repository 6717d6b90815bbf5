//! The directory of one exploration, and what is in it.
//!
//! `first.frz` the first execution, `failure-N.frz` each failing one with `failure-N.out` (what it printed),
//! `runs/` the runs in work and, on request, all others. Opening it removes what an earlier exploration left
//! under these names and nothing else; a lock keeps two explorations apart.

use crate::error::ReplayError;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// An open directory. Files that were only in work go when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    directory: PathBuf,
    keep_runs: bool,
    /// The directory itself, locked while it is in use.
    _lock: File,
}

/// Which recordings stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepTraces {
    /// The first one and those of failing runs.
    FirstAndFailing,
    /// All of them.
    All,
}

impl Workspace {
    /// Creates or takes over `directory`.
    pub fn open(directory: &Path, keep: KeepTraces) -> Result<Workspace, ReplayError> {
        let runs = directory.join("runs");
        fs::create_dir_all(&runs).map_err(ReplayError::io("create directory", &runs))?;
        let lock = File::open(directory).map_err(ReplayError::io("open directory", directory))?;
        // SAFETY: takes two integers.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(ReplayError::DirectoryBusy(directory.to_owned()));
        }
        let workspace =
            Workspace { directory: directory.to_owned(), keep_runs: keep == KeepTraces::All, _lock: lock };
        workspace.clear().map_err(ReplayError::io("remove old results from", directory))?;
        Ok(workspace)
    }

    fn clear(&self) -> io::Result<()> {
        for folder in [&self.directory, &self.directory.join("runs")] {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(is_result) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Where run number `run` writes its recording.
    pub fn run_trace(&self, run: u64) -> PathBuf {
        self.directory.join("runs").join(format!("run-{run}.frz"))
    }

    /// Where what run number `run` prints goes.
    pub fn run_output(&self, run: u64) -> PathBuf {
        self.directory.join("runs").join(format!("run-{run}.out"))
    }

    /// Keeps the recording of `run` as the first one. It is copied, for it may also fail.
    pub fn keep_first(&self, run: u64) -> Result<PathBuf, ReplayError> {
        let to = self.directory.join("first.frz");
        fs::copy(self.run_trace(run), &to).map_err(ReplayError::io("write", &to))?;
        Ok(to)
    }

    /// Keeps the recording of `run`, and what it printed unless that was nothing, as failure number `nth`. A
    /// run that was killed early may have no recording: then the path is where it would have been.
    pub fn keep_failure(&self, run: u64, nth: usize) -> Result<(PathBuf, Option<PathBuf>), ReplayError> {
        let trace = self.directory.join(format!("failure-{nth}.frz"));
        match fs::rename(self.run_trace(run), &trace) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ReplayError::io("write", &trace)(error));
            }
            _ => {}
        }
        let printed = self.run_output(run);
        if fs::metadata(&printed).map_or(0, |metadata| metadata.len()) == 0 {
            return Ok((trace, None));
        }
        let output = self.directory.join(format!("failure-{nth}.out"));
        fs::rename(&printed, &output).map_err(ReplayError::io("write", &output))?;
        Ok((trace, Some(output)))
    }

    /// Removes what is left of `run`, unless everything is to be kept.
    pub fn discard(&self, run: u64) {
        if !self.keep_runs {
            let _ = fs::remove_file(self.run_trace(run));
        }
        let _ = fs::remove_file(self.run_output(run));
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Succeeds only when it is empty, which is right.
        let _ = fs::remove_dir(self.directory.join("runs"));
    }
}

/// Whether a file name is one that explorations use.
fn is_result(name: &str) -> bool {
    let numbered = |prefix: &str, suffixes: [&str; 2]| {
        name.strip_prefix(prefix)
            .and_then(|rest| suffixes.iter().find_map(|suffix| rest.strip_suffix(suffix)))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let fixed = ["first.frz", "verdict.json", "startup.out", "startup.frz"];
    fixed.contains(&name) || numbered("failure-", [".frz", ".out"]) || numbered("run-", [".frz", ".out"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_results_go_and_everything_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let there = |name: &str| directory.path().join(name).exists();
        for name in ["first.frz", "failure-12.frz", "failure-12.out", "failure-x.frz", "notes.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let workspace = Workspace::open(directory.path(), KeepTraces::FirstAndFailing).unwrap();
        assert!(!there("first.frz") && !there("failure-12.frz") && !there("failure-12.out"));
        assert!(there("failure-x.frz") && there("notes.txt"));
        let second = Workspace::open(directory.path(), KeepTraces::FirstAndFailing);
        assert!(matches!(second, Err(ReplayError::DirectoryBusy(_))));
        drop(workspace);
        assert!(!there("runs"));
        Workspace::open(directory.path(), KeepTraces::All).unwrap();
    }
}
