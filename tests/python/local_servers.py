"""Servers for tests: on loopback, on a free port, with their data in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_POSTGRES_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 16MB
max_connections = 50
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    """Find a program of PostgreSQL, which Debian keeps in a folder for each version."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    assert found is not None, f"{name} is not installed: tests/install_servers does it"
    return found


def _unprivileged() -> str | None:
    """Whose processes servers are: nobody's that may do everything."""
    return "postgres" if os.geteuid() == 0 else None


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@contextlib.contextmanager
def served(program: str) -> Iterator[int]:
    """Run a server that is a Python program, which is given its port; give that."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", program, str(port)])
    try:
        for _ in range(600_000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            os.sched_yield()
        yield port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path, user: str | None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, user=user, start_new_session=True)
    try:
        _await_port(port, process, log)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="server-"))
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL; give its address as a URL."""
    user = _unprivileged()
    with _folder(user) as folder:
        data, port = folder / "data", free_port()
        prepare = [_program("initdb"), "-D", str(data), "-A", "trust", "-U", "tester", "--no-sync", "--no-instructions"]
        subprocess.run(prepare, check=True, stdout=subprocess.DEVNULL, user=user)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"{_POSTGRES_SETTINGS}\nport = {port}\nunix_socket_directories = '{folder}'\n")
        command = [_program("postgres"), "-D", str(data)]
        with _running(command, port, folder.with_suffix(".log"), user):
            # It listens before it lets anybody in.
            ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            while subprocess.run(ready, check=False).returncode != 0:
                time.sleep(0.05)
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        folder.with_suffix(".log").unlink()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run Redis; give its address as a URL."""
    program = shutil.which("redis-server")
    assert program is not None, "redis-server is not installed: tests/install_servers does it"
    with _folder(None) as folder:
        port = free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        with _running(command, port, folder.with_suffix(".log"), None):
            yield f"redis://127.0.0.1:{port}/0"
        folder.with_suffix(".log").unlink()
