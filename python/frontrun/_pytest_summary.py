"""What the explorations of a test session came to, as lines of pytest's summary.

Each test carries its note as the user property ``frontrun``, in every kind of report: so it gets here from the
processes of xdist, and into JUnit files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

PROPERTY = "frontrun"


def lines(reports: Iterable[Any], verbose: bool) -> list[str]:
    """The lines of the summary; none where nothing was to be explored."""
    notes = {report.nodeid: note for report in reports for note in _notes(report)}
    kinds: dict[str, list[tuple[str, str]]] = {}
    for nodeid, note in sorted(notes.items()):
        kind, _, rest = note.partition(": ")
        kinds.setdefault(kind, []).append((nodeid, rest))
    found: list[str] = []
    for kind, title in (
        ("failed", "failed"),
        ("diverged", "diverged, nothing is proved"),
        ("error", "could not be explored"),
        ("bounded", "bounded, nothing is proved"),
    ):
        found += _listed(title, kinds.get(kind, []))
    exhausted = kinds.get("exhausted", [])
    if verbose:
        found += _listed("exhausted, no execution fails", exhausted)
    elif exhausted:
        executions = sum(int(rest.split()[0]) for _, rest in exhausted)
        found.append(f"exhausted, no execution fails: {_count(exhausted)} with {executions} executions")
    found += _left_out(kinds.get("not explored", []), verbose)
    return found


def _notes(report: Any) -> Iterator[str]:
    for name, value in getattr(report, "user_properties", ()):
        if name == PROPERTY:
            yield value


def _count(tests: Sequence[object]) -> str:
    return f"{len(tests)} test{'s' if len(tests) != 1 else ''}"


def _listed(title: str, tests: list[tuple[str, str]]) -> list[str]:
    return [f"{title}:", *(f"  {nodeid}: {rest}" for nodeid, rest in tests)] if tests else []


def _left_out(tests: list[tuple[str, str]], verbose: bool) -> list[str]:
    """Tests that were not explored, by reason; by name where they are few or asked for."""
    reasons: dict[str, list[str]] = {}
    for nodeid, reason in tests:
        reasons.setdefault(reason, []).append(nodeid)
    found = []
    for reason, nodeids in reasons.items():
        found.append(f"not explored, {reason}: {_count(nodeids)}")
        if verbose or len(nodeids) <= 3:
            found += [f"  {nodeid}" for nodeid in nodeids]
    return found
