"""Looking ahead finds what trying everything finds, and leaves the world as it was."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import WORDS, Babble, make_model
from oreo.agents.lookahead import LookaheadAgent
from oreo.agents.reading import EpisodeReader
from oreo.envs.text_env import TextEnv
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Step, Trajectory

from .test_best_of_k import plain, prefix_of


class Tale(TextEnv):
    """What it says follows from what was said to it; some words are rewarded, some end it."""

    max_steps = 6

    def start(self, rng: np.random.Generator) -> str:
        self.told = [f"begin {int(rng.integers(1000))}"]
        self.steps_taken = 0
        return self._answer(4)

    def act(self, text: str) -> tuple[str, float, bool]:
        self.told = [*self.told, text]
        self.steps_taken += 1
        luck = self._number() % 16
        return self._answer(1 + luck % 4), float(luck == 3) * 0.5 - float(luck == 4), luck in (3, 9)

    def info(self) -> dict[str, Any]:
        number = self._number()
        menu = [f"w1 {WORDS[number % 60]}", f"w1 {WORDS[(number + 1) % 60]}", WORDS[number % 7], "w2 w3 w4"]
        return {"admissible_commands": menu[: 1 + number % 4]}

    def snapshot(self) -> Any:
        return self.told, self.steps_taken

    def restore(self, snapshot: Any) -> None:
        self.told, self.steps_taken = snapshot

    def _number(self) -> int:
        return zlib.crc32("|".join(self.told).encode())

    def _answer(self, words: int) -> str:
        return " ".join(WORDS[(self._number() >> shift) % 60] for shift in range(words))


def make_agent(tokenizer: Any, architecture: str = "llama", **settings: Any) -> LookaheadAgent:
    policy, value = make_model(architecture), make_model(architecture, seed=1, value=True)
    own = {key: settings.pop(key) for key in ("width", "depth", "proposals", "beta") if key in settings}
    return LookaheadAgent(EpisodeReader(policy, tokenizer, value=value, **{"max_new_tokens": 4} | settings), **own)


@cache
def outputs_of(model: Any, ids: tuple[int, ...]) -> torch.Tensor:
    """Of one plain pass; the same state is asked about from several sides."""
    return plain(model, list(ids))


def log_prob_of(agent: LookaheadAgent, prefix: list[int], command: str) -> float:
    ids = agent.reader.contexts.format.turn(command)
    log_probs = outputs_of(agent.reader.policy.model, (*prefix, *ids))[len(prefix) - 1 : -1].log_softmax(-1)
    return sum(float(log_probs[at, token]) for at, token in enumerate(ids))


def likeliest(agent: LookaheadAgent, prefix: list[int], commands: list[str]) -> list[str]:
    ordered = sorted(dict.fromkeys(commands), key=lambda command: log_prob_of(agent, prefix, command), reverse=True)
    return ordered[: agent.width]


def ranked(agent: LookaheadAgent, prefix: list[int], worth: dict[str, float], beta: float) -> dict[str, float]:
    return {command: value + beta * log_prob_of(agent, prefix, command) for command, value in worth.items()}


def worth_of(
    agent: LookaheadAgent, world: Tale, prefix: list[int], commands: list[str], depth: int, beta: float
) -> dict[str, float]:
    """What each of the commands tried is worth, by trying all of them one after the other."""
    before, worths = world.snapshot(), {}
    for command in likeliest(agent, prefix, commands):
        world.restore(before)
        observation, reward, over, _, info = world.step(command)
        if over or world.steps_taken == world.max_steps:
            worths[command] = reward
            continue
        ids = prefix + agent.reader.contexts.format.turn(command) + agent.reader.contexts.format.between(observation)
        if depth == 1:
            worths[command] = reward + float(outputs_of(agent.caches[1].model, tuple(ids))[-1, 0])
        else:
            later = worth_of(agent, world, ids, info["admissible_commands"], depth - 1, beta)
            worths[command] = reward + max(ranked(agent, ids, later, beta).values())
    world.restore(before)
    return worths


def at_step(trajectory: Trajectory, index: int) -> Tale:
    """The world as it was when a step was chosen."""
    world = Tale()
    world.reset(seed=trajectory.seed)
    for step in trajectory.steps[:index]:
        world.step(step.action)
    return world


@pytest.mark.parametrize("beta", [0.0, 0.03])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_it_finds_what_trying_everything_finds(architecture: str, depth: int, beta: float, tokenizer: Any) -> None:
    agent = make_agent(tokenizer, architecture, depth=depth, width=2, proposals="admissible", beta=beta)
    for trajectory in rollout(Tale, agent=agent, episodes=4, batch_size=3):
        for index, step in enumerate(trajectory.steps):
            prefix = prefix_of(agent.reader.contexts.format, trajectory.steps[: index + 1])
            assert step.admissible_commands is not None
            tried = worth_of(agent, at_step(trajectory, index), prefix, list(step.admissible_commands), depth, beta)
            noted = {candidate.text: candidate.value for candidate in step.candidates}
            assert noted == pytest.approx(tried, abs=2e-4)
            ranks = ranked(agent, prefix, tried, beta)
            assert ranks[step.action] == pytest.approx(max(ranks.values()), abs=2e-4)


def test_no_value_is_seen_beyond_the_last_step_that_is_allowed(tokenizer: Any) -> None:
    for trajectory in rollout(Tale, agent=make_agent(tokenizer, depth=2, width=3), episodes=4, max_steps=2):
        last = trajectory.steps[-1]
        if trajectory.truncated:
            assert {candidate.value for candidate in last.candidates} <= {0.0, 0.5, -1.0}, "rewards alone"


def texts(played: list[Trajectory]) -> list[list[tuple[str, str]]]:
    return [[(step.observation, step.action) for step in episode.steps] for episode in played]


@pytest.mark.parametrize("proposals", ["sampled", "admissible"])
def test_it_does_not_depend_on_the_batch_nor_on_the_cache(proposals: str, tokenizer: Any) -> None:
    from oreo.agents.rereading import Rereading

    def agent() -> LookaheadAgent:
        return make_agent(tokenizer, depth=2, width=3, proposals=proposals)

    alone = texts(rollout(Tale, agent=agent(), episodes=5, batch_size=1))
    assert texts(rollout(Tale, agent=agent(), episodes=5, batch_size=5)) == alone
    slow = agent()
    reader, value = slow.reader, slow.reader.needed_value_reader()
    reader.policy, value.cache = Rereading(reader.policy.model), Rereading(value.cache.model)
    slow.caches = reader.policy, value.cache
    assert texts(rollout(Tale, agent=slow, episodes=5)) == alone


def test_sampled_turns_are_tried_and_the_best_is_said(tokenizer: Any) -> None:
    agent = make_agent(tokenizer, width=4)
    played = rollout(Tale, agent=agent, episodes=4)
    steps: list[Step] = [step for episode in played for step in episode.steps]
    assert max(len(step.candidates) for step in steps) > 2
    for step in steps:
        values = {candidate.text: candidate.value for candidate in step.candidates}
        assert values[step.text] == max(values.values(), key=lambda value: value or 0.0)


def test_the_world_is_as_it_was(tokenizer: Any) -> None:
    """What the environment answers in the end is what the world says that knows nothing of what was tried."""
    for trajectory in rollout(Tale, agent=make_agent(tokenizer, depth=2, width=2), episodes=4):
        world = at_step(trajectory, 0)
        for step, after in zip(trajectory.steps, [*trajectory.steps[1:], None], strict=True):
            observation = world.step(step.action)[0]
            assert observation == (trajectory.final_observation if after is None else after.observation)


def test_every_table_calls_it_a_planner(tokenizer: Any) -> None:
    assert make_agent(tokenizer, depth=2, width=3).name.startswith("planner(depth=2, width=3")


def test_what_does_not_fit_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="snapshot and restore; Babble has none"):
        rollout(Babble, agent=make_agent(tokenizer), episodes=1)
    with pytest.raises(UsageError, match="width and depth are at least 1"):
        make_agent(tokenizer, depth=0)
    with pytest.raises(UsageError, match="proposals 'admisible' is unknown.*did you mean 'admissible'"):
        make_agent(tokenizer, proposals="admisible")
