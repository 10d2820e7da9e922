"""oreo.eval.terminal.live.turn_reading: what is read of a turn is what the agent had when it said it."""

from __future__ import annotations

import pytest
import torch

from helpers.commands import GUESS
from oreo.agents import load_agent
from oreo.agents.best_of_k import BestOfKAgent
from oreo.agents.reading import EpisodeReader
from oreo.errors import UsageError
from oreo.eval.terminal.live.turn_reading import read_turns
from oreo.models.loading import load_policy, load_value, resolve_checkpoint
from oreo.rollouts.loop import rollout


def test_probabilities_and_values_are_those_that_were_noted_in_playing() -> None:
    place, _ = resolve_checkpoint("tiny", instead=())
    policy, tokenizer = load_policy(place)
    value = load_value(place)
    torch.manual_seed(0)
    torch.nn.init.normal_(value.score.weight)
    agent = BestOfKAgent(EpisodeReader(policy, tokenizer, value=value, temperature=1.0), k=3)
    (episode,) = rollout("oreo/ALFWorld-v0", agent=agent, episodes=1, seed=3, max_steps=4)
    turns = read_turns(agent, "tiny", episode.steps, episode.final_observation, episode.tokenizer)
    assert len(turns) == len(episode)
    for step, turn in zip(episode.steps, turns, strict=True):
        taken = next(candidate for candidate in step.candidates if candidate.text == step.text)
        assert sum(token.log_prob or 0.0 for token in turn.tokens) == pytest.approx(step.log_prob, abs=1e-4)
        assert turn.value == pytest.approx(step.value, abs=1e-4)
        assert turn.tokens[-1].value is None  # behind the end of a turn V is in no loss
        assert turn.tokens[-2].value == pytest.approx(taken.value, abs=1e-4)
        assert "".join(token.text for token in turn.tokens[:-1]).strip() == step.text
        assert turn.implicit is None


def test_who_has_no_model_here_says_so() -> None:
    (episode,) = rollout(GUESS, agent="expert", episodes=1, seed=3)
    with pytest.raises(UsageError, match="agent expert has no language model"):
        read_turns(load_agent("expert"), "expert", episode.steps, episode.final_observation, "")
