//! The test binary in the role of `python -m frontrun._child -m PROGRAM`: see [`python`].

use super::model;
use frontrun_formats::Schedule;
use frontrun_replayer::{Served, serve_many};
use std::os::fd::FromRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Writes a script that starts this test binary in the interpreter's role.
pub fn python(directory: &Path) -> PathBuf {
    let path = directory.join("python");
    let own = std::env::current_exe().unwrap();
    let options = "fake_interpreter --exact --nocapture --test-threads=1";
    let version = "case \"$*\" in *version_info*) echo 3 12 0; exit 0;; *find_spec*) exit 0;; esac";
    let run = format!("exec env FAKE_ARGUMENTS=\"$*\" '{}' {options}", own.display());
    let script = format!("#!/bin/sh\n{version}\n{run}\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Does what the configuration says, if this process was started by [`python`]; never returns then.
pub fn main() {
    let Ok(arguments) = std::env::var("FAKE_ARGUMENTS") else { return };
    let name = arguments.strip_prefix("-m frontrun._child -m ").unwrap().split(' ').next().unwrap();
    let config: serde_json::Value = serde_json::from_str(&std::env::var("FRONTRUN_CONFIG").unwrap()).unwrap();
    assert_eq!(std::env::var("PYTHONHASHSEED").unwrap(), "0");
    let trace = Path::new(config["trace"].as_str().unwrap());
    let code = match config["mode"].as_str().unwrap() {
        "serve" if name != "single" => serve(name, &config),
        "serve" | "record" => model::run(name, &Schedule::default(), None, trace),
        "replay" => {
            let bytes = std::fs::read(config["schedule"].as_str().unwrap()).unwrap();
            model::run(name, &rmp_serde::from_slice(&bytes).unwrap(), config["parent"].as_u64(), trace)
        }
        other => panic!("no mode {other}"),
    };
    exit(code);
}

fn serve(name: &str, config: &serde_json::Value) -> i32 {
    let fds = config["serve_fds"].as_array().unwrap().iter().map(|fd| fd.as_i64().unwrap() as i32);
    // SAFETY: the descriptors were inherited for this purpose, and nobody else uses them.
    let sockets: Vec<UnixStream> = fds.map(|fd| unsafe { UnixStream::from_raw_fd(fd) }).collect();
    // SAFETY: with one test thread, this process has no other thread whose locks a fork could leave held.
    match serve_many(sockets, &mut || Ok(unsafe { libc::fork() })).unwrap() {
        Served::Child(request) => model::run(name, &request.schedule, request.parent, &request.trace),
        Served::Closed => 0,
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: ends this process at once.
    unsafe { libc::_exit(code) }
}
