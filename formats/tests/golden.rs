//! The files of each format version, which must read to the same execution for ever.
//!
//! A golden file is never written again: if this fails, the format has changed, and needs a new version.

mod sample;

use frontrun_formats::file::{read, read_index};
use std::path::Path;

#[test]
fn version_1_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-1.frz.golden");
    let bytes = std::fs::read(&path).unwrap();
    let mut expected = sample::execution();
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
    let mut expected = sample::execution();
    expected.inputs.clear();
    assert_eq!(read(&bytes).unwrap(), expected);
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, expected.events.len());
}

#[test]
fn version_3_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-3.frz.golden");
    if !path.exists() {
        std::fs::write(&path, sample::file(&sample::execution(), 30)).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(read(&bytes).unwrap(), sample::execution());
    let index = read_index(&path).unwrap().unwrap();
    assert_eq!(index.events as usize, sample::execution().events.len());
}
