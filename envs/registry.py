"""From a name to an environment: ids, other people's entry points, `path/to/file.py:Class`, `module:Class`.

To ship an environment with this package, add its line to `BUILT_IN`. Other packages add theirs in their pyproject.toml
and need nothing of ours but the group's name:

    [project.entry-points."oreo.envs"]
    "cooks/Soup-v0" = "cooks.soup:SoupEnv"
"""

from __future__ import annotations

import copy
import importlib.metadata
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oreo.errors import EngineError, OreoError, UsageError, did_you_mean
from oreo.plugins import get_object, is_file, load_module, load_object, own_names, reason, split_spec

if TYPE_CHECKING:
    from types import ModuleType

    import gymnasium as gym


@dataclass(frozen=True)
class BuiltIn:
    """An environment of this package."""

    env_class: str
    """Where its class is, as module:Class; the step limit is the class's `max_steps`."""
    short_name: str
    """What it may be called instead of its id."""
    matcher: str = ""
    """What finds the games of episodes recorded elsewhere (matching.py), as module:function."""


BUILT_IN = {
    "oreo/ALFWorld-v0": BuiltIn(
        "oreo.envs.alfworld.env:ALFWorldEnv", "alfworld", "oreo.envs.alfworld.matching:matcher"
    ),
    "oreo/Math-v0": BuiltIn("oreo.envs.math.env:MathEnv", "math", "oreo.envs.math.matching:matcher"),
}


@dataclass(frozen=True)
class Adapter:
    """Environments of another library, named as `prefix:NAME`."""

    env_class: str
    """Where its class is, as module:Class."""
    argument: str
    """The argument of the class that takes the name."""
    example: str
    packages: tuple[str, ...]
    """What it needs, as pip calls it."""
    needs: str = ""
    """What else."""


ADAPTERS = {
    "textworld": Adapter(
        "oreo.envs.textworld:TextWorldEnv", "game", "textworld:tw-simple", ("textworld",), "MIT licence"
    ),
    "gymnasium": Adapter("oreo.envs.gymnasium:GymnasiumEnv", "id", "gymnasium:FrozenLake-v1", ("gymnasium",)),
    "jericho": Adapter("oreo.envs.jericho:JerichoEnv", "game", "jericho:zork1.z5", ("jericho",), "games of yours"),
    "scienceworld": Adapter(
        "oreo.envs.scienceworld:ScienceWorldEnv", "task", "scienceworld:boil", ("scienceworld",), "Java"
    ),
    "textarena": Adapter(
        "oreo.envs.textarena:TextArenaEnv", "id", "textarena:GuessTheNumber-v0", ("textarena",), "word lists of some"
    ),
}
"""By their prefix."""
SHORT_NAMES = {built_in.short_name: env_id for env_id, built_in in BUILT_IN.items()}
ENTRY_POINT_GROUP = "oreo.envs"


def register_all() -> None:
    """Tell gymnasium about the built-in environments. Runs by itself when gymnasium is imported (gymnasium_hook.py)."""
    import gymnasium as gym

    from oreo.envs.class_spec import ClassSpec

    for env_id, built_in in BUILT_IN.items():
        if env_id not in gym.registry:
            gym.registry[env_id] = ClassSpec(env_id, entry_point=built_in.env_class)


def entry_points() -> dict[str, str]:
    """Environments that installed packages offer: id -> "module:Class"."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def names() -> list[str]:
    """Every id that `make` knows without a file or module being named, sorted."""
    return sorted({*BUILT_IN, *entry_points()})


def make(spec: str, /, *, max_steps: int | None = None, **env_kwargs: Any) -> gym.Env[str, str]:
    """Make a text environment.

        make("oreo/ALFWorld-v0", split="generated")      # or by its short name, "alfworld"
        make("path/to/guess.py:Guess", max_steps=10)     # runs that file, because you named it
        make("my_package.worlds:Maze")
        make("my_package.worlds:mine/Maze-v0")           # an id that the module registers with gymnasium

    Args:
        spec: an id, a file and class, a module and class, or a module and an id, as gymnasium has them.
        max_steps: truncate episodes after N steps; None: what the environment declares. `max_steps = None` in the
            class declares that its episodes end by themselves.
        env_kwargs: keyword arguments of the environment's class.
    Raises:
        UsageError: nothing of that name, or what is there is no text environment or does not take these arguments;
            nothing says after how many steps an episode is truncated.
    """
    if not isinstance(spec, str):
        raise UsageError(f"an environment is named by a str such as 'alfworld' or 'file.py:Class', got {spec!r}")
    _check_limit("max_steps", max_steps)
    spec = SHORT_NAMES.get(spec, spec)
    if is_file(spec):
        return make_class(spec, load_class(spec), max_steps, env_kwargs)
    if spec not in BUILT_IN and spec in (offered := entry_points()):
        return make_class(spec, load_class(offered[spec]), max_steps, env_kwargs)
    if (adapted := adapter(spec)) is not None:
        name = spec.partition(":")[2]
        env_class = load_class(adapted.env_class)
        return make_class(spec, env_class, max_steps, {adapted.argument: name, **env_kwargs})
    if spec in BUILT_IN or ":" not in spec:
        return _make_registered(spec, _registered(spec), max_steps, env_kwargs)
    place, name = split_spec(spec)
    module = load_module(place)
    if not hasattr(module, name.partition(".")[0]) and (registered := _registered_by(module, name)):
        return _make_registered(spec, registered, max_steps, env_kwargs)
    return make_class(spec, load_class(spec), max_steps, env_kwargs)


def adapter(spec: str) -> Adapter | None:
    """The adapter that a name such as `textworld:PATH` belongs to.

    Raises:
        UsageError: nothing stands behind its prefix.
    """
    prefix, colon, name = spec.partition(":")
    adapted = ADAPTERS.get(prefix) if colon else None
    if adapted is not None and not name:
        raise UsageError(f"{spec!r} names nothing: expected a name behind it, such as {adapted.example}")
    return adapted


def _check_limit(name: str, limit: Any) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"{name}={limit!r}: expected a whole number of at least 1")


def load_class(spec: str) -> type[gym.Env[str, str]]:
    """The class that `path/to/file.py:Class` or `module:Class` names. From a file with one environment the name may go.

    Raises:
        UsageError: as `oreo.plugins.load_object`, and for a class that is no environment.
    """
    import gymnasium as gym

    place, name = split_spec(spec)
    module = load_module(place)
    if not name:
        own = [key for key in own_names(module) if _is_environment(getattr(module, key))]
        if len(own) != 1:
            choices = did_you_mean("", own) if own else "it defines no oreo.envs.TextEnv"
            raise UsageError(f"{place}: name the environment as {place}:CLASS; {choices}")
        name = own[0]
    env_class = get_object(module, place, name)
    if not _is_environment(env_class):
        raise UsageError(f"{spec}: {name} is no environment; subclass oreo.envs.TextEnv (or gymnasium.Env)")
    assert issubclass(env_class, gym.Env)
    return env_class


def _is_environment(value: Any) -> bool:
    import gymnasium as gym

    return isinstance(value, type) and issubclass(value, gym.Env)


def _registered(env_id: str) -> gym.envs.registration.EnvSpec:
    import gymnasium as gym

    register_all()
    try:
        return gym.spec(env_id)
    except (gym.error.Error, ImportError) as error:
        others = [name for name, spec in gym.registry.items() if not str(spec.entry_point).startswith("gymnasium.")]
        hint = did_you_mean(env_id, [*sorted(SHORT_NAMES), *sorted({*names(), *others})])
        raise UsageError(f"no environment {env_id!r}: {hint}, or name yours as path/to/file.py:Class") from error


def _registered_by(module: ModuleType, env_id: str) -> gym.envs.registration.EnvSpec | None:
    """Return what gymnasium has under this id after the module's import; None where that is nothing.

    Raises:
        UsageError: nothing, but the module did register others.
    """
    import gymnasium as gym

    try:
        return gym.spec(env_id)
    except gym.error.Error as error:
        others = [
            name for name, spec in gym.registry.items() if str(spec.entry_point).startswith(f"{module.__name__}:")
        ]
        if not others:
            return None
        choices = did_you_mean(env_id, sorted([*own_names(module), *others]))
        raise UsageError(f"{module.__name__}: there is no {env_id!r} in it; {choices}") from error


def _make_registered(
    name: str, registered: gym.envs.registration.EnvSpec, max_steps: int | None, env_kwargs: dict[str, Any]
) -> gym.Env[str, str]:
    import gymnasium as gym

    from oreo.envs.text_env import step_limit

    entry_point = registered.entry_point
    if entry_point is None:
        raise UsageError(f"{name} makes many environments at once only: register it with an entry_point")
    env_class = load_object(entry_point) if isinstance(entry_point, str) else entry_point
    _check_arguments(name, env_class, {**registered.kwargs, **env_kwargs})
    spec = copy.deepcopy(registered)
    spec.kwargs.update(env_kwargs)  # by the spec, as gym.make has arguments of its own, whose names are then free
    with _making(name):
        env = gym.make(spec, max_episode_steps=max_steps)
    _check_text(name, env)
    if step_limit(env) is None and not hasattr(env.unwrapped, "max_steps"):
        env.close()
        raise _no_limit(name)
    return env


def make_class(
    spec: str, env_class: type[gym.Env[str, str]], max_steps: int | None, env_kwargs: dict[str, Any]
) -> gym.Env[str, str]:
    """Make a text environment of its class, as `make` does, and with the same errors; `spec` is what they call it."""
    from gymnasium.wrappers import OrderEnforcing, TimeLimit

    declared = hasattr(env_class, "max_steps")
    if max_steps is None and not declared:
        raise _no_limit(spec)
    _check_arguments(spec, env_class, env_kwargs)
    with _making(spec):
        env = env_class(**env_kwargs)
    limit = max_steps if max_steps is not None else getattr(env, "max_steps", None)  # which may follow its arguments
    _check_limit(f"{spec}: its max_steps", limit)
    env = OrderEnforcing(_check_text(spec, env))
    return env if limit is None else TimeLimit(env, limit)


@contextmanager
def _making(spec: str) -> Iterator[None]:
    """Turn what the environment's own code raises into one line that says where."""
    try:
        yield
    except OreoError:
        raise
    except Exception as error:
        raise EngineError(f"{spec} cannot be made: {reason(error)}") from error


def _no_limit(spec: str) -> UsageError:
    return UsageError(
        f"{spec} does not say after how many steps an episode is cut off, and it might never end: "
        "say --max-steps 50 (max_steps=50 in Python), or give its class max_steps = 50"
    )


def arguments(env_class: Any) -> dict[str, inspect.Parameter]:
    """The keyword arguments of an environment's class. One of kind VAR_KEYWORD takes all others."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    signature = inspect.signature(env_class)
    return {name: parameter for name, parameter in signature.parameters.items() if parameter.kind not in positional}


def _check_arguments(spec: str, env_class: Any, env_kwargs: dict[str, Any]) -> None:
    """Check them before the class is called, as a TypeError of its own code is another matter."""
    taken = arguments(env_class)
    for name in env_kwargs:
        takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
        if name == "self" or (name not in taken and not takes_all):
            hint = did_you_mean(name, taken) if taken else "it takes none"
            raise UsageError(f"{spec} takes no argument {name!r}: {hint}")
    for name, parameter in taken.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        if needed and name not in env_kwargs:
            raise UsageError(f"{spec} needs the argument {name!r}: say --env-arg {name}=… ({name}=… in Python)")


def _check_text(spec: str, env: gym.Env[str, str]) -> gym.Env[str, str]:
    import gymnasium as gym

    from oreo.envs.text_space import TextSpace

    for what in ("observation", "action"):
        space = getattr(env, f"{what}_space", None)
        if not isinstance(space, TextSpace | gym.spaces.Text):
            env.close()
            raise UsageError(f"{spec} is no text environment: its {what} space is {space}; see oreo.envs.TextEnv")
    return env
