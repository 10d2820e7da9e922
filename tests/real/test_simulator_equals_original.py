"""The simulator against the original engine, to the byte, on the real games; and against recorded episodes.

A few games by default. `pytest --all tests/real/test_simulator_equals_original.py` takes all of them in both dialects.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from oreo.envs.alfworld import layouts
from oreo.envs.alfworld.engine import Engine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.simulator import Simulator
from oreo.envs.alfworld.textworld_engine import TextWorldEngine

ALL = os.environ.get("OREO_ALL_GAMES", "0") not in ("", "0")
SHARED = Path(os.environ.get("OREO_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
GAMES = SHARED / "alfworld"
TRAJECTORIES = SHARED / "trajectories" / "expert_train.jsonl.xz"
needs_games = pytest.mark.skipif(not GAMES.is_dir(), reason=f"no real games at {GAMES} (set OREO_SHARED)")
needs_trajectories = pytest.mark.skipif(
    not TRAJECTORIES.is_file(), reason=f"no recorded episodes at {TRAJECTORIES} (set OREO_SHARED)"
)
SEED = 20241216
NONSENSE = ("", "  ", "go to", "LOOK", "look  around", "open {r}", "go to loc 3", "put a in/on b", "é ☃", "take", "0")


def lines_of(split: str) -> Iterator[tuple[str, str]]:
    """(name, JSON line) of every game of a split, without reading the JSON."""
    with lzma.open(GAMES / f"{split}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            found = re.search(r'"gamefile": "([^"]+)"', line)
            assert found is not None
            yield found[1], line


def read_game(line: str, dialect: str) -> Game:
    content = json.loads(line)
    domain, grammar = layouts.game_logic(dialect)
    grammar = grammar.replace("Your task is to: UNKNOWN GOAL.", content["task"])
    return Game(content["gamefile"], domain, grammar, content["pddl_problem"], content["task_type"])


def chosen_games() -> list[Game]:
    seen = [line for _, line in lines_of("valid_seen")]
    if ALL:
        return [read_game(line, dialect) for line in seen for dialect in ("put", "move")]
    chosen = random.Random(SEED).sample(seen, 6)
    return [read_game(line, ("put", "move")[number % 2]) for number, line in enumerate(chosen)]


def busy_command(commands: list[str], rng: random.Random) -> str:
    """Mostly what changes things, now and then something the game refuses."""
    if rng.random() < 0.1:
        return rng.choice([*NONSENSE, rng.choice(commands).replace("1", "2"), f" {rng.choice(commands)}\n"])
    doing = [command for command in commands if not command.startswith(("go to", "look", "inventory", "help"))]
    return rng.choice(doing if doing and rng.random() < 0.6 else commands)


def outcome(engine: Engine, said: str) -> dict[str, object]:
    facts = [fact for fact in engine.facts() if not fact.startswith("new-axiom@")]
    return {
        "said": said,
        "commands": engine.admissible_commands(),
        "won": engine.won,
        "valid": engine.valid,
        "facts": sorted(facts),
    }


def assert_equal_walks(games: Iterable[Game], steps: int) -> None:
    original, simulator = TextWorldEngine(), Simulator()
    try:
        for game in games:
            rng = random.Random(f"{SEED} {game.name} {game.dialect}")
            walked: list[str] = []
            assert outcome(simulator, simulator.reset(game)) == outcome(original, original.reset(game)), game.name
            for _ in range(steps):
                command = busy_command(simulator.admissible_commands(), rng)
                walked.append(command)
                simulated = outcome(simulator, simulator.step(command))
                assert simulated == outcome(original, original.step(command)), (game.name, game.dialect, walked)
    finally:
        original.close()


@needs_games
def test_random_walks_through_real_games_read_the_same() -> None:
    assert_equal_walks(chosen_games(), steps=60 if ALL else 12)


@needs_games
@pytest.mark.skipif(not ALL, reason="hours; run with --all")
@pytest.mark.parametrize("dialect", ["put", "move"])
def test_random_walks_through_all_training_games_read_the_same(dialect: str) -> None:
    assert_equal_walks((read_game(line, dialect) for _, line in lines_of("train")), steps=20)


@needs_games
@needs_trajectories
def test_recorded_episodes_replay_word_for_word_and_are_won() -> None:
    with lzma.open(TRAJECTORIES, "rt", encoding="utf-8") as lines:
        chosen = [json.loads(line) for number, line in enumerate(lines) if ALL or number % 100 == 0]
    wanted = {episode["gamefile"] for episode in chosen}
    games = {name: line for name, line in lines_of("train") if name in wanted}
    simulator = Simulator()
    replayed = 0
    for episode in chosen:
        if episode["gamefile"] not in games:  # one episode's game is not among the games at hand
            continue
        replayed += 1
        first, *turns = [turn["value"] for turn in episode["conversations"]]
        assert simulator.reset(read_game(games[episode["gamefile"]], "put")) == first
        for action, recorded in zip(turns[0::2], [*turns[1::2], None], strict=False):
            said = simulator.step(action)
            assert simulator.valid, (episode["gamefile"], action)
            # Whoever recorded these cut the first sentence off, and the last observation.
            assert recorded is None or re.sub(r"^You arrive at loc \d+\. ", "", said) == recorded
        assert simulator.won, episode["gamefile"]
    assert replayed >= len(chosen) - 1
