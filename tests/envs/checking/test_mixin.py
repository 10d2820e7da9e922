"""The mixin: a sound world passes all of its tests, a broken one fails the test of its fault and no other."""

from __future__ import annotations

import unittest
from pathlib import Path

import pytest

from oreo.envs.checking.checks import CHECKS
from oreo.envs.checking.mixin import EnvironmentTests
from oreo.envs.checking.run import CALLS

BROKEN = Path(__file__).with_name("broken.py")


class TestSound(EnvironmentTests):
    env = f"{BROKEN}:Sound"


class Refuses(EnvironmentTests):
    env = f"{BROKEN}:RefusesListed"


def outcomes(tests: type[EnvironmentTests]) -> dict[str, str]:
    told = {}
    for name in (name for name in dir(tests) if name.startswith("test_")):
        try:
            getattr(tests(), name)()
        except AssertionError as error:
            told[name] = str(error)
        except unittest.SkipTest:
            pass
    return told


def test_a_fault_fails_its_own_test_and_says_how_to_mend_it() -> None:
    failed = outcomes(Refuses)
    assert list(failed) == ["test_commands"]
    assert "step('fly')" in failed["test_commands"] and "to mend it" in failed["test_commands"]


def test_what_was_not_checked_is_skipped_and_does_not_pass() -> None:
    class Hurried(EnvironmentTests):
        env = f"{BROKEN}:Sound"
        seconds = 1e-6

    with pytest.raises(unittest.SkipTest, match="not within"):
        Hurried().test_growth()  # type: ignore[attr-defined]
    with pytest.raises(unittest.SkipTest, match="names no games"):
        TestSound().test_games()  # type: ignore[attr-defined]


def test_every_finding_there_can_be_has_its_test() -> None:
    folded = {"odd texts": "contract", "refused": "commands", "speed": "gymnasium"}
    for check in (*CALLS, *CHECKS):
        assert hasattr(EnvironmentTests, f"test_{folded.get(check, check)}")


def test_an_environment_is_checked_once_for_all_tests_of_its_class() -> None:
    assert Refuses.report() is Refuses.report() is not TestSound.report()
