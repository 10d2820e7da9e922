"""The planner against a search that leaves nothing out, and what an expert has to be able to do."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.pddl import parse_problem
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.experts.planner import Planner, shortest_plan
from oreo.envs.alfworld.experts.task_goals import read_goal
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import UsageError

from .goals import GOALS

LOOKED_AT = "checked "
"""What begins the facts that only matter to a goal which asks for them."""


def fewest_commands(simulator: Simulator, limit: int = 20, ignored: tuple[str, ...] = (LOOKED_AT,)) -> int | None:
    """The length of a shortest plan, by trying all commands in all states; None if there is none up to `limit`."""

    def world() -> tuple[str, ...]:
        # What was made untrue, rather than being so all along, is for the texts only.
        return tuple(fact for fact in simulator.facts() if not fact.startswith(("not_", *ignored)))

    start = simulator.snapshot()
    layer, visited = [start], {world()}
    for length in range(limit + 1):
        following = []
        for snapshot in layer:
            simulator.restore(snapshot)
            if simulator.won:
                simulator.restore(start)
                return length
            for command in simulator.admissible_commands():
                simulator.restore(snapshot)
                simulator.step(command)
                if (now := world()) not in visited:
                    visited.add(now)
                    following.append(simulator.snapshot())
        layer = following
    simulator.restore(start)
    return None


def everything(simulator: Simulator) -> object:
    return simulator.facts(), simulator.admissible_commands(), simulator.won, simulator.valid, simulator.state()


def check_plan(simulator: Simulator, expected: int | None) -> None:
    """Its length is the expected one, planning changes nothing, and it leads to the goal by valid commands."""
    before, start = everything(simulator), simulator.snapshot()
    plan = shortest_plan(simulator)
    assert everything(simulator) == before
    assert (None if plan is None else len(plan)) == expected, plan
    for command in plan or ():
        assert not simulator.won
        simulator.step(command)
        assert simulator.valid, (plan, command)
    assert simulator.won == (plan is not None)
    simulator.restore(start)


def wander(simulator: Simulator, rng: random.Random, steps: int) -> None:
    """Random commands, most of which do something."""
    for _ in range(steps):
        commands = simulator.admissible_commands()
        doing = [command for command in commands if not command.startswith(("go to", "look", "inventory", "examine"))]
        simulator.step(rng.choice(doing if doing and rng.random() < 0.7 else commands))


@pytest.mark.parametrize("dialect", ["put", "move"])
@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_no_plan_is_shorter_in_generated_games(task_type: str, dialect: str) -> None:
    simulator, rng = Simulator(), random.Random(task_type + dialect)
    for index in range(4):
        size = 3 + index % 2
        game = generate_game(
            index, dialect=dialect, task_types=[task_type], max_receptacles=size, max_objects=size + index // 3
        )
        simulator.reset(game)
        check_plan(simulator, fewest_commands(simulator))
        wander(simulator, rng, rng.randrange(1, 12))
        check_plan(simulator, fewest_commands(simulator))


RECEPTACLES = ("Cabinet", "Cabinet", "Shelf", "Fridge", "Microwave", "SinkBasin", "Sink")
OBJECTS = ("Mug", "Mug", "Mug", "Knife", "DeskLamp")
MARKS = ("isHot", "isCool", "isClean", "isToggled")
ABLE = ("cleanable", "heatable", "coolable", "sliceable")


def odd_house(rng: random.Random, needed: str, goal: str) -> Game:
    """A small house with what real games have seldom: shared locations, things in two places or in none, dead ends."""
    places = [f"Loc_bar_{number}" for number in range(rng.randint(3, 5))]
    types = {"agent1": "agent", **dict.fromkeys(places, "location")}
    facts = [f"(atLocation agent1 {places[-1]})"]
    receptacles = []
    kinds = ["Cabinet", *({needed} & {*RECEPTACLES}), *rng.choices(RECEPTACLES, k=rng.randint(1, 2))]
    for number, kind in enumerate(kinds):
        name = f"{kind.removesuffix('Basin')}_bar_{number}" + ("_bar_SinkBasin" if kind == "SinkBasin" else "")
        receptacles.append(name)
        facts.append(f"(receptacleType {name} {kind}Type)")
        facts += [f"(receptacleAtLocation {name} {rng.choice(places[:-1])})"] * (rng.random() < 0.95)
        facts += [f"(openable {name})"] * (rng.random() < 0.5) + [f"(opened {name})"] * (rng.random() < 0.2)
    kinds = ["Mug", *({needed} & {*OBJECTS}), *rng.choices(OBJECTS, k=rng.randint(0, 1))]
    for number, kind in enumerate(kinds):
        thing = f"{kind}_bar_{number}"
        types[thing] = "object"
        facts.append(f"(objectType {thing} {kind}Type)")
        facts += [f"(toggleable {thing})" if kind == "DeskLamp" else f"(pickupable {thing})"] * (rng.random() < 0.95)
        often = rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 1 if number else 2))
        where = rng.choices(receptacles[rng.random() < 0.8 :], k=often)
        facts += [f"(inReceptacle {thing} {place})" for place in sorted(set(where))]
        facts += [f"({able} {thing})" for able in ABLE if rng.random() < 0.9]
        facts += [f"({mark} {thing})" for mark in MARKS if rng.random() < 0.1]
    pairs = [(place, thing) for place in sorted(set(RECEPTACLES)) for thing in sorted(set(OBJECTS))]
    facts += [f"(canContain {place}Type {thing}Type)" for place, thing in pairs if rng.random() < 0.9]
    types |= dict.fromkeys(receptacles, "receptacle")
    types |= {f"{kind}Type": "rtype" for kind in RECEPTACLES} | {f"{kind}Type": "otype" for kind in OBJECTS}
    objects = " ".join(f"{name} - {kind}" for name, kind in types.items())
    problem = f"(define (problem p) (:domain alfred) (:objects {objects}) (:init {' '.join(facts)}) (:goal {goal}))"
    return Game("odd", *package_data.game_logic(rng.choice(("put", "move"))), problem)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(GOALS)), st.integers(0, 2**32), st.integers(0, 12))
def test_no_plan_is_shorter_in_odd_houses_and_none_is_missed(needed: str, seed: int, steps: int) -> None:
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(odd_house(rng, needed, GOALS[needed]))
    wander(simulator, rng, steps)
    check_plan(simulator, fewest_commands(simulator))


@pytest.mark.parametrize(
    "goal",
    [
        "(exists (?o - object) (and (objectType ?o MugType) (isSliced ?o)))",
        "(exists (?r - receptacle) (and (receptacleType ?r CabinetType) (checked ?r)))",
        "(and (forall (?r - receptacle) (or (not (openable ?r)) (not (opened ?r)))) (checked agent1))",
        "(exists (?o - object ?a - agent) (and (holds ?a ?o) (isHot ?o) (not (isClean ?o))))",
        "(forall (?o - object ?r - receptacle) (or (not (objectType ?o MugType)) (not (inReceptacle ?o ?r))))",
        "(exists (?o - object) (and (objectType ?o MugType) (isClean ?o) (isHot ?o)))",
        "(exists (?o - object ?r - receptacle) (and (objectType ?o KnifeType) (inReceptacle ?o ?r) (opened ?r)))",
        "()",
    ],
)
def test_any_other_goal_gets_a_shortest_plan_too(goal: str) -> None:
    simulator = Simulator()
    for seed in range(4):
        house = odd_house(random.Random(seed), "Microwave", goal)
        assert read_goal(parse_problem(house.pddl_problem).goal) is None
        simulator.reset(house)
        expected = fewest_commands(simulator, limit=4, ignored=(LOOKED_AT,) if LOOKED_AT[:-1] not in goal else ())
        if expected is not None:
            check_plan(simulator, expected)
        else:
            plan = shortest_plan(simulator)
            assert plan is None or len(plan) > 4


def test_a_search_that_takes_too_long_ends_with_one_line() -> None:
    simulator = Simulator()
    with pytest.raises(UsageError, match="^no game is being played"):
        shortest_plan(simulator)
    simulator.reset(odd_house(random.Random(0), "Microwave", "(exists (?o - object) (isHot ?o))"))
    with pytest.raises(UsageError, match="^no plan found among 3 states: [^\n]*most_states"):
        shortest_plan(simulator, most_states=3)


def test_the_same_state_gets_the_same_plan_in_every_process() -> None:
    code = (
        "from oreo.envs.alfworld.generation.generator import generate_game\n"
        "from oreo.envs.alfworld.experts.planner import shortest_plan\n"
        "from oreo.envs.alfworld.engines.simulator import Simulator\n"
        "simulator = Simulator()\n"
        "for index in range(12):\n"
        "    simulator.reset(generate_game(index, max_receptacles=None, max_objects=None))\n"
        "    print(shortest_plan(simulator))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1 and outputs.pop().count("go to") > 12


SHELVES = f"""(define (problem p) (:domain alfred) (:objects agent1 - agent  Loc_bar_1 - location  Loc_bar_2 - location
    Shelf_bar_1 - receptacle  Shelf_bar_2 - receptacle  Cabinet_bar_1 - receptacle  Mug_bar_1 - object
    ShelfType - rtype  CabinetType - rtype  MugType - otype)
  (:init (atLocation agent1 Loc_bar_1)
    (receptacleType Shelf_bar_1 ShelfType) (receptacleAtLocation Shelf_bar_1 Loc_bar_2)
    (receptacleType Shelf_bar_2 ShelfType) (receptacleAtLocation Shelf_bar_2 Loc_bar_2)
    (receptacleType Cabinet_bar_1 CabinetType) (receptacleAtLocation Cabinet_bar_1 Loc_bar_1)
    (canContain CabinetType MugType) (objectType Mug_bar_1 MugType) (pickupable Mug_bar_1)
    (inReceptacle Mug_bar_1 Shelf_bar_1))
  (:goal {GOALS[""]}))"""


def test_a_journey_names_the_receptacle_that_is_used_next() -> None:
    simulator = Simulator()
    for shelf in ("Shelf_bar_1", "Shelf_bar_2"):
        simulator.reset(
            Game(
                "shelves",
                *package_data.game_logic("move"),
                SHELVES.replace("Mug_bar_1 Shelf_bar_1", f"Mug_bar_1 {shelf}"),
            )
        )
        go, take, *later = shortest_plan(simulator) or []
        assert take.removeprefix("take mug 1 from ") == go.removeprefix("go to ")
        assert later == ["go to cabinet 1", "move mug 1 to cabinet 1"]


def step(planner: Planner, simulator: Simulator, command: str) -> None:
    planner.observe(command, simulator.step(command), simulator.admissible_commands(), simulator)


@pytest.mark.parametrize("dialect", ["put", "move"])
def test_the_expert_needs_a_plans_length_alone_and_carries_on_after_anyone_elses_command(dialect: str) -> None:
    simulator = Simulator()
    for index in range(40):
        rng = random.Random(index)
        simulator.reset(generate_game(index, dialect=dialect))
        planner, noise = Planner(simulator), index % 4 * 0.15
        remaining = len(shortest_plan(simulator) or ())
        for _ in range(200):
            if simulator.won:
                break
            if rng.random() < noise:
                refused = ["go to moon 1", "", "take mug 99 from shelf 1", f" {planner.action} "]
                step(planner, simulator, rng.choice([*refused, *simulator.admissible_commands()]))
                remaining = len(shortest_plan(simulator) or ())
            else:
                step(planner, simulator, planner.action)
                remaining -= 1
                assert simulator.valid and len(shortest_plan(simulator) or ()) == remaining
        assert simulator.won and remaining == 0
        assert planner.action == "look"


def test_a_copy_goes_on_by_itself() -> None:
    simulator = Simulator()
    simulator.reset(generate_game(2))
    planner = Planner(simulator)
    first, before = planner.copy(), simulator.snapshot()
    plan = shortest_plan(simulator) or []
    for command in plan:
        step(planner, simulator, command)
    assert planner.action == "look"
    assert first.action == first.copy().action == plan[0]  # though the game has gone on
    simulator.restore(before)
    for command in plan:
        assert first.action == command
        step(first, simulator, command)
    assert simulator.won


def test_it_says_look_where_nothing_leads_to_the_goal() -> None:
    simulator = Simulator()
    simulator.reset(Game("shelves", *package_data.game_logic("put"), SHELVES.replace("(pickupable Mug_bar_1)", "")))
    assert shortest_plan(simulator) is None
    planner = Planner(simulator)
    for command in ("go to shelf 1", "look", "jump"):
        assert planner.action == "look"
        step(planner, simulator, command)


def test_it_gives_up_on_a_goal_that_it_does_not_know_and_cannot_reach_but_not_on_one_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game, simulator = generate_game(0), Simulator()
    start = game.pddl_problem.partition("(:goal")[0]
    simulator.reset(replace(game, pddl_problem=f"{start} (:goal (exists (?o - object) (and (isHot ?o) (isCool ?o)))))"))
    planner = Planner(simulator)
    assert planner.action == "look"
    step(planner, simulator, "go to shelf 1")
    with monkeypatch.context() as patch:
        patch.setattr("oreo.envs.alfworld.experts.planner.shortest_plan", None)  # it does not search again
        assert planner.action == planner.copy().action == "look"
    simulator.reset(replace(game, pddl_problem=f"{start} (:goal (exists (?r - receptacle) (opened ?r))))"))
    planner = Planner(simulator)
    while not simulator.won:
        step(planner, simulator, planner.action)
        assert simulator.valid


def test_the_original_engine_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="^[^\n]*engine='simulator'$"):
        Planner(TextWorldEngine())
