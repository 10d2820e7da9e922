"""The explorer: an expert that knows no more than a player who reads the texts.

    explorer = Explorer(first_observation, game.task_type, game.params, game.dialect)
    action = explorer.act()
    explorer.observe(action, feedback)        # the action that was carried out, even if someone else chose it

It searches the furniture in an order that follows from the first observation and the task alone: the kinds where such
an object is likeliest first (placement.py), numbers ascending. It opens what is closed and leaves it open. Nothing in
it is random. Since it keeps track by feedback, not by its own plans, it carries on after any action of someone else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oreo.envs.alfworld.engines.engine import REFUSED
from oreo.envs.alfworld.experts.memory import Memory, kind_of
from oreo.envs.alfworld.placement import search_order
from oreo.errors import UsageError

_CHANGES = {
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
}
_APPLIANCES = {"clean": ("sinkbasin", "bathtubbasin"), "heat": ("microwave",), "cool": ("fridge",)}

_ROUNDS = 3  # Times it goes through the whole house in vain before it gives up.

# ALFWorld's task sentences. The groups name the object and where it is to go, or the lamp.
_SENTENCES = (
    ("look_at_obj_in_light", r"(?:look at|examine) (?:an? |the )?(\w+) (?:under|with) the (\w+)"),
    ("pick_clean_then_place_in_recep", r"put an? clean (\w+) in (\w+)|clean some (\w+) and put it in (\w+)"),
    ("pick_heat_then_place_in_recep", r"put an? hot (\w+) in (\w+)|heat some (\w+) and put it in (\w+)"),
    ("pick_cool_then_place_in_recep", r"put an? cool (\w+) in (\w+)|cool some (\w+) and put it in (\w+)"),
    ("pick_two_obj_and_place", r"put two (\w+) in (\w+)|find two (\w+) and put them in (\w+)"),
    ("pick_and_place_simple", r"put (?:an?|some) (\w+) (?:in|on) (\w+)"),
)


@dataclass(frozen=True)
class Task:
    """What to do, in the words of the game: `thing` and `target` are lower-case kinds ("mug", "shelf", "desklamp")."""

    task_type: str
    thing: str
    target: str


def read_task(text: str) -> Task:
    """The task in a sentence such as "put a clean mug in shelf." Raises UsageError where it is none of ALFWorld's."""
    sentence = text.rpartition("Your task is to:")[2].strip()
    for task_type, pattern in _SENTENCES:
        if match := re.match(pattern, sentence):
            thing, target = (word for word in match.groups() if word)
            return Task(task_type, thing, target)
    raise UsageError(
        f"the explorer cannot read the task {sentence!r}: it knows the sentences of ALFWorld's own games only"
    )


class Explorer:
    """See the module. `task_type` and `params` may be empty: the sentence in the first observation says the same."""

    def __init__(
        self,
        first_observation: str,
        task_type: str = "",
        params: Mapping[str, object] | None = None,
        dialect: str = "put",
    ) -> None:
        params = params or {}
        target = params.get("toggle_target" if task_type == "look_at_obj_in_light" else "parent_target")
        if task_type and params.get("object_target") and target:
            self.task = Task(task_type, str(params["object_target"]).lower(), str(target).lower())
        else:
            self.task = read_task(first_observation)
        self.memory = Memory(first_observation)
        self._put = "put {} in/on {}" if dialect == "put" else "move {} to {}"
        self._proposed = ""
        self._refused: set[str] = set()
        self._rounds = 0
        self._change = _CHANGES.get(self.task.task_type, "")
        self._orders: dict[str, list[str]] = {}
        self._kinds: dict[str, list[str]] = {}
        """The receptacles of each kind, numbers ascending."""
        for place in sorted(self.memory.receptacles, key=_number):
            self._kinds.setdefault(kind_of(place), []).append(place)

    def observe(self, action: str | None, feedback: str) -> None:
        """Learn what came of an action. None for `action`, or an empty one, changes nothing."""
        if not action:
            return
        self.memory.observe(action, feedback)
        proposed, self._proposed = self._proposed, ""
        if action != proposed or feedback.strip() != REFUSED:
            return  # Someone else's refused action says nothing: they need not have had a reason for it.
        self._refused.add(action)
        if action.startswith(("open ", "take ")):
            self.memory.forget(action.rpartition(" from ")[2].removeprefix("open "))

    def act(self) -> str:
        """The next action; "look" when nothing is left to try."""
        while self._rounds < _ROUNDS:
            for action in self._useful_actions():
                if action not in self._refused:
                    self._proposed = action
                    return action
            # Everything was refused or searched in vain: once more, with fresh eyes.
            self._rounds += 1
            self._refused.clear()
            self.memory.contents.clear()
        return "look"

    def _useful_actions(self) -> Iterator[str]:
        """Actions that would help now, best first."""
        held = self.memory.holding
        if held is None:
            yield from self._fetch()
        elif kind_of(held) != self.task.thing:
            yield from self._put_away(held)
        elif self._change and self._change not in self.memory.states.get(held, ()):
            for place in self._of_kind(*_APPLIANCES[self._change]):
                yield self._reach(place) or f"{self._change} {held} with {place}"
        elif self.task.task_type == "look_at_obj_in_light":
            yield from self._light()
        else:
            for place in self._targets():
                yield self._reach(place, inside=True) or self._put.format(held, place)

    def _fetch(self) -> Iterator[str]:
        """Take an object of the kind wanted: one seen before, else go on searching."""
        done = set(self._targets()[:1]) if self.task.task_type == "pick_two_obj_and_place" else set()
        seen = [(thing, place) for thing, place in self.memory.seen(self.task.thing) if place not in done]
        order = {place: rank for rank, place in enumerate(self._search_order(self.task.thing))}

        def cost(sighting: tuple[str, str]) -> tuple[bool, bool, int, str]:
            thing, place = sighting
            changed = self._change in self.memory.states.get(thing, ())
            return not changed, place not in self.memory.at_hand, order.get(place, 0), thing

        for thing, place in sorted(seen, key=cost):
            yield self._reach(place, inside=True) or f"take {thing} from {place}"
        yield from self._search(self.task.thing)

    def _light(self) -> Iterator[str]:
        """Use a lamp where one was seen, else search for one."""
        for lamp, place in sorted(self.memory.seen(self.task.target)):
            yield self._reach(place) or f"use {lamp}"
        yield from self._search(self.task.target)

    def _put_away(self, thing: str) -> Iterator[str]:
        """Get rid of a wrong object: at hand if it may go there, else where it came from, else wherever it fits."""
        order = self._search_order(kind_of(thing))
        usual = search_order(kind_of(thing))
        closed = self.memory.closed
        near = [
            place
            for place in order
            if place in self.memory.at_hand and not closed.get(place) and kind_of(place) in usual
        ]
        origin = [self.memory.origin[thing]] if thing in self.memory.origin else []
        for place in dict.fromkeys([*near, *origin, *order]):
            yield self._reach(place, inside=True) or self._put.format(thing, place)

    def _search(self, kind: str) -> Iterator[str]:
        for place in self._search_order(kind):
            if place not in self.memory.contents:
                yield self._reach(place, inside=True) or f"examine {place}"

    def _reach(self, place: str, inside: bool = False) -> str | None:
        """The next action on the way to a receptacle, and into it; None when there is nothing left to do."""
        if place not in self.memory.at_hand:
            return f"go to {place}"
        if inside and self.memory.closed.get(place):
            return f"open {place}"
        if inside and place not in self.memory.contents:
            return f"examine {place}"
        return None

    def _targets(self) -> list[str]:
        """Return where the object may go, first choice first: two objects have to end up in the same receptacle."""
        places = self._of_kind(self.task.target)
        if self.task.task_type != "pick_two_obj_and_place":
            return places
        inside = {
            place: sum(kind_of(thing) == self.task.thing for thing in self.memory.contents.get(place, []))
            for place in places
        }
        return sorted(places, key=lambda place: -inside[place])

    def _of_kind(self, *kinds: str) -> list[str]:
        """The receptacles of these kinds, kinds in the order given, numbers ascending."""
        return [place for kind in kinds for place in self._kinds.get(kind, ())]

    def _search_order(self, kind: str) -> list[str]:
        """All receptacles in the order in which to look for an object kind."""
        if kind not in self._orders:
            ranks = search_order(kind)
            # Kinds that are equally likely, or unlikely, in the order of the first observation.
            kinds = sorted(dict.fromkeys(map(kind_of, self.memory.receptacles)), key=lambda k: ranks.get(k, len(ranks)))
            self._orders[kind] = [place for place_kind in kinds for place in self._kinds[place_kind]]
        return self._orders[kind]


def _number(name: str) -> int:
    return int(name.partition(" ")[2] or 0)
