"""From a name to an environment: ids, other people's entry points, `path/to/file.py:Class`, `module:Class`.

Other packages add theirs in their pyproject.toml and need nothing of ours but the group's name:

    [project.entry-points."oreo.envs"]
    "cooks/Soup-v0" = "cooks.soup:SoupEnv"
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError, did_you_mean
from oreo.plugins import get_object, is_file, load_module, own_names, split_spec

if TYPE_CHECKING:
    import gymnasium as gym

BUILT_IN = {
    "oreo/ALFWorld-v0": "oreo.envs.alfworld.env:ALFWorldEnv",
    "oreo/Math-v0": "oreo.envs.math.env:MathEnv",
}
MAX_STEPS = {
    "oreo/ALFWorld-v0": 50,
    "oreo/Math-v0": 64,
}
SHORT_NAMES = {
    "alfworld": "oreo/ALFWorld-v0",
    "math": "oreo/Math-v0",
}
ENTRY_POINT_GROUP = "oreo.envs"


def register_all() -> None:
    """Tell gymnasium about the built-in environments. Runs by itself when gymnasium is imported after oreo."""
    import gymnasium as gym

    for env_id, entry_point in BUILT_IN.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point=entry_point, max_episode_steps=MAX_STEPS[env_id])


def entry_points() -> dict[str, str]:
    """Environments that installed packages offer: id -> "module:Class"."""
    found = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point.value for point in found}


def names() -> list[str]:
    """Every id that `make` knows without a file or module being named, sorted."""
    return sorted({**BUILT_IN, **entry_points()})


def make(spec: str, *, max_steps: int | None = None, **env_kwargs: Any) -> gym.Env[str, str]:
    """Make a text environment.

        make("oreo/ALFWorld-v0", split="generated")      # or by its short name, "alfworld"
        make("path/to/guess.py:Guess", max_steps=10)     # runs that file, because you named it
        make("my_package.worlds:Maze")

    Args:
        spec: an id, a file and class, or a module and class.
        max_steps: truncate episodes after so many steps; None: what the environment declares.
        env_kwargs: keyword arguments of the environment's class.
    Raises:
        UsageError: nothing of that name, or what is there is no text environment.
    """
    if not isinstance(spec, str):
        raise UsageError(f"an environment is named by a str such as 'alfworld' or 'file.py:Class', got {spec!r}")
    if max_steps is not None and (isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1):
        raise UsageError(f"max_steps={max_steps!r}: expected a whole number of at least 1")
    spec = SHORT_NAMES.get(spec, spec)
    if spec in BUILT_IN:
        return _make_registered(spec, max_steps, env_kwargs)
    offered = {} if is_file(spec) else entry_points()
    if spec in offered:
        return _make_class(spec, load_class(offered[spec]), max_steps, env_kwargs)
    if is_file(spec) or ":" in spec:
        return _make_class(spec, load_class(spec), max_steps, env_kwargs)
    return _make_registered(spec, max_steps, env_kwargs)


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


def _make_registered(env_id: str, max_steps: int | None, env_kwargs: dict[str, Any]) -> gym.Env[str, str]:
    import gymnasium as gym

    register_all()
    try:
        gym.spec(env_id)
    except (gym.error.Error, ImportError) as error:
        hint = did_you_mean(env_id, [*sorted(SHORT_NAMES), *names()])
        raise UsageError(f"no environment {env_id!r}: {hint}, or name yours as path/to/file.py:Class") from error
    return _check_text(env_id, gym.make(env_id, max_episode_steps=max_steps, **env_kwargs))


def _make_class(
    spec: str, env_class: type[gym.Env[str, str]], max_steps: int | None, env_kwargs: dict[str, Any]
) -> gym.Env[str, str]:
    from gymnasium.wrappers import OrderEnforcing, TimeLimit

    try:
        env = env_class(**env_kwargs)
    except TypeError as error:
        raise UsageError(f"{spec}: {error}") from error
    limit = max_steps if max_steps is not None else getattr(env_class, "max_steps", None)
    env = OrderEnforcing(_check_text(spec, env))
    return env if limit is None else TimeLimit(env, limit)


def _check_text(spec: str, env: gym.Env[str, str]) -> gym.Env[str, str]:
    import gymnasium as gym

    from oreo.envs.text_space import TextSpace

    for what in ("observation", "action"):
        space = getattr(env, f"{what}_space", None)
        if not isinstance(space, TextSpace | gym.spaces.Text):
            env.close()
            raise UsageError(f"{spec} is no text environment: its {what} space is {space}; see oreo.envs.TextEnv")
    return env
