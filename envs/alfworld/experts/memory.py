"""What a player of ALFWorld knows from the texts alone: where things were seen, what is open, what is in the hand."""

from __future__ import annotations

import re

from oreo.envs.alfworld.engines.engine import REFUSED

_NAME = r"[a-z]+ \d+"
_SEEN = re.compile(rf"(?:On the ({_NAME})|The ({_NAME}) is open\. In it), you see (.*?)\.")
_CLOSED = re.compile(rf"(?:The ({_NAME}) is closed|You close the ({_NAME}))\.")
_THING = re.compile(rf"\ban? ({_NAME})")
_TAKEN = re.compile(rf"You pick up the ({_NAME}) from the ({_NAME})\.")
_PUT = re.compile(rf"You (?:put|move) the ({_NAME}) (?:in/on|to) the ({_NAME})\.")
_CHANGED = re.compile(rf"You (clean|heat|cool) the ({_NAME}) using the ({_NAME})\.")
_FACING = re.compile(r"You are facing the (.*?)\. Next to it")


def kind_of(name: str) -> str:
    """ "mug 2" → "mug"."""
    return name.partition(" ")[0]


class Memory:
    """Updated by `observe`, once for every action that was really carried out, whoever chose it."""

    def __init__(self, first_observation: str) -> None:
        around = first_observation.partition("you see ")[2].partition(".")[0]
        self.receptacles: list[str] = _THING.findall(around)
        """All furniture, in the order of the first observation."""
        self.contents: dict[str, list[str]] = {}
        """What was last seen in a receptacle; those never looked into are missing."""
        self.closed: dict[str, bool] = {}
        """Whether a receptacle that can be opened is closed now; others are missing."""
        self.holding: str | None = None
        self.origin: dict[str, str] = {}
        """Where an object was last taken from."""
        self.states: dict[str, set[str]] = {}
        """What was done to an object: "clean", "heat", "cool"; heat and cool undo each other."""
        self.at_hand: set[str] = set()
        """The receptacles within reach; several may share one spot."""
        self._neighbours: dict[str, set[str]] = {}

    def observe(self, action: str, feedback: str) -> None:
        """Take in the feedback to an action."""
        verb, _, argument = action.strip().partition(" ")
        if verb == "go" and argument.startswith("to "):
            self._went(argument[3:].strip(), refused=feedback.strip() == REFUSED)
        if facing := _FACING.search(feedback):
            self._within_reach(re.findall(_NAME, facing[1]))
        for closed in _CLOSED.finditer(feedback):
            name = closed[1] or closed[2]
            self.closed[name] = True
            self._within_reach([name])
        for seen in _SEEN.finditer(feedback):
            name = seen[1] or seen[2]
            self.contents[name] = _THING.findall(seen[3])
            if seen[2]:
                self.closed[name] = False
            self._within_reach([name])
        if match := _TAKEN.search(feedback):
            thing, place = match.groups()
            self.holding = thing
            self.origin[thing] = place
            self.contents[place] = [other for other in self.contents.get(place, []) if other != thing]
            self._within_reach([place])
        elif match := _PUT.search(feedback):
            thing, place = match.groups()
            self.holding = None
            self.contents[place] = [*self.contents.get(place, []), thing]
            self._within_reach([place])
        elif match := _CHANGED.search(feedback):
            change, thing, place = match.groups()
            undone = {"heat": "cool", "cool": "heat"}.get(change, "")
            self.states[thing] = self.states.get(thing, set()) - {undone} | {change}
            self._within_reach([place])

    def seen(self, kind: str) -> list[tuple[str, str]]:
        """All known (object, receptacle) of an object kind, but for one in the hand."""
        return [(thing, place) for place, things in self.contents.items() for thing in things if kind_of(thing) == kind]

    def forget(self, place: str) -> None:
        """Something about a receptacle turned out wrong: it has to be looked at again."""
        self.contents.pop(place, None)
        self.closed.pop(place, None)

    def _went(self, place: str, refused: bool) -> None:
        if place not in self.receptacles:
            return
        if refused:  # The one place nobody can go to is where they stand.
            self._within_reach([place])
        else:
            self.at_hand = self._neighbours.setdefault(place, {place})

    def _within_reach(self, places: list[str]) -> None:
        """Note that these stand where the agent is: they are neighbours of all that is at hand."""
        for place in places:
            if place not in self.at_hand:
                self.at_hand = self.at_hand | self._neighbours.get(place, {place})
        for place in self.at_hand:
            self._neighbours[place] = self.at_hand
