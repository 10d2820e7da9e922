"""Settings by name, those of the paper's experiments and ours for small models: `oreo train --recipe oreo-alfworld`.
One file each in oreo/training/recipes.

    about, start           what it is, and which model the paper starts from (yours is given by `model`)
    paper                  "" where it is of none; left out: arXiv 2412.16145
    train, collect         name -> {value, source}, with `code` where the released code differs and `note` for the rest
    differs                what the released code does otherwise and no setting says
    results                success or accuracy in %, as published (greedy)

A recipe gives defaults: what is said explicitly wins, and what it does not name is `oreo.training.config.TrainConfig`'s
default. A value may depend on the level: {token: 0.01, step: 0.1, response: 0.3}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oreo.errors import UsageError, did_you_mean

PAPER = "arXiv 2412.16145"
FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Setting:
    """One value, and who says so."""

    value: Any
    source: str
    """Where in the paper it stands."""
    code: Any = None
    """What the released code has, where that is something else. The paper's is used."""
    note: str = ""


@dataclass(frozen=True)
class Recipe:
    """The settings of one experiment."""

    name: str
    about: str
    start: str
    train: dict[str, Setting]
    """By fields of TrainConfig."""
    collect: dict[str, Setting] = field(default_factory=dict)
    """By options of `oreo collect`: per_game, max_steps, temperature."""
    differs: tuple[str, ...] = ()
    results: dict[str, float] = field(default_factory=dict)
    paper: str = PAPER
    """Where the experiment is from; "": it is ours."""

    def settings(self, own: dict[str, Any]) -> dict[str, Any]:
        """Fields of TrainConfig: this recipe's, and over them `own`.

        Raises:
            UsageError: `own` says another method; the numbers of one mean nothing to another.
        """
        values = {name: setting.value for name, setting in self.train.items()}
        method = values["method"]
        if own.get("method", method) != method:
            raise UsageError(
                f"recipe {self.name} is for method {method!r}, not {own['method']!r}; leave one of the two out"
            )
        level = own.get("level", values.get("level"))
        # An unknown level is for TrainConfig to name.
        return {name: value.get(level) if isinstance(value, dict) else value for name, value in values.items()} | own

    def to_dict(self) -> dict[str, Any]:
        """JSON types, settings as {value, source, …} without what is empty."""

        def shown(settings: dict[str, Setting]) -> dict[str, Any]:
            return {
                name: {key: value for key, value in vars(setting).items() if value not in (None, "")}
                for name, setting in settings.items()
            }

        return {
            "name": self.name,
            "about": self.about,
            "paper": self.paper,
            "start": self.start,
            "train": shown(self.train),
            "collect": shown(self.collect),
            "differs": list(self.differs),
            "results": self.results,
        }


def recipe_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    import yaml

    names = recipe_names()
    if name not in names:
        raise UsageError(f"unknown recipe {name!r}; {did_you_mean(name, names)}")
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    train, collect = (
        {key: Setting(**setting) for key, setting in content.pop(part, {}).items()} for part in ("train", "collect")
    )
    differs = tuple(content.pop("differs", ()))
    return Recipe(name=name, train=train, collect=collect, differs=differs, **content)
