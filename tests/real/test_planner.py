"""The planner on the real games: it wins all of them, and nobody needs fewer steps."""

from __future__ import annotations

import json
import lzma

import pytest

from helpers.shared_data import ALL, TRAJECTORIES, needs_games, needs_trajectories, real_games
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.experts.planner import shortest_plan
from oreo.envs.alfworld.game import Game


def check_win(simulator: Simulator, plan: list[str] | None) -> None:
    assert plan
    for command in plan:
        assert not simulator.won
        simulator.step(command)
        assert simulator.valid, (plan, command)
    assert simulator.won, plan


def explorer_steps(simulator: Simulator, game: Game, limit: int = 100) -> int:
    """How many it needs; `limit` when it needs more."""
    explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
    for step in range(limit):
        if simulator.won:
            return step
        action = explorer.act()
        explorer.observe(action, simulator.step(action))
    return limit


@needs_games
@pytest.mark.parametrize("dialect", ["put", "move"])
def test_its_plan_wins_every_valid_seen_game_and_the_explorer_needs_no_fewer_steps(dialect: str) -> None:
    simulator, lengths = Simulator(), []
    for game in real_games("valid_seen", dialect):
        simulator.reset(game)
        plan = shortest_plan(simulator)
        check_win(simulator, plan)
        lengths.append(len(plan or ()))
        assert lengths[-1] <= explorer_steps(simulator, game), game.name
    assert len(lengths) == 140 and max(lengths) == 9 and sum(lengths) == 812


@needs_games
@needs_trajectories
def test_it_wins_train_games_and_from_no_state_of_a_recorded_episode_does_the_episode_win_sooner() -> None:
    with lzma.open(TRAJECTORIES, "rt", encoding="utf-8") as lines:
        recorded = {episode["gamefile"]: episode["conversations"] for episode in map(json.loads, lines)}
    simulator, compared = Simulator(), 0
    for number, game in enumerate(real_games("train", "put", every=1 if ALL else 25)):
        simulator.reset(game)
        check_win(simulator, shortest_plan(simulator))
        commands = [turn["value"] for turn in recorded[game.name][1::2]]
        simulator.reset(game)
        for command in commands[: number % len(commands)]:
            simulator.step(command)
        snapshot, plan = simulator.snapshot(), shortest_plan(simulator)
        for command in commands[number % len(commands) :]:
            simulator.step(command)
        if simulator.won:
            compared += 1
            assert plan is not None and len(plan) <= len(commands) - number % len(commands), game.name
        simulator.restore(snapshot)
        check_win(simulator, plan)
    assert compared > 0.9 * (number + 1)
