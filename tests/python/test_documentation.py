"""Every example of the documentation, run in the order of its page.

Blocks of Python are files, of the name that a comment gives them; those with tests are run by pytest. Blocks of console
are commands and what they print, in which `...` stands for anything. A comment before a block says otherwise:
`file: NAME`, `fails: TEXT`, `not run`, `with: CLASS`, a class that an earlier block defines.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- (?P<note>.*?) -->\n+)?^```(?P<kind>python|console)\n(?P<text>.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)


@dataclass
class Block:
    """One example."""

    kind: str
    text: str
    notes: dict[str, str]


def blocks(page: Path) -> Iterator[Block]:
    for match in BLOCK.finditer(page.read_text()):
        notes = [note.strip().partition(": ") for note in (match["note"] or "").split(";") if note]
        yield Block(match["kind"], match["text"], {name: value for name, _, value in notes})


def run(directory: Path, command: str) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider -W ignore"}
    ended = subprocess.run(
        command,
        shell=True,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    return ended.returncode, ended.stdout


def definition(name: str, text: str) -> str:
    found = re.search(rf"^class {name}:\n(?: .*\n|\n)*", text, re.M)
    assert found is not None
    return found[0]


def check_python(block: Block, file: Path, before: str) -> None:
    file.write_text(before + block.text)
    is_test = re.search(r"^ *(async )?def test_", block.text, re.M) is not None
    code, output = run(file.parent, f"{'python -m pytest -q' if is_test else 'python'} {file.name}")
    if "fails" in block.notes:
        assert code == 1, output
        assert block.notes["fails"] in output
    else:
        assert code == 0, output


def check_console(block: Block, directory: Path) -> None:
    for match in COMMAND.finditer(block.text):
        _, output = run(directory, match["command"])
        same = doctest.OutputChecker().check_output(match["output"], output, doctest.ELLIPSIS)
        assert same, f"$ {match['command']}\n{output}\ninstead of\n{match['output']}"


def name_of(page: Path, number: int, block: Block) -> str:
    return block.notes.get("file") or f"test_{page.stem.lower().replace('-', '_')}_{number}.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    earlier = ""
    for number, block in enumerate(blocks(page), 1):
        if "not run" in block.notes:
            continue
        if block.kind == "console":
            check_console(block, tmp_path)
            continue
        needed = definition(block.notes["with"], earlier) if "with" in block.notes else ""
        check_python(block, tmp_path / name_of(page, number, block), needed)
        earlier += block.text


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert {page.stem for page in PAGES[1:]} - {"index"} == set(re.findall(r"^([a-z-]+)$", index, re.M))
