"""Each fault is found, by its own check and by no other; sound environments pass, however they are named."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import oreo.envs
from oreo.envs.checking import checks
from oreo.envs.checking.subject import Subject
from oreo.envs.registry import make_class
from oreo.errors import UsageError

BROKEN = Path(__file__).with_name("broken.py")
FAULTS = {
    "Raises": "contract",
    "WrongType": "contract",
    "PlainFour": "contract",
    "Hangs": "time",
    "Exits": "contract",
    "Dies": "processes",
    "Prints": "output",
    "SeedsGlobal": "globals",
    "SeedsGlobalAlike": "globals",
    "OwnRandom": "seeds",
    "HashOrder": "processes",
    "Remembers": "seeds",
    "Shared": "apart",
    "RefusesListed": "commands",
    "RefusesListedLater": "commands",
    "RefusedMoves": "commands",
    "NoCommands": "commands",
    "WonUnpaid": "endings",
    "WonSticks": "endings",
    "ResetsItself": "endings",
    "LosingExpert": "expert",
    "MeddlingExpert": "expert",
    "ShallowSnapshot": "snapshots",
    "StaysWon": "snapshots",
    "ForgetfulCopy": "copies",
    "OtherGame": "games",
    "Leaks": "growth",
    "LeavesOpen": "growth",
    "LeavesThreads": "growth",
    "Coloured": "text",
    "ColouredType": "text",
    "Huge": "size",
}
ELSEWHERE = ("Dies", "HashOrder", "Raises", "Hangs", "Prints", "Remembers", "Shared")
"""Also played in another process, which costs an interpreter each: those that such a process may take for its own."""


def check(name: str, **settings: Any) -> oreo.envs.checking.report.Report:
    return oreo.envs.check(f"{BROKEN}:{name}", step_timeout=0.5, **settings)


@pytest.fixture(autouse=True)
def fewer_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaks leaks as much in each reset; the number of them is no part of any law."""
    monkeypatch.setattr(checks, "RESETS", 30)
    monkeypatch.setattr(checks, "MORE_BLOCKS", 1)


@pytest.fixture(scope="module")
def broken() -> ModuleType:
    spec = importlib.util.spec_from_file_location("broken_worlds", BROKEN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["broken_worlds"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "where"), FAULTS.items())
def test_a_fault_is_found_by_its_own_check_and_no_other(broken: ModuleType, name: str, where: str) -> None:
    world = getattr(broken, name)
    report = (
        check(name)
        if name in ELSEWHERE
        else oreo.envs.check(lambda: make_class(name, world, None, {}), step_timeout=0.5)
    )
    assert [finding.check for finding in report.findings] == [where], str(report)
    assert report.findings[0].steps and report.findings[0].fix


def test_two_faults_at_once_are_both_found() -> None:
    assert {finding.check for finding in check("HangsAndPrints").findings} == {"time", "output"}


def test_drawing_from_global_generators_is_told_of_each_of_them() -> None:
    told = [finding.what for finding in check("GlobalRandom").findings]
    assert len(told) == 2 and "random" in told[0] and "numpy.random" in told[1]


@pytest.mark.parametrize("name", ["Sound", "Plain"])
def test_a_sound_environment_passes(name: str) -> None:
    report = check(name)
    assert report.passed, str(report)
    assert "speed" in report.checks and "nothing found" in report.line and report.measured["steps a second"] > 0


def test_the_steps_shown_are_the_fewest_that_show_it() -> None:
    (finding,) = check("Raises").findings
    assert len(finding.steps) == 3 and finding.steps[1] == "step('right')"  # one step to room 3, one more there


def test_an_environment_may_be_given_in_every_way_it_can_be_made(
    broken: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BROKEN.parent))
    plain = broken.Plain
    first = plain().reset(seed=5)
    for env in (f"{BROKEN}:Plain", "broken:Plain", "broken:broken/Plain-v0", plain, lambda: plain(), plain()):
        subject = Subject.of(env, None, {})
        assert subject.make().reset(seed=5) == first, env
        assert (subject.portable is not None) == isinstance(env, str | type), env
    report = oreo.envs.check(plain())
    assert report.passed and "another process" in report.skipped["processes"]


def test_what_cannot_be_made_is_the_callers_mistake(broken: ModuleType) -> None:
    for env in ("no/Such-v0", f"{BROKEN}:NoSuch", 5):
        with pytest.raises(UsageError):
            oreo.envs.check(env)
    with pytest.raises(UsageError, match="no argument 'size'"):
        check("Sound", size=3)
    with pytest.raises(UsageError, match="step_timeout"):
        oreo.envs.check(broken.Sound, step_timeout=0)


def test_the_callers_random_state_is_left_as_it_was() -> None:
    random.seed(3), np.random.seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    check("Plain")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[union-attr]


def test_nothing_of_an_environments_output_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    check("Prints")
    assert capfd.readouterr().out == ""
