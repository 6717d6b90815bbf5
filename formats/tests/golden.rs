//! The files of each format version, which must read to the same execution for ever.
//!
//! A golden file is never written again: if this fails, the format has changed, and needs a new version.

mod sample;

use frontrun_formats::Execution;
use frontrun_formats::file::{read, read_index};
use std::path::Path;

/// The sample without what its schedule says that steps touch, which version 5 has added.
fn before_version_5() -> Execution {
    let mut execution = sample::execution();
    execution.header.schedule.entries.iter_mut().for_each(|entry| entry.touches = 0);
    execution
}

/// The sample without the operations that version 4 has added, which come last.
fn before_version_4() -> Execution {
    let mut execution = before_version_5();
    execution.events.truncate(execution.events.len() - sample::since_version_4().len());
    execution
}

#[test]
fn version_1_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-1.frz.golden");
    let bytes = std::fs::read(&path).unwrap();
    let mut expected = before_version_4();
    // What it does not tell is taken to be so everywhere.
    expected.events.iter_mut().for_each(|event| event.gil_switch = true);
    expected.inputs.clear();
    assert_eq!(read(&bytes).unwrap(), expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_2_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-2.frz.golden");
    let bytes = std::fs::read(&path).unwrap();
    let mut expected = before_version_4();
    expected.inputs.clear();
    assert_eq!(read(&bytes).unwrap(), expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_3_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-3.frz.golden");
    let bytes = std::fs::read(&path).unwrap();
    let expected = before_version_4();
    assert_eq!(read(&bytes).unwrap(), expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_4_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-4.frz.golden");
    let bytes = std::fs::read(&path).unwrap();
    let expected = before_version_5();
    assert_eq!(read(&bytes).unwrap(), expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_5_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-5.frz.golden");
    if !path.exists() {
        std::fs::write(&path, sample::file(&sample::execution(), 30)).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(read(&bytes).unwrap(), sample::execution());
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, sample::execution().events.len());
}
