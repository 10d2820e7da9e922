"""oreo.rollouts.branching: episodes that begin as another did, and differ in one turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oreo.agents.agent import Decision, Episode
from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.envs.text_env import TextEnv
from oreo.errors import EngineError
from oreo.rollouts.branching import EXTRA, Beginning, Branching, digest, drawn_step
from oreo.rollouts.collect import collect
from oreo.rollouts.loop import play
from oreo.rollouts.settings import Rollout
from oreo.trajectory import Step, Trajectory

WALK = f"{Path(__file__)}:Walk"
UNSURE = f"{Path(__file__)}:Unsure"
TURNS = 5


class Walk(TextEnv):
    """Answers with the way that was taken, five turns long; won where it went east more than once."""

    def start(self, rng: np.random.Generator) -> str:
        self.way = str(rng.integers(10))
        return self.way

    def act(self, text: str) -> tuple[str, float, bool]:
        self.way += text[0]
        over = len(self.way) > TURNS
        return self.way, float(over and self.way.count("e") > 1), over


class Fickle(Walk):
    """Says something else each time it is played."""

    times = 0

    def start(self, rng: np.random.Generator) -> str:
        Fickle.times += 1
        return f"{super().start(rng)} {Fickle.times}"


class Unsure:
    """Goes any way, and knows how likely it was; always east first."""

    name, checkpoint = "unsure", ""

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        decisions = []
        for episode in episodes:
            first = not episode.steps
            way = "east" if first else str(episode.rng.choice(["east", "west", "north", "south", "up", "down"]))
            decisions.append(Decision(way, log_prob=0.0 if first else -np.log(6)))
        return decisions


def collected(into: Path, missing: Any, env: str = WALK, **settings: Any) -> list[Trajectory]:
    branching = Branching(str(into), per_game=2, turns=3)
    collect(missing, Rollout(env, seed=7, branching=branching), agent=UNSURE, into=into, **settings)
    return list(TrajectoryBuffer(into))


def passes(games: int) -> list[tuple[int, range]]:
    return [(sample, range(games)) for sample in range(6)]


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> list[Trajectory]:
    """20 games, two episodes of each, two branches of each of these."""
    return collected(tmp_path_factory.mktemp("branches"), passes(20))


def by_trunk(episodes: list[Trajectory]) -> dict[str, tuple[Trajectory, list[Trajectory]]]:
    trunks = {digest(episode): episode for episode in episodes if EXTRA not in episode.extra}
    families: dict[str, tuple[Trajectory, list[Trajectory]]] = {name: (trunk, []) for name, trunk in trunks.items()}
    for episode in episodes:
        origin = episode.extra.get(EXTRA)
        if isinstance(origin, dict):
            families[origin["of"]][1].append(episode)
    return families


def test_each_episode_has_as_many_branches_as_told_which_begin_as_it_did(branched: list[Trajectory]) -> None:
    assert len(branched) == 20 * 2 * 3
    families = by_trunk(branched)
    assert sum(len(branches) for _, branches in families.values()) == 20 * 2 * 2
    for trunk, branches in families.values():
        for branch in branches:
            origin: Any = branch.extra[EXTRA]
            at = origin["step"]
            assert (branch.seed, branch.env_id, branch.agent) == (trunk.seed, trunk.env_id, trunk.agent)
            for before, again in zip(trunk.steps[:at], branch.steps[:at], strict=True):
                assert again == replace(before, imitate=False)
            assert branch.steps[at].observation == trunk.steps[at].observation
            assert all(step.imitate for step in branch.steps[at:]) and len(branch.steps) == TURNS


def test_branches_of_one_state_differ_there_from_their_trunk_and_from_one_another(branched: list[Trajectory]) -> None:
    """Two trunks of a game may be equal by chance, and are one then."""
    compared = 0
    for trunk, branches in by_trunk(branched).values():
        [at] = {branch.extra[EXTRA]["step"] for branch in branches} or {0}  # type: ignore[index]
        said = Counter(episode.steps[at].action for episode in (trunk, *branches))
        assert len(said) == min(3, 1 + len(branches))
        compared += len(branches) == 2
    assert compared > 30  # of 40; that 8 tries bring nothing new has a chance of 1 in 6,000


def test_a_state_is_drawn_by_how_unsure_the_agent_was(branched: list[Trajectory]) -> None:
    drawn = Counter(episode.extra[EXTRA]["step"] for episode in branched if EXTRA in episode.extra)  # type: ignore[index]
    assert set(drawn) == {1, 2, 3, 4}  # never the first, of which it was certain
    steps = tuple(Step("o", "a", log_prob=float(np.log(sure))) for sure in (0.9, 1.0, 0.5, 0.6))
    trunk = Trajectory("Walk", steps, "", True, False, False)
    counts = Counter(drawn_step(trunk, np.random.default_rng(seed)) for seed in range(4000))
    assert [counts[at] / 4000 for at in range(4)] == pytest.approx([0.1, 0.0, 0.5, 0.4], abs=0.03)
    for log_prob in (0.0, None):  # certain of all, and nothing known
        alike = replace(trunk, steps=tuple(replace(step, log_prob=log_prob) for step in steps))
        assert {drawn_step(alike, np.random.default_rng(seed)) for seed in range(100)} == {0, 1, 2, 3}


def test_an_agent_that_knows_one_turn_only_says_it_again(tmp_path: Path) -> None:
    branching = Branching(str(tmp_path), per_game=1, turns=2)
    guess = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"
    rollout = Rollout(guess, branching=branching)
    collect([(0, range(2)), (1, range(2))], rollout, agent="expert", agent_config=AgentConfig(), into=tmp_path)
    episodes = list(TrajectoryBuffer(tmp_path))
    assert len(episodes) == 4 and len({digest(episode) for episode in episodes}) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_they_are_the_same_whoever_plays_and_after_an_interruption(
    workers: int, branched: list[Trajectory], tmp_path: Path
) -> None:
    collected(tmp_path, [*passes(20)[:3], (3, range(5))])
    again = collected(tmp_path, [(3, range(5, 20)), *passes(20)[4:]], workers=workers)
    assert undated(again) == undated(branched)


def undated(episodes: list[Trajectory]) -> list[str]:
    return sorted(repr(replace(episode, created="")) for episode in episodes)


def test_a_step_is_decided_again_as_it_was_by_whom_it_was(branched: list[Trajectory]) -> None:
    helped = replace(branched[0], steps=tuple(replace(step, actor="person") for step in branched[0].steps))
    decision = Beginning.of(helped, 2).given(1)
    assert decision is not None and not decision.imitate
    for name in ("action", "turn", "log_prob", "value", "candidates", "context_start", "cut", "token_ids", "actor"):
        assert getattr(decision, name) == getattr(helped.steps[1], name)
    assert Beginning.of(helped, 2).given(2) is None


def test_a_world_that_answers_otherwise_the_second_time_costs_the_branch_and_is_named(tmp_path: Path) -> None:
    fickle = f"{Path(__file__)}:Fickle"
    with pytest.raises(EngineError, match="the same seed and the same 0 actions were answered otherwise than before"):
        collected(tmp_path, passes(1), env=fickle)
    assert len(TrajectoryBuffer(tmp_path)) == 2


def test_without_an_episode_to_branch_off_there_is_no_branch(tmp_path: Path) -> None:
    TrajectoryBuffer(tmp_path)
    rollout = Rollout(WALK, branching=Branching(str(tmp_path), per_game=1, turns=2), sample=1)
    with pytest.raises(EngineError, match="there is no episode 1 of this game in .* to branch off"):
        list(play(rollout, Unsure(), [0]))
