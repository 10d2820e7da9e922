"""Text environments: the contract (`TextEnv`), the registry (`make`), and the built-in worlds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oreo.envs.checking.run import check as check
    from oreo.envs.registry import make as make
    from oreo.envs.text_env import TextEnv as TextEnv
    from oreo.envs.text_space import TextSpace as TextSpace

# Loaded on first use: gymnasium and numpy cost more than all else that `oreo --help` needs.
_PUBLIC = {
    "TextEnv": "oreo.envs.text_env",
    "TextSpace": "oreo.envs.text_space",
    "check": "oreo.envs.checking.run",
    "make": "oreo.envs.registry",
}

__all__ = ["TextEnv", "TextSpace", "check", "make"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'oreo.envs' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
