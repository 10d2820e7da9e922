"""What the code of an environment gives, as Python's own values: text_env.py asks for each of them by its meaning.

numpy's texts, numbers, booleans and arrays are taken where they convert exactly. All else is a ValueError that says
what was expected, rather than a surprise in the buffer or at the next agent: an observation of None, a reward of NaN,
"false" for a boolean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from numbers import Real
from typing import Any

import numpy as np

_SHOWN = 60
"""Characters of a value that an error message shows."""


def text(value: Any, meaning: str) -> str:
    """Return a str that can be stored: Unicode without half surrogate pairs."""
    value = _plain(value)
    if not isinstance(value, str):
        raise ValueError(f"{meaning} is a str, got {_shown(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{meaning} is Unicode, got half a surrogate pair as its character {error.start}: {_shown(value)}"
            ) from None
    return value


def reward(value: Any) -> float:
    """Return a finite float."""
    number = _plain(value)
    if not isinstance(number, Real):
        raise ValueError(f"a reward is a number, got {_shown(number)}")
    try:
        number = float(number)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"a reward is a finite number, got {_shown(value)}")
    return number


def boolean(value: Any, meaning: str) -> bool:
    """Return True or False; 1 and 0 are taken, too."""
    plain = _plain(value)
    if not (isinstance(plain, bool | int | float) and plain in (0, 1)):
        raise ValueError(f"{meaning} is True or False, got {_shown(plain)}")
    return bool(plain)


def texts(value: Any, meaning: str) -> list[str]:
    """Return a list of str. (A set is none: it has another order in another process, and a seed would mean nothing.)"""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        raise ValueError(f"{meaning} are a list of str, got {_shown(value)}")
    return [text(item, f"each of the {meaning}") for item in value]


def outcome(value: Any) -> tuple[str, float, bool]:
    """Return what `TextEnv.act` gave, checked."""
    if not isinstance(value, tuple | list) or len(value) != 3:
        several = f"{len(value)} values" if isinstance(value, tuple | list) else _shown(value)
        raise ValueError(f"expected (observation, reward, done), got {several}")
    observation, given_reward, done = value
    return text(observation, "an observation"), reward(given_reward), boolean(done, "done")


def info(value: Any) -> dict[str, Any]:
    """Return what `TextEnv.info` gave, with those of its entries that agents and buffers read as they expect them."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a dict, got {_shown(value)}")
    if "won" in value:
        raise ValueError("'won' is no entry of it: set self.won")
    plain = {key: _plain(item) for key, item in value.items()}
    for name in ("admissible_commands", "stop"):
        if plain.get(name) is not None:
            several = texts(plain[name], name)
            plain[name] = tuple(several) if isinstance(plain[name], tuple) else several
    if plain.get("action_valid") is not None:
        plain["action_valid"] = boolean(plain["action_valid"], "action_valid")
    return plain


def _plain(value: Any) -> Any:
    """Return kinds of str, numpy's scalars and arrays without dimensions as what Python has for them."""
    if isinstance(value, str):
        return str.__str__(value)  # numpy's own way would lose a last "\0"
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value


def _shown(value: Any) -> str:
    shown = "None" if value is None else f"{type(value).__name__} {value!r}"
    shown = " ".join(shown.split())
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
