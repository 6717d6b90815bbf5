"""Replays without the servers that the program has talked to: their answers come from the recording."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import local_servers
import pytest
from conftest import Run

REDIS_PROGRAM = """
import os, threading, redis

look = redis.Redis.from_url(os.environ["REDIS_URL"])

def take(client):
    stock = int(client.get("stock"))
    client.set("stock", stock - 1)
    client.set("mail", "bob@x.org")

look.mset({"stock": 2, "mail": "bob@x.org"})
clients = [redis.Redis.from_url(os.environ["REDIS_URL"], single_connection_client=True) for _ in range(2)]
for client in clients:
    client.ping()
threads = [threading.Thread(target=take, args=(client,)) for client in clients]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("mail:", look.get("mail").decode())
assert int(look.get("stock")) == 0, "one of two was not taken"
"""

WAITING_PROGRAM = """
import os, threading, psycopg

def connect():
    return psycopg.connect(os.environ["DATABASE_URL"])

def add(n):
    with connect() as connection:
        total = connection.execute("SELECT sum(n) FROM waiting").fetchone()[0]
        # All rows: who comes second waits in the server for the end of the other transaction.
        connection.execute("UPDATE waiting SET n = n + 1")
        connection.execute("INSERT INTO waiting VALUES (%s)", (total,))

with connect() as connection:
    connection.execute("DROP TABLE IF EXISTS waiting")
    connection.execute("CREATE TABLE waiting (n integer)")
    connection.execute("INSERT INTO waiting VALUES (1)")
threads = [threading.Thread(target=add, args=(n,)) for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with connect() as connection:
    rows = connection.execute("SELECT n FROM waiting ORDER BY n").fetchall()
# The second update waited for the first transaction, whose new row it has not seen then.
assert rows != [(1,), (1,), (3,)], "both have seen one sum"
"""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Start a server under an environment variable; return what stops it."""
    with contextlib.ExitStack() as running:

        def start(variable: str) -> Callable[[], None]:
            server = contextlib.ExitStack()
            serves = {"DATABASE_URL": local_servers.postgres, "REDIS_URL": local_servers.redis}[variable]
            monkeypatch.setenv(variable, server.enter_context(serves()))
            running.callback(server.close)
            return server.close

        yield start


Serve = Callable[[str], Callable[[], None]]


def write(tmp_path: Path, source: str) -> str:
    (tmp_path / "program.py").write_text(source)
    return "program.py"


FAILURE = ".frontrun/program/failure-1.frz"


def test_redis_is_told_again_without_what_nobody_is_to_see(frontrun: Run, serve: Serve, tmp_path: Path) -> None:
    stop = serve("REDIS_URL")
    program = write(tmp_path, REDIS_PROGRAM)
    done = frontrun("explore", "--record-io", "--redact", "*@*.org", "python", program)
    assert done.returncode == 1, done.stdout + done.stderr
    stop()
    assert "reproduced 0/1" in frontrun("replay", FAILURE).stdout
    done = frontrun("replay", "--hermetic", FAILURE)
    assert "reproduced 1/1: assertion: AssertionError: one of two was not taken" in done.stdout, done.stdout
    assert "mail: xxxxxxxxx\n" in done.stdout
    # The recording of a replay without servers is one that can be replayed without them.
    done = frontrun("replay", "--hermetic", "-o", "again.frz", FAILURE)
    done = frontrun("replay", "--hermetic", "--times", 2, "again.frz")
    assert "reproduced 2/2" in done.stdout, done.stdout + done.stderr


def test_what_waits_in_the_database_waits_again(frontrun: Run, serve: Serve, tmp_path: Path) -> None:
    stop = serve("DATABASE_URL")
    program = write(tmp_path, WAITING_PROGRAM)
    done = frontrun("explore", "--record-io", "python", program)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "both have seen one sum" in done.stdout
    assert "wait for a transaction" in frontrun("show", "--events", FAILURE).stdout
    stop()
    done = frontrun("replay", "--hermetic", "--times", 3, FAILURE)
    assert "reproduced 3/3" in done.stdout, done.stdout + done.stderr


def test_a_driver_that_waits_within_c_code_is_told_again(frontrun: Run, serve: Serve, tmp_path: Path) -> None:
    stop = serve("DATABASE_URL")
    program = """
import os, threading, psycopg2
def ask():
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    cursor.execute("SELECT 41 + 1")
    assert cursor.fetchone() == (42,)
    connection.close()
threads = [threading.Thread(target=ask) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    done = frontrun("record", "--record-io", "-o", "t.frz", "python", write(tmp_path, program))
    assert done.returncode == 0, done.stderr
    stop()
    done = frontrun("replay", "--hermetic", "--times", 2, "t.frz")
    assert "reproduced 2/2: passed" in done.stdout, done.stdout + done.stderr


def test_a_program_that_asks_something_else_has_diverged(frontrun: Run, serve: Serve, tmp_path: Path) -> None:
    stop = serve("REDIS_URL")
    program = write(tmp_path, REDIS_PROGRAM)
    done = frontrun("record", "--record-io", "-o", "good.frz", "python", program)
    assert done.returncode == 0, done.stdout + done.stderr
    stop()
    assert frontrun("replay", "--hermetic", "good.frz").returncode == 0
    write(tmp_path, REDIS_PROGRAM.replace('"stock": 2,', '"stock": 2000,'))
    done = frontrun("replay", "--hermetic", "good.frz")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "bytes to be sent to a server" in done.stdout
    write(tmp_path, REDIS_PROGRAM.replace("client.ping()", "pass"))
    done = frontrun("replay", "--hermetic", "good.frz")
    assert done.returncode == 4, done.stdout + done.stderr


def test_without_a_recording_of_answers_it_is_said_how_to_make_one(frontrun: Run, examples: Path) -> None:
    assert frontrun("record", "-o", "t.frz", examples / "lost_update.py").returncode == 0
    done = frontrun("replay", "--hermetic", "t.frz")
    assert done.returncode == 2
    assert "--record-io" in done.stderr
    done = frontrun("record", "--redact", "x*", examples / "lost_update.py")
    assert (done.returncode, "--record-io" in done.stderr) == (2, True)
    done = frontrun("record", "--record-io", "--redact", "*", examples / "lost_update.py")
    assert done.returncode == 2


def test_an_encrypted_connection_is_not_told_again(frontrun: Run, tmp_path: Path) -> None:
    program = """
import os, socket, subprocess, sys, threading
# A server outside the process, which answers whatever it is asked.
server = subprocess.Popen([sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0)); "
    "print(s.getsockname()[1], flush=True); c, _ = s.accept(); c.recv(9); c.send(b'x')"], stdout=subprocess.PIPE)
with socket.create_connection(("127.0.0.1", int(server.stdout.readline()))) as client:
    client.sendall(b"\\x16\\x03\\x01hello")
    client.recv(9)
server.wait()
"""
    done = frontrun("record", "--record-io", "-o", "t.frz", "python", write(tmp_path, program))
    assert done.returncode == 0, done.stderr
    done = frontrun("replay", "--hermetic", "t.frz")
    assert (done.returncode, "encrypted" in done.stderr) == (2, True), done.stdout + done.stderr
