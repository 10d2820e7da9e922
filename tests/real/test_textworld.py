"""The shared TextWorld games: step by step what the library plays by hand, and won by their own walkthroughs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oreo.envs
from helpers.resets import assert_fifty_resets_leave_nothing
from helpers.shared_data import SHARED
from oreo.envs.story_files import without_prompt
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout

GAMES = SHARED / "textworld_games"
pytestmark = pytest.mark.skipif(not GAMES.is_dir(), reason=f"no games at {GAMES} (set OREO_SHARED)")
SIMPLE = GAMES / "tw-rewardsDense_goalDetailed.z8"
ULX = "tw-iqa-cleanup-objects1-take1-rooms1-train-aOWOfr2rh6E7s25B"


@pytest.fixture
def by_hand() -> Iterator[Any]:
    import textworld

    wanted = ("admissible_commands", "won", "score", "objective", "policy_commands")
    env = textworld.start(str(SIMPLE), textworld.EnvInfos(**dict.fromkeys(wanted, True)))
    env.seed(0)
    yield env
    env.close()


@pytest.mark.parametrize("agent", ["expert", "random"])
def test_episodes_equal_the_library_driven_by_hand(agent: str, by_hand: Any) -> None:
    (episode,) = rollout(f"textworld:{SIMPLE}", agent=agent, episodes=1, max_steps=25)
    state = by_hand.reset()
    score, done = 0, False
    for step in episode.steps:
        assert step.observation == without_prompt(state.feedback)
        assert list(step.admissible_commands or ()) == state.admissible_commands
        if agent == "expert":
            assert step.action == state.policy_commands[0]
        state, _, done = by_hand.step(step.action)
        assert step.reward == state.score - score
        score = state.score
    assert (episode.final_observation, episode.won, episode.terminated) == (
        without_prompt(state.feedback),
        bool(state.won),
        bool(done),
    )
    assert episode.task == state.objective and episode.game == SIMPLE.stem


def test_its_own_walkthrough_wins_it_with_every_point() -> None:
    walkthrough = json.loads(SIMPLE.with_suffix(".json").read_text())["metadata"]["walkthrough"]
    env = oreo.envs.make(f"textworld:{SIMPLE}")
    env.reset(seed=0)
    total, ended = 0.0, False
    for command in walkthrough:
        assert not ended
        _, reward, ended, _, info = env.step(command)
        total += reward
    assert ended and info["won"] and total == 10
    env.close()


def test_snapshots_go_back_and_on_alike() -> None:
    env = oreo.envs.make(f"textworld:{SIMPLE}")
    env.reset(seed=0)
    inner: Any = env.unwrapped
    env.step("open chest drawer")
    snapshot = inner.snapshot()
    first = env.step("take old key from chest drawer")
    inner.restore(snapshot)
    env.step("look")
    inner.restore(snapshot)
    assert env.step("take old key from chest drawer") == first
    env.reset(seed=0)
    env.step("look")
    env.close()


def test_fifty_resets_take_no_more_memory_and_files() -> None:
    env = oreo.envs.make(f"textworld:{SIMPLE}")
    env.reset(seed=0)
    assert_fifty_resets_leave_nothing(env, "look", memory_limit=60e6)
    env.close()


def test_a_ulx_is_made_anew_from_the_json_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for ending in (".ulx", ".json"):
        shutil.copy(GAMES / f"{ULX}{ending}", tmp_path)
    env = oreo.envs.make(f"textworld:{tmp_path}")
    assert env.unwrapped.games == [ULX]  # type: ignore[attr-defined]
    observation, info = env.reset(seed=0)
    assert "Bedroom" in observation and info["game"] == ULX and "close wardrobe" in info["admissible_commands"]
    with pytest.raises(UsageError, match="has no walkthrough"):
        env.unwrapped.expert_action()  # type: ignore[attr-defined]
    draws, ended = np.random.default_rng(0), False
    while not ended:
        _, _, terminated, truncated, info = env.step(str(draws.choice(info["admissible_commands"])))
        ended = terminated or truncated
    env.close()
    (tmp_path / f"{ULX}.json").unlink()
    with pytest.raises(UsageError, match="TextWorld 1.7 plays no .ulx"):
        oreo.envs.make(f"textworld:{tmp_path / ULX}.ulx")


def tidying(command: str, goals: dict[str, list[str]]) -> int:
    """How well a command fits where things belong: brings one there 3, takes a misplaced one 2, opens something 1."""
    for thing, places in goals.items():
        if any(command in (f"put {thing} on {place}", f"insert {thing} into {place}") for place in places):
            return 3
        if command == f"take {thing}":
            return 2
        if command.startswith(f"take {thing} from ") and command.rpartition(" from ")[2] not in places:
            return 2
    return int(command.startswith("open "))


def test_the_six_made_anew_are_won_with_every_point_by_where_their_files_say_that_things_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no walkthrough, but goal_locations. (Ten seconds of the library's compiler.)"""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    env = oreo.envs.make(f"textworld:{GAMES}", max_steps=100)
    names = [name for name in env.unwrapped.games if name != SIMPLE.stem]  # type: ignore[attr-defined]
    assert len(names) == 6
    draws = np.random.default_rng(0)
    for name in names:
        metadata = json.loads((GAMES / f"{name}.json").read_text())["metadata"]
        _, info = env.reset(seed=0, options={"game": name})
        total, ended = 0.0, False
        while not ended:
            commands = info["admissible_commands"]
            command = max(commands, key=lambda text: tidying(text, metadata["goal_locations"]))
            if not tidying(command, metadata["goal_locations"]):
                command = str(draws.choice([text for text in commands if text.startswith("go ")]))
            _, reward, terminated, truncated, info = env.step(command)
            total, ended = total + reward, terminated or truncated
        assert info["won"] and total == metadata["max_score"]
    env.close()


def test_jericho_plays_the_same_file() -> None:
    pytest.importorskip("jericho")
    walkthrough = json.loads(SIMPLE.with_suffix(".json").read_text())["metadata"]["walkthrough"]
    env = oreo.envs.make(f"jericho:{SIMPLE}")
    import jericho

    original = jericho.FrotzEnv(str(SIMPLE), seed=1)
    text, _ = original.reset()
    observation, _ = env.reset(seed=0)
    assert observation == without_prompt(text)
    for command in walkthrough[:-1]:
        text, reward, done, _ = original.step(command)
        observation, paid, terminated, _, _ = env.step(command)
        assert (observation, paid, terminated) == (without_prompt(text), reward, done)
    snapshot: Any = env.unwrapped.snapshot()  # type: ignore[attr-defined]
    first = env.step(walkthrough[-1])
    env.unwrapped.restore(snapshot)  # type: ignore[attr-defined]
    assert env.step(walkthrough[-1]) == first
    env.close()
