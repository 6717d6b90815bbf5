"""Python programs with the I/O library in front of libc: each call is reported, and nothing else changes."""

from __future__ import annotations

import collections
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from frontrun._preload import library_path

CALLS = """
import fcntl, os, selectors, socket, sys
os.chdir(sys.argv[1])
os.access("/begin", os.F_OK)
fd = os.open("data", os.O_RDWR | os.O_CREAT)
os.write(fd, b"0123456789"); os.writev(fd, [b"ab", b"cd"]); os.pwrite(fd, b"xy", 2); os.pwritev(fd, [b"z"], 4)
os.lseek(fd, 0, os.SEEK_SET)
os.read(fd, 4); os.readv(fd, [bytearray(2)]); os.pread(fd, 4, 1); os.preadv(fd, [bytearray(2)], 3)
os.ftruncate(fd, 8); os.truncate("data", 7); os.fsync(fd); os.fdatasync(fd); os.posix_fallocate(fd, 0, 64)
fcntl.flock(fd, fcntl.LOCK_EX); fcntl.flock(fd, fcntl.LOCK_UN); fcntl.lockf(fd, fcntl.LOCK_EX)
os.fchmod(fd, 0o600); os.fchown(fd, -1, -1); os.fstat(fd)
copy = os.dup(fd); os.dup2(fd, copy)
to = os.open("copy", os.O_WRONLY | os.O_CREAT); os.sendfile(to, fd, 0, 4); os.copy_file_range(fd, to, 2)
for one in (to, copy, fd): os.close(one)
os.link("data", "linked"); os.symlink("data", "soft"); os.rename("linked", "renamed"); os.replace("renamed", "linked")
os.stat("soft"); os.lstat("soft"); os.readlink("soft"); os.access("data", os.R_OK); os.chmod("data", 0o640)
os.utime("data"); os.chown("data", -1, -1); os.mkfifo("fifo"); os.unlink("linked"); os.remove("soft")
os.mkdir("folder"); os.rmdir("folder")
try: os.stat("missing")
except FileNotFoundError: pass
reading, writing = os.pipe(); os.write(writing, b"x"); os.read(reading, 1); os.close(reading); os.close(writing)
left, right = socket.socketpair()
left.send(b"question"); right.recv(10); right.sendall(b"answer")
left.recvfrom(10); left.sendmsg([b"a", b"b"]); right.recvmsg(10)
with selectors.EpollSelector() as selector:
    selector.register(right, selectors.EVENT_READ); selector.select(0)
with selectors.PollSelector() as selector:
    selector.register(right, selectors.EVENT_READ); selector.select(0)
with selectors.SelectSelector() as selector:
    selector.register(right, selectors.EVENT_READ); selector.select(0)
left.shutdown(socket.SHUT_WR); left.close(); right.close()
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
client = socket.socket(); client.connect(server.getsockname())
peer = server.accept()[0]
for one in (client, peer, server): one.close()
os.access("/end", os.F_OK)
"""

# System calls, and the functions of libc by which this interpreter makes them.
SYSTEM_CALLS = {
    "openat": "open open64 openat openat64",
    "close": "close",
    "read": "read",
    "readv": "readv",
    "pread64": "pread pread64",
    "preadv preadv2": "preadv preadv64 preadv2 preadv64v2",
    "write": "write",
    "writev": "writev",
    "pwrite64": "pwrite pwrite64",
    "pwritev pwritev2": "pwritev pwritev64 pwritev2 pwritev64v2",
    "lseek": "lseek lseek64",
    "ftruncate": "ftruncate ftruncate64",
    "truncate": "truncate truncate64",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "fallocate": "posix_fallocate posix_fallocate64",
    "flock": "flock",
    "fchmod": "fchmod",
    "fchown": "fchown",
    "dup dup2 dup3": "dup dup2 dup3",
    "sendfile": "sendfile sendfile64",
    "copy_file_range": "copy_file_range",
    "link linkat": "link linkat",
    "symlink symlinkat": "symlink symlinkat",
    "rename renameat": "rename renameat",
    "stat lstat fstat newfstatat": "stat stat64 lstat lstat64 fstat fstat64 fstatat fstatat64",
    "readlink readlinkat": "readlink readlinkat",
    "access faccessat faccessat2": "access faccessat",
    "chmod fchmodat": "chmod fchmodat",
    "utimensat": "utimensat",
    "chown fchownat": "chown fchownat",
    "mknod mknodat": "mkfifo mkfifoat",
    "unlink unlinkat": "unlink unlinkat remove",
    "mkdir mkdirat": "mkdir mkdirat",
    "rmdir": "rmdir",
    "pipe pipe2": "pipe pipe2",
    "socketpair": "socketpair",
    "sendto": "send sendto",
    "recvfrom": "recv recvfrom __recv_chk __recvfrom_chk",
    "sendmsg": "sendmsg",
    "recvmsg": "recvmsg",
    "epoll_ctl": "epoll_ctl",
    "epoll_wait epoll_pwait": "epoll_wait epoll_pwait",
    "poll": "poll __poll_chk",
    "select pselect6": "select pselect",
    "shutdown": "shutdown",
    "socket": "socket",
    "bind": "bind",
    "listen": "listen",
    "connect": "connect",
    "accept accept4": "accept accept4",
}


def environment(**variables: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "FRONTRUN_IO_FD")}
    return {**plain, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def made_by(command: list[str], log: Path) -> collections.Counter[str]:
    """Count the system calls between the two marks, as the system sees them."""
    subprocess.run(["strace", "-o", str(log), *command], env=environment(), check=True, timeout=60)
    inside = re.split(r'"/(?:begin|end)"', log.read_text())[1]
    return collections.Counter(re.findall(r"^(\w+)\(", inside, re.MULTILINE))


def reported_by(command: list[str]) -> collections.Counter[str]:
    """Count the events between the two marks."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    pipe = f"{writing}:{os.fstat(writing).st_ino}"
    variables = environment(LD_PRELOAD=str(library_path()), FRONTRUN_IO_FD=pipe)
    subprocess.run(command, env=variables, pass_fds=[writing], check=True, timeout=60)
    os.close(writing)
    with open(reading, encoding="utf-8") as events:
        inside = re.split(r"file:/(?:begin|end)\n", events.read())[1]
    return collections.Counter(line.split("\t")[2] for line in inside.splitlines() if line.count("\t") > 9)


def test_as_many_calls_are_reported_as_the_system_gets(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CALLS)
    for name in ("traced", "reported"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-S", str(script)]
    made = made_by([*command, str(tmp_path / "traced")], tmp_path / "log")
    reported = reported_by([*command, str(tmp_path / "reported")])
    wrong: list[tuple[str, int, int]] = []
    for calls, functions in SYSTEM_CALLS.items():
        by_system = sum(made[call] for call in calls.split())
        by_library = sum(reported[function] for function in functions.split())
        wrong.extend([(calls, by_system, by_library)] if by_library != by_system or by_system == 0 else [])
    assert wrong == []


LOAD = """
import os, select, socket, sys, tempfile, threading
folder = sys.argv[1]
answers = [None] * 8
server = socket.create_server(("127.0.0.1", 0))

def serve():
    for _ in answers:
        peer = server.accept()[0]
        threading.Thread(target=reply, args=(peer,)).start()

def reply(peer):
    with peer:
        while part := peer.recv(100):
            peer.sendall(part.upper())

def work(number):
    path = os.path.join(folder, f"{os.getpid()}-{number}")
    with socket.create_connection(server.getsockname()) as connection:
        total = 0
        for round in range(10):
            with open(path, "w+") as file:
                file.write(f"{number} {round}\\n" * 10)
                file.seek(0)
                total += len(file.read())
            os.rename(path, path + "x")
            connection.sendall(b"abc" * (number + 1))
            got = 0
            while got < 3 * (number + 1):
                select.select([connection], [], [])
                got += len(connection.recv(100))
            total += got
            os.unlink(path + "x")
    answers[number] = total

def child():
    pid = os.fork()
    if pid == 0:
        os.write(1, b"")
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

before = len(os.listdir("/proc/self/fd"))
threads = [threading.Thread(target=serve), *(threading.Thread(target=work, args=(n,)) for n in range(8))]
for thread in threads: thread.start()
for thread in threads: thread.join()
for thread in threading.enumerate():
    if thread is not threading.current_thread(): thread.join()
print(answers, child(), os.listdir(folder), len(os.listdir("/proc/self/fd")) - before)
"""

# A thousand were made before the release.
RUNS = int(os.environ.get("FRONTRUN_LOAD_RUNS", "12"))


@pytest.mark.parametrize("how", ["idle", "reporting"])
def test_eight_threads_do_the_same_with_the_library_and_without(tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(LOAD)
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-S", "-W", "ignore", str(script), str(folder)]
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    preloaded = {"LD_PRELOAD": str(library_path())}
    if how == "reporting":
        preloaded["FRONTRUN_IO_FD"] = f"{writing}:{os.fstat(writing).st_ino}"
    outputs: dict[bool, set[tuple[int, str, str]]] = {False: set(), True: set()}
    for _ in range(RUNS):
        for with_library in (False, True):
            variables = environment(**(preloaded if with_library else {}))
            done = subprocess.run(
                command, env=variables, pass_fds=[writing], capture_output=True, text=True, timeout=60, check=False
            )
            outputs[with_library].add((done.returncode, done.stdout, done.stderr))
        try:
            while os.read(reading, 1 << 16):
                pass
        except BlockingIOError:
            pass
    os.close(reading)
    os.close(writing)
    assert outputs[True] == outputs[False]
    assert len(outputs[True]) == 1
    code, text, errors = outputs[True].pop()
    assert (code, errors) == (0, ""), errors
    assert text.endswith(" 7 [] 0\n"), text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["python", "-c", "import os, sys; print(os.getpid()); sys.exit(7)"], 7),
        (["python", "-c", "import os; print(os.getpid(), flush=True); os.kill(os.getpid(), 15)"], -15),
        (["pytest", "-q", "-p", "no:cacheprovider", "-s", "test_pid.py"], 1),
    ],
)
def test_the_command_becomes_the_program(tmp_path: Path, words: list[str], code: int) -> None:
    (tmp_path / "test_pid.py").write_text("import os\ndef test():\n    print(os.getpid())\n    assert False\n")
    command = [sys.executable, "-m", "frontrun", *words]
    with subprocess.Popen(command, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert output.splitlines()[0] == str(process.pid)
