"""Which domains are known, and by what an unknown one is told."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.rules import known_rules
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game

from .kitchens import changed


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        (changed(pddl_domain=("(isHot ?o)\n                (not", "(isHot ?o)\n (isClean ?o) (not")), "heatobject"),
        (changed(pddl_domain=("(:action look", "(:action jump")), "jump"),
        (changed(pddl_domain=("(:predicates", "(:derived (x) (y)) (:predicates")), ":derived"),
    ],
)
def test_a_domain_that_differs_is_named_when_the_game_is_loaded(unknown: Game, named: str) -> None:
    with pytest.raises(UnknownGameLogic, match=named):
        Simulator().reset(unknown)


def test_both_published_domains_are_known() -> None:
    old, new = (known_rules(package_data.game_logic(dialect)[0]) for dialect in ("put", "move"))
    assert new.actions - old.actions == {"help"} and not old.actions - new.actions
    assert set(old.cleaning_places) - set(new.cleaning_places) == {"sinktype"}


def test_a_hierarchy_of_types_is_unknown() -> None:
    domain, _ = package_data.game_logic("put")
    with pytest.raises(UnknownGameLogic, match="hierarchy"):
        known_rules(domain.replace("  receptacle\n", "  receptacle - object\n", 1))
