"""How many commands are still needed at least: what the planner's search goes by.

A way to the goal is a choice: which objects are brought, where from, into which receptacle. It makes a row of stops,
each a command to be given at one of some locations; beside them there are doors to open and journeys in between. The
bound is the least that any way takes. It never says too much, for every plan makes the stops of some way, or there
is one no longer that does:

- An object that is not where the goal wants it has to be put there. One that is not held is taken before, from a
  receptacle that has it now; for that the hand must be empty, so what else it holds is put away first. Cleaning,
  heating and cooling are done in hand.
- Two objects are brought one after the other. A plan that puts one of them down elsewhere, to take it up again later,
  is no shorter than one that brings it home at once: the two commands saved pay for the journey there and back.
- To look at an object, it is taken and then a lamp visited, where the lamp can still be switched if it has not been.
- A journey leads from anywhere to anywhere in one command, and a put or take needs an open door.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import permutations, product
from math import inf
from typing import NamedTuple

from oreo.envs.alfworld.engines.world import State, World
from oreo.envs.alfworld.experts.task_goals import Looking, Placing

Locations = frozenset[str]
Way = tuple[int, Sequence[Locations]]
"""How many commands beside journeys, and the locations at which each stop can be made, in order."""
Where = dict[str, list[str]]
"""Object -> the receptacles it lies in. (In real games a few lie in several, and are taken from one of them.)"""


class Spot(NamedTuple):
    """Receptacles among which it makes no difference which one is used."""

    places: frozenset[str]
    locations: Locations
    shut: bool


class Bound(NamedTuple):
    """The least number of commands that lead to the goal."""

    commands: float
    """For an agent at one of the locations `near`; elsewhere it is one more. `inf`: nothing leads to the goal."""
    near: Locations

    def at(self, location: str) -> float:
        return self.commands + (location not in self.near)


class Heuristic:
    """Bounds for a goal in a world. None is any goal that is not ALFWorld's: of it nothing is known, and they are 0."""

    def __init__(self, world: World, goal: Placing | Looking | None) -> None:
        self._world = world
        self._everywhere = frozenset(world.location.values()) | {world.start}
        if isinstance(goal, Looking):
            self._lamps = _of_type(world.object_type, goal.lamp) & world.toggleable
            if self._lamps & world.pickupable:
                goal = None  # lamps stay where they are in all games
        self._goal = goal
        self.things = _of_type(world.object_type, goal.kind) if goal else frozenset(world.types)
        """The objects that the goal is about."""
        if not isinstance(goal, Placing):
            return
        able = {"clean": world.cleanable, "hot": world.heatable, "cool": world.coolable}
        if goal.mark:
            self.things &= able[goal.mark]
        appliances = {"clean": world.rules.cleaning_places, "hot": ("microwavetype",), "cool": ("fridgetype",)}
        self._appliances = self._locations(_of_type(world.receptacle_type, *appliances.get(goal.mark, ())))
        self._targets = _of_type(world.receptacle_type, goal.target)
        self._fits = (goal.target, goal.kind) in world.can_contain

    def bound(self, state: State) -> Bound:
        fewest, near = inf, self._everywhere
        for commands, stops in self._ways(state):
            journeys, first = self._journeys(stops)
            if commands + journeys < fewest:
                fewest, near = commands + journeys, first
            elif commands + journeys == fewest:
                near |= first
        return Bound(fewest, near)

    def _journeys(self, stops: Sequence[Locations]) -> tuple[int, Locations]:
        """The fewest journeys that pass all stops in order, and where to begin for that."""
        journeys, near = 0, self._everywhere
        for stop in reversed(stops):
            if near.isdisjoint(stop):
                journeys, near = journeys + 1, stop
            else:
                near &= stop
        return journeys, near

    def _ways(self, state: State) -> Iterable[Way]:
        if self._goal is None:
            return [(0, ())]
        where = _where(state, self.things)
        if state.held in self.things:
            where.setdefault(str(state.held), [])
        if isinstance(self._goal, Looking):
            return self._ways_to_look(state, where)
        return self._ways_to_place(state, where, self._goal)

    def _ways_to_look(self, state: State, where: Where) -> Iterator[Way]:
        at_lamps = {True: set[str](), False: set[str]()}  # by: was it switched?
        for lamp, places in _where(state, self._lamps).items():
            at_lamps[lamp in state.toggled] |= self._locations(places)
        for switched, locations in at_lamps.items():
            if locations:
                for thing in where:
                    for source in self._sources(state, thing, where):
                        spots = [source] if source else []
                        stops = [*(spot.locations for spot in spots), frozenset(locations)]
                        yield from self._ways_from_here(state, source, stops, spots, free=int(switched))

    def _ways_to_place(self, state: State, where: Where, goal: Placing) -> Iterator[Way]:
        marked = getattr(state, goal.mark) if goal.mark else self.things
        for target in self._choices_of_target(state, where):
            done = [thing for thing in where if thing in marked and target.places.issubset(where[thing])]
            if len(done) >= goal.count:
                yield 0, ()
                return
            to_bring = [thing for thing in where if thing not in done]
            for things in permutations(to_bring, goal.count - len(done)):
                if state.held in things[1:]:
                    continue  # what is held comes first
                for sources in product(*[self._sources(state, thing, where) for thing in things]):
                    trips = list(zip(things, sources, strict=True))
                    yield from self._ways_to_bring(state, trips, target, where, marked)

    def _ways_to_bring(
        self,
        state: State,
        trips: Sequence[tuple[str, Spot | None]],
        target: Spot,
        where: Where,
        marked: frozenset[str],
    ) -> Iterator[Way]:
        """Bring objects, each from its source, to the target, one after the other."""
        stops: list[Locations] = []
        spots: list[Spot] = []
        for thing, source in trips:
            if source is not None:
                stops.append(source.locations)
                spots.append(source)
            if thing not in marked:
                stops.append(self._appliances)
            taken_from = source.places if source else ()
            if not any(place in target.places and place not in taken_from for place in where[thing]):
                if not self._fits:
                    return
                stops.append(target.locations)
                spots.append(target)
        if all(stops):
            yield from self._ways_from_here(state, trips[0][1], stops, spots)

    def _ways_from_here(
        self, state: State, source: Spot | None, stops: list[Locations], spots: list[Spot], free: int = 0
    ) -> Iterator[Way]:
        """Put away what the hand holds, if it is to take something from `source` first.

        Args:
            stops: the locations of each, in order; `free` of them need no command.
            spots: the receptacles they use.
        """
        doors = {spot for spot in spots if spot.shut}
        commands = len(stops) - free + len(doors)
        if source is None or state.held is None:
            yield commands, stops
            return
        homes = self._homes(state.held)
        opened = {place for door in doors for place in door.places}
        ready = [place for place in homes if place in opened or not self._is_shut(state, place)]
        if ready:
            yield commands + 1, [self._locations(ready), *stops]
        if len(ready) < len(homes):
            yield commands + 2, [self._locations(set(homes) - set(ready)), *stops]

    def _choices_of_target(self, state: State, where: Where) -> Iterator[Spot]:
        """A receptacle with such an object in it is a choice of its own. All others differ by their doors only."""
        used = {place for places in where.values() for place in places}
        for place in self._targets & used:
            yield self._spot(state, place)
        shut = frozenset(place for place in self._targets - used if self._is_shut(state, place))
        for places, is_shut in ((self._targets - used - shut, False), (shut, True)):
            if places:
                yield Spot(places, self._locations(places), is_shut)

    def _sources(self, state: State, thing: str, where: Where) -> list[Spot | None]:
        """Return where an object can be taken from; None: it is in hand."""
        if thing == state.held:
            return [None]
        if thing not in self._world.pickupable:
            return []
        return [self._spot(state, place) for place in where[thing] if place in self._world.location]

    def _spot(self, state: State, place: str) -> Spot:
        return Spot(frozenset([place]), self._locations([place]), self._is_shut(state, place))

    def _homes(self, thing: str) -> list[str]:
        """The receptacles that an object can be put into."""
        kind, world = self._world.object_type.get(thing), self._world
        return [place for place in world.location if (world.receptacle_type.get(place), kind) in world.can_contain]

    def _is_shut(self, state: State, place: str) -> bool:
        return place in self._world.openable and place not in state.opened

    def _locations(self, places: Collection[str]) -> Locations:
        location = self._world.location
        return frozenset([location[place] for place in places if place in location])


def _of_type(types: dict[str, str], *kinds: str) -> frozenset[str]:
    return frozenset(thing for thing, kind in types.items() if kind in kinds)


def _where(state: State, things: frozenset[str]) -> Where:
    where: Where = {}
    for place, inside in state.inside.items():
        for thing in inside:
            if thing in things:
                where.setdefault(thing, []).append(place)
    return where
