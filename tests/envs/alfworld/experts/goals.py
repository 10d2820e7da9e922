"""The six goals of ALFWorld, as its games write them in PDDL."""

from __future__ import annotations

GOALS = {
    "": "(exists (?r - receptacle) (exists (?o - object) (and (inReceptacle ?o ?r) (objectType ?o MugType)"
    " (receptacleType ?r CabinetType))))",
    "Mug": "(exists (?r - receptacle) (exists (?o1 - object) (and (objectType ?o1 MugType)"
    " (receptacleType ?r CabinetType) (inReceptacle ?o1 ?r) (exists (?o2 - object) (and (not (= ?o1 ?o2))"
    " (objectType ?o2 MugType) (receptacleType ?r CabinetType) (inReceptacle ?o2 ?r))))))",
    "DeskLamp": "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and"
    " (objectType ?ot DeskLampType) (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l)"
    " (atLocation ?a ?l) (inReceptacle ?ot ?r)))"
    " (exists (?o - object ?a - agent) (and (objectType ?o MugType) (holds ?a ?o))))",
} | {
    appliance: f"(and (exists (?r - receptacle) (exists (?o - object) (and ({able} ?o) (objectType ?o MugType)"
    f" (receptacleType ?r CabinetType) ({mark} ?o) (inReceptacle ?o ?r)))))"
    for appliance, able, mark in (
        ("SinkBasin", "cleanable", "isClean"),
        ("Microwave", "heatable", "isHot"),
        ("Fridge", "coolable", "isCool"),
    )
}
"""By what the house must have, beside a cabinet and a mug."""
