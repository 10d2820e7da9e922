"""What textworld:PATH takes and refuses, and a game that tw-make makes. Played games are in tests/real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import oreo.envs
from oreo.envs.textworld import TextWorldEnv
from oreo.errors import EngineError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "oreo" / "textworld"


def test_a_game_is_made_by_tw_make_once_and_won_by_its_walkthrough(cache: Path) -> None:
    """A second or two of the library's compiler, which is what this is about."""
    settings = {"world_size": 1, "nb_objects": 1, "quest_length": 1, "count": 1, "first_seed": 3}
    env = oreo.envs.make("textworld:custom", **settings)
    assert env.unwrapped.games == ["custom-3"]  # type: ignore[attr-defined]
    observation, info = env.reset(seed=0)
    assert info["game"] == "custom-3" and info["task"] and observation
    (made,) = cache.glob("custom-3-*.z8")
    written = made.stat().st_mtime_ns
    _, reward, terminated, _, info = env.step(env.unwrapped.expert_action())  # type: ignore[attr-defined]
    assert (reward, terminated, info["won"]) == (1.0, True, True)
    env.close()
    again = oreo.envs.make("textworld:custom", **settings)
    assert again.reset(seed=5)[0] == observation and made.stat().st_mtime_ns == written
    again.close()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nothing", {}, "no file, folder or kind of game 'nothing'"),
        ("games/none.z8", {}, "there is no such game file"),
        ("tw-simple", {"count": 0}, "count=0"),
        ("tw-simple", {"output": "x"}, "output: not for games that are made here"),
    ],
)
def test_what_names_no_game_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        oreo.envs.make(f"textworld:{name}", **settings)


def test_files_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for file, message in (("a.txt", "expected a game"), ("b.ulx", "b.json, from which it could be made")):
        (tmp_path / file).write_text("")
        with pytest.raises(UsageError, match=message):
            TextWorldEnv(str(tmp_path / file))
    with pytest.raises(UsageError, match="no game in it"):
        TextWorldEnv(str(tmp_path / "empty"))
    for file in ("c.z8", "d.z8", "d.json"):
        (tmp_path / file).write_text("")
    assert TextWorldEnv(str(tmp_path)).games == ["c", "d"]
    with pytest.raises(UsageError, match="name the game beside it, d.z8"):
        TextWorldEnv(str(tmp_path / "d.json"))
    with pytest.raises(UsageError, match="for games that are made"):
        TextWorldEnv(str(tmp_path / "c.z8"), rewards="dense")
    with pytest.raises(UsageError, match="no game 'e'"):
        TextWorldEnv(str(tmp_path)).reset(seed=0, options={"game": "e"})


def test_a_file_that_is_no_game_is_the_librarys_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.z8").write_bytes(b"no game")
    with pytest.raises(EngineError) as caught:
        TextWorldEnv(str(tmp_path / "bad.z8")).reset(seed=0)
    assert "\n" not in str(caught.value)


def test_tw_makes_own_complaint_is_told() -> None:
    with pytest.raises(UsageError, match="argument --rewards: invalid choice: 'some'"):
        TextWorldEnv("tw-simple", rewards="some", goal="detailed").reset(seed=0)
