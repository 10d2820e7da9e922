"""`oreo envs`: the environments that are installed."""

from __future__ import annotations

import inspect
from typing import Any

from oreo.cli.options import Json
from oreo.cli.output import print_json, print_pairs


def envs(json: Json = False) -> None:
    """The environments that are installed, with the arguments that --env-arg takes.

    \b
    Example:
      oreo envs
    """
    from oreo.envs.registry import BUILT_IN, entry_points, names

    places = entry_points() | {name: built_in.env_class for name, built_in in BUILT_IN.items()}
    described = {name: _described(places[name]) for name in names()}
    for name, built_in in BUILT_IN.items():
        described[name] = {"short name": built_in.short_name} | described[name]
    print_json(described) if json else print_pairs(described)


def _described(place: str) -> dict[str, Any]:
    """What a user may want to know of one; of another package's that does not load, why not."""
    from oreo.envs.registry import arguments, load_class
    from oreo.errors import UsageError

    try:
        env_class = load_class(place)
    except UsageError as error:
        return {"cannot be loaded": str(error)}
    defaults = {
        f"**{name}" if parameter.kind is inspect.Parameter.VAR_KEYWORD else name: parameter.default
        for name, parameter in arguments(env_class).items()
        if name != "render_mode"
    }
    return {
        "about": (env_class.__doc__ or "").strip().partition("\n")[0],
        "class": place,
        "max steps": getattr(env_class, "max_steps", None),
        "arguments": {
            name: None if default is inspect.Parameter.empty else default for name, default in defaults.items()
        },
    }
