"""`oreo replay`."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.commands import GUESS


def test_an_episode_that_is_not_there_is_named(oreo, buffer: Path) -> None:
    code, _, error = oreo("replay", buffer, "--episode", 4)
    assert code == 2
    assert error == f"oreo: --episode 4: {buffer} holds 4 episodes, 0 to 3\n"


def test_a_buffer_grows_and_its_episodes_are_replayed(oreo, buffer: Path) -> None:
    code, out, error = oreo(
        "collect", "--env", GUESS, "--agent", "expert", "--episodes", 2, "--seed", 9, "--into", buffer
    )
    assert code == 0, error
    assert re.search(r"^episodes +6$", out, re.MULTILINE)
    code, out, _ = oreo("replay", buffer, "--episode", -1)
    assert code == 0
    assert out.splitlines()[0] == f"env: {GUESS}"
    assert out.splitlines()[-1].startswith("won after ")
