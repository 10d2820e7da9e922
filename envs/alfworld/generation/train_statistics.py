# ruff: noqa: E501 (one line for each kind reads better)
"""Counts of what the rooms and tasks of ALFWorld's train split hold. Houses without limits are drawn by these figures.

Counted over json_2.1.1/train, 3,553 games; no game can be read back from them. A weight says how often something is
chosen where it is among the choices (of greatest likelihood, so that over the same rooms the drawn shares are the
counted ones): a receptacle kind that few rooms have may thus weigh more than one that all have.
"""

from __future__ import annotations

from functools import cache

# Room → object kind → percent of games (whose floor plan has the kind) with 0, 1, 2, … of it, when the task does not ask
# for it | weights of the receptacle kinds they stand in.
_THINGS = {
    "Kitchen": {
        "Apple": "1 33 32 34 | DiningTable 23, Fridge 18, CounterTop 18, SideTable 15, Microwave 10, GarbageCan 9, SinkBasin 7",
        "Book": "0 60 27 13 | CounterTop 59, DiningTable 19, Cabinet 13, Drawer 5, Shelf 4",
        "Bowl": "0 35 35 30 | Cabinet 28, DiningTable 25, CounterTop 16, Fridge 16, Shelf 7, SideTable 3, SinkBasin 2, Microwave 2",
        "Bread": "0 55 32 12 | DiningTable 53, CounterTop 35, Fridge 8, SideTable 4",
        "ButterKnife": "2 37 36 25 | DiningTable 39, CounterTop 36, SideTable 16, Drawer 5, SinkBasin 3",
        "CellPhone": "1 37 35 28 | DiningTable 48, Drawer 26, CounterTop 25",
        "CreditCard": "1 34 28 38 | CounterTop 43, Drawer 34, Shelf 23",
        "Cup": "1 37 32 30 | DiningTable 20, Cabinet 16, SideTable 15, Fridge 15, CounterTop 15, Shelf 7, SinkBasin 7, Microwave 5",
        "DishSponge": "1 33 33 33 | DiningTable 20, CounterTop 19, Cabinet 18, Drawer 17, Shelf 11, SinkBasin 6, SideTable 6, GarbageCan 4",
        "Egg": "1 34 35 30 | Fridge 20, CounterTop 19, DiningTable 18, SideTable 13, SinkBasin 10, GarbageCan 10, Microwave 10",
        "Fork": "2 35 34 29 | DiningTable 36, CounterTop 29, Drawer 16, SideTable 13, SinkBasin 6",
        "Glassbottle": "1 35 32 32 | DiningTable 27, Cabinet 23, CounterTop 20, Shelf 10, SinkBasin 7, Fridge 7, GarbageCan 5",
        "HousePlant": "0 91 9 | CounterTop 53, DiningTable 47",
        "Kettle": "0 45 36 19 | StoveBurner 36, CounterTop 22, Cabinet 22, DiningTable 17, SinkBasin 1, Shelf 1",
        "Knife": "2 37 34 27 | DiningTable 41, CounterTop 34, Drawer 15, SideTable 7, SinkBasin 3",
        "Ladle": "1 35 37 26 | CounterTop 32, DiningTable 31, Cabinet 20, Drawer 15, SinkBasin 2",
        "Lettuce": "3 41 34 22 | DiningTable 44, CounterTop 26, Fridge 15, SideTable 12, SinkBasin 3, GarbageCan 1",
        "Mug": "2 37 37 24 | CounterTop 22, DiningTable 17, CoffeeMachine 14, Cabinet 12, Fridge 11, SideTable 8, Microwave 6, Shelf 5, SinkBasin 5",
        "Pan": "0 70 26 4 | StoveBurner 49, CounterTop 32, DiningTable 8, Cabinet 7, Fridge 4",
        "PaperTowelRoll": "0 100 | CounterTop 32, DiningTable 29, Shelf 18, SideTable 12, GarbageCan 9",
        "Pen": "0 33 31 35 | DiningTable 63, CounterTop 22, Drawer 12, GarbageCan 3",
        "Pencil": "1 41 40 17 | DiningTable 40, Drawer 30, CounterTop 22, GarbageCan 7",
        "PepperShaker": "0 30 33 37 | DiningTable 22, Cabinet 21, CounterTop 19, SideTable 17, Shelf 11, Drawer 10",
        "Plate": "3 44 33 19 | Cabinet 32, DiningTable 27, CounterTop 24, Fridge 7, Shelf 7, SinkBasin 2, SideTable 1",
        "Pot": "0 53 37 9 | StoveBurner 70, CounterTop 14, DiningTable 7, Fridge 4, Cabinet 3, Shelf 2",
        "Potato": "1 37 33 28 | DiningTable 26, CounterTop 22, Fridge 21, SideTable 10, SinkBasin 9, Microwave 8, GarbageCan 5",
        "SaltShaker": "0 36 33 31 | DiningTable 23, CounterTop 20, Cabinet 20, SideTable 18, Shelf 10, Drawer 9",
        "Sink": "89 11 | CounterTop 100",
        "SoapBottle": "1 35 34 29 | DiningTable 29, CounterTop 21, Cabinet 20, Shelf 12, SideTable 10, GarbageCan 7, Drawer 1",
        "Spatula": "0 36 36 27 | DiningTable 40, CounterTop 32, Drawer 16, SinkBasin 6, SideTable 5",
        "Spoon": "1 34 34 30 | DiningTable 33, CounterTop 25, Drawer 20, SideTable 15, SinkBasin 7",
        "SprayBottle": "0 35 41 24 | DiningTable 39, Cabinet 26, CounterTop 26, GarbageCan 9",
        "Statue": "0 37 49 14 | CounterTop 47, Shelf 41, DiningTable 12",
        "Tomato": "1 34 33 32 | DiningTable 30, Fridge 24, CounterTop 22, SideTable 12, GarbageCan 7, SinkBasin 5",
        "Vase": "0 0 48 52 | CounterTop 32, Shelf 29, Cabinet 29, DiningTable 10",
        "WineBottle": "0 37 31 32 | DiningTable 33, CounterTop 30, Cabinet 21, GarbageCan 7, Shelf 7, Fridge 1, SideTable 1",
    },
    "LivingRoom": {
        "Book": "0 48 32 20 | Dresser 27, CoffeeTable 24, DiningTable 18, Sofa 13, ArmChair 8, SideTable 6, TVStand 3, Drawer 1",
        "Bowl": "0 43 39 17 | DiningTable 40, CoffeeTable 21, TVStand 18, Shelf 12, SideTable 9",
        "Box": "15 59 22 4 | DiningTable 30, Desk 17, CoffeeTable 12, Sofa 10, Cabinet 10, Ottoman 4, Shelf 4, SideTable 4, Dresser 4, TVStand 3, ArmChair 1",
        "Candle": "0 18 20 62 | SideTable 33, Drawer 18, CoffeeTable 16, Dresser 12, DiningTable 11, TVStand 10",
        "CellPhone": "0 41 30 29 | Desk 14, Shelf 13, Dresser 11, Ottoman 11, TVStand 10, CoffeeTable 10, DiningTable 9, SideTable 8, Sofa 7, Drawer 6, ArmChair 2",
        "CreditCard": "0 30 33 37 | Desk 13, DiningTable 11, TVStand 10, Sofa 10, Dresser 10, Drawer 9, CoffeeTable 9, ArmChair 8, Shelf 7, SideTable 7, Ottoman 5",
        "Curtains": "89 11 | SideTable 100",
        "DeskLamp": "0 100 | SideTable 100",
        "HousePlant": "34 66 | SideTable 44, Dresser 20, CoffeeTable 19, DiningTable 9, TVStand 8",
        "KeyChain": "9 41 33 16 | Desk 15, Safe 11, CoffeeTable 11, TVStand 10, Drawer 9, SideTable 9, DiningTable 7, Dresser 6, Ottoman 6, Shelf 6, Sofa 5, ArmChair 4",
        "Laptop": "0 66 27 7 | DiningTable 25, CoffeeTable 15, Desk 14, Sofa 14, Dresser 12, Ottoman 7, TVStand 7, SideTable 5, ArmChair 2",
        "Newspaper": "0 47 31 22 | DiningTable 19, Dresser 15, Shelf 13, CoffeeTable 12, Sofa 12, Ottoman 11, SideTable 8, TVStand 5, ArmChair 4, Drawer 1",
        "Pen": "0 33 34 34 | Dresser 25, CoffeeTable 21, Shelf 16, SideTable 12, TVStand 11, DiningTable 9, Drawer 3, GarbageCan 3",
        "Pencil": "1 37 30 32 | Shelf 27, SideTable 19, CoffeeTable 18, TVStand 10, Dresser 9, DiningTable 6, Drawer 6, GarbageCan 4",
        "Pillow": "0 89 11 | Sofa 77, ArmChair 21, Ottoman 2",
        "Plate": "0 47 39 15 | DiningTable 43, Shelf 22, CoffeeTable 16, SideTable 8, TVStand 7, Dresser 5",
        "RemoteControl": "3 38 34 25 | CoffeeTable 15, Desk 15, DiningTable 11, TVStand 11, Dresser 11, Sofa 10, SideTable 8, Ottoman 7, ArmChair 5, Shelf 4, Drawer 2",
        "Statue": "0 28 36 32 0 0 0 4 | Shelf 21, DiningTable 20, CoffeeTable 16, TVStand 14, SideTable 12, Dresser 9, Desk 9",
        "Television": "29 71 | TVStand 95, Dresser 5",
        "TissueBox": "0 29 34 37 | CoffeeTable 31, TVStand 17, Shelf 16, DiningTable 16, SideTable 10, Dresser 6, Drawer 3, GarbageCan 1",
        "Vase": "14 12 20 34 14 0 6 | Dresser 36, Shelf 19, Desk 10, CoffeeTable 9, DiningTable 9, SideTable 7, TVStand 5, Cabinet 4",
        "Watch": "0 26 37 38 | Drawer 16, Dresser 15, CoffeeTable 15, TVStand 15, DiningTable 14, Shelf 13, SideTable 12",
        "WateringCan": "83 11 5 2 | CoffeeTable 49, Shelf 43, SideTable 8",
    },
    "Bedroom": {
        "AlarmClock": "1 50 32 18 | DiningTable 26, CounterTop 25, Desk 16, Dresser 12, SideTable 10, Shelf 10",
        "Book": "0 45 33 22 | Bed 28, Desk 16, DiningTable 12, CounterTop 11, Cabinet 10, Drawer 7, ArmChair 6, Dresser 6, SideTable 3, Shelf 1",
        "Bowl": "0 61 28 11 | Desk 42, Shelf 21, DiningTable 13, Dresser 11, CounterTop 11, SideTable 2",
        "Box": "81 18 1 | Desk 58, Shelf 42",
        "CD": "8 38 29 25 | DiningTable 30, Dresser 13, Drawer 13, Desk 12, SideTable 9, Cabinet 8, ArmChair 5, Shelf 4, GarbageCan 3, Safe 2",
        "CellPhone": "0 33 34 33 | CounterTop 14, DiningTable 14, Bed 13, Desk 11, Dresser 10, ArmChair 9, Drawer 8, SideTable 7, Safe 6, Shelf 5, Cabinet 2",
        "CreditCard": "0 33 34 33 | CounterTop 15, Drawer 14, DiningTable 13, Shelf 12, Dresser 12, Desk 12, SideTable 12, ArmChair 9",
        "DeskLamp": "0 94 6 | SideTable 40, Desk 26, Dresser 25, Shelf 8",
        "HousePlant": "14 86 | Shelf 36, Cabinet 21, Desk 21, Dresser 21",
        "KeyChain": "3 34 33 30 | DiningTable 15, Dresser 14, Safe 13, Drawer 12, SideTable 12, Desk 11, Shelf 10, ArmChair 8, Cabinet 2, CounterTop 2",
        "Laptop": "0 52 35 13 | Bed 45, CounterTop 20, Desk 17, DiningTable 10, Dresser 5, ArmChair 4",
        "Mirror": "95 5 | CounterTop 100",
        "Mug": "3 39 32 25 | Desk 27, DiningTable 17, Shelf 13, Dresser 12, SideTable 12, CounterTop 10, Cabinet 9",
        "Pen": "0 29 36 35 | DiningTable 23, CounterTop 20, Desk 17, Dresser 13, SideTable 10, Shelf 9, Drawer 8, GarbageCan 1",
        "Pencil": "0 34 34 32 | DiningTable 26, CounterTop 25, Desk 13, SideTable 11, Shelf 9, Dresser 9, Drawer 7, GarbageCan 2",
        "Pillow": "0 42 48 10 | Bed 97, ArmChair 3",
        "RemoteControl": "2 38 37 23 | CounterTop 27, Desk 18, Drawer 17, DiningTable 14, Dresser 10, SideTable 7, ArmChair 6, Shelf 1",
        "Statue": "0 65 24 10 | Desk 31, Dresser 27, Shelf 25, SideTable 17",
        "TeddyBear": "25 75 | Bed 100",
        "Television": "77 23 | Dresser 100",
        "TissueBox": "0 43 34 23 | DiningTable 60, Desk 16, Drawer 10, SideTable 6, Shelf 5, Dresser 2",
        "Vase": "0 18 51 31 | Shelf 39, Dresser 32, Desk 21, SideTable 8",
        "Watch": "0 24 45 31 | DiningTable 27, Drawer 20, Desk 17, Dresser 14, Shelf 14, SideTable 9",
        "Window": "93 3 4 | Shelf 70, Dresser 30",
    },
    "Bathroom": {
        "Bathtub": "94 6 | BathtubBasin 100",
        "Candle": "3 40 33 25 | SideTable 19, Cabinet 15, CounterTop 14, Shelf 12, Toilet 12, Cart 10, Drawer 9, Dresser 9",
        "Cloth": "0 39 33 28 | Cabinet 25, BathtubBasin 22, Dresser 10, Shelf 10, Drawer 10, Cart 9, CounterTop 9, SinkBasin 3, Toilet 1",
        "DishSponge": "3 28 39 30 | Drawer 18, CounterTop 15, Cabinet 14, BathtubBasin 14, Shelf 13, Cart 11, SinkBasin 7, Toilet 4, GarbageCan 3",
        "FloorLamp": "59 0 41 | SinkBasin 100",
        "HandTowel": "0 84 16 | HandTowelHolder 96, CounterTop 4",
        "HousePlant": "0 100 | SideTable 100",
        "Mirror": "90 10 | CounterTop 100",
        "PaperTowelRoll": "19 81 | Shelf 31, CounterTop 25, Cart 20, Toilet 18, GarbageCan 6",
        "ShowerGlass": "92 8 | CounterTop 50, Shelf 50",
        "Sink": "78 19 3 | SinkBasin 65, CounterTop 35",
        "SoapBar": "3 36 32 29 | SideTable 16, Cabinet 14, Cart 11, CounterTop 11, Drawer 10, BathtubBasin 10, Shelf 9, Toilet 8, SinkBasin 7, GarbageCan 3",
        "SoapBottle": "4 41 32 23 | Cabinet 23, Dresser 20, Shelf 17, CounterTop 14, Toilet 9, Cart 7, SideTable 5, GarbageCan 3, Drawer 2",
        "SprayBottle": "0 39 29 32 | Cart 23, Cabinet 17, CounterTop 14, Dresser 11, Shelf 11, SideTable 11, Toilet 10, GarbageCan 4",
        "TissueBox": "0 47 30 22 | SideTable 43, Shelf 16, CounterTop 11, Cabinet 11, Cart 11, Drawer 7, Toilet 1",
        "ToiletPaper": "1 25 56 17 | Dresser 13, Cabinet 13, CounterTop 12, Shelf 11, Toilet 11, Cart 11, SideTable 10, Drawer 10, ToiletPaperHanger 6, GarbageCan 4",
        "Towel": "0 86 14 | TowelHolder 97, CounterTop 3",
    },
}

# Task type → room → games | weights of the objects asked for | weights of the places to bring them to (or lamps).
_TASKS = {
    "pick_and_place_simple": {
        "Bathroom": "264 | ToiletPaper 183, SoapBottle 160, SprayBottle 160, Candle 157, TissueBox 108, HandTowel 93, DishSponge 88, Cloth 32, SoapBar 19 | ToiletPaperHanger 451, Cart 300, Toilet 57, GarbageCan 41, SideTable 39, Dresser 34, Cabinet 34, CounterTop 20, Drawer 17, Shelf 9",
        "Bedroom": "237 | Watch 143, CellPhone 137, TissueBox 86, RemoteControl 81, CD 80, Book 75, KeyChain 70, Pencil 64, AlarmClock 59, Statue 58, Pen 54, CreditCard 38, Pillow 22, Mug 18, Laptop 16 | Safe 238, ArmChair 207, Desk 106, Cabinet 91, Dresser 88, Shelf 73, Bed 70, DiningTable 64, SideTable 45, Drawer 11, GarbageCan 6",
        "LivingRoom": "210 | Book 250, Newspaper 99, RemoteControl 85, KeyChain 74, Watch 58, TissueBox 57, Statue 56, Box 54, CreditCard 54, Bowl 48, Vase 48, Pillow 45, Laptop 43, Plate 29 | Safe 767, Ottoman 141, ArmChair 29, Sofa 27, Dresser 10, CoffeeTable 10, GarbageCan 8, SideTable 3, Drawer 3, Shelf 1, DiningTable 1",
        "Kitchen": "79 | Glassbottle 357, Kettle 121, WineBottle 103, PepperShaker 90, Tomato 60, ButterKnife 45, Pan 37, Egg 30, Bowl 22, Bread 22, DishSponge 22, Potato 22, SaltShaker 22, Fork 15, Lettuce 15, Knife 7, SoapBottle 7 | SideTable 953, Shelf 16, Microwave 8, Drawer 7, DiningTable 6, Cabinet 3, StoveBurner 2, Fridge 2, CounterTop 2, GarbageCan 1",
    },
    "look_at_obj_in_light": {
        "Bedroom": "257 | Watch 145, TissueBox 124, AlarmClock 88, Pillow 84, Statue 83, Vase 81, Bowl 79, CD 71, Book 65, Pencil 49, Pen 39, Laptop 37, CellPhone 19, Mug 17, CreditCard 11, KeyChain 9 | DeskLamp 1000",
        "LivingRoom": "51 | Newspaper 229, TissueBox 151, Plate 138, Box 116, Pillow 103, Watch 103, Statue 64, Vase 58, Laptop 39 | DeskLamp 1000",
    },
    "pick_clean_then_place_in_recep": {
        "Kitchen": "501 | Ladle 179, Kettle 164, Knife 52, Mug 50, Lettuce 49, Spatula 46, Pan 44, ButterKnife 43, Bowl 41, Spoon 41, Tomato 41, Apple 39, Potato 39, Egg 36, Fork 36, Plate 35, Cup 31, Pot 25, DishSponge 8 | CoffeeMachine 941, Shelf 19, SideTable 15, StoveBurner 7, DiningTable 5, Microwave 4, Cabinet 3, Fridge 2, Drawer 2, CounterTop 1, GarbageCan 1",
        "Bathroom": "149 | DishSponge 462, SoapBar 345, Cloth 193 | Cart 530, Cabinet 100, Drawer 83, Dresser 68, Shelf 62, CounterTop 62, Toilet 59, GarbageCan 35",
    },
    "pick_heat_then_place_in_recep": {
        "Kitchen": "459 | Mug 222, Cup 155, Egg 153, Potato 131, Tomato 115, Apple 113, Plate 85, Bread 26 | SideTable 317, CoffeeMachine 286, Shelf 173, Cabinet 107, Fridge 36, DiningTable 34, GarbageCan 24, CounterTop 22",
    },
    "pick_cool_then_place_in_recep": {
        "Kitchen": "533 | Mug 134, Pot 103, Bowl 88, Pan 83, Apple 79, Potato 79, Bread 72, Cup 72, WineBottle 70, Lettuce 67, Tomato 61, Egg 45, Plate 45 | CoffeeMachine 348, SideTable 218, Shelf 192, StoveBurner 78, Cabinet 43, DiningTable 43, Microwave 36, CounterTop 23, GarbageCan 19",
    },
    "pick_two_obj_and_place": {
        "Bedroom": "240 | Watch 193, CellPhone 111, TissueBox 109, Book 90, CD 69, Pen 66, Pencil 66, AlarmClock 56, KeyChain 48, Vase 43, CreditCard 42, Bowl 37, Mug 26, Pillow 23, Laptop 21 | Safe 325, Bed 120, Cabinet 116, Dresser 101, Desk 91, Drawer 56, ArmChair 46, DiningTable 43, SideTable 41, Shelf 39, GarbageCan 23",
        "Bathroom": "233 | SprayBottle 197, SoapBottle 150, ToiletPaper 146, TissueBox 137, DishSponge 121, Candle 119, HandTowel 54, SoapBar 54, Cloth 20 | Cart 719, Drawer 48, Cabinet 47, Dresser 38, SideTable 36, Toilet 35, Shelf 34, GarbageCan 26, CounterTop 17",
        "LivingRoom": "216 | CellPhone 160, Newspaper 143, TissueBox 106, Bowl 101, RemoteControl 88, CreditCard 73, Pencil 57, Vase 54, Pen 40, KeyChain 33, Watch 30, Plate 30, Book 29, Statue 21, WateringCan 12, Pillow 11, Box 6, Laptop 6 | Desk 546, Safe 273, Ottoman 147, ArmChair 14, Sofa 9, CoffeeTable 4, Dresser 2, GarbageCan 2, Drawer 1, Shelf 1, DiningTable 1, SideTable 1",
        "Kitchen": "124 | SaltShaker 157, PepperShaker 138, WineBottle 95, Glassbottle 94, Cup 88, Ladle 84, Lettuce 69, Kettle 69, Spatula 38, Spoon 31, Egg 25, Potato 25, Bread 19, Pot 19, Tomato 19, Knife 13, Pan 13, Apple 6 | Shelf 421, Microwave 112, SideTable 103, Drawer 98, Fridge 95, Cabinet 84, DiningTable 44, CounterTop 22, GarbageCan 21",
    },
}

# Room → floor plan's number → games of a thousand in this room.
_PLANS = {
    "Kitchen": "1 64, 2 36, 3 34, 4 36, 5 42, 6 36, 7 48, 8 28, 11 33, 12 33, 13 36, 14 28, 15 54, 16 34, 17 38, 18 42, 19 35, 20 47, 21 54, 22 27, 23 35, 24 30, 25 32, 26 28, 27 32, 28 21, 30 37",
    "LivingRoom": "201 45, 202 16, 203 40, 204 14, 205 18, 206 35, 207 52, 208 40, 209 61, 210 15, 211 9, 212 38, 213 26, 214 66, 216 45, 217 85, 218 39, 220 23, 221 16, 222 56, 223 26, 224 24, 225 22, 227 47, 228 23, 229 63, 230 56",
    "Bedroom": "301 29, 302 29, 303 26, 304 33, 305 22, 306 31, 307 38, 309 35, 310 73, 311 44, 312 38, 313 61, 314 24, 316 35, 317 34, 318 32, 319 33, 320 31, 321 38, 322 42, 323 31, 324 30, 326 52, 327 34, 328 29, 329 59, 330 38",
    "Bathroom": "401 37, 402 29, 403 34, 405 26, 406 22, 407 23, 408 39, 409 48, 410 31, 411 43, 412 34, 413 40, 414 37, 415 42, 416 40, 417 50, 418 37, 419 19, 420 43, 421 34, 422 25, 423 40, 426 42, 427 51, 428 46, 429 40, 430 46",
}

# Furniture of the real rooms that alfworld's floor plans do not list: floor plan's number, kind, how many.
_UNLISTED = (
    "1 Cabinet 1, 1 Drawer 1, 1 Shelf 1, 2 Drawer 4, 2 StoveBurner 2, 3 Drawer 2, 7 CounterTop 1, 11 Drawer 1, 12 Cabinet 4, 13 Cabinet 9, 13 Drawer 4, 14 Cabinet 4, 15 Cabinet 3, 16 Cabinet 6, 17 Cabinet 11, 17 Drawer 5, 18 Cabinet 3, 19 Cabinet 8, 19 Drawer 4, 20 Cabinet 2, 22 Drawer 1, 23 Cabinet 4, 23 Drawer 1, 24 Cabinet 2, 24 Drawer 1, 25 Cabinet 5, 26 Cabinet 5, 27 Cabinet 3, 28 Cabinet 2, 28 Drawer 2",
    "203 Drawer 1, 209 Drawer 1, 211 Shelf 1, 214 Shelf 1, 224 Drawer 2",
    "301 Drawer 10, 302 Drawer 1, 302 Shelf 2, 303 Drawer 2, 303 Shelf 2, 304 Drawer 2, 305 Drawer 2, 309 Drawer 1, 316 Drawer 1, 318 Drawer 3, 319 Shelf 1, 322 Drawer 2, 324 Shelf 4, 327 Drawer 1, 327 Shelf 1, 329 Drawer 2, 329 SideTable 1, 330 Drawer 2, 330 Dresser 1",
    "401 HandTowelHolder 1, 401 TowelHolder 1, 403 TowelHolder 1, 405 HandTowelHolder 1, 409 HandTowelHolder 1, 409 TowelHolder 1, 410 HandTowelHolder 1, 410 TowelHolder 1, 411 TowelHolder 1, 412 Cabinet 1, 412 HandTowelHolder 1, 413 Drawer 3, 415 HandTowelHolder 1, 415 Shelf 1, 416 HandTowelHolder 1, 418 HandTowelHolder 1, 419 Drawer 1, 420 TowelHolder 1, 421 Drawer 1, 422 CounterTop 1, 422 Drawer 1, 423 HandTowelHolder 3, 426 Drawer 1, 426 TowelHolder 1, 427 HandTowelHolder 1, 429 Shelf 1",
)

# Task type → percent of the usual weight that a receptacle kind has for the objects asked for; others have all of it.
# They stand more openly than the rest, and never where they are to be cleaned, heated or cooled.
_ASKED_FOR = {
    "pick_and_place_simple": "Cabinet 68, Drawer 51, Fridge 63, Microwave 1, Safe 12, SinkBasin 76, BathtubBasin 19",
    "look_at_obj_in_light": "Drawer 72, Safe 1",
    "pick_clean_then_place_in_recep": "Cabinet 67, Drawer 44, SinkBasin 0, BathtubBasin 77",
    "pick_heat_then_place_in_recep": "Cabinet 62, Fridge 84, Microwave 0, SinkBasin 79",
    "pick_cool_then_place_in_recep": "Cabinet 76, Fridge 0",
    "pick_two_obj_and_place": "Cabinet 67, Drawer 18, Microwave 85, Safe 44, SinkBasin 69, BathtubBasin 61",
}

TARGET_COUNTS = {1: 0.37, 2: 0.29, 3: 0.21, 4: 0.13}
"""Shares of the houses that hold 1, 2, 3 or 4 objects of the kind that the task asks for."""

TARGET_COUNTS_OF_TWO = {2: 0.47, 3: 0.32, 4: 0.21}
"""The same shares for tasks that ask for two objects."""


@cache
def task_counts(task_type: str) -> dict[str, int]:
    """Return how many games of this type there are in each room."""
    return {room: int(line.partition(" | ")[0]) for room, line in _TASKS[task_type].items()}


@cache
def task_weights(task_type: str, room: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return how often tasks of this type ask for each object kind in this room, and for each target, as weights."""
    _, things, targets = _TASKS.get(task_type, {}).get(room, "0 |  | ").split(" | ")
    return _weights(things), _weights(targets)


@cache
def asked_for(task_type: str) -> dict[str, int]:
    """Return the percent of its usual weight that a receptacle kind keeps for the objects that the task asks for.

    Kinds that keep all of it are missing.
    """
    return _weights(_ASKED_FOR[task_type])


@cache
def plan_weights(room: str) -> dict[str, int]:
    """Return the weight of each floor plan among those of its room. Plans without a train game are missing."""
    return {f"FloorPlan{number}": weight for number, weight in _weights(_PLANS[room]).items()}


@cache
def room_things(room: str) -> dict[str, tuple[dict[int, int], dict[str, int]]]:
    """Return two tables of weights for each object kind: how many there are, and which receptacle kinds they stand in."""
    things = {}
    for thing, line in _THINGS[room].items():
        counts, _, places = line.partition(" | ")
        things[thing] = (dict(enumerate(map(int, counts.split()))), _weights(places))
    return things


@cache
def unlisted(plan: str) -> tuple[tuple[str, int], ...]:
    """Return the furniture that alfworld's list of this floor plan lacks, as pairs of kind and count."""
    number = plan.removeprefix("FloorPlan")
    entries = (entry.split() for line in _UNLISTED for entry in line.split(", "))
    return tuple((kind, int(count)) for where, kind, count in entries if where == number)


def _weights(text: str) -> dict[str, int]:
    pairs = (entry.rsplit(" ", 1) for entry in text.split(", ") if entry.strip())
    return {name: int(weight) for name, weight in pairs}
