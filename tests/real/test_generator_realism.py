"""The benchmark that compares generated games with real ones: its counts, and how far apart the two may be."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.commands import load_script
from helpers.shared_data import TRAJECTORIES, needs_games, needs_trajectories, real_games
from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.generation.generator import REALISTIC, generate_game

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [needs_games, needs_trajectories]


@pytest.fixture(scope="module")
def realism() -> Any:
    return load_script(ROOT / "benchmarks" / "generator_realism.py")


@pytest.fixture(scope="module")
def real(realism: Any) -> list[Any]:
    """Every fourth game of the train split."""
    return [realism.read(game) for game in real_games("train", every=4)]


def test_words_and_marks_are_counted_as_the_published_figures_of_the_recorded_expert(realism: Any) -> None:
    with lzma.open(TRAJECTORIES, "rt", encoding="utf-8") as lines:
        episodes = [[turn["value"] for turn in json.loads(line)["conversations"]] for line in lines]
    words = [realism.words_and_marks(texts) for texts in episodes]
    assert round(sum(map(len, words)) / len(words)) == 441
    assert len({word for each in words for word in each}) == 179


def test_realistic_games_stay_close_to_the_train_split(realism: Any, real: list[Any]) -> None:
    made = [realism.read(generate_game(index, **REALISTIC)) for index in range(500)]
    measured = realism.distances(real, made)
    for name in ("receptacles", "objects", "receptacles that open, %", "objects behind doors, %"):
        assert measured[name, "Kolmogorov–Smirnov"] < 0.1
        assert abs(measured[name, "difference of means, %"]) < 6
    assert measured["task types", "total variation"] < 0.07
    assert measured["receptacle kinds objects stand in", "total variation, mean over object kinds"] < 0.08
    assert measured["objects asked for", "total variation"] < 0.15
    assert measured["targets", "total variation"] < 0.12


def test_realistic_rooms_have_the_furniture_of_the_real_ones(realism: Any, real: list[Any]) -> None:
    by_plan = {facts.game.floor_plan: facts for facts in real}
    checked = 0
    for number, facts in enumerate(by_plan.values()):
        plan = facts.game.floor_plan
        if plan == "FloorPlan420":  # its second basin is called a bathtub's and is a sink's
            continue
        heldout = plan in package_data.floor_plans(facts.room, heldout=True)
        made = realism.read(generate_game(number, floor_plans=plan, heldout=heldout, **REALISTIC))
        assert sorted(made.furniture.values()) == sorted(facts.furniture.values()), plan
        assert len(made.openable) == len(facts.openable), plan
        checked += 1
    assert checked > 100


def test_no_generated_game_is_a_real_one(realism: Any, real: list[Any]) -> None:
    states = {frozenset(facts.places) for facts in real}
    made = [realism.read(generate_game(index, **REALISTIC)) for index in range(100)]
    assert not any(frozenset(facts.places) in states for facts in made)
    assert not re.search(r"trial_T\d{8}", "".join(facts.game.pddl_problem for facts in made))
