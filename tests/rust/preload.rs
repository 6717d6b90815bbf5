//! The preload library in front of C programs: it is built, programs are compiled, run with and without it, and what
//! they print and what arrives through the event pipe is compared.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is the parent").to_owned()
}

/// The folder that cargo builds this profile into: two levels above this test's own file.
fn built() -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    test.ancestors().nth(2).expect("tests lie in `deps`").to_owned()
}

/// The library, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = built().parent().expect("a profile has a folder of its own").to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "frontrun-preload", "--target-dir"]).arg(&target);
        assert!(build.current_dir(root()).status().expect("cargo runs").success());
        target.join("debug").join("libfrontrun_io.so")
    })
}

/// A directory for one test.
fn directory(name: &str) -> PathBuf {
    let path = built().join("preload-tests").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the target folder is writable");
    path
}

/// Compiles `tests/preload/NAME.c` into `directory`.
fn compile(name: &str, directory: &Path) -> PathBuf {
    let (source, program) = (root().join(format!("tests/preload/{name}.c")), directory.join(name));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-w", "-pthread", "-o"]).arg(&program).arg(&source).arg("-ldl");
    assert!(compiler.status().expect("there is a C compiler").success());
    program
}

fn check(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One line of the event pipe, split at its tabs.
type Line = Vec<String>;

/// Runs a program with the library and the event pipe; returns what it printed and the lines of the pipe.
fn run_with_pipe(mut program: Command) -> (String, Vec<Line>) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: makes the pipe large, and a second descriptor for it that nobody else owns. The program inherits that very
    // number, which is high so that the program's own descriptors are those that it would have without a pipe.
    let file = unsafe {
        libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20);
        let high = libc::fcntl(writer.as_raw_fd(), libc::F_DUPFD, 200);
        assert!(high >= 200);
        File::from_raw_fd(high)
    };
    let inode = file.metadata().expect("a pipe has an inode").ino();
    program.env("FRONTRUN_IO_FD", format!("{}:{inode}", file.as_raw_fd())).env("LD_PRELOAD", library());
    let output = program.output().expect("the program starts");
    drop((file, writer));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("lines are UTF-8");
    let lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    (check(&output), lines)
}

#[test]
fn every_function_behaves_as_without_the_library_and_is_reported_once_a_call() {
    let directory = directory("calls");
    let program = compile("calls", &directory);
    let data = |name: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    };
    let plain = check(&Command::new(&program).arg(data("plain")).output().expect("it starts"));
    let mut command = Command::new(&program);
    command.arg(data("observed"));
    let (observed, lines) = run_with_pipe(command);
    for (with, without) in observed.lines().zip(plain.lines()) {
        assert_eq!(with, without, "the library changes no result and no errno");
    }
    assert_eq!(observed.lines().count(), plain.lines().count());

    let counted: BTreeMap<&str, usize> = plain
        .lines()
        .filter_map(|line| line.strip_prefix("= ")?.split_once(' '))
        .map(|(name, count)| (name, count.parse().expect("a count")))
        .collect();
    assert!(counted.len() > 90, "the program calls most functions: {}", counted.len());
    let mut reported: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &lines {
        assert!(line.len() == 11 || line.len() == 12, "eleven fields, or twelve: {line:?}");
        *reported.entry(&line[2]).or_default() += 1;
    }
    for (name, count) in counted {
        assert_eq!(reported.get(name).copied().unwrap_or(0), count, "events of {name}");
    }
}

/// System calls, and the functions that make one of them each.
const SYSTEM_CALLS: &[(&str, &str)] = &[
    (
        "openat",
        "open open64 openat openat64 __open_2 __open64_2 __openat_2 __openat64_2 mkstemp mkostemp mkstemps \
      mkostemps opendir",
    ),
    ("creat", "creat creat64"),
    ("close", "close closedir"),
    ("close_range", "close_range"),
    ("read", "read __read_chk eventfd_read"),
    ("pread64", "pread pread64 __pread_chk __pread64_chk"),
    ("readv", "readv"),
    ("preadv", "preadv preadv64"),
    ("preadv2", "preadv2 preadv64v2"),
    ("write", "write eventfd_write"),
    ("pwrite64", "pwrite pwrite64"),
    ("writev", "writev"),
    ("pwritev", "pwritev pwritev64"),
    ("pwritev2", "pwritev2 pwritev64v2"),
    ("lseek", "lseek lseek64"),
    ("ftruncate", "ftruncate ftruncate64"),
    ("truncate", "truncate truncate64"),
    ("fallocate", "fallocate fallocate64 posix_fallocate posix_fallocate64"),
    ("fsync", "fsync"),
    ("fdatasync", "fdatasync"),
    ("syncfs", "syncfs"),
    ("sync_file_range", "sync_file_range"),
    ("flock", "flock"),
    ("fcntl", "fcntl fcntl64 lockf lockf64"),
    ("msync", "msync"),
    ("dup", "dup"),
    ("dup2", "dup2"),
    ("dup3", "dup3"),
    ("sendfile", "sendfile sendfile64"),
    ("copy_file_range", "copy_file_range"),
    ("splice", "splice"),
    ("link", "link"),
    ("linkat", "linkat"),
    ("symlink", "symlink"),
    ("symlinkat", "symlinkat"),
    ("rename", "rename"),
    ("renameat renameat2", "renameat renameat2"),
    ("unlink", "unlink remove"),
    ("unlinkat", "unlinkat"),
    ("mkdir", "mkdir"),
    ("mkdirat", "mkdirat"),
    ("rmdir", "rmdir"),
    ("mknod mknodat", "mkfifo mkfifoat mknod mknodat"),
    ("chmod", "chmod"),
    ("fchmod", "fchmod"),
    ("fchmodat", "fchmodat"),
    ("chown", "chown"),
    ("lchown", "lchown"),
    ("fchown", "fchown"),
    ("fchownat", "fchownat"),
    ("utimensat utime utimes futimesat", "utimensat futimens utime utimes lutimes futimes"),
    ("getxattr", "getxattr"),
    ("lgetxattr", "lgetxattr"),
    ("fgetxattr", "fgetxattr"),
    ("setxattr", "setxattr"),
    ("lsetxattr", "lsetxattr"),
    ("fsetxattr", "fsetxattr"),
    ("listxattr", "listxattr"),
    ("llistxattr", "llistxattr"),
    ("flistxattr", "flistxattr"),
    ("removexattr", "removexattr"),
    ("lremovexattr", "lremovexattr"),
    ("fremovexattr", "fremovexattr"),
    // `opendir` looks whether it has got a directory, and libc decides how to find out what may be done.
    (
        "stat lstat fstat newfstatat access faccessat faccessat2",
        "stat stat64 lstat lstat64 fstat fstat64 fstatat fstatat64 __xstat __lxstat64 __fxstat opendir \
         access faccessat eaccess euidaccess",
    ),
    ("statx", "statx"),
    ("readlink", "readlink"),
    ("readlinkat", "readlinkat"),
    ("pipe pipe2", "pipe pipe2"),
    ("socketpair", "socketpair"),
    ("sendto", "send sendto"),
    ("sendmsg", "sendmsg"),
    ("sendmmsg", "sendmmsg"),
    ("recvfrom", "recv __recv_chk recvfrom __recvfrom_chk"),
    ("recvmsg", "recvmsg"),
    ("recvmmsg", "recvmmsg"),
    ("poll", "poll __poll_chk"),
    ("ppoll", "ppoll"),
    ("select pselect6", "select pselect"),
    ("epoll_ctl", "epoll_ctl"),
    ("epoll_wait", "epoll_wait"),
    ("epoll_pwait", "epoll_pwait"),
    ("shutdown", "shutdown"),
    ("socket", "socket"),
    ("bind", "bind"),
    ("listen", "listen"),
    ("connect", "connect"),
    ("accept", "accept"),
    ("accept4", "accept4"),
];

#[test]
fn as_many_calls_are_reported_as_the_system_gets() {
    let directory = directory("system");
    let program = compile("calls", &directory);
    let (traced, reported) = (directory.join("traced"), directory.join("reported"));
    [&traced, &reported].into_iter().for_each(|place| std::fs::create_dir(place).expect("a folder"));
    let log = directory.join("log");
    let mut strace = Command::new("strace");
    check(&strace.arg("-o").arg(&log).arg(&program).arg(traced).output().expect("there is strace"));
    let text = std::fs::read_to_string(log).expect("a log");
    let name = |line: &str| line.split_once('(').map(|(name, _)| name.to_owned());
    let is = |line: &&str, path: &str| line.contains(path);
    let inside =
        text.lines().skip_while(|line| !is(line, "\"/begin\"")).take_while(|line| !is(line, "\"/streams\""));
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    inside.filter_map(name).for_each(|name| *made.entry(name).or_default() += 1);

    let mut command = Command::new(&program);
    command.arg(reported);
    let (_, lines) = run_with_pipe(command);
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let is_streams = |line: &&Line| line[2] != "access" || !line[10].ends_with("/streams");
    lines.iter().take_while(is_streams).for_each(|line| *told.entry(&line[2]).or_default() += 1);

    let mut wrong = Vec::new();
    for (calls, functions) in SYSTEM_CALLS {
        let sum = |names: &str, of: &dyn Fn(&str) -> Option<usize>| -> usize {
            names.split_whitespace().filter_map(of).sum()
        };
        let made = sum(calls, &|call| made.get(call).copied());
        let told = sum(functions, &|name| told.get(name).copied());
        if made == 0 || told != made {
            wrong.push(format!("{calls} was made {made} times, {functions} were reported {told} times"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn resources_have_names() {
    let directory = directory("names");
    let program = compile("calls", &directory);
    let mut command = Command::new(&program);
    command.arg(&directory);
    let (_, lines) = run_with_pipe(command);
    let place = directory.canonicalize().expect("it exists");
    let data = format!("file:{}/data", place.display());
    let of = |function: &str| lines.iter().filter(|line| line[2] == function).collect::<Vec<_>>();
    assert_eq!((of("pread")[0][3].as_str(), of("pread")[0][6].as_str()), ("r", "2"));
    assert_eq!((of("pread")[0][7].as_str(), of("pread")[0][8].as_str()), ("4", "4"));
    assert!(of("pread").iter().all(|line| line[10] == data));
    assert_eq!(of("rename")[0][10], format!("file:{}/linked", place.display()));
    assert_eq!(of("rename")[0][11], format!("file:{}/renamed", place.display()));
    assert_eq!(of("stat")[0][10], data, "a symbolic link is followed");
    assert_eq!(of("lstat")[0][10], format!("file:{}/soft", place.display()));
    assert!(of("connect").iter().all(|line| line[10].starts_with("socket:127.0.0.1:")));
    let missing: Vec<_> = of("open").into_iter().filter(|line| line[10].ends_with("/missing")).collect();
    assert_eq!(missing[0][9], libc::ENOENT.to_string());
}

#[test]
fn a_listener_is_told_before_and_after_each_call_of_a_controlled_thread() {
    let directory = directory("callback");
    let program = compile("callback", &directory);
    check(&Command::new(&program).env("LD_PRELOAD", library()).output().expect("it starts"));
}

#[test]
fn a_running_program_can_be_attached_to() {
    let directory = directory("attach");
    let program = compile("attach", &directory);
    check(&Command::new(&program).arg(library()).output().expect("it starts"));
}
