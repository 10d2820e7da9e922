"""What a model has said is as likely to training as it was when it was said, and where it is not, that is told."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.errand import Errand
from helpers.training import a_new_run, log
from oreo.agents import load_agent
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError
from oreo.models.loading import load_policy
from oreo.rollouts.loop import rollout
from oreo.training.config import TrainConfig
from oreo.training.self_check import can_be_compared, noting
from oreo.training.trainer import train
from oreo.trajectory import Trajectory


@pytest.fixture(scope="module")
def said(start: Path) -> list[Trajectory]:
    """What a random model over bytes says: hardly any of it is text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = load_agent(str(start), temperature=1.0, max_new_tokens=8)
        return rollout(Errand, agent=agent, episodes=4, max_steps=3)


def without_tokens(episodes: list[Trajectory]) -> list[Trajectory]:
    return [replace(one, steps=tuple(replace(step, token_ids=None) for step in one.steps)) for one in episodes]


def checked(data: list[Any], start: Path, output: Path, **settings: Any) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return a_new_run(data, TrainConfig(model=str(start), **settings), output).self_check()


def test_sampled_tokens_are_trained_on_where_their_text_is_other_tokens(start: Path, said: list[Trajectory]) -> None:
    form = TurnFormat.from_tokenizer(load_policy(start)[1])
    drifted = 0
    for episode in said:
        encoded = form.encode(episode)
        turns = [[*step.token_ids, *([] if step.cut else [form.end])] for step in episode.steps]
        assert encoded.input_ids[encoded.action_mask].tolist() == [token for turn in turns for token in turn]
        drifted += sum(
            form.turn(step.text, cut=step.cut) != turn for step, turn in zip(episode.steps, turns, strict=True)
        )
    assert drifted > 6  # of 12 turns; with few of them this would prove nothing


@pytest.mark.parametrize("settings", [{"method": "sft"}, {"method": "oreo"}, {"method": "sft", "packed": False}])
def test_what_was_said_is_as_likely_in_training(
    settings: dict[str, Any], start: Path, said: list[Trajectory], tmp_path: Path
) -> None:
    rewarded = [replace(one, steps=(replace(one.steps[0], reward=1.0), *one.steps[1:])) for one in said]
    facts = checked(rewarded, start, tmp_path, **settings)
    assert facts["self_check_turns"] == sum(map(len, said)) and facts["self_check_largest"] < 1e-4


def test_what_is_not_the_same_in_training_is_told(start: Path, said: list[Trajectory], tmp_path: Path) -> None:
    assert checked(without_tokens(said), start, tmp_path, method="sft")["self_check_mean"] > 0.5
    with pytest.warns(UserWarning, match="12 stored turns scored again: off by .* the very model that said them"):
        train(said, model=str(start), method="sft", instruction="Be brief.", epochs=1, output=tmp_path / "run")
    first = log(tmp_path / "run")[0]
    assert first["self_check_turns"] == 12 and first["self_check_mean"] > 0.05


def test_tokens_of_another_tokenizer_are_not_used(start: Path, said: list[Trajectory]) -> None:
    form = TurnFormat.from_tokenizer(load_policy(start)[1])
    other = [replace(one, tokenizer="0123456789abcdef") for one in said]
    for one, bare in zip(other, without_tokens(said), strict=True):
        assert (form.encode(one).input_ids == form.encode(bare).input_ids).all()


def test_a_token_that_the_model_does_not_have_is_refused(start: Path, said: list[Trajectory], tmp_path: Path) -> None:
    damaged = replace(said[0], steps=(replace(said[0].steps[0], token_ids=(5, 2**31 - 1)), *said[0].steps[1:]))
    with pytest.raises(DataError, match=r"has the token 2147483647, and the model 260 tokens"):
        train([damaged], model=str(start), method="sft", epochs=1, output=tmp_path / "run")


def test_only_what_this_model_sampled_by_its_own_probabilities_is_compared(said: list[Trajectory]) -> None:
    episode = said[0]
    assert can_be_compared(episode, episode.checkpoint) and not can_be_compared(episode, "0" * 16)
    assert not can_be_compared(replace(episode, checkpoint=""), "")
    for agent, comparable in (
        ("lm(temperature=0.0)", True),
        ("best_of_5(temperature=1.0, context=99)", True),
        ("lm(temperature=0.7)", False),
        ("lm(temperature=1.0, top_p=0.9)", False),
        ("expert", False),
    ):
        assert can_be_compared(replace(episode, agent=agent), episode.checkpoint) is comparable
    noted: list[Trajectory] = []
    assert list(noting(said, episode.checkpoint, noted, most=2)) == said and noted == said[:2]


def test_without_any_such_turn_nothing_is_said(start: Path, said: list[Trajectory], tmp_path: Path) -> None:
    strangers = [replace(one, checkpoint="0" * 16) for one in said]
    assert checked(strangers, start, tmp_path, method="sft") == {}
