"""Raising: the expert's word on every turn, whoever played; and a run that ends with the same bits, however often it
was stopped."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.commands import load_script, run_script
from oreo.agents import load_agent
from oreo.encoding.turn_format import TurnFormat
from oreo.envs.alfworld.generation.generator import game_by_name
from oreo.models.loading import load_policy
from oreo.models.packing import prepare
from oreo.models.saving import digest
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

recipe = load_script(Path(__file__).resolve().parents[2] / "examples" / "raise.py")
SMALL = recipe.Settings(model="", layers=2, width=64, games=2, update_games=1, own_from=1, lr=1e-3, seed=3)
"""Two updates a round; from the second round on the model plays, too."""
FORM = TurnFormat.from_tokenizer(load_policy("tiny")[1])


def play(noise: float, dialect: str = "put", episodes: int = 6) -> list[Trajectory]:
    agent = load_agent("expert", noise=noise)
    kwargs = {"split": "generated", "realistic": True, "dialect": dialect}
    return rollout("oreo/ALFWorld-v0", agent=agent, episodes=episodes, seed=2, env_kwargs=kwargs)


# Lessons.


@pytest.mark.parametrize("dialect", ["put", "move"])
def test_of_the_experts_own_play_every_token_it_wrote_is_learnt_and_of_the_game_its_replies_a_little(dialect):
    for trajectory in play(0.0, dialect):
        acted = np.asarray(FORM.encode(trajectory).action_mask)
        episode = recipe.lesson(FORM, trajectory)
        house = np.arange(len(acted)) < len(FORM.start(trajectory.steps[0].observation))
        assert np.array_equal(episode.labels, episode.tokens)
        assert (episode.weights[acted] == 1).all() and (episode.weights[house] == 0).all()
        assert (episode.weights[~acted & ~house] == np.float32(recipe.OBSERVED)).all()


def test_a_stumble_teaches_what_the_expert_would_have_said_up_to_the_first_token_that_differs():
    stumbles = 0
    for trajectory in play(0.5):
        coded = FORM.encode(trajectory)
        episode = recipe.lesson(FORM, trajectory)
        for begin, step in zip(np.flatnonzero(coded.step_start), trajectory.steps, strict=True):
            written = FORM.turn(step.action)
            turn = slice(begin, begin + len(written))
            tokens, labels, weights = episode.tokens[turn], episode.labels[turn], episode.weights[turn]
            assert tokens.tolist() == written
            wrong = np.flatnonzero(labels != tokens)
            if step.imitate:  # the expert's own turn
                assert not len(wrong) and (weights == 1).all()
            elif len(wrong):
                stumbles += 1
                (first,) = wrong
                assert (weights[: first + 1] == 1).all() and (weights[first + 1 :] == 0).all()
    assert stumbles > 10


def test_a_turn_at_which_the_expert_gives_up_teaches_nothing(monkeypatch):
    class GivesUpAtItsThird(recipe.Explorer):
        turns = 0

        def act(self) -> str:
            self.turns += 1
            return recipe.NO_IDEA if self.turns == 3 else super().act()

    (trajectory,) = play(0.0, episodes=1)
    monkeypatch.setattr(recipe, "Explorer", GivesUpAtItsThird)
    weights = recipe.lesson(FORM, trajectory).weights
    starts = np.flatnonzero(FORM.encode(trajectory).step_start)
    assert [weights[start] for start in starts] == [float(turn != 2) for turn in range(len(starts))]


def test_what_packed_episodes_teach_is_what_each_teaches_by_itself():
    episodes = [recipe.lesson(FORM, trajectory) for trajectory in play(0.3, episodes=3)]
    episodes.append(episodes[0])
    plain, packed = load_policy("tiny")[0], load_policy("tiny")[0]
    assert prepare([packed])
    learnt = recipe.learn(packed, torch.nn.Linear(128, 2), episodes)
    expected = []
    for row, episode in enumerate(episodes):
        logits = plain(torch.from_numpy(episode.tokens)[None]).logits[0].double().log_softmax(-1)
        for place in np.flatnonzero(episode.weights):
            label = int(episode.labels[place])
            right = int(logits[place - 1].argmax()) == label
            expected.append((-logits[place - 1, label].item(), right, episode.weights[place], row))
    loss, right, weight, row = zip(*expected, strict=True)
    assert learnt.loss.tolist() == pytest.approx(loss, abs=1e-4)
    assert learnt.right.tolist() == list(right) and learnt.row.tolist() == list(row)
    assert learnt.weight.tolist() == pytest.approx(weight)


# Games.


def test_no_two_rounds_share_a_game_none_is_held_out_and_half_are_in_each_dialect():
    names = [name for number in range(3) for name in recipe.games_of(SMALL, number)]
    games = [game_by_name(name) for name in names]
    assert len(set(names)) == 6
    assert all(name.startswith("generated/") for name in names)
    assert [game.dialect for game in games] == ["put", "move"] * 3


# The learning rate.


def test_the_rate_rises_stays_and_falls_to_nothing():
    shares = [recipe.rate(number, 100, 0.2) for number in (0, 1, 2, 50, 80, 90, 99.5)]
    assert shares == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0.025])


def test_before_the_rate_falls_a_run_with_more_rounds_is_the_same_run():
    assert [recipe.rate(number, 100, 0.2) for number in range(80)] == [
        recipe.rate(number, 300, 0.2) for number in range(80)
    ]


# The run.


def raised(folder: Path, sittings: list[int]) -> str:
    """Digest of the weights after some rounds in each sitting; of all but the last, the last round is lost."""
    for number, rounds in enumerate(sittings, start=1):
        raising = recipe.Raising(folder, SMALL)
        for done in range(1, rounds + 1):
            raising.play_and_learn(2, 0.5)
            if number == len(sittings) or done < rounds:
                raising.save()
    return digest(raising.model)


def test_a_run_that_was_stopped_in_mid_round_ends_with_the_bits_of_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "OWN_STEPS", 5)
    assert raised(tmp_path / "whole", [2]) == raised(tmp_path / "stopped", [1, 2, 1])


def test_it_learns(tmp_path):
    raising = recipe.Raising(tmp_path, dataclasses.replace(SMALL, games=12, own_from=99))
    before, after = (raising.play_and_learn(100, 0.3) for _ in range(2))
    assert after["loss"] < before["loss"] - 0.3  # nats
    assert after["accuracy"] > before["accuracy"]


def test_as_a_command_it_leaves_a_model_that_plays_and_a_log(tmp_path, capsys):
    folder = tmp_path / "raised"
    command = ["--output", folder, "--rounds", "1", "--games", "2", "--evaluate-games", "2"]
    assert run_script(recipe, *command) == 0
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [1, 1]
    assert lines[0]["episodes"] == 8 and lines[0]["tokens"] > 1000 and {"success_put", "success_move"} <= set(lines[1])
    load_agent(str(folder))
    assert run_script(recipe, *command, "--lr", "0.1") == 2
    assert "begun with other settings (lr: 0.002 then, 0.1 now)" in capsys.readouterr().err
