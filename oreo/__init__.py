"""OREO: text environments, trajectories, offline RL and value-guided acting for language agents.

Everything public is loaded on first use: `import oreo` costs milliseconds, torch only when something needs it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

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


class _RegisterWithGymnasium:
    """Register our environments at the moment gymnasium is imported, whichever import comes first.

    Gymnasium 1.0 dropped plugin entry points, and importing it here would cost `oreo --help` half its time.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                importlib.import_module("oreo.envs.registry").register_all()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    importlib.import_module("oreo.envs.registry").register_all()
else:
    sys.meta_path.insert(0, _RegisterWithGymnasium())
