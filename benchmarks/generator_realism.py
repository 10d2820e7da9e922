"""Generated games beside the real train split: size of the rooms, what stands where, what is asked, how long it takes.

    python benchmarks/generator_realism.py --data $ALFWORLD_DATA
    python benchmarks/generator_realism.py --data $ALFWORLD_DATA --games 300 --small      the default, small houses

Counted in a game's initial state: receptacles, objects in receptacles (a real pan on two burners is one object), those
behind closed doors. (Counting lines of the whole problem, goal included, gives about one more of each: 24.7 receptacles
and 33.3 objects for the real split instead of 23.5 and 31.5.) Real games are all in the tables, except where experts
play: there it is as many as were generated, drawn at random.

Words and marks are counted in the texts of an episode of alfworld's hand-coded expert: welcome and first observation,
its actions, all feedback without "You arrive at loc 5."; lower-cased, each run of letters and digits one, each other
sign one. Its recorded episodes of the train split have 441 of them, and 179 different ones, by this count.

Distances: total variation for shares (0 same, 1 nothing in common); Kolmogorov–Smirnov (the largest gap between the
cumulative shares) and Wasserstein (the mean shift, in units of the count) for counts; difference of means, relative to
the real one. Beside each stands "chance": the same distance between two random samples of the real split, one of as
many games as were generated (at most half), the other the rest. Nothing that is drawn can be expected to come closer.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from oreo.envs.alfworld.data.games import find_data, load_game, open_split
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.experts.handcoded import HandCodedExpert
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import REALISTIC, generate_game
from oreo.envs.alfworld.generation.settings import room_of
from oreo.envs.alfworld.package_data import ROOMS
from oreo.errors import OreoError

MOST_STEPS = 150


@dataclass(frozen=True)
class Facts:
    """What a game's initial state and its task say."""

    game: Game
    room: str
    furniture: dict[str, str]
    """Receptacle → kind."""
    things: dict[str, str]
    """Object in a receptacle → kind."""
    places: list[tuple[str, str]]
    """(object, receptacle)."""
    spots: dict[str, str]
    openable: set[str]

    @property
    def asked(self) -> str:
        return str(self.game.params["object_target"])

    @property
    def target(self) -> str:
        return str(self.game.params["parent_target"] or self.game.params["toggle_target"])


def read(game: Game) -> Facts:
    facts: dict[str, list[list[str]]] = defaultdict(list)
    for line in re.findall(r"\(([^()]*)\)", game.pddl_problem.partition("(:init")[2].partition("(:goal")[0]):
        predicate, *names = line.split()
        facts[predicate].append(names)
    kinds = {thing: kind.removesuffix("Type") for thing, kind in facts["objectType"]}
    return Facts(
        game=game,
        room=room_of(game.floor_plan),
        furniture={place: kind.removesuffix("Type") for place, kind in facts["receptacleType"]},
        things={thing: kinds[thing] for thing, _ in facts["inReceptacle"]},
        places=[(thing, place) for thing, place in facts["inReceptacle"]],
        spots=dict(facts["receptacleAtLocation"]),  # type: ignore[arg-type]
        openable={place for (place,) in facts["openable"]},
    )


# Counts: game → number. Shares: game → whatever there is, several times as it may be.

COUNTS: dict[str, Callable[[Facts], float]] = {
    "receptacles": lambda facts: len(facts.furniture),
    "kinds of receptacles": lambda facts: len(set(facts.furniture.values())),
    "objects": lambda facts: len(facts.things),
    "kinds of objects": lambda facts: len(set(facts.things.values())),
    "objects of the kind asked for": lambda facts: list(facts.things.values()).count(facts.asked),
    "receptacles of the target's kind": lambda facts: list(facts.furniture.values()).count(facts.target),
    "empty receptacles, %": lambda facts: 100 - percent({place for _, place in facts.places}, facts.furniture),
    "receptacles that open, %": lambda facts: percent(facts.openable, facts.furniture),
    "receptacles that share a spot, %": lambda facts: percent(sharing(facts.spots), facts.furniture),
    "objects behind doors, %": lambda facts: percent([o for o, p in facts.places if p in facts.openable], facts.places),
    "objects in the fullest receptacle": lambda facts: max(Counter(place for _, place in facts.places).values()),
}

SHARES: dict[str, Callable[[Facts], list[Any]]] = {
    "task types": lambda facts: [facts.game.task_type],
    "rooms": lambda facts: [facts.room],
    "floor plans": lambda facts: [facts.game.floor_plan],
    "receptacle kinds": lambda facts: list(facts.furniture.values()),
    "object kinds": lambda facts: list(facts.things.values()),
    "objects asked for": lambda facts: [facts.asked],
    "targets": lambda facts: [facts.target],
}


def percent(some: Sequence[Any] | set[str], everything: Sequence[Any] | dict[str, str]) -> float:
    return 100 * len(some) / len(everything)


def sharing(spots: dict[str, str]) -> set[str]:
    count = Counter(spots.values())
    return {place for place, spot in spots.items() if count[spot] > 1}


def total_variation(some: Counter[Any], others: Counter[Any]) -> float:
    sizes = max(1, some.total()), max(1, others.total())
    return sum(abs(some[key] / sizes[0] - others[key] / sizes[1]) for key in {*some, *others}) / 2


def counted(facts: Sequence[Facts], what: Callable[[Facts], list[Any]]) -> Counter[Any]:
    return Counter(item for game_facts in facts for item in what(game_facts))


def apart(real: Sequence[Facts], made: Sequence[Facts], by: Callable[[Facts], list[tuple[Any, Any]]]) -> dict[Any, Any]:
    """First of each pair → (how many real ones, total variation of what follows it)."""
    pairs = counted(real, by), counted(made, by)
    split: list[dict[Any, Counter[Any]]] = [defaultdict(Counter), defaultdict(Counter)]
    for counts, side in zip(pairs, split, strict=True):
        for (first, second), count in counts.items():
            side[first][second] += count
    return {key: (split[0][key].total(), total_variation(split[0][key], split[1][key])) for key in split[0]}


def weighted_mean(distances: dict[Any, Any]) -> float:
    return float(np.average([away for _, away in distances.values()], weights=[n for n, _ in distances.values()]))


def placements(facts: Facts) -> list[tuple[str, str]]:
    return [(facts.things[thing], facts.furniture[place]) for thing, place in facts.places]


def distances(real: Sequence[Facts], made: Sequence[Facts]) -> dict[tuple[str, str], float]:
    """(what, which distance) → value."""
    measured: dict[tuple[str, str], float] = {}
    for name, count in COUNTS.items():
        measured |= of_numbers(name, [count(each) for each in real], [count(each) for each in made])
    for name, what in SHARES.items():
        measured[name, "total variation"] = total_variation(counted(real, what), counted(made, what))
    tv = "total variation, mean over "
    measured["receptacle kinds objects stand in", tv + "object kinds"] = weighted_mean(apart(real, made, placements))
    for name, what in (("objects asked for", "asked"), ("targets", "target")):
        pairs = partial(lambda facts, what: [(facts.game.task_type, getattr(facts, what))], what=what)
        measured[name, tv + "task types"] = weighted_mean(apart(real, made, pairs))
    return measured


def of_numbers(name: str, real: Sequence[float], made: Sequence[float]) -> dict[tuple[str, str], float]:
    grid = np.unique(np.concatenate([real, made]))
    below = [np.searchsorted(np.sort(sample), grid, side="right") / len(sample) for sample in (real, made)]
    gap = np.abs(below[0] - below[1])
    return {
        (name, "Kolmogorov–Smirnov"): float(gap.max()),
        (name, "Wasserstein"): float((gap[:-1] * np.diff(grid)).sum()),
        (name, "difference of means, %"): 100 * (float(np.mean(made)) / float(np.mean(real)) - 1),
    }


# Playing.


@dataclass(frozen=True)
class Episode:
    won: bool
    steps: int
    words: tuple[str, ...]


def words_and_marks(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower())]


def play(game: Game, handcoded: bool) -> Episode:
    simulator = Simulator()
    observation = simulator.reset(game)
    explorer = Explorer(observation, game.task_type, game.params, game.dialect)
    expert = HandCodedExpert(game, observation, seed=0) if handcoded else None
    texts = [observation]
    while not simulator.won and len(texts) < 2 * MOST_STEPS:
        action = expert.action if expert else explorer.act()
        feedback = simulator.step(action)
        if expert:
            expert.observe(action, feedback, simulator.admissible_commands(), simulator)
        else:
            explorer.observe(action, feedback)
        texts += [action, re.sub(r"^You arrive at loc \d+\. ", "", feedback)]
    return Episode(simulator.won, len(texts) // 2, tuple(words_and_marks(texts)))


# Printing.


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f}  ({np.percentile(values, 5):.0f} to {np.percentile(values, 95):.0f})"


def rooms_table(real: Sequence[Facts], made: Sequence[Facts]) -> Table:
    table = Table("a room", "real train", "generated", title="Mean (5th to 95th percentile)", title_justify="left")
    for name, count in COUNTS.items():
        table.add_row(name, *(spread([count(facts) for facts in side]) for side in (real, made)))
    for room in ROOMS:
        table.add_section()
        for name in ("receptacles", "objects"):
            sides = ([COUNTS[name](facts) for facts in side if facts.room == room] for side in (real, made))
            table.add_row(f"{name}, {room}", *(spread(side) if side else "none" for side in sides))
    return table


def shares_table(real: Sequence[Facts], made: Sequence[Facts], name: str, most: int) -> Table:
    table = Table(name, "real train", "generated", title="Percent", title_justify="left")
    sides = [counted(side, SHARES[name]) for side in (real, made)]
    for key, _ in sides[0].most_common(most):
        table.add_row(key, *(f"{100 * side[key] / side.total():.1f}" for side in sides))
    return table


def placement_table(real: Sequence[Facts], made: Sequence[Facts], most: int) -> Table:
    title = "Where objects stand: the kinds furthest from the real ones (of those with 1 % of all objects or more)"
    table = Table("object", "total variation", "real train, %", "generated, %", title=title, title_justify="left")
    away = apart(real, made, placements)
    least = sum(count for count, _ in away.values()) / 100
    worst = sorted((kind for kind in away if away[kind][0] >= least), key=lambda kind: -away[kind][1])[:most]
    sides = [counted(side, placements) for side in (real, made)]
    for kind in worst:
        cells = []
        for side in sides:
            places = Counter({place: count for (thing, place), count in side.items() if thing == kind})
            cells.append(", ".join(f"{place} {100 * n / places.total():.0f}" for place, n in places.most_common(4)))
        table.add_row(kind, f"{away[kind][1]:.3f}", *cells)
    return table


def episodes_table(played: dict[str, list[list[Episode]]]) -> Table:
    table = Table("experts", "real train", "generated", title="Mean (5th to 95th percentile)", title_justify="left")
    for name, sides in played.items():
        table.add_row(f"{name}: won", *(f"{sum(each.won for each in side)} of {len(side)}" for side in sides))
        table.add_row(f"{name}: steps", *(spread([each.steps for each in side if each.won]) for side in sides))
    sides = played["hand-coded"]
    table.add_row("words and marks an episode", *(spread([len(each.words) for each in side]) for side in sides))
    table.add_row("vocabulary", *(str(len({word for each in side for word in each.words})) for side in sides))
    return table


def distances_of_play(real: dict[str, list[Episode]], made: dict[str, list[Episode]]) -> dict[tuple[str, str], float]:
    measured: dict[tuple[str, str], float] = {}
    for name in real:
        steps = [[episode.steps for episode in side if episode.won] for side in (real[name], made[name])]
        measured |= of_numbers(f"steps of the {name} expert", *steps)
    sides = real["hand-coded"], made["hand-coded"]
    measured |= of_numbers("words and marks", *([len(episode.words) for episode in side] for side in sides))
    measured["words and marks", "total variation"] = total_variation(
        *(Counter(word for episode in side for word in episode.words) for side in sides)
    )
    return measured


def distances_table(measured: dict[tuple[str, str], float], chance: dict[tuple[str, str], float]) -> Table:
    table = Table("what", "distance", title="Distances, generated from real", title_justify="left")
    table.add_column("generated", justify="right")
    table.add_column("chance", justify="right")
    for (what, name), value in measured.items():
        digits = 1 if "%" in name else 3
        by_chance = chance.get((what, name))
        table.add_row(what, name, f"{value:.{digits}f}", "" if by_chance is None else f"{by_chance:.{digits}f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real games; default: ALFWORLD_DATA")
    parser.add_argument("--games", type=int, default=1000, help="how many to generate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="the generator's default houses, not the realistic ones")
    parser.add_argument("--brief", action="store_true", help="the distances only")
    args = parser.parse_args()
    try:
        folder = find_data(args.data)
        real = [read(load_game(folder, entry.name)) for entry in open_split(folder, "train")]
    except OreoError as error:
        raise SystemExit(f"The real train split is needed to compare with. {error}") from None
    settings = {} if args.small else REALISTIC
    made = [read(generate_game(index, seed=args.seed, **settings)) for index in range(args.games)]
    shuffled = random.Random(args.seed).sample(real, len(real))
    sample, others = shuffled[: min(len(made), len(real) // 2)], shuffled[min(len(made), len(real) // 2) :]

    experts = {"explorer": False, "hand-coded": True}
    sides = {"real": sample, "made": made[: len(sample)], "rest": others[: len(sample)]}
    played = {
        side: {name: [play(facts.game, handcoded) for facts in games] for name, handcoded in experts.items()}
        for side, games in sides.items()
    }
    console = Console(width=140)
    if not args.brief:
        console.print(f"{len(real)} real games (train), {len(made)} generated; seed {args.seed}")
        console.print(rooms_table(real, made))
        console.print(shares_table(real, made, "task types", 6))
        console.print(shares_table(real, made, "receptacle kinds", 12))
        console.print(placement_table(real, made, 8))
        console.print(episodes_table({name: [played["real"][name], played["made"][name]] for name in experts}))
    measured = distances(real, made) | distances_of_play(played["real"], played["made"])
    chance = distances(others, sample) | distances_of_play(played["rest"], played["real"])
    console.print(distances_table(measured, chance))


if __name__ == "__main__":
    main()
