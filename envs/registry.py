"""From a name to an environment: ids, other people's entry points, `path/to/file.py:Class`, `module:Class`.

Other packages add theirs in their pyproject.toml and need nothing of ours but the group's name:

    [project.entry-points."oreo.envs"]
    "cooks/Soup-v0" = "cooks.soup:SoupEnv"
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError, did_you_mean

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
    offered = {} if _is_path(spec) else entry_points()
    if spec in offered:
        return _make_class(spec, load_class(offered[spec]), max_steps, env_kwargs)
    if _is_path(spec) or ":" in spec:
        return _make_class(spec, load_class(spec), max_steps, env_kwargs)
    return _make_registered(spec, max_steps, env_kwargs)


def load_class(spec: str) -> type[gym.Env[str, str]]:
    """The class that `path/to/file.py:Class` or `module:Class` names. From a file with one environment the name may go.

    Raises:
        UsageError: no such file, module or class, code that fails while loading, or a class that is no environment.
    """
    import gymnasium as gym

    where, name = _split(spec)
    module = _load_file(Path(where).expanduser()) if _is_path(spec) else _load_module(where)
    here = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, gym.Env) and value.__module__ == module.__name__
    }
    if not name:
        if len(here) != 1:
            raise UsageError(f"{where}: name the environment as {where}:CLASS; {_choices('', here)}")
        return next(iter(here.values()))
    found = getattr(module, name, None)
    if found is None:
        raise UsageError(f"{where}: there is no class {name!r}; {_choices(name, here)}")
    if not (isinstance(found, type) and issubclass(found, gym.Env)):
        raise UsageError(f"{spec}: {name} is no environment; subclass oreo.envs.TextEnv (or gymnasium.Env)")
    return found


def _choices(name: str, classes: dict[str, Any]) -> str:
    return did_you_mean(name, sorted(classes)) if classes else "it defines no oreo.envs.TextEnv"


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


def _is_path(spec: str) -> bool:
    return _split(spec)[0].endswith(".py")


def _split(spec: str) -> tuple[str, str]:
    """`file.py:Class` -> (file.py, Class). The last colon counts: a Windows path has one of its own."""
    if spec.endswith(".py"):
        return spec, ""
    where, _, name = spec.rpartition(":")
    return where, name


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"module {name!r} cannot be imported: {_one_line(error)}") from error


def _load_file(path: Path) -> ModuleType:
    """Run a file that the user named. Once for each state of the file, so that its classes stay the same classes."""
    try:
        stat = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: there is no such file (looked in {Path.cwd()})") from error
    version = (stat.st_mtime_ns, stat.st_size)
    name = f"oreo_env_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__oreo_version__", None) == version:
        return loaded
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be loaded: {_one_line(error)}") from error
    module.__oreo_version__ = version  # type: ignore[attr-defined]
    return module


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
