"""Methods by name. A new one is a file in this folder and a line below; `oreo train --help`, defaults and refusals
follow from its `MethodSpec`.

Other packages add theirs in their pyproject.toml; a file of one's own is named as `path/to/file.py:NAME`:

    [project.entry-points."oreo.methods"]
    weighted = "my_package.methods:weighted"
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from oreo.training.methods.spec import MethodSpec

METHODS = {
    "oreo": "oreo.training.methods.oreo:OREO",
    "dqo": "oreo.training.methods.oreo:DQO",
    "dpo": "oreo.training.methods.dpo:DPO",
    "step-dpo": "oreo.training.methods.dpo:STEP_DPO",
    "kto": "oreo.training.methods.kto:KTO",
    "rejection": "oreo.training.methods.sft:REJECTION",
    "sft": "oreo.training.methods.sft:SFT",
    "rwr": "oreo.training.methods.rwr:RWR",
    "awr": "oreo.training.methods.advantage_weighted:AWR",
    "iql": "oreo.training.methods.advantage_weighted:IQL",
    "oapl": "oreo.training.methods.group_baseline:OAPL",
    "grpo": "oreo.training.methods.group_baseline:GRPO",
    "tbrm": "oreo.training.methods.tbrm:TBRM",
}
ENTRY_POINT_GROUP = "oreo.methods"


def load_method(method: str | MethodSpec | Callable[..., Any]) -> MethodSpec:
    """The method of a name, of `path/to/file.py:NAME` or `module:NAME`, of a spec, or of a bare loss function.

    Raises:
        UsageError: there is none; what is there is no method; a method of one's own that has a built-in one's name.
    """
    if isinstance(method, str):
        if method in METHODS:
            return built_in(method)
        offered = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=method)
        if offered:
            return _own(_load(offered[method].value), method)
        if ":" in method or method.endswith(".py"):
            return _own(_load(method), method)
        raise UsageError(
            f"method {method!r} is unknown; {did_you_mean(method, METHODS)}, or name your own as file.py:NAME"
        )
    return _own(method, repr(method))


def built_in(name: str) -> MethodSpec:
    """The method that stands in `METHODS` under this name."""
    module, _, attribute = METHODS[name].partition(":")
    spec: MethodSpec = getattr(importlib.import_module(module), attribute)
    return spec


def knowing(name: str) -> list[str]:
    """The built-in methods that know a field of `TrainConfig`."""
    return [method for method in METHODS if built_in(method).knows(name)]


def _own(method: Any, source: str) -> MethodSpec:
    from oreo.training.methods.spec import MethodSpec

    if not isinstance(method, MethodSpec):
        if not callable(method) or isinstance(method, type):
            raise UsageError(
                f"{source} is no training method; expected a MethodSpec or a function of (update, batch, examples)"
            )
        method = MethodSpec.of_loss(method)
    if method.name in METHODS and method is not built_in(method.name):
        raise UsageError(f"{source}: the name {method.name!r} is taken by a method of oreo; give yours another name")
    return method


def _load(spec: str) -> Any:
    from oreo.plugins import load_object

    return load_object(spec)
