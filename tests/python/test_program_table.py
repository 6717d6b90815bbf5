"""The table of named programs in the documentation: what it says of each is what comes of it.

Each program is one of those in the modules named `test_named_…`, or is made here; its name is that of a scenario that
frontrun 0.1 to 0.7 was tested with. `race` means that an execution ends otherwise than every serial order of the
threads does, `order` that it ends as some of them do and not as all, `safe` that there is one end.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frontrun.dpor import explore_dpor
from test_named_bugs import PROGRAMS as BUGS
from test_named_half_changes import PROGRAMS as HALF_CHANGES
from test_named_increments import SPELLINGS, increment_layer
from test_named_programs import PAIRS, READERS, as_key, double_checked, keeping
from test_named_safe_programs import PROGRAMS as SAFE
from test_named_safe_programs import locked, state

Program = tuple[Callable[[], Any], list[Callable[[Any], Any]], Callable[[Any], Any]]

TABLE = Path(__file__).parents[2] / "docs" / "programs.md"
ROW = re.compile(r"^\| (\w+) \| (\w+) \| (\d+) \|", re.M)


def spelling(one: str, other: str | None = None) -> Program:
    setup, increment, value = SPELLINGS[one]
    return setup, [increment, SPELLINGS[other or one][1]], value


def reader(name: str) -> Program:
    setup, read, write, _ = READERS[name]
    return setup, [keeping(read), write], lambda s: as_key(s.result)


def pair(name: str) -> Program:
    setup, thread, observe, _ = PAIRS[name]
    return setup, [thread, thread], observe


def safe(name: str) -> Program:
    setup, threads, holds, _ = SAFE[name]
    return setup, threads, lambda s: bool(holds(s))


def half(name: str) -> Program:
    setup, threads, observe, *_ = HALF_CHANGES[name]
    return setup, threads, observe


def bug(name: str) -> Program:
    return BUGS[name][:3]


def merge(s: Any) -> None:
    s.entries |= {"k": s.entries.get("k", 0) + 1}


def mixed(s: Any) -> None:
    with s.lock, s.second:
        s.x += 1
    s.event.set()
    s.event.wait()


def complex_change(s: Any) -> None:
    s.entries.setdefault("list", []).append(len(s.entries["list"]))
    s.x = sum(s.entries["list"])


def accumulating() -> Any:
    def accumulate() -> Any:
        total = 0
        while True:
            total += yield total

    generator = accumulate()
    next(generator)
    return generator


PROGRAMS: dict[str, Program] = {
    "ClosureCellRace": spelling("cell"),
    "SetattrRace": spelling("setattr"),
    "ObjectDunderSetattrRace": spelling("object.__setattr__"),
    "DictDirectAccessRace": spelling("attribute", "__dict__"),
    "ExecEvalRace": spelling("eval, then exec"),
    "ExecRace": spelling("exec"),
    "GlobalSubscriptRace": spelling("global", "globals()"),
    "OperatorModuleRace": spelling("operator.setitem"),
    "ClosureListCompoundRace": half("list of a closure"),
    "TypeSetattrCompoundRace": spelling("class attribute by setattr"),
    "VarsAliasRace": spelling("attribute", "vars"),
    "CompileExecRace": spelling("compiled"),
    "DictOperatorRace": spelling("item", "operator.setitem"),
    "ExecGlobalMixedRace": spelling("global", "exec of a global"),
    "AugmentedClosureRace": spelling("cell"),
    "WrapperDescriptorRace": spelling("dict.__setitem__"),
    "DefaultdictFactoryRace": half("missing entry"),
    "PropertyDescriptorRace": spelling("property"),
    "ChainMapLayeredRace": (dict, [increment_layer] * 2, lambda s: s["value"]),
    "ClassAssignmentRace": reader("class assignment"),
    "WeakrefCallbackRace": half("weak reference"),
    "CachedPropertyRace": half("lazy property"),
    "ArrayModuleRace": spelling("array element"),
    "StarUnpackingRace": half("starred unpacking"),
    "WalrusOperatorRace": reader("walrus"),
    "DictMergeOperatorRace": half("merge and store"),
    "MultipleReturnUnpackingRace": reader("returned pair"),
    "FStringEvaluationRace": reader("f-string"),
    "ComprehensionVariableCaptureRace": reader("comprehension"),
    "TernaryExpressionRace": reader("array of flags"),
    "ChainedComparisonRace": reader("chained comparison"),
    "DoubleCheckedLockingRace": (
        lambda: SimpleNamespace(cache=None, made=[]),
        [double_checked] * 2,
        lambda s: len(s.made),
    ),
    "SlotAttributeRace": spelling("slot"),
    "SwapRace": reader("swap"),
    "NestedClosureCellRace": spelling("nested cell"),
    "DequeCheckThenActRace": pair("pop if any"),
    "ReduceAccumulateRace": half("reduce"),
    "SysModulesCacheRace": reader("modules"),
    "DictGetSetdefaultRace": reader("get and setdefault"),
    "BytearraySliceRace": half("slice of bytes"),
    "ListSortReverseRace": half("sort and reverse"),
    "ShallowCopyRace": reader("shallow copy"),
    "BoolCoercionRace": reader("truth"),
    "InOperatorRace": reader("membership"),
    "EnumerateIterationRace": reader("enumerate"),
    "ReprRace": reader("repr"),
    "MinMaxRace": reader("minimum"),
    "DictPopUpdateRace": reader("sum of values"),
    "PartialApplicationRace": reader("partial"),
    "TwoPhaseUpdateRace": reader("two phases"),
    "SetAddDiscardRace": reader("set membership"),
    "MapFilterRace": half("lazy map"),
    "ZipRace": half("zip"),
    "StrJoinRace": half("join"),
    "GeneratorSend": (accumulating, [lambda s: s.send(1), lambda s: s.send(2)], lambda s: s.send(0)),
    "OrderedDictMoveToEnd": reader("order of a dictionary"),
    "LockProtectedCounter": safe("counter under a lock"),
    "RLockReentrant": safe("re-entrant lock"),
    "SemaphoreProtected": safe("semaphore"),
    "LockTryFinally": safe("acquire and release"),
    "MultipleLocksCorrectOrder": bug("two locks in one order"),
    "LockProtectedClosure": safe("closure under a lock"),
    "ThreadLocalStorage": safe("increments of an element for each"),
    "IndependentAttributes": safe("an attribute for each"),
    "IndependentDicts": safe("a dictionary for each"),
    "IndependentClosures": safe("a closure for each"),
    "ImmutableTypeOperations": safe("immutable values"),
    "HappensBeforeEvent": safe("set before, read after an event"),
    "QueueCommunication": safe("queue with a lock"),
    "LockHandoff": safe("write and read under a lock"),
    "ConditionVariableSignaling": safe("condition"),
    "ManyNestedLocks": safe("three locks in order"),
    "LockAcquireReleaseLoop": safe("three times each"),
    "ManyThreadsIndependent": safe("five threads apart"),
    "ExceptionInThreadWithLock": safe("exception with a lock"),
    "LargeComputationBetweenLockOps": safe("work between locks"),
    "MixedSyncPrimitives": (
        state(second=threading.RLock, event=threading.Event),
        [mixed] * 2,
        lambda s: s.x,
    ),
    "CallingPureFunctions": safe("pure functions"),
    "CreatingFreshObjects": safe("fresh objects"),
    "LockProtectedAugmentedAssignment": safe("augmented assignment under a lock"),
    "LockProtectedDictSubscript": safe("item under a lock"),
    "LockProtectedListAppend": safe("append under a lock"),
    "LockProtectedProperty": safe("property under a lock"),
    "LockProtectedGlobal": safe("global under a lock"),
    "SingleWriterMultipleValues": safe("one writer"),
    "LockProtectedComplexMutation": (state(entries=dict), [locked(complex_change)] * 2, lambda s: s.x),
    "SemaphoreMultiPermit": (
        lambda: SimpleNamespace(lock=threading.Semaphore(2), x=0, y=0),
        [locked(lambda s: setattr(s, "x", 1)), locked(lambda s: setattr(s, "y", 1))],
        lambda s: (s.x, s.y),
    ),
    "LockProtectedSwap": safe("swap under a lock"),
    "LocalOnlyComputation": safe("locals alone"),
    "LockProtectedClosureCell": safe("cell of a closure under a lock"),
    "LockProtectedSetattrGetattr": safe("setattr under a lock"),
    "MultiStepIndependent": safe("several steps apart"),
    "DeadlockABBA": bug("two locks in both orders"),
    "DiningPhilosophers3": bug("three philosophers"),
    "DiningPhilosophers4": bug("four philosophers"),
    "SummaryTwoLockSnapshot": bug("snapshot under two locks"),
    "TransferAuditor": bug("transfer and audit"),
    "TrylockLostWakeup": bug("trylock loses a wake-up"),
    "TrylockTimeoutZero": bug("trylock with a timeout of 0"),
    "TrylockReentrant": bug("re-entrant trylock loses a wake-up"),
    "TrylockLockTimeoutZero": bug("trylock of a lock with a timeout of 0"),
    "TrylockBusyRetry": bug("trylock in a loop"),
    "ResourceUsedBeforeInit": bug("used before it is made"),
    "WaitSetGap": bug("wait with a timeout, then increment"),
    "DelayedWriter": bug("delayed write in the middle"),
    "ConditionLostWakeup": bug("notification that nobody hears"),
    "BoundedBuffer": bug("bounded buffer"),
    "WorkerStartsTwoThreads": bug("threads that a thread starts"),
    "LockedWriters4": bug("four writers under a lock"),
    "TwoWritersThreeSlots": bug("three slots"),
}


def serially(program: Program) -> set[str]:
    """What the serial orders of the threads end with, without any exploration."""
    _, threads, _ = program
    return {
        in_another_process(lambda order=order: one_after_the_other(program, order)) for order in permutations(threads)
    }


def one_after_the_other(program: Program, order: tuple[Callable[[Any], Any], ...]) -> str:
    setup, _, observe = program
    made = setup()
    for thread in order:
        thread(made)
    return repr(observe(made))


def in_another_process(work: Callable[[], str]) -> str:
    """Do some work that changes globals."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings(action="ignore"):
        pid = os.fork()
    if pid == 0:
        try:
            os.write(theirs, work().encode())
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    with open(ours) as end:
        return end.read()


def verdict_and_executions(name: str) -> tuple[str, int]:
    setup, threads, observe = PROGRAMS[name]
    result = explore_dpor(setup, threads, lambda s: True, observe=observe, stop_on_first=False, reproduce_on_failure=0)
    assert result.exhausted, result.explanation
    if result.failures:
        return result.failures[0].kind, result.num_explored
    if len(result.outcomes) == 1:
        return "safe", result.num_explored
    return "order" if set(result.outcomes) <= serially(PROGRAMS[name]) else "race", result.num_explored


@pytest.mark.parametrize(("name", "verdict", "executions"), ROW.findall(TABLE.read_text()))
def test_a_row_of_the_table(name: str, verdict: str, executions: str) -> None:
    assert verdict_and_executions(name) == (verdict, int(executions))


def test_every_program_is_in_the_table() -> None:
    assert [name for name, _, _ in ROW.findall(TABLE.read_text())] == list(PROGRAMS)
