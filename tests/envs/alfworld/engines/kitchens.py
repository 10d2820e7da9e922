"""A small kitchen with two apples, and ways to change it, for the tests of the engines."""

from __future__ import annotations

import random
from dataclasses import replace

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.world import State, World
from oreo.envs.alfworld.game import Game

KITCHEN = """(define (problem p) (:domain alfred) (:objects
    agent1 - agent  Loc_bar_1 - location  Loc_bar_2 - location  Loc_bar_3 - location
    Cabinet_bar_1 - receptacle  Cabinet_bar_2 - receptacle  CounterTop_bar_1 - receptacle
    Fridge_bar_1 - receptacle  Microwave_bar_1 - receptacle  Sink_bar_1_bar_SinkBasin - receptacle
    Apple_bar_1 - object  Apple_bar_2 - object  Knife_bar_1 - object  DeskLamp_bar_1 - object
    CabinetType - rtype  CounterTopType - rtype  FridgeType - rtype  MicrowaveType - rtype  SinkBasinType - rtype
    AppleType - otype  KnifeType - otype  DeskLampType - otype)
  (:init
    (atLocation agent1 Loc_bar_3)
    (receptacleType Cabinet_bar_1 CabinetType) (receptacleAtLocation Cabinet_bar_1 Loc_bar_1) (openable Cabinet_bar_1)
    (receptacleType Cabinet_bar_2 CabinetType) (receptacleAtLocation Cabinet_bar_2 Loc_bar_1) (openable Cabinet_bar_2)
    (receptacleType CounterTop_bar_1 CounterTopType) (receptacleAtLocation CounterTop_bar_1 Loc_bar_1)
    (receptacleType Fridge_bar_1 FridgeType) (receptacleAtLocation Fridge_bar_1 Loc_bar_2) (openable Fridge_bar_1)
    (receptacleType Microwave_bar_1 MicrowaveType) (receptacleAtLocation Microwave_bar_1 Loc_bar_2)
    (receptacleType Sink_bar_1_bar_SinkBasin SinkBasinType) (receptacleAtLocation Sink_bar_1_bar_SinkBasin Loc_bar_2)
    (objectType Apple_bar_1 AppleType) (inReceptacle Apple_bar_1 CounterTop_bar_1)
    (objectType Apple_bar_2 AppleType) (inReceptacle Apple_bar_2 Cabinet_bar_2)
    (objectType Knife_bar_1 KnifeType) (inReceptacle Knife_bar_1 CounterTop_bar_1)
    (objectType DeskLamp_bar_1 DeskLampType) (inReceptacle DeskLamp_bar_1 CounterTop_bar_1) (toggleable DeskLamp_bar_1)
    (objectAtLocation Apple_bar_1 Loc_bar_1) (objectAtLocation Apple_bar_2 Loc_bar_1)
    (pickupable Apple_bar_1) (pickupable Apple_bar_2) (pickupable Knife_bar_1)
    (sliceable Apple_bar_1) (cleanable Apple_bar_1) (heatable Apple_bar_1) (coolable Apple_bar_1)
    (canContain CabinetType AppleType) (canContain CounterTopType AppleType) (canContain CounterTopType KnifeType))
  (:goal (and (exists (?r - receptacle ?o - object)
    (and (receptacleType ?r CabinetType) (objectType ?o AppleType) (isClean ?o) (inReceptacle ?o ?r))))))"""


GOALS = (
    "(exists (?r - receptacle) (exists (?o - object) (and (objectType ?o AppleType) (inReceptacle ?o ?r)"
    " (receptacleType ?r FridgeType))))",
    "(exists (?o - object) (and (holds agent1 ?o) (not (isHot ?o))))",
    "(forall (?r - receptacle) (or (not (openable ?r)) (opened ?r) (checked ?r)))",
    "(exists (?o - object) (and (isToggled ?o) (not (isOn ?o))))",
    "(imply (checked agent1) (exists (?o - object) (and (holds agent1 ?o) (isClean ?o))))",
    "(exists (?o1 - object ?o2 - object) (and (not (= ?o1 ?o2)) (isSliced ?o1) (or (holds agent1 ?o2) (isCool ?o2))))",
    "(exists (?r - receptacle) (exists (?o1 - object) (and (inReceptacle ?o1 ?r) (exists (?o2 - object)"
    " (and (not (= ?o1 ?o2)) (inReceptacle ?o2 ?r) (isClean ?o2))))))",
    "(exists (?l - location) (and (atLocation agent1 ?l) (exists (?r - receptacle) (and (receptacleAtLocation ?r ?l)"
    " (forall (?o - object) (or (not (objectAtLocation ?o ?l)) (inReceptacle ?o ?r)))))))",
)
"""Of every form of formula, about what real goals are seldom about."""


def game(problem: str = KITCHEN, dialect: str = "put", name: str = "kitchen") -> Game:
    domain, grammar = package_data.game_logic(dialect)
    return Game(name, domain, grammar, problem)


def changed(**texts: tuple[str, str]) -> Game:
    """The kitchen with the first of a text in a field replaced by another."""
    one = game()
    for field, (old, new) in texts.items():
        assert old in getattr(one, field), (field, old)
        one = replace(one, **{field: getattr(one, field).replace(old, new, 1)})
    return one


def play(simulator: Simulator, *commands: str) -> list[str]:
    return [simulator.step(command) for command in commands]


def everything(simulator: Simulator) -> object:
    return (simulator.admissible_commands(), simulator.facts(), simulator.won, simulator.state())


def wandered(seed: int, goal: str | None = None) -> tuple[World, State]:
    """The kitchen's world, and a copy of its state after up to 30 commands by chance."""
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(game(KITCHEN if goal is None else KITCHEN.partition("(:goal")[0] + f"(:goal {goal}))"))
    for _ in range(rng.randrange(30)):
        commands = simulator.admissible_commands()
        doing = [command for command in commands if not command.startswith(("go to", "look", "inventory"))]
        simulator.step(rng.choice(doing if doing and rng.random() < 0.7 else commands))
    loaded, state, _ = simulator.snapshot()
    return loaded.world, state.copy()
