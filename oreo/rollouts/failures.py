"""What an environment did wrong, said so that its author finds the place: environment, episode, step, file and line.

    guess.py:Guess failed in episode 7, step 3: KeyError: 'fridge 9' (guess.py:41)

Episodes count from 0, as `oreo replay --episode` does; steps from 1, as the screen does.
"""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo import plugins
from oreo.envs import text_env
from oreo.errors import EngineError, OreoError

if TYPE_CHECKING:
    import gymnasium as gym


def describe_failure(
    error: BaseException, where: str, env_id: str, env: gym.Env[str, str] | None, methods: Sequence[str] = ()
) -> OreoError:
    """One line about an exception that came out of an environment; the exception itself is its cause.

    Args:
        where: such as `in episode 7, step 3`.
        env: None where it could not even be made.
        methods: what its author may have written of what was called; the place named where no line of theirs failed.
    """
    place = _place(error, env, methods)
    described: OreoError
    if isinstance(error, OreoError):
        described = type(error)(f"{env_id} {where}: {error}{place}")
    else:
        text = (str(error) or "no message").splitlines()[0]
        described = EngineError(f"{env_id} failed {where}: {type(error).__name__}: {text}{place}")
    described.__cause__ = error
    return described


def _place(error: BaseException, env: gym.Env[str, str] | None, methods: Sequence[str]) -> str:
    """` (file.py:12)`: the innermost line of the environment's own code, "" where that tells nothing.

    Of an exception that was raised outside of that code, about what it returned: where the method begins.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != plugins.__file__]
    if env is None:
        return f" ({_shown(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, OreoError) and type(env.unwrapped).__module__.startswith("oreo."):
        return ""  # the built-in worlds' errors name the file of the game
    if isinstance(error, OreoError) and frames and frames[-1].filename == text_env.__file__:
        return ""  # the base class of text worlds has named method, file and line
    own = _own_files(env)
    within = [frame for frame in frames if frame.filename in own]
    return f" ({_shown(within[-1].filename)}:{within[-1].lineno})" if within else _definition(env, own, methods)


def _definition(env: gym.Env[str, str], own: set[str], methods: Sequence[str]) -> str:
    """Where the first of the methods that the environment's author wrote begins."""
    for method in methods:
        code = getattr(getattr(type(env.unwrapped), method, None), "__code__", None)
        if code is not None and code.co_filename in own:
            return f" ({_shown(code.co_filename)}:{code.co_firstlineno})"
    return ""


def _own_files(env: gym.Env[str, str]) -> set[str]:
    """Files that hold the environment's class and its bases, but for gymnasium's and the base class of text worlds."""
    files = set()
    for base in type(env.unwrapped).__mro__:
        if base.__module__.split(".")[0] in ("gymnasium", "typing", "builtins") or base.__module__ == text_env.__name__:
            continue
        with suppress(TypeError, OSError):  # written in C, or at an interpreter's prompt
            files.add(inspect.getfile(base))
    return files


def _shown(file: str) -> str:
    """As short as it can be typed from here."""
    try:
        return str(Path(file).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


# What an environment may return.


def check_reset(returned: Any) -> tuple[str, dict[str, Any]]:
    """(observation, info) of `reset`.

    Raises:
        EngineError: it is something else.
    """
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise EngineError(f"reset returns (observation, info), got {_kind(returned)}")
    observation, info = returned
    return _text(observation, "an observation"), _info(info)


def check_step(returned: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """(observation, reward, terminated, truncated, info) of `step`.

    Raises:
        EngineError: it is something else; a reward that is no finite number.
    """
    if not isinstance(returned, tuple | list) or len(returned) != 5:
        raise EngineError(f"step returns (observation, reward, terminated, truncated, info), got {_kind(returned)}")
    observation, reward, terminated, truncated, info = returned
    return (
        _text(observation, "an observation"),
        _reward(reward),
        _flag(terminated, "terminated"),
        _flag(truncated, "truncated"),
        _info(info),
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise EngineError(f"{what} is a str, got {_kind(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise EngineError(f"{what} is not Unicode text: {error.reason} ({value[:40]!r})") from None
    return value


def _reward(value: Any) -> float:
    try:
        # Not of a str: "1" would be good, and "one" not.
        reward = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        reward = math.nan
    if not math.isfinite(reward):
        raise EngineError(f"a reward is a finite number, got {_kind(value)} {value!r:.40}")
    return reward


def _flag(value: Any, what: str) -> bool:
    try:
        if value in (True, False):  # numpy's too
            return bool(value)
    except ValueError:  # an array
        pass
    raise EngineError(f"{what} is True or False, got {_kind(value)} {value!r:.40}")


def _info(info: Any) -> dict[str, Any]:
    """Its admissible commands as a list of str, whatever sequence they were."""
    if not isinstance(info, Mapping):
        raise EngineError(f"info is a dict, got {_kind(info)}")
    commands = info.get("admissible_commands")
    if commands is None or (isinstance(commands, list | tuple) and all(type(command) is str for command in commands)):
        plain = dict(info)
    else:
        try:
            listed = [] if isinstance(commands, str | bytes) else list(commands)
        except TypeError:
            listed = []
        if not all(isinstance(command, str) for command in listed) or (not listed and not _is_empty(commands)):
            raise EngineError(f"admissible_commands is a list of str, got {_kind(commands)} {commands!r:.40}")
        plain = {**info, "admissible_commands": [str(command) for command in listed]}
    if plain.get("admissible_commands"):
        _text("".join(plain["admissible_commands"]), "an admissible command")
    for name in ("task", "task_type", "game", "dialect", "grade"):
        if plain.get(name):
            _text(str(plain[name]), name)
    for name in ("won", "action_valid"):  # by truth value, "no" would be a win
        if plain.get(name) is not None:
            plain[name] = _flag(plain[name], f"info[{name!r}]")
    return plain


def _is_empty(commands: Any) -> bool:
    return not isinstance(commands, str | bytes) and hasattr(commands, "__len__") and len(commands) == 0


def _kind(value: Any) -> str:
    """A value by its type: what was returned may be long, or unprintable."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
