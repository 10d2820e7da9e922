"""Options that several commands share, and how they become arguments of environments and agents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.agents.registry import CHOICES
from oreo.cli.help import AGENT, DECODING, ENVIRONMENT, TRAINING
from oreo.errors import UsageError

if TYPE_CHECKING:
    from oreo.agents import Agent, AgentConfig

DEFAULT_ENV = "oreo/ALFWorld-v0"

Env = Annotated[
    str,
    typer.Option(
        "--env", help="An id (see `oreo envs`), path/to/file.py:Class or module:Class.", rich_help_panel=ENVIRONMENT
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Which games: generated, generated_unseen, train, valid_seen, …", rich_help_panel=ENVIRONMENT),
]
Except = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="TASK_TYPE",
        help="No games of this task type (ALFWorld; repeatable): held out of training, to evaluate on.",
        rich_help_panel=ENVIRONMENT,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Only the first N problems of the split (math and others that take it).",
        rich_help_panel=ENVIRONMENT,
    ),
]
Engine = Annotated[
    str | None, typer.Option(help="simulator or textworld.", rich_help_panel=ENVIRONMENT, metavar="simulator|textworld")
]
Dialect = Annotated[
    str | None,
    typer.Option(help="put or move; default: the games' own.", rich_help_panel=ENVIRONMENT, metavar="put|move"),
]
Expert = Annotated[
    str | None,
    typer.Option(
        help="Whom --agent expert asks: explorer, handcoded or planner.",
        rich_help_panel=ENVIRONMENT,
        metavar="explorer|handcoded|planner",
    ),
]
EnvArg = Annotated[
    list[str] | None,
    typer.Option(
        "--env-arg",
        metavar="KEY=VALUE",
        help="Any other argument of the environment, such as floor_plans=Kitchen, objects=Mug, goals=human, data=FILE, "
        "source=gsm8k:PATH (repeatable; JSON, true or True, or text as it is).",
        rich_help_panel=ENVIRONMENT,
    ),
]
AgentName = Annotated[
    str,
    typer.Option(
        "--agent",
        help="random, expert, tiny, tiny-math, a checkpoint folder, a Hub name, served:MODEL, vllm:MODEL, or your own: "
        "path/to/file.py:Class.",
        rich_help_panel=AGENT,
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
MaxSteps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps an episode may take; default: the environment's.", rich_help_panel=ENVIRONMENT),
]
Temperature = Annotated[
    float | None,
    typer.Option(min=0.0, help="0 is greedy. Default: 0, and 1 where samples are to differ.", rich_help_panel=DECODING),
]
TopP = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Sample among the likeliest tokens with this share. Default: 1.",
        rich_help_panel=DECODING,
    ),
]
Choose = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(CHOICES),
        help="How a language model comes to its action: "
        + "; ".join(f"{word}: {entry.help}" for word, entry in CHOICES.items())
        + ". Default: sample.",
        show_default=False,
        rich_help_panel=AGENT,
    ),
]
K = Annotated[
    int | None,
    typer.Option(
        "--k", min=1, help="Candidates, beams or messages to choose from.", show_default="5", rich_help_panel=AGENT
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(min=1, help="With --choose plan: turns to look ahead.", show_default="1", rich_help_panel=AGENT),
]
Budget = Annotated[
    int | None,
    typer.Option(
        min=1, help="With --choose beam, best or vote: tokens sampled for one message at most.", rich_help_panel=AGENT
    ),
]
BestOf = Annotated[
    int | None, typer.Option(min=1, help="Short for --choose best-of --k N.", metavar="N", rich_help_panel=AGENT)
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; default: the CPU.", rich_help_panel=AGENT)]
AgentArg = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-arg",
        metavar="KEY=VALUE",
        help="Any other field of AgentConfig, such as value=FOLDER, server=URL.",
        rich_help_panel=AGENT,
    ),
]
Recipe = Annotated[
    str | None, typer.Option(help="Settings of the paper's experiments: see `oreo recipes`.", rich_help_panel=TRAINING)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, nothing else.")]
_OPTIONS = {"lambda_": "--lambda", "lora_r": "--lora", "trackers": "--track"}
"""Of fields of TrainConfig, where they are not called as these are."""


def env_arguments(extra: list[str] | None, **named: Any) -> dict[str, Any]:
    """Keyword arguments of the environment: the named ones that were given, then KEY=VALUE pairs."""
    arguments = {name: value for name, value in named.items() if value not in (None, [])}
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


def agent_settings(extra: list[str] | None, *, best_of: int | None = None, **options: Any) -> dict[str, Any]:
    """Fields of `AgentConfig` that were given: by options of their own, then by KEY=VALUE.

    Raises:
        UsageError: a field that does not exist, or one that is given twice.
    """
    from oreo.agents.settings import check_names

    given = {name: value for name, value in options.items() if value is not None}
    if best_of is not None:
        for name, value in (("choose", "best-of"), ("k", best_of)):
            if given.setdefault(name, value) != value:
                raise UsageError(
                    f"--best-of {best_of} is short for --choose best-of --k {best_of}; with --{name} {given[name]} "
                    "leave it out, and say --k for the number of candidates"
                )
    more = key_values(extra, "--agent-arg")
    check_names(more)
    for name in more:
        if name in given:
            option = name.replace("_", "-")
            raise UsageError(f"--agent-arg {name} and --{option}: one of the two would be ignored; give --{option}")
    return given | more


def agent_config(extra: list[str] | None, **options: Any) -> AgentConfig:
    """What an agent is set to by the options of a command; arguments as of `agent_settings`."""
    from oreo.agents.settings import configure

    return configure(None, agent_settings(extra, **options))


def acting_agent(spec: str, extra: list[str] | None, **options: Any) -> Agent:
    """The agent that is evaluated or watched: greedy unless told, sampling where candidates are to differ."""
    from oreo.agents.loading import acting, load_agent
    from oreo.agents.settings import configure

    settings = agent_settings(extra, **options)
    config = configure(None, settings)
    return load_agent(spec, config if "temperature" in settings else acting(spec, config))


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
