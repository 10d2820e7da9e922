"""A test that any package can borrow: one test for each check of `oreo.envs.check`.

    from oreo.envs.checking.mixin import EnvironmentTests

    class TestShop(EnvironmentTests):
        env = "shop.py:Shop"           # or a class, a function that makes one, an id
        env_kwargs = {"size": 5}       # optional

It needs pytest, which runs it; the environment is checked once for all tests of the class. A check that has nothing to
look at, or no time left (`seconds`), is a test that is skipped.
"""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from oreo.envs.checking.report import Report
from oreo.envs.checking.run import CALLS, PATIENCE, SECONDS, check

# What `CHECKS` and the calls are tested by: a finding is attributed to one of these.
_NAMES: tuple[str, ...] = (
    *CALLS,
    "seeds",
    "processes",
    "apart",
    "commands",
    "endings",
    "expert",
    "snapshots",
    "copies",
    "games",
)
_NAMES += ("growth", "gymnasium")


class EnvironmentTests:
    """See the module; subclass it and name the environment."""

    env: ClassVar[Any] = None
    env_kwargs: ClassVar[Mapping[str, Any]] = {}
    max_steps: ClassVar[int | None] = None
    step_timeout: ClassVar[float] = PATIENCE
    seconds: ClassVar[float] = SECONDS
    actions: ClassVar[Sequence[str]] = ()
    _report: ClassVar[Report | None] = None

    @classmethod
    def report(cls) -> Report:
        """What the checks of this class's environment have found."""
        if "_report" not in vars(cls):
            cls._report = check(
                cls.env,
                max_steps=cls.max_steps,
                step_timeout=cls.step_timeout,
                seconds=cls.seconds,
                actions=cls.actions,
                **cls.env_kwargs,
            )
        assert cls._report is not None
        return cls._report


def _test(name: str) -> Any:
    def test(self: EnvironmentTests) -> None:
        findings = [finding for finding in self.report().findings if finding.check == name]
        assert not findings, "\n".join(
            "\n    ".join((one.what, *one.steps, f"to mend it: {one.fix}")) for one in findings
        )
        if (why := self.report().skipped.get(name)) is not None:
            raise unittest.SkipTest(f"not checked: {why}")

    test.__doc__ = f"`oreo.envs.check` finds nothing under {name!r}."
    return test


for _name in _NAMES:
    setattr(EnvironmentTests, f"test_{_name}", _test(_name))
