"""Registers our environments with gymnasium at the moment gymnasium is imported, whichever import comes first.

`gym.make("oreo/Math-v0")` is to work after `import oreo`. Gymnasium 1.0 dropped the entry points by which packages had
their environments registered, and importing it with oreo would cost more than all else that `oreo --help` does: half a
second more, which is twice as long. So a finder waits for gymnasium's import, which it makes as Python would, adds the
environments, and is gone.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any


def install() -> None:
    """Register at once where gymnasium is there already, else as soon as it is imported."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Finder())


def _register() -> None:
    importlib.import_module("oreo.envs.registry").register_all()


class _Finder:
    """Finds nothing but gymnasium, once."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
