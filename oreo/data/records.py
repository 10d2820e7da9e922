"""Trajectory ↔ record: an episode in JSON types, as one line of a journal holds it.

Every value is checked on the way in and on the way out: what is appended may have been built by hand, and what is read
may have been written by anybody. A record has a key for each column of `oreo.data.tables.SCHEMA`; two of them are there
for other tools only, `length` and `episode_return`. `env_kwargs` and `extra` are JSON texts, as their keys are
anybody's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from oreo.errors import DataError
from oreo.json_text import check_values, parse
from oreo.trajectory import Candidate, Step, Trajectory

VERSION = 6
"""Of the schema; a reader refuses a higher one.

2: steps have `context_start`, 0 in what version 1 stored.
3: they have `goes_on`, False in what earlier ones stored, and episodes a `grade`, empty in those.
4: `goes_on` is called `continues_message`; steps have `cut`, False in what earlier ones stored; `versions` is a JSON
   text in place of a map; shards carry checksums (oreo.data.checksums).
5: episodes have `extra`, an empty object in what earlier ones stored, and `tokenizer`, empty there; steps have
   `token_ids`, null there.
6: steps have an `actor`, empty in what earlier ones stored, and candidates a `count`, 1 there.
"""
FORMAT = "oreo-trajectories"
ADDED = {"grade": "", "extra": "{}", "tokenizer": ""}
"""Columns that earlier versions lack, and what stands for them there."""
ADDED_TO_STEPS = {"context_start": 0, "continues_message": False, "cut": False, "token_ids": None, "actor": ""}
ADDED_TO_CANDIDATES = {"count": 1}
RENAMED = {"goes_on": "continues_message"}
"""Names of earlier versions, and what they are called now."""

Check = Callable[[Any, str], Any]
"""Takes a value and the name of its field; returns the value in its JSON type, or raises DataError."""
_ROUNDING = 1e-6
"""Of a sum that another tool may have taken in another order, or with 32 bits; in parts of the sum of what it adds."""


class Damaged(DataError):
    """A file of a buffer, or a part of one, cannot be read; the rest of the buffer can."""


class NewerVersion(Damaged):
    """A newer oreo has written this: it is whole, and nothing may be done to it."""


def check_version(where: object, version: int) -> None:
    """Raises NewerVersion where something has a schema that is not known yet."""
    if version > VERSION:
        raise NewerVersion(
            f"{where} has schema version {version}, this oreo reads up to {VERSION}; install a newer one"
        )


# Trajectory → record.


def to_record(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory in JSON types.

    Sequences become lists, and come back as tuples in the steps; in `env_kwargs` and
    `extra` they stay lists.

    Raises:
        DataError: no trajectory, or a field that is not of its type, naming it: a text that is not Unicode (it has half
            a surrogate pair), a number that is not finite, an episode that has not ended, and so on.
    """
    values = _attributes(trajectory, Trajectory, "what is appended")
    steps = _list(values["steps"], "steps")
    values["steps"] = [_step_attributes(step, f"steps[{index}]") for index, step in enumerate(steps)]
    for name in OBJECTS:
        values[name] = _encoded(values[name], name)
    return _summed(_checked(values, _EPISODE))


def _attributes(value: Any, kind: type, name: str) -> dict[str, Any]:
    if not isinstance(value, kind):
        raise DataError(f"{name} is a {kind.__name__} of oreo.trajectory, got {_shown(value)}")
    return dict(vars(value))


def _step_attributes(step: Any, name: str) -> dict[str, Any]:
    values = _attributes(step, Step, name)
    if values["candidates"]:
        candidates = enumerate(_list(values["candidates"], f"{name}.candidates"))
        values["candidates"] = [
            _attributes(candidate, Candidate, f"{name}.candidates[{at}]") for at, candidate in candidates
        ]
    return values


def _encoded(value: Any, name: str) -> str:
    """A dict as JSON text that reads back as it was, but for tuples."""
    try:
        text = json.dumps(_json(value, name, dict), ensure_ascii=False)
        check_values(text)
        return text
    except (ValueError, RecursionError) as error:  # more digits than Python writes; a dict that is in itself
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} of a trajectory cannot be stored as JSON: {error}") from None


def _json(value: Any, name: str, kind: type = object) -> Any:
    if isinstance(value, dict):
        for key in value:
            _text(key, f"a key of {name}")
        return {key: _json(item, f"{name}[{key!r}]") for key, item in value.items()}
    if kind is dict or not (value is None or isinstance(value, str | bool | int | float | list | tuple)):
        expected = "a dict" if kind is dict else "of a type that JSON has"
        raise DataError(f"{name} of a trajectory is {expected}, got {_shown(value)}")
    if isinstance(value, float):
        return _number(value, name)
    return [_json(item, f"{name}[{at}]") for at, item in enumerate(value)] if isinstance(value, list | tuple) else value


# Record → trajectory.


def checked_record(record: Any) -> dict[str, Any]:
    """A record that was read, of whatever version, as the present one has it.

    Raises:
        NewerVersion: it has fields that are not known yet.
        DataError: a field is missing, not of its type, or does not agree with the others.
    """
    if not isinstance(record, dict) or not isinstance(record.get("steps"), list):
        raise DataError("it is no record of an episode with steps")
    values = {**ADDED, **record}
    values["steps"] = [_renamed(step, f"steps[{index}]") for index, step in enumerate(values["steps"])]
    _refuse_unknown(values, {**_EPISODE, "length": None, "episode_return": None}, "")
    checked = _checked(values, _EPISODE)
    for name in OBJECTS:
        decoded(checked[name], name)
    return _summed(checked, record.get("length"), record.get("episode_return"))


def _summed(record: dict[str, Any], length: Any = None, episode_return: Any = None) -> dict[str, Any]:
    """A checked record with the two columns that follow from its others; `None` where it does not say them itself."""
    rewards = [step["reward"] for step in record["steps"]]
    total = check_sums(record["terminated"], record["truncated"], rewards, length, episode_return)
    return {**record, "length": len(rewards), "episode_return": total}


def check_sums(
    terminated: bool, truncated: bool, rewards: Sequence[float], length: Any = None, episode_return: Any = None
) -> float:
    """What the fields of one episode have to be together, whatever it comes from.

    Args:
        rewards: finite ones, of each step.
        length: what it says itself is the number of its steps, and of `episode_return`, their sum; None: nothing.

    Returns:
        The sum of the rewards.

    Raises:
        DataError: it has not ended, or says another length or return than its steps have.
    """
    if not (terminated or truncated):
        raise DataError("a trajectory that is stored has ended: set terminated or truncated (or both) to True")
    if length is not None and length != len(rewards):
        raise DataError(f"length is {length!r:.20}, and there are {len(rewards)} steps")
    total = _number(sum(rewards, start=0.0), "the sum of the rewards")
    if episode_return is not None:
        stated = _number(episode_return, "episode_return")
        if abs(stated - total) > _ROUNDING * sum(map(abs, rewards)):
            raise DataError(f"episode_return is {stated}, and the sum of the rewards is {total}")
    return total


def _renamed(step: Any, name: str) -> dict[str, Any]:
    if not isinstance(step, dict):
        raise DataError(f"{name} is no record of a step")
    values = ADDED_TO_STEPS | {str(RENAMED.get(key, key)): value for key, value in step.items()}
    _refuse_unknown(values, _STEP, f"{name}.")
    if isinstance(values.get("candidates"), list):
        values["candidates"] = [
            _completed_candidate(candidate, f"{name}.candidates[{at}]")
            for at, candidate in enumerate(values["candidates"])
        ]
    return values


def _completed_candidate(candidate: Any, name: str) -> dict[str, Any]:
    if not isinstance(candidate, dict):
        raise DataError(f"{name} is no record of a candidate")
    _refuse_unknown(candidate, _CANDIDATE, f"{name}.")
    return ADDED_TO_CANDIDATES | candidate


def _refuse_unknown(values: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> None:
    for name in values.keys() - fields.keys():
        raise NewerVersion(f"the field {where}{name} is not known to this oreo; install a newer one")


def column_of(record: Mapping[str, Any], name: str) -> Any:
    """A column of a record that is checked; "steps.cut" is the list of one field of its steps."""
    column, _, field = name.partition(".")
    return [step[field] for step in record[column]] if field else record[column]


def from_record(record: Mapping[str, Any]) -> Trajectory:
    """The inverse of `to_record`, for a record that is checked."""
    fields = {name: record[name] for name in _EPISODE if name not in ("steps", *OBJECTS)}
    objects: dict[str, Any] = {name: decoded(record[name], name) for name in OBJECTS}
    return Trajectory(steps=tuple(_step(step) for step in record["steps"]), **objects, **fields)


def _step(record: Mapping[str, Any]) -> Step:
    commands, token_ids = record["admissible_commands"], record["token_ids"]
    sequences = {
        "admissible_commands": None if commands is None else tuple(commands),
        "token_ids": None if token_ids is None else tuple(token_ids),
        "candidates": tuple(Candidate(**candidate) for candidate in record["candidates"]),
    }
    return Step(**{**record, **sequences})


def decoded(text: str, name: str) -> dict[str, Any]:
    """A JSON text that holds an object, of finite numbers."""
    try:
        value = parse(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{name} is no JSON object: {text!r:.80}")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits:.20} is no finite number")
    return number


# What each field is.


def _shown(value: Any) -> str:
    return f"{type(value).__name__}: {value!r:.80}"


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{name} of a trajectory is a str, got {_shown(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{name} of a trajectory is not Unicode text: {error.reason} ({value!r:.80})") from None
    return value


def _list(values: Any, name: str) -> list[Any]:
    if not isinstance(values, list | tuple):
        raise DataError(f"{name} of a trajectory is a tuple or a list, got {_shown(values)}")
    return list(values)


def _texts(values: Any, name: str) -> list[str]:
    values = _list(values, name)
    try:
        plain = "".join(values).isascii()  # the usual case in one go: an episode has hundreds of commands
    except TypeError:
        plain = False
    return values if plain else [_text(value, f"{name}[{at}]") for at, value in enumerate(values)]


def _token_ids(values: Any, name: str) -> list[int]:
    return [_index(value, f"{name}[{at}]") for at, value in enumerate(_list(values, name))]


def _words(values: Any, name: str) -> dict[str, str]:
    if not isinstance(values, dict):
        raise DataError(f"{name} of a trajectory is a dict of texts, got {_shown(values)}")
    return {_text(key, f"a key of {name}"): _text(value, f"{name}[{key!r}]") for key, value in values.items()}


def _number(value: Any, name: str) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if not isinstance(value, Real):
        raise DataError(f"{name} of a trajectory is a finite number, got {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise DataError(f"{name} of a trajectory is a number of 64 bits, got one beyond them") from None
    if not math.isfinite(number):
        raise DataError(f"{name} of a trajectory is a finite number, got {number}")
    return number


def _flag(value: Any, name: str) -> bool:
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_):
        raise DataError(f"{name} of a trajectory is True or False, got {_shown(value)}")
    return bool(value)


def _whole(value: Any, name: str, least: int, beyond: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) < beyond:
        raise DataError(f"{name} of a trajectory is a whole number from {least} to {beyond - 1}, got {_shown(value)}")
    return int(value)


def _index(value: Any, name: str) -> int:
    return _whole(value, name, 0, 2**31)


def _count(value: Any, name: str) -> int:
    return _whole(value, name, 1, 2**31)


def _seed(value: Any, name: str) -> int:
    return _whole(value, name, -(2**63), 2**63)


def _optional(check: Check) -> Check:
    return lambda value, name: None if value is None else check(value, name)


def _records(fields: Mapping[str, Check]) -> Check:
    """Of a list of records."""

    def check(values: Any, name: str) -> list[dict[str, Any]]:
        return [_checked(value, fields, f"{name}[{at}]") for at, value in enumerate(_list(values, name))]

    return check


def _checked(values: Any, fields: Mapping[str, Check], where: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{where} of a trajectory has the fields {', '.join(fields)}, got {_shown(values)}")
    prefix = f"{where}." if where else ""
    for name in fields.keys() - values.keys():
        raise DataError(f"{prefix}{name} of a trajectory is missing")
    return {name: check(values[name], prefix + name) for name, check in fields.items()}


_CANDIDATE: dict[str, Check] = {
    "text": _text,
    "log_prob": _optional(_number),
    "value": _optional(_number),
    "count": _count,
}
_STEP: dict[str, Check] = {
    "observation": _text,
    "action": _text,
    "reward": _number,
    "turn": _optional(_text),
    "action_valid": _optional(_flag),
    "admissible_commands": _optional(_texts),
    "log_prob": _optional(_number),
    "value": _optional(_number),
    "candidates": _records(_CANDIDATE),
    "imitate": _flag,
    "context_start": _index,
    "continues_message": _flag,
    "cut": _flag,
    "token_ids": _optional(_token_ids),
    "actor": _text,
}
TEXTS = (
    *("env_id", "task", "task_type", "game", "dialect", "agent", "checkpoint", "created", "final_observation"),
    *("grade", "tokenizer"),
)
FLAGS = ("won", "terminated", "truncated")
OBJECTS = ("env_kwargs", "extra")
"""JSON texts of objects."""
_EPISODE: dict[str, Check] = {
    **{name: _text for name in TEXTS},
    **{name: _flag for name in FLAGS},
    **{name: _text for name in OBJECTS},
    "versions": _words,
    "seed": _optional(_seed),
    "steps": _records(_STEP),
}
