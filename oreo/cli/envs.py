"""`oreo envs`: the environments that are installed, what one of them is, whether it is sound, and new ones."""

from __future__ import annotations

import inspect
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli.help import Commands
from oreo.cli.options import Json, key_values
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.cli.playing import stdout_kept
from oreo.progress import Progress

envs_app = Commands()

Split = Annotated[str | None, typer.Option(help="Which games, for environments that have splits.")]
EnvArg = Annotated[
    list[str] | None,
    typer.Option("--env-arg", metavar="KEY=VALUE", help="An argument of the environment (repeatable)."),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Steps an episode may take; default: the environment's.")]
EnvName = Annotated[
    str, typer.Argument(metavar="ENV", help="An id, path/to/file.py:Class, module:Class or an adapter's name.")
]


@envs_app.callback(invoke_without_command=True)
def envs(context: typer.Context, json: Json = False) -> None:
    """The environments that are installed, with the arguments that --env-arg takes.

    \b
    Example:
      oreo envs
      oreo envs check path/to/shop.py:Shop
    """
    if context.invoked_subcommand is None:
        _print_list(json)


@envs_app.command("list")
def envs_list(json: Json = False) -> None:
    """The environments that are installed, and the adapters to those of other libraries.

    \b
    Example:
      oreo envs list
    """
    _print_list(json)


def _print_list(json: bool) -> None:
    from oreo.envs.registry import ADAPTERS, BUILT_IN, entry_points, names

    places = entry_points() | {name: built_in.env_class for name, built_in in BUILT_IN.items()}
    described = {name: _described(places[name]) for name in names()}
    for name, built_in in BUILT_IN.items():
        described[name] = {"short name": built_in.short_name} | described[name]
    for prefix, adapter in ADAPTERS.items():
        described[f"{prefix}:NAME"] = {"example": adapter.example} | _described(adapter.env_class)
    print_json(described) if json else print_pairs(described)


def _described(place: str) -> dict[str, Any]:
    """What a user may want to know of one; of another package's that does not load, why not."""
    from oreo.envs.registry import arguments, load_class
    from oreo.errors import UsageError

    try:
        env_class = load_class(place)
    except UsageError as error:
        return {"cannot be loaded": str(error)}
    defaults = {
        f"**{name}" if parameter.kind is inspect.Parameter.VAR_KEYWORD else name: parameter.default
        for name, parameter in arguments(env_class).items()
        if name != "render_mode"
    }
    return {
        "about": (env_class.__doc__ or "").strip().partition("\n")[0],
        "class": place,
        "max steps": getattr(env_class, "max_steps", None),
        "arguments": {
            name: None if default is inspect.Parameter.empty else default for name, default in defaults.items()
        },
    }


def _arguments(env_arg: list[str] | None, split: str | None) -> dict[str, Any]:
    return ({} if split is None else {"split": split}) | key_values(env_arg, "--env-arg")


@envs_app.command("info")
def envs_info(
    env: EnvName, split: Split = None, env_arg: EnvArg = None, max_steps: MaxSteps = None, json: Json = False
) -> None:
    """What one environment is: spaces, step limit, games, what its first episode says, what can be asked of it.

    \b
    Example:
      oreo envs info alfworld --split generated
    """
    from oreo.envs.describe import describe

    with stdout_kept():
        described = describe(env, max_steps, _arguments(env_arg, split))
    print_json(described) if json else print_pairs(described)


@envs_app.command("check")
def envs_check(
    env: EnvName,
    split: Split = None,
    env_arg: EnvArg = None,
    max_steps: MaxSteps = None,
    step_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that one step or reset may take.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=1.0, help="That all checks may take, about.")] = 180.0,
    action: Annotated[
        list[str] | None,
        typer.Option(help="What an agent might say, where the environment lists no commands (repeatable)."),
    ] = None,
    json: Json = False,
) -> None:
    """Look for what an environment does wrong; exit code 1 where something is found.

    \b
    Example:
      oreo envs check path/to/shop.py:Shop
    """
    from oreo.envs.checking.checks import CHECKS
    from oreo.envs.checking.run import check

    names = list(CHECKS)
    with on_interrupt(lambda: "stopped"), Progress("checking", len(names)) as progress:
        report = check(
            env,
            max_steps=max_steps,
            step_timeout=step_timeout,
            seconds=seconds,
            actions=action or (),
            on_check=lambda name: progress.to(names.index(name), note=name),
            **_arguments(env_arg, split),
        )
    if json:
        print_json(report.to_dict())
    else:
        from oreo.text import clean

        print(clean(str(report)))
    raise typer.Exit(0 if report.passed else 1)


@envs_app.command("new")
def envs_new(
    name: Annotated[str, typer.Argument(help="Of the world, such as shop; a class of that name is made.")],
    folder: Annotated[Path | None, typer.Option(help="Where to; default: a new folder of that name.")] = None,
    json: Json = False,
) -> None:
    """Write a working environment to begin from: world, expert, test, pyproject with its entry point.

    \b
    Example:
      oreo envs new shop
      oreo envs check shop/shop.py:Shop
    """
    from oreo.envs.scaffold import write

    written = write(name, folder)
    world = shlex.quote(f"{os.path.join(written.folder, written.module)}.py:{written.class_name}")
    result = {
        "files": [str(file) for file in written.files],
        "try it": f"oreo watch --env {world} --agent expert",
        "check it": f"oreo envs check {world}",
    }
    if json:
        print_json(result)
    else:
        print_pairs({**result, "files": ", ".join(result["files"])})
