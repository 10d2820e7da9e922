"""`oreo envs new`: a world that works, to be turned into one's own, with its expert, its test and its package."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from oreo.errors import UsageError

_WORLD = '''"""{title}: what it is about, in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from oreo.envs import TextEnv

GOODS = ("apples", "bread", "cheese", "honey", "rice", "tea")


class {name}(TextEnv):
    """Buy what is on the list, then pay."""

    max_steps = 20

    def __init__(self, wishes: int = 2, render_mode: str | None = None) -> None:
        """Arguments become --env-arg, such as --env-arg wishes=3."""
        super().__init__(render_mode)
        self.wishes = wishes

    def start(self, rng: np.random.Generator) -> str:
        """Set everything that `act` changes. All chance comes from `rng`."""
        self.wanted = sorted(str(good) for good in rng.choice(GOODS, size=self.wishes, replace=False))
        self.basket: list[str] = []
        self.accepted = True
        return f"You are in a shop that has {{', '.join(GOODS)}}. On your list: {{', '.join(self.wanted)}}."

    def act(self, text: str) -> tuple[str, float, bool]:
        """Return (observation, reward, done). Any text may come; one that is refused changes nothing."""
        self.accepted = text in self.commands()
        if not self.accepted:
            return f"Nobody understands {{text[:40]!r}}.", 0.0, False
        if text == "pay":
            self.won = sorted(self.basket) == self.wanted
            return ("Thank you!" if self.won else "That is not what you wanted."), float(self.won), True
        self.basket.append(text.removeprefix("take "))
        return f"In your basket: {{', '.join(self.basket)}}.", 0.0, False

    def commands(self) -> list[str]:
        return [f"take {{good}}" for good in GOODS if good not in self.basket] + ["pay"]

    def info(self) -> dict[str, Any]:
        """What may be told of the state; every entry may be left out."""
        return {{
            "task": f"buy {{' and '.join(self.wanted)}}, then pay",
            "admissible_commands": self.commands(),
            "action_valid": self.accepted,
        }}

    def expert_action(self) -> str:
        """What wins from here. It may look at everything and change nothing; leave it out where there is no expert."""
        missing = [good for good in self.wanted if good not in self.basket]
        return f"take {{missing[0]}}" if missing else "pay"

    def snapshot(self) -> Any:
        """The episode as it stands, for agents that plan; with `restore`, may be left out."""
        return list(self.wanted), list(self.basket), self.accepted, self.won

    def restore(self, snapshot: Any) -> None:
        wanted, basket, self.accepted, self.won = snapshot
        self.wanted, self.basket = list(wanted), list(basket)
'''
_TEST = '''"""Everything that `oreo envs check` looks for, as tests: pytest {module}"""

from {module} import {name}

from oreo.envs.checking.mixin import EnvironmentTests


class Test{name}(EnvironmentTests):
    env = {name}
'''
_PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{module}-env"
version = "0.1.0"
dependencies = ["oreo-agents"]

# What makes `--env {module}/{name}-v0` work wherever this package is installed.
[project.entry-points."oreo.envs"]
"{module}/{name}-v0" = "{module}:{name}"

[tool.setuptools]
py-modules = ["{module}"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""


@dataclass(frozen=True)
class Written:
    """What was written."""

    folder: Path
    module: str
    class_name: str
    files: tuple[Path, ...]


def write(name: str, folder: Path | None = None) -> Written:
    """Write a working environment.

    Args:
        name: of the world: letters, digits, "_" and "-"; "card-game" becomes card_game.py with a class CardGame.
        folder: None: one of the module's name in the present one.

    Raises:
        UsageError: a name that no module can have, or a folder that holds a file of these already.
    """
    module = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower()
    if not re.fullmatch("[a-z][a-z0-9_]*", module) or keyword.iskeyword(module) or module == "test":
        raise UsageError(f"{name!r}: expected a name such as shop or card-game, which a Python module can have")
    if module in sys.stdlib_module_names or module in packages_distributions():
        raise UsageError(f"{name!r}: there is a module {module} already, which its own would hide; choose another name")
    class_name = "".join(part.capitalize() for part in module.split("_"))
    target = Path(module) if folder is None else folder.expanduser()
    words = {"module": module, "name": class_name, "title": class_name}
    texts = {
        f"{module}.py": _WORLD.format(**words),
        f"test_{module}.py": _TEST.format(**words),
        "pyproject.toml": _PYPROJECT.format(**words),
    }
    for file in texts:
        if (target / file).exists():
            raise UsageError(f"{target / file} is there already; nothing was written: choose another name or --folder")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; choose another --folder")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (target / file).write_text(text, encoding="utf-8")
    return Written(target, module, class_name, tuple(target / file for file in texts))
