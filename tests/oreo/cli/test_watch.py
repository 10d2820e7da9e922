"""`oreo watch`."""

from __future__ import annotations

import re

from helpers.commands import GUESS


def test_watching_without_a_terminal_prints_every_step(oreo) -> None:
    code, out, error = oreo("watch", "--env", GUESS, "--agent", "expert", "--delay", 9, "--seed", 5)
    assert code == 0, error
    assert "  1 > 49" in out.splitlines()
    assert re.fullmatch(r"won after \d+ steps, return 1", out.splitlines()[-1])
