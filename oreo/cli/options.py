"""Options that several commands share, and how they become arguments of environments and agents."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from oreo.agents.agent import Agent

DEFAULT_ENV = "oreo/ALFWorld-v0"

Env = Annotated[str, typer.Option("--env", help="An id (see `oreo envs`), path/to/file.py:Class or module:Class.")]
Split = Annotated[str | None, typer.Option(help="Which games: generated, generated_unseen, train, valid_seen, …")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many problems of the split (math and others that take it).")
]
Engine = Annotated[str | None, typer.Option(help="simulator or textworld.")]
Dialect = Annotated[str | None, typer.Option(help="put or move; default: the games' own.")]
Expert = Annotated[str | None, typer.Option(help="Whom --agent expert asks: explorer, handcoded or planner.")]
EnvArg = Annotated[
    list[str] | None,
    typer.Option(
        "--env-arg",
        metavar="KEY=VALUE",
        help="Any other argument of the environment, such as floor_plans=Kitchen, objects=Mug, goals=human, data=FILE, "
        "source=gsm8k:PATH (repeatable; JSON, true or True, or text as it is).",
    ),
]
AgentName = Annotated[
    str,
    typer.Option(
        "--agent", help="random, expert, tiny, tiny-math, a checkpoint folder, a Hub name, served:MODEL or vllm:MODEL."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of games and of all randomness.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Episodes under way at a time; does not change the result.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that play side by side; does not change the result.")]
Ray = Annotated[
    bool,
    typer.Option(
        "--ray",
        help="Workers on a Ray cluster: $RAY_ADDRESS (host:port, or auto for the one started on this machine); "
        "without it, on a Ray of its own here.",
    ),
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Steps an episode may take; default: the environment's.")]
Temperature = Annotated[float | None, typer.Option(min=0.0, help="0 is greedy. Default: 0, with --best-of 1.")]
TopP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Sample among the likeliest tokens with this share.")]
BestOf = Annotated[int, typer.Option(min=1, help="Candidates a step, of which the value model chooses.")]
Choose = Annotated[str, typer.Option(help="text, or admissible: the likeliest of the commands accepted now.")]
Lookahead = Annotated[int, typer.Option(min=0, help="Try the candidates in a copy of the world, so many turns deep.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; default: a GPU where there is one.")]
AgentArg = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-arg", metavar="KEY=VALUE", help="Any other argument of load_agent, such as value=FOLDER, server=URL."
    ),
]
Recipe = Annotated[str | None, typer.Option(help="Settings of the paper's experiments: see `oreo recipes`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, nothing else.")]
_OPTIONS = {"lambda_": "--lambda", "lora_r": "--lora", "trackers": "--track"}
"""Of fields of TrainConfig, where they are not called as these are."""


def env_arguments(extra: list[str] | None, **named: Any) -> dict[str, Any]:
    """Keyword arguments of the environment: the named ones that were given, then KEY=VALUE pairs."""
    arguments = {name: value for name, value in named.items() if value is not None}
    return arguments | key_values(extra, "--env-arg")


def key_values(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """`a=1` -> {"a": 1}. True and false are these in any case; what else is no JSON is taken as text: `a=put`."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"{option} {pair!r}: expected KEY=VALUE, such as {option} max_objects=8")
        try:
            # As text, False would be as good as true to whoever asks `if`.
            found[key] = json.loads(value.lower() if value.lower() in ("true", "false") else value)
        except ValueError:
            found[key] = value
    return found


def other_fields(pairs: list[str] | None, own: Iterable[str]) -> dict[str, Any]:
    """Fields of `oreo.training.config.TrainConfig` from --set.

    Args:
        own: those that the command has options of their own for.

    Raises:
        UsageError: a field that does not exist, or has an option of its own: one of the two would be ignored.
    """
    from oreo.training.config import check_names

    found = key_values(pairs, "--set")
    check_names(found)
    for name in found:
        if name in own:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(f"--set {name}: {name} has an option of its own; give {option} in its place")
    return found


def agent_settings(extra: list[str] | None, **named: Any) -> dict[str, Any]:
    """Keyword arguments of `load_agent`: the named settings, then KEY=VALUE pairs."""
    from oreo.agents import load_agent

    settings = named | key_values(extra, "--agent-arg")
    known = list(inspect.signature(load_agent).parameters)[1:]
    for setting in settings:
        if setting not in known:
            raise UsageError(f"--agent-arg {setting}: no such setting; {did_you_mean(setting, known)}")
    return settings


def acting_agent(
    name: str, extra: list[str] | None, *, temperature: float | None, best_of: int, choose: str, **named: Any
) -> Agent:
    """The agent that is evaluated or watched: greedy unless told, sampling where candidates are to differ."""
    if temperature is None:
        temperature = 0.0 if best_of == 1 or choose == "admissible" else 1.0
    from oreo.agents import load_agent

    settings = agent_settings(extra, temperature=temperature, best_of=best_of, choose=choose, **named)
    return load_agent(name, **settings)


def existing_buffer(path: Path) -> Path:
    """A buffer that is to be read has to be there."""
    try:
        exists = path.expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, a home of nobody's
        exists = False
    if not exists:
        raise UsageError(f"{path}: there is no such buffer; make one with `oreo collect --into {path}`")
    return path


Data = Annotated[
    Path | None,
    typer.Option(help="The folder of games, or a pack of them; default: ALFWORLD_DATA.", show_default=False),
]


Delay = Annotated[float, typer.Option(min=0.0, help="Seconds between two steps.")]


Paused = Annotated[bool, typer.Option("--step", help="Wait for a key at every step.")]
