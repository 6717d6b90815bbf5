//! The Python tests of the rewriter, run on each interpreter named in `FRONTRUN_TEST_PYTHONS`.
//!
//! The variable holds paths separated by colons; without it `python3` is used if there is one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The library that `cargo test` builds from the example, next to the directory of this test.
fn rewriter() -> PathBuf {
    let this_test = env::current_exe().expect("the path of a running program is known");
    let profile = this_test.ancestors().nth(2).expect("tests are in <profile>/deps");
    profile.join("examples").join("librewrite_cabi.so")
}

fn is_supported(python: &str) -> bool {
    let check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))";
    Command::new(python).args(["-c", check]).status().is_ok_and(|status| status.success())
}

#[test]
fn python_tests_pass() {
    let library = rewriter();
    assert!(fs::exists(&library).is_ok_and(|exists| exists), "{} is missing", library.display());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let pythons = env::var("FRONTRUN_TEST_PYTHONS");
    let pythons: Vec<&str> = match &pythons {
        Ok(pythons) => pythons.split(':').collect(),
        Err(_) if is_supported("python3") => vec!["python3"],
        Err(_) => {
            eprintln!("skipped: python3 is not a CPython from 3.11 to 3.14");
            return;
        }
    };
    for python in pythons {
        let status = Command::new(python)
            .args(["-B", "-m", "unittest", "discover", "--start-directory"])
            .arg(&folder)
            .env("FRONTRUN_REWRITER", &library)
            .env("FRONTRUN_CORPUS", "quick")
            .status()
            .unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
        assert!(status.success(), "the tests failed on {python}");
    }
}
