"""`oreo envs`: the environments that are installed."""

from __future__ import annotations

from typing import Any

from oreo.cli.options import Json
from oreo.cli.output import print_json, print_pairs


def envs(json: Json = False) -> None:
    """The environments that are installed.

    \b
    Example:
      oreo envs
    """
    from oreo.envs.registry import BUILT_IN, entry_points, load_class

    offered = {**BUILT_IN, **entry_points()}
    described: dict[str, Any] = {}
    for name in sorted(offered):
        documented = (load_class(offered[name]).__doc__ or "").strip()
        described[name] = documented.partition("\n")[0]
    print_json(described) if json else print_pairs(described)
