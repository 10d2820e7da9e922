"""OREO: text environments, trajectories, offline RL and value-guided acting for language agents.

Everything public is loaded on first use: `import oreo` costs milliseconds, torch only when something needs it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from oreo.gymnasium_hook import install as _install

__version__ = "0.1.0"

# A source checkout keeps agents/, envs/ and eval/ beside oreo/. In a wheel there is no pyproject.toml here.
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():
    __path__.append(str(_root))

_PUBLIC = {
    "OreoError": "oreo.errors",
    "Step": "oreo.trajectory",
    "Trajectory": "oreo.trajectory",
    "TrajectoryBuffer": "oreo.data.buffer",
    "make": "oreo.envs",
    "rollout": "oreo.rollouts.loop",
    "train": "oreo.training.trainer",
    "evaluate": "oreo.eval.evaluate",
}
_MODULES = ("agents", "envs")

__all__ = ["__version__", *sorted(_PUBLIC), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"oreo.{name}")
    else:
        raise AttributeError(f"module 'oreo' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


_install()
