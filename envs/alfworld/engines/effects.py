"""What each action changes in a state that is not shared yet.

Beside the state itself, the original keeps a list of what is so ("holds") and of what was made untrue ("not_holds"),
and its texts ask that list. So what an action makes true and untrue is noted as well, in the original's way (`_note`).
"""

from __future__ import annotations

from collections.abc import Callable

from oreo.envs.alfworld.engines.pddl import Fact
from oreo.envs.alfworld.engines.queries import Bound
from oreo.envs.alfworld.engines.world import NONE, State, World

Effect = Callable[[World, State, Bound], None]


def _note(new: State, made: tuple[Fact, ...], unmade: tuple[Fact, ...]) -> None:
    new.negated = new.negated.difference(made).union(unmade)


def _go(world: World, new: State, bound: Bound) -> None:
    _note(new, (("atlocation", world.agent, bound["lend"]),), (("atlocation", world.agent, new.at),))
    new.at = bound["lend"]


def _check(variable: str) -> Effect:
    """Looking at something does no more than to mark it."""

    def check(world: World, new: State, bound: Bound) -> None:
        new.checked |= {bound[variable]}

    return check


def _open(world: World, new: State, bound: Bound) -> None:
    _note(new, (("opened", bound["r"]),), ())
    new.opened |= {bound["r"]}
    new.checked |= {bound["r"]}


def _close(world: World, new: State, bound: Bound) -> None:
    _note(new, (), (("opened", bound["r"]),))
    new.opened -= {bound["r"]}


def _take(world: World, new: State, bound: Bound) -> None:
    thing, place, location = bound["o"], bound["r"], new.at
    made: tuple[Fact, ...] = (("holds", world.agent, thing), ("holdsany", world.agent))
    unmade: tuple[Fact, ...] = (("inreceptacle", thing, place),)
    if world.can_be_at(thing, location):
        unmade = (*unmade, ("objectatlocation", thing, location))
    _note(new, made, unmade)
    new.held = thing
    new.inside = _without(new.inside, place, thing)
    new.present = _without(new.present, location, thing)


def _put(world: World, new: State, bound: Bound) -> None:
    thing, place, location = bound["o"], bound["r"], new.at
    made = (("inreceptacle", thing, place), ("objectatlocation", thing, location))
    _note(new, made, (("holds", world.agent, thing), ("holdsany", world.agent)))
    new.held = None
    new.inside = _with(new.inside, place, thing)
    new.present = _with(new.present, location, thing)


def _clean(world: World, new: State, bound: Bound) -> None:
    new.clean |= {bound["o"]}


def _heat(world: World, new: State, bound: Bound) -> None:
    thing = bound["o"]
    can_be_cool = thing in world.start_cool or (world.has_fridge and thing in world.coolable)
    _note(new, (("ishot", thing),), (("iscool", thing),) if can_be_cool else ())
    new.hot |= {thing}
    new.cool -= {thing}


def _cool(world: World, new: State, bound: Bound) -> None:
    thing = bound["o"]
    can_be_hot = thing in world.start_hot or (world.has_microwave and thing in world.heatable)
    _note(new, (("iscool", thing),), (("ishot", thing),) if can_be_hot else ())
    new.cool |= {thing}
    new.hot -= {thing}


def _switch(world: World, new: State, bound: Bound) -> None:
    thing = bound["o"]
    _note(new, (), (("ison", thing),))  # the original notes both outcomes, this one last, whichever comes true
    new.on ^= {thing}
    new.toggled |= {thing}


def _slice(world: World, new: State, bound: Bound) -> None:
    new.sliced |= {bound["co"]}


EFFECTS: dict[str, Effect] = {
    "look": _check("l"),
    "inventory": _check("a"),
    "help": _check("a"),
    "examinereceptacle": _check("r"),
    "examineobject": _check("o"),
    "gotolocation": _go,
    "openobject": _open,
    "closeobject": _close,
    "pickupobject": _take,
    "putobject": _put,
    "cleanobject": _clean,
    "heatobject": _heat,
    "coolobject": _cool,
    "toggleobject": _switch,
    "sliceobject": _slice,
}


def _with(groups: dict[str, tuple[str, ...]], place: str, thing: str) -> dict[str, tuple[str, ...]]:
    things = groups.get(place, NONE)
    return groups if thing in things else {**groups, place: tuple(sorted((*things, thing)))}


def _without(groups: dict[str, tuple[str, ...]], place: str, thing: str) -> dict[str, tuple[str, ...]]:
    return {**groups, place: tuple([other for other in groups.get(place, NONE) if other != thing])}
