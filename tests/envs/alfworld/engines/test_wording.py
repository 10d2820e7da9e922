"""What a game says: the wording that games share, and wording that cannot be written."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.wording import MOST_NESTED, read_wording
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game
from oreo.errors import DataError

from .kitchens import changed


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        (changed(grammar=("You close the {r.name}", "You close the {x.name}")), "'x'"),
        (changed(grammar=("#look-variations#.", "#look-around#.")), "look-around"),
        (changed(grammar=('"open {r}"', '"close {r}"')), "closeobject"),
        (changed(grammar=('"take {o} from {r}"', '"take {o}"')), "pickupobject"),
    ],
)
def test_wording_that_cannot_be_written_is_named_when_the_game_is_loaded(unknown: Game, named: str) -> None:
    with pytest.raises(UnknownGameLogic, match=named):
        Simulator().reset(unknown)


@pytest.mark.parametrize("dialect", ["put", "move"])
def test_games_share_their_wording_and_keep_their_task(dialect: str) -> None:
    _, grammar = package_data.game_logic(dialect)
    actions = frozenset({"look", "inventory"})
    one, task = read_wording(grammar.replace("UNKNOWN GOAL", "find a mug"), actions)
    other, other_task = read_wording(grammar.replace("UNKNOWN GOAL", "wash a \\u00e9"), actions)
    assert one is other
    assert (task, other_task) == ("Your task is to: find a mug.", "Your task is to: wash a é.")


@pytest.mark.parametrize(("rules", "is_known"), [(MOST_NESTED - 8, True), (MOST_NESTED, False), (50_000, False)])
def test_rules_may_use_each_other_so_deep_and_no_deeper(rules: int, is_known: bool) -> None:
    chain = "".join(f'"r{n}": [{{"rhs": "#r{n + 1}#"}}], ' for n in range(rules))
    game = changed(
        grammar=('"intro": [', f'{chain}"r{rules}": [{{"rhs": "the end"}}], "intro": [{{"rhs": "#r0#"}}], "x": [')
    )
    if is_known:
        assert Simulator().reset(game) == "the end"
    else:
        with pytest.raises(UnknownGameLogic, match=f"use each other {MOST_NESTED} deep"):
            Simulator().reset(game)


def test_a_task_sentence_that_is_no_json_is_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="its task sentence is no JSON") as refusal:
        Simulator().reset(changed(grammar=("Your task is to: ", "Your task is to: \\q")))
    assert "\n" not in str(refusal.value)
