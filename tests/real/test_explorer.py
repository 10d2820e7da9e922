"""The explorer on the real games, and the logic we derive against the logic they were published with."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from oreo.envs.alfworld import layouts
from oreo.envs.alfworld.expert import Explorer
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.simulator import Simulator

SHARED = (
    Path(os.environ.get("OREO_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "data" / "alfworld"
)
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real games at {SHARED} (set OREO_SHARED)")


def real_games(split: str, every: int) -> Iterator[Game]:
    domain, grammar = layouts.game_logic("put")
    with lzma.open(SHARED / f"{split}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                game = json.loads(line)
                yield Game(
                    name=game["gamefile"],
                    pddl_domain=domain,
                    grammar=grammar.replace("Your task is to: UNKNOWN GOAL.", game["task"]),
                    pddl_problem=game["pddl_problem"],
                    task_type=game["task_type"],
                    params=game["pddl_params"],
                    floor_plan=game["floor_plan"],
                )


def test_the_put_dialect_derived_from_the_package_is_the_published_one() -> None:
    domain, grammar = layouts.game_logic("put")
    assert domain == (SHARED / "pddl_domain.pddl").read_text()
    published = (SHARED / "grammar_template.twl2").read_text()
    assert grammar == published.replace("@@TASK@@", "Your task is to: UNKNOWN GOAL.")


@pytest.mark.parametrize(("split", "every"), [("valid_seen", 1), ("train", 60)])
def test_the_explorer_wins_real_games_within_fifty_steps(split: str, every: int) -> None:
    simulator, lost, steps = Simulator(), [], []
    for game in real_games(split, every):
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
