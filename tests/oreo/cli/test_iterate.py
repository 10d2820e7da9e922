"""`oreo iterate`: its options."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("setting", ["seed=5", "model=nosuch", "method=sft", "recipe=oreo-alfworld"])
def test_rounds_do_not_ignore_a_setting_that_has_an_option_of_its_own(oreo, setting: str) -> None:
    code, out, error = oreo("iterate", "--output", "o", "--set", setting)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"give --{setting.partition('=')[0]} in its place" in error and not Path("o").exists()
