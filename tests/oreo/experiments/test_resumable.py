"""What is missing of a job's episodes, and whose episodes those in a buffer are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import UsageError
from oreo.experiments.resumable import (
    count,
    episodes_per_pass,
    missing,
    missing_of_player,
    refuse_stored,
    stored_seeds_of,
)
from oreo.rollouts.links import Player
from oreo.rollouts.settings import Rollout, seeds
from oreo.trajectory import Step, Trajectory


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 3), st.data())
def test_what_is_there_and_what_is_missing_are_all_episodes_once(episodes, per_game, seed, data) -> None:
    """Passes are played one after the other, in each the episodes in any order."""
    everything = [
        (sample, index) for sample, n in enumerate(episodes_per_pass(episodes, per_game)) for index in range(n)
    ]
    assert len(everything) == episodes
    done = data.draw(st.integers(0, episodes))
    last_pass = everything[done - 1][0] if done else 0
    under_way = [one for one in everything if one[0] == last_pass]
    before = [one for one in everything if one[0] < last_pass]
    stored_already = before + data.draw(st.permutations(under_way))[: done - len(before)]
    lacking = missing([seeds(seed, index)[0] for _, index in stored_already], episodes, seed=seed, per_game=per_game)
    played = [(sample, index) for sample, indices in lacking for index in indices]
    assert sorted(stored_already + played) == everything and count(lacking) == episodes - done
    assert [sample for sample, _ in lacking] == sorted({sample for sample, _ in lacking})


def test_passes_share_episodes_out_to_games() -> None:
    assert [episodes_per_pass(7, 3), episodes_per_pass(2, 5), episodes_per_pass(4, 1)] == [[3, 2, 2], [1, 1], [4]]


BASE = Trajectory(
    env_id="alfworld",
    steps=(Step("hello", "go"),),
    final_observation="bye",
    terminated=True,
    truncated=False,
    won=False,
    env_kwargs={"split": "train", "max_steps": 5},
    game="a",
    seed=seeds(3, 0)[0],
    agent="lm(temperature=1.0)",
    checkpoint="0123456789abcdef",
)
ROLLOUT = Rollout("oreo/ALFWorld-v0", {"split": "train"}, seed=3, games=["a", "b"], max_steps=5)
PLAYER = Player(BASE.agent, BASE.checkpoint)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"env_id": "oreo/ALFWorld-v0"}, True),
        ({"game": "as the environment calls it"}, True),
        ({"won": True, "versions": {"torch": "1"}}, True),
        ({"env_id": "math"}, False),
        ({"env_kwargs": {"split": "train"}}, False),
        ({"env_kwargs": {"split": "valid", "max_steps": 5}}, False),
        ({"agent": "lm(temperature=0.0)"}, False),
        ({"checkpoint": "fedcba9876543210"}, False),
        ({"seed": seeds(4, 0)[0]}, False),
        ({"seed": None}, False),
        ({"game": "b"}, False),
        ({"seed": seeds(3, 2)[0]}, False),
    ],
)
def test_an_episode_is_the_players_own_only_where_all_that_names_it_is_equal(tmp_path: Path, change, same) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(replace(BASE, **change))
        assert stored_seeds_of(tmp_path, ROLLOUT, PLAYER, 2) == ([BASE.seed] if same else [])
    assert stored_seeds_of(tmp_path, ROLLOUT, PLAYER, 2) == ([BASE.seed] if same else []), "as a shard, too"


@pytest.mark.parametrize("resume", [True, False])
def test_without_resume_episodes_that_are_there_are_refused(tmp_path: Path, resume: bool) -> None:
    narrow: Any = missing_of_player(tmp_path, ROLLOUT, 3, per_game=2, resume=resume)
    assert narrow(PLAYER) == [(0, [0, 1]), (1, [0])]
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(BASE)
    assert narrow(replace(PLAYER, agent="random")) == [(0, [0, 1]), (1, [0])]
    if resume:
        assert narrow(PLAYER) == [(0, [1]), (1, [0])]
        return
    with pytest.raises(UsageError, match=r"has 1 of these 3 episodes already.* --resume .* another --seed"):
        narrow(PLAYER)
    with pytest.raises(UsageError, match=r"has 1 of these 3 episodes already.* another --seed"):
        refuse_stored(tmp_path, ROLLOUT, PLAYER, 3)
