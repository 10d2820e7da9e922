"""oreo.errors: each error is of its builtin kind too, and says which code a command ends with."""

from __future__ import annotations

import pytest

from oreo.errors import DataError, EngineError, MissingExtra, OreoError, UsageError, did_you_mean


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        (UsageError, ValueError, 2),
        (DataError, ValueError, 1),
        (EngineError, RuntimeError, 1),
        (MissingExtra, ImportError, 1),
    ],
)
def test_every_error_is_one_of_ours_and_of_pythons(error: type[OreoError], kind: type, exit_code: int) -> None:
    assert issubclass(error, OreoError) and issubclass(error, kind)
    assert error("words").exit_code == exit_code


def test_a_wrong_word_gets_the_choices_and_the_near_one() -> None:
    assert did_you_mean("smaple", ["sample", "plan"]) == "choose from sample, plan (did you mean 'sample'?)"
    assert did_you_mean("xyz", iter(["sample", "plan"])) == "choose from sample, plan"
