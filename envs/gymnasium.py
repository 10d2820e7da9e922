"""Environments that gymnasium has registered, with words for what they show and what can be done (`gymnasium:ID`).

Words are a record of a few things, shipped for FrozenLake, Taxi and Blackjack. For any other environment
with few actions they are a dozen lines of the user's own: `gymnasium:ID` with words="file.py:WORDS".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from oreo.envs.text_env import TextEnv
from oreo.envs.text_space import TextSpace
from oreo.errors import EngineError, UsageError
from oreo.field_docs import document_fields
from oreo.plugins import load_module, load_object, reason, split_spec

MOST_ACTIONS = 50
"""A table of words for more actions than these is no table any more."""
_DISCOUNT = 0.99
"""Of the expert's value iteration: it prefers sooner, and gives up no goal within a hundred steps."""


@document_fields
@dataclass(frozen=True)
class Words:
    """What an environment's numbers are called."""

    actions: tuple[str, ...]
    """The words for actions 0, 1, …; of a Discrete space that starts elsewhere, from there on."""
    observe: Callable[[Any, Any], str]
    """(observation, the unwrapped environment) -> text."""
    task: str = ""
    """What is to be done."""
    admissible: Callable[[Any, dict[str, Any]], Sequence[int]] | None = None
    """(observation, info) -> places in `actions` of those that do something now; None: all always do."""
    won: Callable[[Any, Any], bool] | None = None
    """(observation, the unwrapped environment) -> whether the episode is won as it stands; None: it is where it ends by
    itself with a positive reward."""


class GymnasiumEnv(TextEnv):
    """Environments registered with gymnasium, their numbers given words.

        oreo.envs.make("gymnasium:FrozenLake-v1", is_slippery=False)
        oreo.envs.make("gymnasium:minigrid:MiniGrid-Empty-5x5-v0", words="describe.py:WORDS")

    Rewards are the environment's; an episode is won where its words say so, or where it ends by itself with a positive
    reward. Environments whose transitions are known (a table `P`: FrozenLake, Taxi, CliffWalking) have an expert, by
    value iteration.

    Args:
        id: as `gymnasium.make` takes it, with a module before it where that registers it.
        words: path/to/file.py:NAME or module:NAME of a `Words`; None: what comes with oreo, by the id.
        settings: arguments of the environment, such as map_name="8x8".
    Raises:
        UsageError: no such environment, or no words for it, or words that do not fit.
    """

    max_steps: int | None = None

    def __init__(self, id: str, words: str | None = None, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(render_mode)
        self._inner = _make(id, settings)
        self.max_steps = gym.spec(split_spec(id)[1]).max_episode_steps
        self.words = _words(id, words)
        if self.words is None:
            for space in (self._inner.observation_space, self._inner.action_space):
                if not isinstance(space, gym.spaces.Text | TextSpace):
                    raise UsageError(
                        f"{id} has no words for {space}: write a table of them (oreo.envs.gymnasium.Words) and say "
                        f"--env-arg words=path/to/file.py:NAME; there are words for {', '.join(WORDS)}"
                    )
        else:
            _check(id, self.words, self._inner.action_space)
        self._id = id
        self._policy: Any = None
        self._seen: Any = None
        self._told: dict[str, Any] = {}
        self._valid: bool | None = True
        self._cut = False

    def start(self, rng: np.random.Generator) -> str:  # type: ignore[override]
        self._seen, self._told = self._inner.reset(seed=int(rng.integers(2**31)))
        self._valid, self._cut = True, False
        return self._observed()

    def act(self, text: str) -> tuple[str, float, bool]:
        action: Any = text
        if self.words is not None:
            word = text.strip()
            self._valid = word in self.words.actions
            if not self._valid:
                return f"You can say: {', '.join(self.words.actions)}.", 0.0, False
            action = self._first_action() + self.words.actions.index(word)
        self._seen, reward, terminated, self._cut, self._told = self._inner.step(action)
        if self.words is not None and self.words.won is not None:
            self.won = bool(self.words.won(self._seen, self._inner.unwrapped))
        return self._observed(), float(reward), bool(terminated)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """As `TextEnv.step`; some environments cut their episodes off by themselves."""
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, bool(self._cut), info

    def info(self) -> dict[str, Any]:
        if self.words is None:
            names = ("task", "admissible_commands", "action_valid")
            return {name: self._told[name] for name in names if name in self._told}
        told: dict[str, Any] = {"task": self.words.task, "action_valid": self._valid}
        if self.words.admissible is None:
            return told | {"admissible_commands": list(self.words.actions)}
        places = self.words.admissible(self._seen, self._told)
        commands = [self.words.actions[place] for place in places]
        return told | ({"admissible_commands": commands} if commands else {})

    def expert_action(self) -> str:
        """The action of the highest value, where the environment's transitions are known."""
        table = getattr(self._inner.unwrapped, "P", None)
        if table is None or self.words is None:
            raise UsageError(f"{self._id} has no expert: its transitions are not known; choose another agent")
        if self._policy is None:
            self._policy = best_actions(table)
        return self.words.actions[int(self._policy[int(self._seen)])]

    def snapshot(self) -> Any:
        """A copy of the whole environment, for those that can be copied."""
        try:
            inner = copy.deepcopy(self._inner)
        except Exception as error:
            raise UsageError(f"{self._id} needs to be copied for a snapshot, and cannot be: {reason(error)}") from error
        return inner, copy.deepcopy((self._seen, self._told)), (self._valid, self._cut, self._text, self.won)

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot, any number of times."""
        inner, seen, (self._valid, self._cut, self._text, self.won) = snapshot
        self._inner = copy.deepcopy(inner)
        self._seen, self._told = copy.deepcopy(seen)

    def close(self) -> None:
        self._inner.close()

    def _observed(self) -> str:
        return str(self._seen) if self.words is None else self.words.observe(self._seen, self._inner.unwrapped)

    def _first_action(self) -> int:
        return int(getattr(self._inner.action_space, "start", 0))


def _make(id: str, settings: dict[str, Any]) -> gym.Env[Any, Any]:
    module, name = split_spec(id)
    if module:
        load_module(module)
    try:
        return gym.make(
            name, max_episode_steps=-1, disable_env_checker=True, **settings
        )  # the limit is set by oreo.envs.make
    except (gym.error.Error, ImportError) as error:
        raise UsageError(f"gymnasium cannot make {id!r}: {' '.join(str(error).split())}") from error
    except TypeError as error:
        raise UsageError(f"gymnasium cannot make {id!r} with {settings}: {' '.join(str(error).split())}") from error


def _words(id: str, words: str | None) -> Words | None:
    if words is None:
        return WORDS.get(split_spec(id)[1].rpartition("/")[2].partition("-v")[0])
    table = load_object(words)
    if not isinstance(table, Words):
        raise UsageError(f"{words} is a {type(table).__name__}: expected an oreo.envs.gymnasium.Words")
    return table


def _check(id: str, words: Words, actions: gym.Space[Any]) -> None:
    if not isinstance(actions, gym.spaces.Discrete) or actions.n > MOST_ACTIONS:
        raise UsageError(f"{id}: words go with at most {MOST_ACTIONS} actions that are numbered, and it has {actions}")
    if len(words.actions) != actions.n or len(set(words.actions)) != len(words.actions):
        raise UsageError(f"{id} has {actions.n} actions, and there are words for {len(set(words.actions))}")


def best_actions(table: Any, sweeps: int = 2_000, tolerance: float = 1e-10) -> np.ndarray[Any, Any]:
    """The best action in each state, by value iteration (Sutton and Barto, equation 4.10).

    Args:
        table: table[state][action] is a list of (probability, next state, reward, whether the episode ends).
    Returns:
        [number of states] whole numbers.
    """
    states, actions = len(table), len(table[0])
    rows = [
        (state, action, probability, following, reward, 0.0 if ends else _DISCOUNT)
        for state in range(states)
        for action in range(actions)
        for probability, following, reward, ends in table[state][action]
    ]
    state, action, probability, following, reward, discount = (np.array(column) for column in zip(*rows, strict=True))
    values = np.zeros(states)
    for _ in range(sweeps):
        gains = np.zeros((states, actions))
        np.add.at(gains, (state, action), probability * (reward + discount * values[following]))
        if np.abs(gains.max(1) - values).max() < tolerance:
            return np.asarray(gains.argmax(1))
        values = gains.max(1)
    raise EngineError(f"value iteration has not come to an end after {sweeps} sweeps")


# The words that come with oreo.


def _on_a_map(place: int, env: Any, names: dict[str, str]) -> str:
    rows = [[cell.decode() if isinstance(cell, bytes) else str(cell) for cell in row] for row in env.desc]
    row, column = divmod(int(place), len(rows[0]))
    beneath = names[rows[row][column]]
    rows[row][column] = "@"
    picture = "\n".join("".join(line) for line in rows)
    return f"{picture}\nYou (@) are in row {row}, column {column}, {beneath}."


def _frozen_lake(place: Any, env: Any) -> str:
    names = {"S": "at the start", "F": "on the ice", "H": "in a hole", "G": "at the goal"}
    return _on_a_map(place, env, names)


_STOPS = ("red", "green", "yellow", "blue", "in the taxi")
_STOP_PLACES = ((0, 0), (0, 4), (4, 0), (4, 3))


def _taxi(state: Any, env: Any) -> str:
    row, column, passenger, goal = env.decode(int(state))
    stop = next((f" at {_STOPS[i]}" for i, place in enumerate(_STOP_PLACES) if place == (row, column)), "")
    wall = "\n".join(b"".join(line).decode() for line in env.desc)
    waits = "is in the taxi" if passenger == 4 else f"waits at {_STOPS[passenger]}"
    return (
        f"{wall}\nYour taxi is in row {row}, column {column}{stop}. The passenger {waits} and goes to {_STOPS[goal]}."
    )


def _blackjack(hand: Any, env: Any) -> str:
    mine, dealer, ace = (int(value) for value in hand)
    usable = ", with an ace that counts as 11" if ace else ""
    return f"Your cards are worth {mine}{usable}. The dealer shows {'an ace' if dealer == 1 else f'a {dealer}'}."


def _unmasked(seen: Any, info: dict[str, Any]) -> Sequence[int]:
    mask = info.get("action_mask")
    return range(6) if mask is None else [place for place, open_ in enumerate(mask) if open_]


WORDS = {
    "FrozenLake": Words(
        ("left", "down", "right", "up"), _frozen_lake, "reach the goal G over the ice F, and fall into no hole H"
    ),
    "FrozenLake8x8": Words(
        ("left", "down", "right", "up"), _frozen_lake, "reach the goal G over the ice F, and fall into no hole H"
    ),
    "Taxi": Words(
        ("south", "north", "east", "west", "pick up", "drop off"),
        _taxi,
        "pick the passenger up and drop them off where they want to go",
        _unmasked,
    ),
    "Blackjack": Words(("stick", "hit"), _blackjack, "come closer to 21 than the dealer, and not over it"),
}
"""By the name of the environment, without its version."""
