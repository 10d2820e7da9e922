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
from oreo.errors import UsageError

BROKEN = Path(__file__).with_name("broken.py")
FAULTS = {
    "Raises": "contract",
    "WrongType": "contract",
    "PlainFour": "contract",
    "Hangs": "time",
    "Dies": "processes",
    "Prints": "output",
    "SeedsGlobal": "globals",
    "OwnRandom": "seeds",
    "HashOrder": "processes",
    "Remembers": "seeds",
    "Shared": "apart",
    "RefusesListed": "commands",
    "RefusedMoves": "commands",
    "NoCommands": "commands",
    "WonUnpaid": "endings",
    "WonSticks": "endings",
    "ResetsItself": "endings",
    "LosingExpert": "expert",
    "MeddlingExpert": "expert",
    "ShallowSnapshot": "snapshots",
    "ForgetfulCopy": "copies",
    "OtherGame": "games",
    "Leaks": "growth",
    "LeavesOpen": "growth",
    "Coloured": "text",
    "Huge": "size",
}


def check(name: str, **settings: Any) -> oreo.envs.checking.report.Report:
    return oreo.envs.check(f"{BROKEN}:{name}", step_timeout=0.5, **settings)


@pytest.fixture(scope="module")
def broken() -> ModuleType:
    spec = importlib.util.spec_from_file_location("broken_worlds", BROKEN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["broken_worlds"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "where"), FAULTS.items())
def test_a_fault_is_found_by_its_own_check_and_no_other(name: str, where: str) -> None:
    report = check(name)
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
    for env in ("broken:Plain", "broken:broken/Plain-v0", broken.Plain, lambda: broken.Plain(), broken.Plain()):
        assert oreo.envs.check(env).passed, env
    assert "processes" in oreo.envs.check(broken.Sound).checks
    assert "another process" in oreo.envs.check(broken.Sound()).skipped["processes"]


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
