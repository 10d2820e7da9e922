"""The bound never says more than a plan needs, and says exactly that where one command is left."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.heuristic import Bound, Heuristic
from oreo.envs.alfworld.experts.planner import shortest_plan
from oreo.envs.alfworld.experts.task_goals import read_goal
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import generate_game


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_along_a_shortest_plan_the_bound_never_exceeds_what_is_left_of_it(task_type: str) -> None:
    for index in range(3):
        simulator = Simulator()
        simulator.reset(generate_game(index, task_types=[task_type]))
        plan = shortest_plan(simulator)
        assert plan
        for done in range(len(plan) + 1):
            game, state, _ = simulator.snapshot()
            bound = Heuristic(game.world, read_goal(game.goal)).bound(state).at(state.at)
            assert bound <= len(plan) - done
            assert (bound == 0) == simulator.won == (done == len(plan))
            if done < len(plan):
                simulator.step(plan[done])


def test_a_goal_of_another_kind_is_bounded_by_nothing() -> None:
    simulator = Simulator()
    simulator.reset(generate_game(0))
    game, state, _ = simulator.snapshot()
    heuristic = Heuristic(game.world, None)
    assert heuristic.bound(state).at(state.at) == 0 and heuristic.things == frozenset(game.world.types)


def test_elsewhere_it_is_one_command_more() -> None:
    bound = Bound(3, frozenset({"here"}))
    assert (bound.at("here"), bound.at("elsewhere")) == (3, 4)
