"""oreo.agents.context: what models are told of an episode, also where it outgrows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.rereading import MAX_NEW_TOKENS, Endless, check_against_rereading
from helpers.word_models import Babble, make_model
from oreo.agents.agent import Decision
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader, Reading
from oreo.rollouts.loop import rollout


def test_where_frequencies_change_with_the_length_the_context_ends_before(tokenizer: Any) -> None:
    half = [1.0] * 4
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": half, "long_factor": [4.0] * 4}
    model = make_model(
        "phi3", rope_parameters=rope | {"original_max_position_embeddings": 64}, original_max_position_embeddings=64
    )
    agent = LanguageModelAgent(EpisodeReader(model, tokenizer, temperature=0.0, max_new_tokens=MAX_NEW_TOKENS))
    assert agent.reader.contexts.room == 64 - MAX_NEW_TOKENS - 1
    with pytest.warns(UserWarning, match="longer than a context of 64 tokens"):
        played = rollout(Endless, agent=agent, episodes=2, max_steps=12)
    for trajectory in played:
        check_against_rereading(model, tokenizer, trajectory, 0.0)


class Recorded(LanguageModelAgent):
    """Remembers what its models were told."""

    def __init__(self, reader: EpisodeReader) -> None:
        super().__init__(reader)
        self.told: dict[tuple[int, int], list[int]] = {}

    def choose(self, reading: Reading) -> list[Decision]:
        for episode, context in zip(reading.episodes, reading.contexts, strict=True):
            self.told[int(episode.info["seed"]), len(episode.steps)] = list(context.ids)
        return super().choose(reading)


@pytest.mark.parametrize("setting", [{}, {"context": 96}])
def test_training_shows_what_acting_was_told_when_an_episode_outgrew_the_context(
    setting: dict[str, Any], tokenizer: Any
) -> None:
    positions = 2048 if setting else 96
    agent = Recorded(EpisodeReader(make_model("gpt2", n_positions=positions), tokenizer, max_new_tokens=6, **setting))
    with pytest.warns(UserWarning, match="longer than a context of 96 tokens: its oldest turns leave"):
        played = rollout(Endless, agent=agent, episodes=3)
    for trajectory in played:
        starts = [step.context_start for step in trajectory.steps]
        assert starts == sorted(starts) and starts[0] == 0 and len(set(starts)) > 5
        assert max(at - start for at, start in enumerate(starts)) > 2, "more of the past stays than the present"
        pieces = agent.reader.contexts.format.split(trajectory, None)
        assert len(pieces) == len(set(starts)) and max(map(len, pieces)) <= 96
        shown = [piece.input_ids[:start] for piece in pieces for start in np.flatnonzero(piece.step_start)]
        assert len(shown) == len(trajectory)
        for at, ids in enumerate(shown):
            assert ids.tolist() == agent.told[int(trajectory.task), at]
            assert len(ids) + 6 < 96
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, 1.0)


def test_an_observation_that_does_not_fit_gives_empty_turns(tokenizer: Any) -> None:
    agent = LanguageModelAgent(EpisodeReader(make_model("gpt2", n_positions=8), tokenizer, max_new_tokens=6))
    with pytest.warns(UserWarning, match="turns are empty"):
        (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    assert {step.action for step in trajectory.steps} == {""}
