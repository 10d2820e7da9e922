"""The simulator against the original engine, to the byte, on the real games; and against recorded episodes.

Each game is walked at random, with text that no game understands in between, then won by the explorer, and walked on.
A few games by default. `pytest --all tests/real/test_simulator_equals_original.py` takes all of them in both dialects,
a hundred to a test, about an hour in all, and says at the end how many games and steps were compared.
"""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from helpers.shared_data import ALL, TRAJECTORIES, game_of, lines_of, needs_games, needs_trajectories
from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.game import Game

SEED = 20241216
CHUNK = 100
COUNTS = {"valid_seen": 140, "train": 3553}
STEPS_BEFORE, STEPS_TO_WIN, STEPS_AFTER = 12, 40, 3


@cache
def named_lines(split: str) -> list[tuple[str, str]]:
    """(name, JSON line) of every game of a split, without reading the JSON."""
    return [(re.findall(r'"gamefile": "([^"]+)"', line)[0], line) for line in lines_of(split)]


def chunks() -> list[tuple[str, str, int, int]]:
    """(split, dialect, first, last) for each test: everything in hundreds, or six games of either split."""
    if ALL:
        return [
            (split, dialect, first, min(first + CHUNK, count))
            for split, count in COUNTS.items()
            for first in range(0, count, CHUNK)
            for dialect in ("put", "move")
        ]
    rng = random.Random(SEED)
    return [
        (split, dialect, first := rng.randrange(count - 3), first + 3)
        for split, count in COUNTS.items()
        for dialect in ("put", "move")
    ]


# What a language model, or somebody who wishes the game ill, may type.

STRANGE: tuple[Callable[[str, random.Random], str], ...] = (
    lambda command, rng: "",
    lambda command, rng: " \t\n ",
    lambda command, rng: command.upper(),
    lambda command, rng: command.capitalize(),
    lambda command, rng: f" \t{command}\n",  # blanks around a command do not matter
    lambda command, rng: f"\u00a0{command}\u2003",  # nor do Unicode's
    lambda command, rng: command.replace(" ", "  ", 1),
    lambda command, rng: command.replace(" ", "\u00a0"),
    lambda command, rng: command + ".",
    lambda command, rng: command.rpartition(" ")[0],
    lambda command, rng: re.sub(r"\d+", lambda number: str(int(number[0]) + 1), command),
    lambda command, rng: re.sub(r"\d+", "0", command),
    lambda command, rng: re.sub(r"(\d+)", r"0\1", command),
    lambda command, rng: re.sub(r"^(?:put|move) (.*) (?:in/on|to) (.*)", r"move \1 to \2", command),
    lambda command, rng: re.sub(r"^(?:put|move) (.*) (?:in/on|to) (.*)", r"put \1 in/on \2", command),
    lambda command, rng: " ".join(rng.sample(command.split(), len(command.split()))),
    lambda command, rng: command.translate({ord(letter): ord(letter) + 0xFEE0 for letter in "aegot"}),  # full width
    lambda command, rng: command + "\u0301",
    lambda command, rng: command.replace("i", "ı"),
    lambda command, rng: "é ☃ \U0001f600 \ud800",
    lambda command, rng: f"{command}\n{command}",
    lambda command, rng: command * 2000,
    lambda command, rng: "go to " + "a" * 100_000,
    lambda command, rng: "{o.name} #look# [a|b] \\n %s",
    lambda command, rng: "open {r}",
    lambda command, rng: "go to loc 3",
    lambda command, rng: "help",
    lambda command, rng: "examine agent1",
    lambda command, rng: "None",
)


def near_miss(commands: list[str], rng: random.Random) -> str:
    """A command with a word of another one in it."""
    words, others = rng.choice(commands).split(), rng.choice(commands).split()
    words[rng.randrange(len(words))] = rng.choice(others)
    return " ".join(words)


def busy_command(commands: list[str], rng: random.Random) -> str:
    """Mostly what changes things, one time in four something the game is likely to refuse."""
    chance = rng.random()
    if chance < 0.15:
        return rng.choice(STRANGE)(rng.choice(commands), rng)
    if chance < 0.25:
        return near_miss(commands, rng)
    doing = [command for command in commands if not command.startswith(("go to", "look", "inventory", "help"))]
    return rng.choice(doing if doing and rng.random() < 0.6 else commands)


def outcome(engine: Engine, reply: str) -> dict[str, object]:
    facts = [fact for fact in engine.facts() if not fact.startswith("new-axiom@")]
    return {
        "said": reply,
        "commands": engine.admissible_commands(),
        "won": engine.won,
        "valid": engine.valid,
        "facts": sorted(facts),
    }


def steps_until_they_differ(simulator: Simulator, original: Engine, game: Game) -> int:
    """Walk both engines through a game; returns how many steps were compared."""
    rng = random.Random(f"{SEED} {game.name} {game.dialect}")
    first = simulator.reset(game)
    assert outcome(simulator, first) == outcome(original, original.reset(game)), game.name
    explorer = Explorer(first, game.task_type, game.params, game.dialect)
    walked: list[str] = []

    def step(command: str) -> None:
        walked.append(command)
        reply = simulator.step(command)
        assert outcome(simulator, reply) == outcome(original, original.step(command)), (game.name, walked)
        explorer.observe(command.strip(), reply)

    for _ in range(STEPS_BEFORE):
        step(busy_command(simulator.admissible_commands(), rng))
    for _ in range(STEPS_TO_WIN):
        if simulator.won:
            break
        step(explorer.act())
    for _ in range(STEPS_AFTER):
        step(busy_command(simulator.admissible_commands(), rng))
    return len(walked)


@needs_games
@pytest.mark.parametrize(("split", "dialect", "first", "last"), chunks())
def test_both_engines_say_the_same_on_every_walk(
    split: str, dialect: str, first: int, last: int, record_property: Callable[[str, object], None]
) -> None:
    assert len(named_lines(split)) == COUNTS[split]
    original, simulator = TextWorldEngine(), Simulator()
    steps = 0
    try:
        for _, line in named_lines(split)[first:last]:
            steps += steps_until_they_differ(simulator, original, game_of(line, dialect))
    finally:
        original.close()
    record_property("games compared with the original", last - first)
    record_property("steps compared with the original", steps)


@needs_games
@needs_trajectories
def test_recorded_episodes_replay_word_for_word_and_are_won(
    record_property: Callable[[str, object], None],
) -> None:
    with lzma.open(TRAJECTORIES, "rt", encoding="utf-8") as lines:
        chosen = [json.loads(line) for number, line in enumerate(lines) if ALL or number % 100 == 0]
    games = dict(named_lines("train"))
    simulator = Simulator()
    replayed = steps = 0
    for episode in chosen:
        if episode["gamefile"] not in games:  # one episode's game is not among the games at hand
            continue
        replayed += 1
        first, *turns = [turn["value"] for turn in episode["conversations"]]
        assert simulator.reset(game_of(games[episode["gamefile"]], "put")) == first
        for action, recorded in zip(turns[0::2], [*turns[1::2], None], strict=False):
            reply = simulator.step(action)
            steps += 1
            assert simulator.valid, (episode["gamefile"], action)
            # Whoever recorded these cut the first sentence off, and the last observation.
            assert recorded is None or re.sub(r"^You arrive at loc \d+\. ", "", reply) == recorded
        assert simulator.won, episode["gamefile"]
    assert replayed >= len(chosen) - 1
    record_property("recorded episodes replayed", replayed)
    record_property("recorded steps replayed", steps)
