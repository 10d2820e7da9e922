"""Experts by name: whoever plays, they are shown every step."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts import explorer
from oreo.envs.alfworld.experts.registry import EXPERTS, Expert, new_expert
from oreo.envs.alfworld.generation.generator import generate_game


def begun(kind: str) -> tuple[Simulator, Expert]:
    game, simulator = generate_game(4), Simulator()
    return simulator, new_expert(kind, game, simulator, simulator.reset(game), seed=0)


def step(expert: Expert, engine: Engine, command: str) -> None:
    expert.observe(command, engine.step(command), engine.admissible_commands(), engine)


@pytest.mark.parametrize("kind", EXPERTS)
def test_every_expert_wins_what_someone_else_began(kind: str) -> None:
    simulator, expert = begun(kind)
    for command in simulator.admissible_commands()[:3]:
        step(expert, simulator, command)
    for _ in range(60):
        if simulator.won:
            break
        step(expert, simulator, expert.action)
    assert simulator.won


@pytest.mark.parametrize("kind", EXPERTS)
def test_a_copy_of_an_expert_is_not_told_what_the_first_one_sees(kind: str) -> None:
    simulator, expert = begun(kind)
    first = expert.action
    step(expert, simulator, first)
    copy, second = expert.copy(), expert.action
    while not simulator.won:
        step(expert, simulator, expert.action)
    assert copy.action == second


def test_the_explorer_is_not_made_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, expert = begun("explorer")
    step(expert, simulator, "look")
    with monkeypatch.context() as patched:
        patched.setattr(explorer, "Explorer", None)
        step(expert.copy(), simulator, "inventory")
        with pytest.raises(TypeError):
            _ = expert.action
    assert expert.action in simulator.admissible_commands()
