"""A house and a task as a PDDL problem: read again, it is the same house."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.pddl import parse_problem
from oreo.envs.alfworld.generation.problem import House, Thing, encode, near, write_problem
from oreo.envs.alfworld.package_data import Receptacle
from oreo.envs.draws import Draws

PARAMS: dict[str, object] = {"object_target": "Mug", "parent_target": "Shelf", "toggle_target": ""}
SHELF = Receptacle("Shelf|+01.00|+00.50|-02.25", "Shelf", (1, 2, 0, 30), listed=True)
FRIDGE = Receptacle("Fridge|-01.00|+00.00|+00.00", "Fridge", (1, 2, 0, 30), listed=False)
MUG = Thing("Mug|+01.00|+00.55|-02.25", "Mug", 0)


def test_an_id_becomes_a_word_of_pddl() -> None:
    assert encode("Mug|+00.10|-01.25") == "Mug_bar__plus_00_dot_10_bar__minus_01_dot_25"


def test_a_written_problem_says_what_is_in_the_house() -> None:
    problem = parse_problem(
        write_problem("p", House((SHELF, FRIDGE), (MUG,), (0, 0, 0, 0)), "pick_and_place_simple", PARAMS)
    )
    shelf, fridge, mug = (encode(thing.id).lower() for thing in (SHELF, FRIDGE, MUG))
    facts = problem.facts
    assert facts["receptacletype"] == {(shelf, "shelftype"), (fridge, "fridgetype")}
    assert facts["objecttype"] == {(mug, "mugtype")} and facts["inreceptacle"] == {(mug, shelf)}
    assert facts["openable"] == {(fridge,)} and facts["pickupable"] == {(mug,)}
    assert facts["atlocation"] == {("agent1", encode("loc|0|0|0|0"))}
    (at,) = (location for place, location in facts["receptacleatlocation"] if place == shelf)
    assert facts["objectatlocation"] == {(mug, at)}
    assert {"heatable", "coolable", "cleanable"} <= facts.keys()


def test_receptacles_at_one_spot_share_a_location_in_real_rooms_only_and_unlisted_ones_have_no_doors_there() -> None:
    for as_real, locations in ((False, 2), (True, 1)):
        house = House((SHELF, FRIDGE), (MUG,), (0, 0, 0, 0), as_real=as_real)
        facts = parse_problem(write_problem("p", house, "pick_and_place_simple", PARAMS)).facts
        assert len({location for _, location in facts["receptacleatlocation"]}) == locations
        assert ("openable" in facts) != as_real


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_an_object_stands_near_its_receptacle_under_an_id_of_its_own(seed: int) -> None:
    draws, taken = Draws(seed), set[str]()
    ids = [near(draws, "Mug", SHELF.id, taken) for _ in range(20)]
    assert len(set(ids)) == 20 and taken == set(ids)
    for name in ids:
        kind, x, y, z = name.split("|")
        assert kind == "Mug" and abs(float(x) - 1.0) <= 0.301 and abs(float(z) + 2.25) <= 0.301 and float(y) > 0.5
