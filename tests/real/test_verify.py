"""Recorded episodes of alfworld's hand-coded expert, played again in the games they were recorded in."""

from __future__ import annotations

import json
import lzma
from itertools import islice
from pathlib import Path

import pytest

from helpers.shared_data import ALL, TRAJECTORIES, needs_games, needs_trajectories, unpack
from oreo.rollouts.verify import Verifier
from oreo.trajectory import Step, Trajectory

GAMES = 20
"""Played again without --all; they are spread evenly over the train split."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    few = [] if ALL else ["--limit", str(GAMES)]
    return unpack(tmp_path_factory.mktemp("alfworld"), "put", "--split", "train", *few)


def recorded() -> list[Trajectory]:
    """The episodes, won as they all claim, without what the recording left out."""
    episodes = []
    with lzma.open(TRAJECTORIES, "rt", encoding="utf-8") as lines:
        for line in islice(lines, None):
            content = json.loads(line)
            seen = [turn["value"] for turn in content["conversations"] if turn["from"] == "human"]
            done = [turn["value"] for turn in content["conversations"] if turn["from"] == "gpt"]
            steps = tuple(
                Step(observation, action, float(at == len(done) - 1))
                for at, (observation, action) in enumerate(zip(seen, done, strict=False))
            )
            end = seen[len(done)] if len(seen) > len(done) else ""
            episodes.append(
                Trajectory(
                    "oreo/ALFWorld-v0",
                    steps,
                    end,
                    terminated=True,
                    truncated=False,
                    won=True,
                    env_kwargs={"split": "train"},
                    game=content["gamefile"],
                    dialect="put",
                )
            )
    return episodes


@needs_games
@needs_trajectories
def test_every_recorded_win_is_one_and_repaired_episodes_reproduce(data: Path) -> None:
    names = {str(path.relative_to(data)) for path in data.rglob("game.tw-pddl")}
    episodes = [episode for episode in recorded() if episode.game in names]
    assert len(episodes) >= GAMES
    with Verifier(env_kwargs={"data": str(data)}) as verifier:
        for episode in episodes:
            verdict, played = verifier.verify(episode)
            assert verdict.outcome_holds and played is not None and played.won, verdict
            # The recording has "You arrive at loc 5. " cut off, and nothing else differs before it does.
            assert verdict.difference is not None and verdict.difference.what == "observation"
            assert verdict.difference.played.endswith(verdict.difference.stored) and not verdict.beyond_cut_texts
            assert verifier.verify(played)[0].reproduces
