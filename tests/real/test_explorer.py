"""The explorer on the real games, and the logic we derive against the logic they were published with."""

from __future__ import annotations

import pytest

from helpers.shared_data import GAMES, needs_games, real_games
from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer

pytestmark = needs_games


def test_the_put_dialect_derived_from_the_package_is_the_published_one() -> None:
    domain, grammar = package_data.game_logic("put")
    assert domain == (GAMES / "pddl_domain.pddl").read_text()
    published = (GAMES / "grammar_template.twl2").read_text()
    assert grammar == published.replace("@@TASK@@", "Your task is to: UNKNOWN GOAL.")


@pytest.mark.parametrize(("split", "every"), [("valid_seen", 1), ("train", 60)])
def test_the_explorer_wins_real_games_within_fifty_steps(split: str, every: int) -> None:
    simulator, lost, steps = Simulator(), [], []
    for game in real_games(split, every=every):
        explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
        for step in range(50):
            action = explorer.act()
            explorer.observe(action, simulator.step(action))
            if simulator.won:
                steps.append(step + 1)
                break
        else:
            lost.append(game.name)
    assert lost == []
    assert sum(steps) / len(steps) < 9
