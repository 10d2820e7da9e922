"""The two dialects of ALFWorld's games, and what is said in one of them said in the other.

    swap("put mug 1 in/on shelf 2")           # "move mug 1 to shelf 2", and back
    in_dialect(game, "move")                  # the same game, played in the other dialect
    translate(trajectory, "move")             # a whole episode, actions and observations

"put" is what the data of before alfworld 0.4 speaks, "move" what newer data does. They differ in the words for putting
down and in where one arrives ("loc 5" or "cabinet 2"); only "move" has a command `help`, which the other refuses; and
in "put" one may also clean at a sink that is no basin, which no real game has. Texts are swapped, not rewritten: the
words of the other dialect, which a game refuses, are exchanged too, so that they stay refused and nothing is lost on
the way back.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.engine import REFUSED
from oreo.envs.alfworld.engines.grammar import Grammar, Literal, parse_grammar
from oreo.envs.alfworld.engines.pddl import action_digests
from oreo.envs.alfworld.game import DIALECTS, Game, check_dialect, split_at_task, swap
from oreo.envs.alfworld.generation.settings import is_generated, parse_name
from oreo.errors import DataError, UsageError

if TYPE_CHECKING:
    from oreo.trajectory import Step, Trajectory

_ARRIVAL = re.compile(r"You arrive at ([a-z]+ \d+)\. ")
_GOING = re.compile(r"go to ([a-z]+ \d+)")


def in_dialect(game: Game, dialect: str) -> Game:
    """The game with the logic of the dialect asked for: the same world and task in other words.

    A real game keeps its name; that of a generated one says the dialect.

    Raises:
        UsageError: an unknown dialect, or a game with a logic of its own, whose other dialect nobody has written.
    """
    check_dialect(dialect)
    if game.dialect == dialect:
        return game
    own = split_at_task(game.grammar)
    if own is None or _logic(game.pddl_domain, game.grammar) != _logic(*package_data.game_logic(game.dialect)):
        raise UsageError(f"{game.name} has game logic of its own: it can only be played as it is, in {game.dialect!r}")
    domain, grammar = package_data.game_logic(dialect)
    frame = split_at_task(grammar)
    assert frame is not None, "the task has a place in the grammars of both dialects"
    return replace(game, name=_renamed(game.name, dialect), pddl_domain=domain, grammar=f"{frame[0]}{own[1]}{frame[2]}")


def _renamed(name: str, dialect: str) -> str:
    return str(replace(parse_name(name), dialect=dialect)) if is_generated(name) else name


def warn_of_the_other_dialect(dialect: str) -> None:
    """Tell whoever watches that a refused command would be right in the other dialect. Python shows it once."""
    own, other = ("put X in/on Y", "move X to Y") if dialect == "put" else ("move X to Y", "put X in/on Y")
    warnings.warn(
        f"these games say {own!r} and refuse the agent's {other!r}: make the environment with "
        f"dialect={'move' if dialect == 'put' else 'put'!r}, or train on episodes in their dialect, {dialect!r} "
        "(`oreo buffer translate`)",
        stacklevel=2,
    )


def _logic(domain: str, grammar: str) -> tuple[dict[str, str], Grammar]:
    """Return what matters of a game's logic: not its task, not comments, and not the layout of the text."""
    head, _, tail = split_at_task(grammar) or (grammar, "", "")
    return _read(domain, head + tail)


@lru_cache(maxsize=16)
def _read(domain: str, grammar: str) -> tuple[dict[str, str], Grammar]:
    return action_digests(domain), parse_grammar(grammar)


def translate(trajectory: Trajectory, to: str, game: Game | None = None) -> Trajectory:
    """An episode as it would have read in the other dialect: actions, turns, candidates, commands and observations.

    Log-probabilities and values stay, and are those of the text that was written. `env_kwargs` says the new dialect.

    Args:
        to: "put" or "move".
        game: the game that was played. Needed from "move" to "put" only, where an agent went somewhere: the numbers in
            "You arrive at loc 5." are known to nobody else.
    Raises:
        UsageError: an unknown dialect, an episode that does not say its own, or a game that is needed and missing.
        DataError: another game than the one that was played.
    """
    check_dialect(to)
    if trajectory.dialect == to:
        return trajectory
    if trajectory.dialect not in DIALECTS:
        raise UsageError(f"{trajectory!r} does not say its dialect: only episodes of ALFWorld can be translated")
    actions = [step.action for step in trajectory.steps]
    locations = _locations(game) if game is not None and to == "put" else None
    observations = [step.observation for step in trajectory.steps] + [trajectory.final_observation]
    translated = [swap(observations[0])] + [
        _answer(action, observation, to, locations)
        for action, observation in zip(actions, observations[1:], strict=True)
    ]
    return replace(
        trajectory,
        steps=tuple(_step(step, text, to) for step, text in zip(trajectory.steps, translated, strict=False)),
        final_observation=translated[-1],
        env_kwargs=trajectory.env_kwargs | {"dialect": to},
        game=_renamed(trajectory.game, to),
        dialect=to,
        tokenizer="",
    )


def _step(step: Step, observation: str, to: str) -> Step:
    commands = step.admissible_commands
    if commands is not None:
        commands = tuple(sorted({*map(swap, commands), "help"} - ({"help"} if to == "put" else set())))
    valid = step.action_valid
    if step.action.strip() == "help" and valid is not None:
        valid = to == "move"
    return replace(
        step,
        observation=observation,
        action_valid=valid,
        action=swap(step.action),
        turn=None if step.turn is None else swap(step.turn),
        admissible_commands=commands,
        candidates=tuple(replace(candidate, text=swap(candidate.text)) for candidate in step.candidates),
        token_ids=None,  # those of other words
    )


def _answer(action: str, observation: str, to: str, locations: dict[str, str] | None) -> str:
    """Return what the game says to an action, in the other dialect."""
    if action.strip() == "help":
        return _help() if to == "move" else REFUSED
    observation = swap(observation)
    arrival, going = _ARRIVAL.match(observation), _GOING.fullmatch(action.strip())
    if arrival is None or going is None:
        return observation
    if to == "move":
        where = going[1]
    elif locations is None:
        raise UsageError(f"{observation[:40]!r}: the dialect 'put' names a location here, which only the game knows")
    elif going[1] not in locations:
        raise DataError(f"{action!r}: there is no such place in the game given; is it the one that was played?")
    else:
        where = locations[going[1]]
    return f"You arrive at {where}. {observation[arrival.end() :]}"


@lru_cache(maxsize=1)
def _help() -> str:
    """Return what "move" answers to `help`."""
    grammar = parse_grammar(package_data.game_logic("move")[1])
    (production,) = grammar.productions("help.feedback")
    return "".join(symbol.text for symbol in production.symbols if isinstance(symbol, Literal))


def _locations(game: Game) -> dict[str, str]:
    """The name of each receptacle -> that of the location it is at."""
    from oreo.envs.alfworld.engines.simulator import Simulator

    simulator = Simulator()
    simulator.reset(game)
    return {name: place["location"] for name, place in simulator.state()["receptacles"].items()}
