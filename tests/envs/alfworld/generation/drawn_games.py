"""Settings of generated games to draw from, and what a game's problem says, for the tests of the generator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.settings import KINDS, TASK_MIXES, GeneratorSettings

sizes = st.one_of(st.none(), st.integers(3, 30))
plain_settings = st.builds(
    GeneratorSettings,
    seed=st.integers(0, 2**40),
    index=st.integers(0, 2**40),
    heldout=st.booleans(),
    dialect=st.sampled_from(["put", "move"]),
    task_types=st.lists(st.sampled_from(TASK_TYPES), min_size=1, unique=True).map(tuple),
    max_receptacles=sizes,
    max_objects=sizes,
)
PLANS = [*package_data.ROOMS, *(f"FloorPlan{first + i}" for first in package_data.ROOMS.values() for i in range(1, 31))]


def some(items: Sequence[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.lists(st.sampled_from(items), min_size=1, max_size=6))


all_settings = st.builds(
    lambda settings, **narrowed: replace(settings, **narrowed),
    plain_settings,
    floor_plans=some([*PLANS, 12, "212", "kitchen", "floorplan301"]),
    objects=some(KINDS),
    distractors=st.one_of(st.none(), st.just(1), st.just(0)),
    expert_steps=st.one_of(st.none(), st.tuples(st.integers(1, 9), st.integers(9, 40))),
    task_mix=st.sampled_from(TASK_MIXES),
)


def facts(game: Game, predicate: str) -> list[tuple[str, ...]]:
    init = game.pddl_problem.partition("(:init")[2].partition("(:goal")[0]
    return [tuple(match.split()) for match in re.findall(rf"\({predicate} ([^()]*)\)", init)]


def kinds(game: Game, predicate: str) -> dict[str, str]:
    """Id → kind, from objectType or receptacleType."""
    return {name: kind.removesuffix("Type") for name, kind in facts(game, predicate)}


LIMITS = [{}, {"max_receptacles": None, "max_objects": None}]
