"""`oreo recipes`: settings of known experiments."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oreo.cli.options import (
    Json,
)
from oreo.cli.output import print_json, print_pairs

recipes_app = typer.Typer()


@recipes_app.callback(invoke_without_command=True)
def recipes(context: typer.Context, json: Json = False) -> None:
    """Settings of the paper's experiments, for --recipe.

    \b
    Example:
      oreo recipes
      oreo recipes show oreo-alfworld
    """
    from oreo.training.recipe import load_recipe, recipe_names

    if context.invoked_subcommand is None:
        about = {name: load_recipe(name).about for name in recipe_names()}
        print_json(about) if json else print_pairs(about)


@recipes_app.command()
def show(name: Annotated[str, typer.Argument(help="One of `oreo recipes`.")], json: Json = False) -> None:
    """Every value of a recipe, with its source.

    \b
    Example:
      oreo recipes show oreo-alfworld
    """
    from oreo.training.recipe import load_recipe

    recipe = load_recipe(name)
    if json:
        print_json(recipe.to_dict())
        return
    print(f"{recipe.name}: {recipe.about}\nThe paper (arXiv 2412.16145) starts from {recipe.start}; give yours.\n")
    for title, settings in (("train", recipe.train), ("collect", recipe.collect)):
        if settings:
            print(title)
            print_pairs({key: _said(setting) for key, setting in settings.items()}, "  ")
    if recipe.collect:
        options = " ".join(f"--{key.replace('_', '-')} {each.value}" for key, each in recipe.collect.items())
        print(f"  oreo collect --agent MODEL {options} --split train --episodes … --into BUFFER")
    for line in recipe.differs:
        print(f"differs: {line}")
    if recipe.results:
        print("published, greedy, %")
        print_pairs(recipe.results, "  ")


def _said(setting: Any) -> str:
    value = setting.value
    if isinstance(value, dict):
        value = ", ".join(f"{name} {number}" for name, number in value.items())
    parts = [f"{value!s:<12}  {setting.source}"]
    if setting.code is not None:
        parts.append(f"the released code: {setting.code}")
    if setting.note:
        parts.append(setting.note)
    return "; ".join(parts)
