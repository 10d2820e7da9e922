"""`oreo recipes`: settings of known experiments."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oreo.cli.help import Commands
from oreo.cli.options import (
    Json,
)
from oreo.cli.output import print_json, print_pairs

recipes_app = Commands()


@recipes_app.callback(invoke_without_command=True)
def recipes(context: typer.Context, json: Json = False) -> None:
    """Settings of the paper's experiments, and those for small models, for --recipe.

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
    start = (
        f"The paper ({recipe.paper}) starts from {recipe.start}; give yours."
        if recipe.paper
        else f"For {recipe.start}."
    )
    print(f"{recipe.name}: {recipe.about}\n{start}\n")
    for title, settings in (("train", recipe.train), ("collect", recipe.collect)):
        if settings:
            print(title)
            print_pairs({key: _described(setting) for key, setting in settings.items()}, "  ")
    if recipe.collect:
        options = " ".join(f"--{key.replace('_', '-')} {setting.value}" for key, setting in recipe.collect.items())
        print(f"  oreo collect --agent MODEL {options} --split train --episodes … --into BUFFER")
    for line in recipe.differs:
        print(f"differs: {line}")
    if recipe.results:
        print("published, greedy, %")
        print_pairs(recipe.results, "  ")


def _described(setting: Any) -> str:
    value = setting.value
    if isinstance(value, dict):
        value = ", ".join(f"{name} {number}" for name, number in value.items())
    parts = [f"{value!s:<12}  {setting.source}"]
    if setting.code is not None:
        parts.append(f"the released code: {setting.code}")
    if setting.note:
        parts.append(setting.note)
    return "; ".join(parts)
