//! The files of each format version, which must read to the same execution for ever.
//!
//! A golden file is never written again: if this fails, the format has changed, and needs a new version.

mod sample;

use frontrun_formats::Execution;
use frontrun_formats::file::{FORMAT_VERSION, read, read_index};
use std::path::Path;

/// The sample without the operations that version 6 has added, which come last.
fn before_version_6() -> Execution {
    let mut execution = sample::execution();
    execution.events.truncate(execution.events.len() - sample::since_version_6().len());
    execution
}

/// Also without what its schedule says that steps touch, which version 5 has added.
fn before_version_5() -> Execution {
    let mut execution = before_version_6();
    execution.header.schedule.entries.iter_mut().for_each(|entry| entry.touches = 0);
    execution
}

/// Also without the operations that version 4 has added, which come last of those.
fn before_version_4() -> Execution {
    let mut execution = before_version_5();
    execution.events.truncate(execution.events.len() - sample::since_version_4().len());
    execution
}

/// Compares the golden file of a version with what it has to hold, and its index with its events.
fn reads(version: u32, expected: &Execution) {
    let name = format!("tests/golden/version-{version}.frz.golden");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if version == FORMAT_VERSION && !path.exists() {
        std::fs::write(&path, sample::file(&sample::execution(), 30)).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(read(&bytes).unwrap(), *expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_1_reads() {
    let mut expected = before_version_4();
    // What it does not tell is taken to be so everywhere.
    expected.events.iter_mut().for_each(|event| event.gil_switch = true);
    expected.inputs.clear();
    reads(1, &expected);
}

#[test]
fn version_2_reads() {
    let mut expected = before_version_4();
    expected.inputs.clear();
    reads(2, &expected);
}

#[test]
fn version_3_reads() {
    reads(3, &before_version_4());
}

#[test]
fn version_4_reads() {
    reads(4, &before_version_5());
}

#[test]
fn version_5_reads() {
    reads(5, &before_version_6());
}

#[test]
fn version_6_reads() {
    reads(6, &sample::execution());
}
