"""The actions of the ALFRED domain that the simulator carries out, and how it makes sure that a game has just these.

A game brings its own PDDL domain. Each action in it is compared, by a digest of its normalised text, with the version
that `oreo.envs.alfworld.engines.simulator` implements. Two versions of the domain are in use: the older one cleans at
sinks as well as at sink basins and has no `help`; alfworld 0.4 cleans at sink basins only and has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from oreo.envs.alfworld.engines.pddl import action_digests
from oreo.envs.alfworld.errors import UnknownGameLogic

AGENT, LOCATION, RECEPTACLE, OBJECT = "agent", "location", "receptacle", "object"

PREDICATES: dict[str, tuple[str, ...]] = {
    "atlocation": (AGENT, LOCATION),
    "receptacleatlocation": (RECEPTACLE, LOCATION),
    "objectatlocation": (OBJECT, LOCATION),
    "openable": (RECEPTACLE,),
    "opened": (RECEPTACLE,),
    "inreceptacle": (OBJECT, RECEPTACLE),
    "isreceptacleobject": (OBJECT,),
    "inreceptacleobject": (OBJECT, OBJECT),
    "receptacletype": (RECEPTACLE, "rtype"),
    "cancontain": ("rtype", "otype"),
    "objecttype": (OBJECT, "otype"),
    "holds": (AGENT, OBJECT),
    "holdsany": (AGENT,),
    "isclean": (OBJECT,),
    "cleanable": (OBJECT,),
    "ishot": (OBJECT,),
    "heatable": (OBJECT,),
    "iscool": (OBJECT,),
    "coolable": (OBJECT,),
    "pickupable": (OBJECT,),
    "moveable": (OBJECT,),
    "toggleable": (OBJECT,),
    "ison": (OBJECT,),
    "istoggled": (OBJECT,),
    "sliceable": (OBJECT,),
    "issliced": (OBJECT,),
    "isreceptacleobjectfull": (OBJECT,),
    "wasinreceptacle": (OBJECT, RECEPTACLE),
    "holdsanyreceptacleobject": (AGENT,),
    "full": (RECEPTACLE,),
    "checked": (RECEPTACLE,),
    "examined": (LOCATION,),
}
"""The predicates of the domain with the types of their arguments. (`checked` is also set for other types.)"""

CHANGING = frozenset(
    (
        "atlocation objectatlocation inreceptacle holds holdsany opened "
        "isclean ishot iscool ison istoggled issliced checked"
    ).split()
)
"""The predicates that some action changes; all others stay as a game begins."""

KNIFE_TYPES = ("knifetype", "butterknifetype")


@dataclass(frozen=True)
class Action:
    """What the wording of an action may refer to, what tells two of its commands apart, and what it changes."""

    parameters: dict[str, str]
    telling: frozenset[str]
    changes: frozenset[str]


def _action(parameters: str, telling: str, changes: str) -> Action:
    types = dict(word.split(":") for word in parameters.split())
    return Action(types, frozenset(telling.split()), frozenset(changes.split()))


ACTIONS: dict[str, Action] = {
    "look": _action("a:agent l:location", "", "checked"),
    "inventory": _action("a:agent", "", "checked"),
    "help": _action("a:agent", "", "checked"),
    "examinereceptacle": _action("a:agent r:receptacle", "r", "checked"),
    "examineobject": _action("a:agent o:object", "o", "checked"),
    "gotolocation": _action("a:agent lstart:location lend:location r:receptacle", "r", "atlocation"),
    "openobject": _action("a:agent l:location r:receptacle", "r", "opened checked"),
    "closeobject": _action("a:agent l:location r:receptacle", "r", "opened"),
    "pickupobject": _action(
        "a:agent l:location o:object r:receptacle", "o r", "inreceptacle holds holdsany objectatlocation"
    ),
    "putobject": _action(
        "a:agent l:location o:object r:receptacle ot:otype rt:rtype",
        "r",
        "inreceptacle holds holdsany objectatlocation",
    ),
    "cleanobject": _action("a:agent l:location r:receptacle o:object", "r", "isclean"),
    "heatobject": _action("a:agent l:location r:receptacle o:object", "r", "ishot iscool"),
    "coolobject": _action("a:agent l:location r:receptacle o:object", "r", "ishot iscool"),
    "toggleobject": _action("a:agent l:location o:object r:receptacle", "o", "ison istoggled"),
    "sliceobject": _action("a:agent l:location co:object ko:object", "co", "issliced"),
}

_SINK_BASIN_ONLY = "722984a68a379190"
_DIGESTS: dict[str, str] = {
    "look": "6683ee607d8df69f",
    "inventory": "bb6683f823aa2282",
    "help": "19b42d4b2c34186f",
    "examinereceptacle": "f8c0f2a2f4df5f6e",
    "examineobject": "4a0db9ec859b5eae",
    "gotolocation": "e3039981bf4da7c4",
    "openobject": "36e915c8c14e9e04",
    "closeobject": "cd42f8de0f71c105",
    "pickupobject": "3bb600db61a873d5",
    "putobject": "da2b692e181675b2",
    "cleanobject": "92426f71472379da",
    "heatobject": "124cbc096b95a195",
    "coolobject": "91e5a97febd39fc1",
    "toggleobject": "503629b58f850fa7",
    "sliceobject": "cb852da1b22b6c5a",
}


@dataclass(frozen=True)
class Rules:
    """The version of the domain that a game brings."""

    actions: frozenset[str]
    cleaning_places: tuple[str, ...]
    """The receptacle types at which one can clean."""


@lru_cache(maxsize=16)
def known_rules(domain: str) -> Rules:
    """Recognise a domain. Raises UnknownGameLogic naming the first action that is new or differs."""
    digests = action_digests(domain)
    for name, digest in digests.items():
        if name not in _DIGESTS:
            raise UnknownGameLogic(f"the action {name!r} of the PDDL domain")
        if digest != _DIGESTS[name] and (name, digest) != ("cleanobject", _SINK_BASIN_ONLY):
            raise UnknownGameLogic(f"this version of the action {name!r} in the PDDL domain")
    for name in _DIGESTS.keys() - digests.keys() - {"help"}:
        raise UnknownGameLogic(f"a PDDL domain without the action {name!r}")
    places = ("sinkbasintype",) if digests["cleanobject"] == _SINK_BASIN_ONLY else ("sinktype", "sinkbasintype")
    return Rules(frozenset(digests), places)
