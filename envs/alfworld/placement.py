# ruff: noqa: E501 (one line for each object kind reads better)
"""Where things stand: how often each kind of object stands in each kind of receptacle, in percent.

Counted over the initial states of ALFWorld's train games (json_2.1.1, 3,553 games), shares below half a percent and
places where the object may not be put back left out. The generator places the objects of houses with limits by
these figures; the explorer searches by `search_order`.
"""

from __future__ import annotations

from functools import cache

_FIGURES = {
    "AlarmClock": "Desk 34, Shelf 21, SideTable 19, Dresser 17, DiningTable 7, CounterTop 1",
    "Apple": "CounterTop 25, Fridge 24, DiningTable 15, Microwave 13, GarbageCan 12, SinkBasin 9, SideTable 2",
    "Book": "Bed 37, Desk 14, CounterTop 10, Drawer 10, Dresser 6, DiningTable 5, Cabinet 4, SideTable 4, ArmChair 3, CoffeeTable 3, Shelf 2, Sofa 2",
    "Bowl": "Cabinet 30, CounterTop 18, Fridge 17, DiningTable 15, Desk 6, Shelf 5, SinkBasin 3, Dresser 2, Microwave 2, CoffeeTable 1, SideTable 1",
    "Box": "DiningTable 23, Sofa 22, CoffeeTable 21, Shelf 8, SideTable 7, Desk 6, Cabinet 4, ArmChair 3, Dresser 3",
    "Bread": "CounterTop 55, DiningTable 31, Fridge 12, GarbageCan 1, SideTable 1",
    "ButterKnife": "CounterTop 59, DiningTable 27, Drawer 8, SinkBasin 5, SideTable 1",
    "CD": "Drawer 28, Desk 20, Dresser 14, SideTable 13, GarbageCan 8, Shelf 7, DiningTable 6, Cabinet 2",
    "Candle": "CounterTop 28, Toilet 28, Cabinet 12, Drawer 12, Shelf 6, SideTable 6, Cart 2, CoffeeTable 2, DiningTable 2, Dresser 1",
    "CellPhone": "Bed 21, Drawer 21, Desk 13, Dresser 9, SideTable 9, CounterTop 7, DiningTable 6, Shelf 6, ArmChair 3, CoffeeTable 2, Safe 1, Sofa 1",
    "Cloth": "BathtubBasin 30, Cabinet 20, CounterTop 17, Drawer 15, SinkBasin 8, Shelf 4, Toilet 3, Cart 1, Dresser 1",
    "CreditCard": "Drawer 24, Shelf 13, SideTable 12, Desk 9, Dresser 9, Sofa 7, ArmChair 6, CoffeeTable 5, CounterTop 5, DiningTable 5",
    "Cup": "Cabinet 23, CounterTop 21, Fridge 21, DiningTable 15, SinkBasin 9, Microwave 7, Shelf 2, SideTable 2",
    "DeskLamp": "SideTable 40, Desk 29, Dresser 21, Shelf 9, CoffeeTable 2",
    "DishSponge": "CounterTop 25, Cabinet 22, Drawer 21, DiningTable 12, SinkBasin 8, GarbageCan 5, Shelf 3, BathtubBasin 2, SideTable 1, Toilet 1",
    "Egg": "Fridge 25, CounterTop 24, GarbageCan 13, SinkBasin 13, DiningTable 12, Microwave 12, SideTable 2",
    "Fork": "CounterTop 44, DiningTable 24, Drawer 22, SinkBasin 9, SideTable 2",
    "Glassbottle": "Cabinet 31, CounterTop 27, DiningTable 14, Fridge 9, SinkBasin 9, Shelf 4",
    "HandTowel": "HandTowelHolder 98, CounterTop 2",
    "HousePlant": "CounterTop 44, SideTable 16, DiningTable 14, CoffeeTable 7, Shelf 7, Dresser 5, Desk 4, Cabinet 1, TVStand 1",
    "Kettle": "StoveBurner 41, CounterTop 25, Cabinet 24, DiningTable 7, SinkBasin 2",
    "KeyChain": "Drawer 23, SideTable 16, Desk 12, Shelf 12, Dresser 11, CoffeeTable 7, ArmChair 5, DiningTable 5, Sofa 4, Safe 2, Ottoman 1",
    "Knife": "CounterTop 48, DiningTable 25, Drawer 21, SinkBasin 5, SideTable 1",
    "Ladle": "CounterTop 41, Cabinet 25, Drawer 18, DiningTable 14, SinkBasin 2",
    "Laptop": "Bed 47, Desk 12, Sofa 10, CoffeeTable 9, DiningTable 9, Dresser 5, SideTable 3, ArmChair 2, CounterTop 1, Ottoman 1",
    "Lettuce": "CounterTop 41, DiningTable 28, Fridge 23, SinkBasin 5, SideTable 2, GarbageCan 1",
    "Mug": "CounterTop 21, Cabinet 16, Fridge 13, DiningTable 11, CoffeeMachine 9, Microwave 7, Desk 6, SinkBasin 6, Shelf 4, SideTable 4, Dresser 3",
    "Newspaper": "Sofa 20, CoffeeTable 18, DiningTable 17, SideTable 14, Shelf 11, Dresser 8, ArmChair 7, Drawer 2, Ottoman 1",
    "Pan": "StoveBurner 44, CounterTop 36, Cabinet 9, DiningTable 6, Fridge 5",
    "Pen": "Desk 22, Drawer 17, Dresser 14, Shelf 13, SideTable 13, DiningTable 9, CounterTop 5, CoffeeTable 3, GarbageCan 2",
    "Pencil": "Drawer 20, Desk 19, SideTable 17, Shelf 14, Dresser 10, DiningTable 8, GarbageCan 6, CounterTop 4, CoffeeTable 2",
    "PepperShaker": "Cabinet 33, CounterTop 30, DiningTable 16, Drawer 15, Shelf 3, SideTable 2",
    "Pillow": "Bed 69, Sofa 24, ArmChair 6",
    "Plate": "Cabinet 36, CounterTop 28, DiningTable 19, Fridge 8, Shelf 3, CoffeeTable 2, SinkBasin 2, SideTable 1",
    "Pot": "StoveBurner 70, CounterTop 16, DiningTable 5, Fridge 5, Cabinet 4, SinkBasin 1",
    "Potato": "CounterTop 28, Fridge 26, DiningTable 17, SinkBasin 11, Microwave 10, GarbageCan 6, SideTable 1",
    "RemoteControl": "CoffeeTable 20, Sofa 16, SideTable 13, DiningTable 10, ArmChair 8, Drawer 8, Dresser 7, Desk 5, Shelf 3, CounterTop 1, Ottoman 1",
    "SaltShaker": "Cabinet 32, CounterTop 32, DiningTable 18, Drawer 14, Shelf 3, SideTable 2",
    "SoapBar": "CounterTop 20, Toilet 16, SinkBasin 15, BathtubBasin 12, Cabinet 12, Drawer 11, GarbageCan 7, Shelf 4, SideTable 2, Cart 1",
    "SoapBottle": "CounterTop 32, Cabinet 28, DiningTable 15, GarbageCan 10, Toilet 6, Shelf 5, Drawer 2, SideTable 1",
    "Spatula": "CounterTop 45, DiningTable 25, Drawer 21, SinkBasin 9, SideTable 1",
    "Spoon": "CounterTop 38, Drawer 28, DiningTable 22, SinkBasin 11, SideTable 2",
    "SprayBottle": "CounterTop 32, Toilet 23, Cabinet 18, GarbageCan 10, Shelf 6, Cart 3, DiningTable 3, SideTable 2, Dresser 1",
    "Statue": "Shelf 29, CoffeeTable 16, CounterTop 14, DiningTable 14, SideTable 12, Dresser 7, Desk 2",
    "Television": "Dresser 46, TVStand 42, CoffeeTable 9, SideTable 3",
    "TissueBox": "Shelf 18, CoffeeTable 15, Drawer 14, CounterTop 13, DiningTable 11, SideTable 11, Desk 8, TVStand 3, Cabinet 2, Cart 2, Dresser 1, GarbageCan 1, Toilet 1",
    "ToiletPaper": "CounterTop 23, Toilet 23, Drawer 12, ToiletPaperHanger 12, Cabinet 11, GarbageCan 9, Shelf 5, Cart 2, Dresser 2, SideTable 1",
    "Tomato": "Fridge 33, CounterTop 30, DiningTable 20, GarbageCan 9, SinkBasin 7, SideTable 2",
    "Towel": "TowelHolder 99",
    "Vase": "Shelf 34, Cabinet 15, CounterTop 15, CoffeeTable 9, DiningTable 8, Dresser 7, SideTable 6, Desk 1",
    "Watch": "Drawer 23, CoffeeTable 21, SideTable 16, DiningTable 12, Dresser 11, Shelf 7, Desk 3",
    "WateringCan": "CoffeeTable 53, Shelf 38, SideTable 9",
    "WineBottle": "CounterTop 37, Cabinet 25, DiningTable 24, GarbageCan 9, Shelf 3, Fridge 1",
}

PLACES: dict[str, dict[str, int]] = {
    thing: {kind: int(percent) for kind, percent in (entry.split() for entry in text.split(", "))}
    for thing, text in _FIGURES.items()
}
"""Object kind → receptacle kind → percent, most frequent first."""

FIXTURES = (
    "Bathtub", "Curtains", "DeskLamp", "FloorLamp", "HousePlant", "Mirror", "ShowerGlass", "Sink", "Television", "Window",
)  # fmt: skip
"""Objects that cannot be picked up."""

OPENABLE = ("Fridge", "Cabinet", "Microwave", "Drawer", "Safe")
"""Receptacle kinds that are closed at first: looking inside takes a second action."""

# Receptacles of one kind in a room that has any, to the nearest whole number, where that is not one.
_PER_ROOM = {"ArmChair": 2, "Cabinet": 12, "CounterTop": 2, "Drawer": 6, "Shelf": 4, "SideTable": 2, "StoveBurner": 4}

_BY_LOWER_NAME = {thing.lower(): thing for thing in PLACES}


@cache
def search_order(thing: str) -> dict[str, int]:
    """Receptacle kind → rank in the search for an object kind, both as the game spells them.

    `search_order("mug")` is {"countertop": 0, "fridge": 1, …}.

    Ranked by the chance to find the object per action: its share of the kind, over the receptacles of that kind in a
    usual room, over the actions that a look takes. Kinds without a figure are missing.
    """
    places = PLACES.get(_BY_LOWER_NAME.get(thing, ""), {})
    cost = {kind: _PER_ROOM.get(kind, 1) * (2 if kind in OPENABLE else 1) for kind in places}
    ranked = sorted(places, key=lambda kind: (-places[kind] / cost[kind], kind))
    return {kind.lower(): rank for rank, kind in enumerate(ranked)}
