"""Jericho by a file's name is step by step what the library plays: here a game of a few lines of Inform 6.

Games that Jericho knows, with score and walkthrough, are in tests/real.
"""

from __future__ import annotations

import subprocess
import warnings
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oreo.envs
from helpers.resets import assert_fifty_resets_leave_nothing
from oreo.envs.jericho import JerichoEnv
from oreo.errors import MissingExtra, UsageError

_GAME = """
Array text -> 242;
Array parse -> 42;
Global opened = 0;
Global moves = 0;

[ First word;
  return parse->1 >= 1 && (parse + 2)-->0 == word;
];

[ Main;
  print "You stand before a door.^";
  while (1) {
    print "^";
    text->0 = 240; text->1 = 0; parse->0 = 10;
    @aread text parse -> sp;
    moves++;
    if (First('open')) { opened = 1; print "The door is open.^"; }
    else if (First('north') && opened) print "You are out after ", moves, " moves.^";
    else if (First('north')) print "The door is closed.^";
    else if (First('roll')) print "You roll ", random(1000), ".^";
    else print "You cannot do that.^";
  }
];
"""
COMMANDS = ("roll", "open door", "north", "roll twice", "no such command", "é 漢字", "x" * 300 + "é" * 300, "")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The game, compiled by the Inform that comes with TextWorld."""
    textworld = util.find_spec("textworld")
    assert textworld is not None and textworld.origin is not None
    compilers = list(Path(textworld.origin).parent.rglob("Compilers/inform6"))
    if not compilers:
        pytest.skip("TextWorld has no Inform compiler for this system")
    folder = tmp_path_factory.mktemp("story")
    (folder / "door.inf").write_text(_GAME)
    subprocess.run([compilers[0], "-v5", "door.inf", "door.z5"], cwd=folder, check=True, capture_output=True)
    return folder / "door.z5"


def by_hand(story: Path, seed: int, commands: list[str]) -> list[str]:
    jericho = pytest.importorskip("jericho", reason="jericho is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not know the game
        env = jericho.FrotzEnv(str(story), seed=seed)
    texts = [env.reset()[0]]
    texts += [
        env.step(" ".join(command.encode()[:198].decode(errors="ignore").split()) or "wait")[0] for command in commands
    ]
    env.close()
    return [text.strip() for text in texts]


def test_random_episodes_equal_the_librarys(story: Path) -> None:
    env = oreo.envs.make(f"jericho:{story}")
    for seed in range(3):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        drawn = (int(rng.integers(1)), int(rng.integers(1, 2**15)))[1]
        commands = [COMMANDS[int(place)] for place in np.random.default_rng(seed).integers(len(COMMANDS), size=30)]
        observation, info = env.reset(seed=seed)
        played = [observation, *(env.step(command)[0] for command in commands)]
        assert played == by_hand(story, drawn, commands)
        assert info["game"] == "door" and "admissible_commands" not in info  # Jericho does not know this game
    env.close()


def test_a_game_that_jericho_does_not_know_has_no_expert_and_goes_back(story: Path) -> None:
    env: Any = JerichoEnv(str(story))
    env.reset(seed=0)
    with pytest.raises(UsageError, match="door has no walkthrough"):
        env.expert_action()
    env.step("open door")
    snapshot = env.snapshot()
    futures = []
    for _ in range(2):
        futures.append([env.step(command) for command in ("roll", "north", "roll")])
        env.restore(snapshot)
    assert futures[0] == futures[1] and futures[0][1][0] == "You are out after 3 moves."
    env.close()


def test_fifty_resets_take_no_more_memory_files_and_processes(story: Path) -> None:
    env = oreo.envs.make(f"jericho:{story}")
    env.reset(seed=0)
    assert_fifty_resets_leave_nothing(env, "roll")
    env.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for place, message in (
        ("none.z5", "no such game file"),
        ("", "no game in it"),
        ("notes.txt", "ends in .z1 to .z8"),
    ):
        with pytest.raises(UsageError, match=message):
            oreo.envs.make(f"jericho:{tmp_path / place}")


def test_without_the_library_the_install_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.z5").write_text("")
    (tmp_path / "jericho.py").write_text("raise ImportError('No module named jericho')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"oreo-agents\[jericho\]"):
        oreo.envs.make(f"jericho:{tmp_path / 'a.z5'}").reset(seed=0)
