"""Options that several commands share, each once, and how they become arguments of environments and agents.

What a command takes as a whole is a record of options (`AgentOptions`, `EnvOptions`; see oreo.cli.option_groups). Which
values an agent's settings may have is up to `AgentConfig`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.agents.registry import CHOICES
from oreo.cli.help import AGENT, DECODING, ENVIRONMENT, TRAINING
from oreo.errors import UsageError

if TYPE_CHECKING:
    from oreo.agents import AgentConfig

DEFAULT_ENV = "oreo/ALFWorld-v0"

Expert = Annotated[
    str | None,
    typer.Option(
        help="Whom --agent expert asks: explorer, handcoded or planner.",
        rich_help_panel=ENVIRONMENT,
        metavar="explorer|handcoded|planner",
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
_OPTIONS = {"lora_r": "--lora", "trackers": "--track"}
"""Of fields of TrainConfig, where they are not called as these are."""


def key_values(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """Arguments by name: `a=1` -> {"a": 1}.

    True and false are these in any case; what else is no JSON is taken as text: `a=put`.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"{option} {pair!r}: expected KEY=VALUE, such as {option} max_objects=8")
        try:
            # As text, False would be as good as true to whoever asks `if`.
            arguments[key] = json.loads(value.lower() if value.lower() in ("true", "false") else value)
        except ValueError:
            arguments[key] = value
    return arguments


def other_fields(pairs: list[str] | None, own: Iterable[str]) -> dict[str, Any]:
    """Fields of `oreo.training.config.TrainConfig` from --set.

    Args:
        own: those that the command has options of their own for.

    Raises:
        UsageError: a field that does not exist, or has an option of its own: one of the two would be ignored.
    """
    from oreo.training.config import check_names

    fields = key_values(pairs, "--set")
    check_names(fields)
    for name in fields:
        if name in own:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(f"--set {name}: {name} has an option of its own; give {option} in its place")
    return fields


def agent_settings(extra: list[str] | None, **options: Any) -> dict[str, Any]:
    """Fields of `AgentConfig` from options of their own, None where they are not given, and from --agent-arg.

    Raises:
        UsageError: a field that does not exist, or one that is given twice.
    """
    from oreo.agents.settings import check_names

    settings = {name: value for name, value in options.items() if value is not None}
    other_settings = key_values(extra, "--agent-arg")
    check_names(other_settings)
    for name in other_settings:
        if name in settings:
            option = name.replace("_", "-")
            raise UsageError(f"--agent-arg {name} and --{option}: one of the two would be ignored; give --{option}")
    return settings | other_settings


@dataclass(frozen=True)
class AgentOptions:
    """How an agent plays. Each field is one of `AgentConfig`, but for the short form and what has no option."""

    choose: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(CHOICES),
            help="How a language model comes to its action: "
            + "; ".join(f"{word}: {entry.help}" for word, entry in CHOICES.items())
            + ". Default: sample.",
            show_default=False,
            rich_help_panel=AGENT,
        ),
    ] = None
    k: Annotated[
        int | None,
        typer.Option(
            "--k", help="Candidates, beams or messages to choose from.", show_default="5", rich_help_panel=AGENT
        ),
    ] = None
    best_of: Annotated[
        int | None, typer.Option(help="Short for --choose best-of --k N.", metavar="N", rich_help_panel=AGENT)
    ] = None
    depth: Annotated[
        int | None,
        typer.Option(help="With --choose plan: turns to look ahead.", show_default="1", rich_help_panel=AGENT),
    ] = None
    budget: Annotated[
        int | None,
        typer.Option(
            help="With --choose beam, best or vote: tokens sampled for one message at most.", rich_help_panel=AGENT
        ),
    ] = None
    noise: Annotated[
        float | None,
        typer.Option(help="Share of the expert's actions replaced by random ones.", rich_help_panel=AGENT),
    ] = None
    device: Device = None
    agent_arg: AgentArg = None
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 is greedy. Default: 1 in collecting and where samples are to differ, else 0.",
            rich_help_panel=DECODING,
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(help="Sample among the likeliest tokens with this share. Default: 1.", rich_help_panel=DECODING),
    ] = None

    def config(self) -> AgentConfig:
        """What was asked for.

        Raises:
            UsageError: a field that does not exist or is given twice, or a value that its field does not take.
        """
        from oreo.agents.settings import configure

        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        short_form, extra = options.pop("best_of"), options.pop("agent_arg")
        if short_form is not None:
            for name, value in (("choose", "best-of"), ("k", short_form)):
                if options[name] not in (None, value):
                    raise UsageError(
                        f"--best-of {short_form} is short for --choose best-of --k {short_form}; with --{name} "
                        f"{options[name]} leave it out, and say --k for the number of candidates"
                    )
                options[name] = value
        return configure(None, agent_settings(extra, **options))

    def acting_config(self, agent: str) -> AgentConfig:
        """The same for an agent that is evaluated or watched: greedy unless told, sampling where candidates are to
        differ.
        """
        from oreo.agents.loading import acting

        told = self.temperature is not None or "temperature" in key_values(self.agent_arg, "--agent-arg")
        return self.config() if told else acting(agent, self.config())


@dataclass(frozen=True)
class EnvOptions:
    """Which environment is played, and what it is made with."""

    env: Annotated[
        str,
        typer.Option(
            "--env",
            help="An id (see `oreo envs`), path/to/file.py:Class or module:Class.",
            rich_help_panel=ENVIRONMENT,
        ),
    ] = DEFAULT_ENV
    split: Annotated[
        str | None,
        typer.Option(
            help="Which games: generated, generated_unseen, train, valid_seen, …", rich_help_panel=ENVIRONMENT
        ),
    ] = None
    except_: Annotated[
        list[str] | None,
        typer.Option(
            "--except",
            metavar="TASK_TYPE",
            help="No games of this task type (ALFWorld; repeatable): held out of training, to evaluate on.",
            rich_help_panel=ENVIRONMENT,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Only the first N problems of the split (math and others that take it).",
            rich_help_panel=ENVIRONMENT,
        ),
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(help="simulator or textworld.", rich_help_panel=ENVIRONMENT, metavar="simulator|textworld"),
    ] = None
    dialect: Annotated[
        str | None,
        typer.Option(help="put or move; default: the games' own.", rich_help_panel=ENVIRONMENT, metavar="put|move"),
    ] = None
    env_arg: Annotated[
        list[str] | None,
        typer.Option(
            "--env-arg",
            metavar="KEY=VALUE",
            help="Any other argument of the environment, such as floor_plans=Kitchen, objects=Mug, goals=human, "
            "data=FILE, source=gsm8k:PATH (repeatable; JSON, true or True, or text as it is).",
            rich_help_panel=ENVIRONMENT,
        ),
    ] = None
    max_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps an episode may take; default: the environment's.", rich_help_panel=ENVIRONMENT),
    ] = None

    def arguments(self, **own: Any) -> dict[str, Any]:
        """Keyword arguments of the environment: those of options, None where they are not given, then KEY=VALUE.

        Args:
            own: those that the command has options of its own for.
        """
        options = {"split": self.split, "limit": self.limit, "engine": self.engine, "dialect": self.dialect, **own}
        options["except_task_types"] = self.except_ or None
        arguments = {name: value for name, value in options.items() if value is not None}
        return arguments | key_values(self.env_arg, "--env-arg")


def existing_buffer(path: Path) -> Path:
    """A buffer that is to be read has to be there."""
    try:
        exists = path.expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, a home of nobody's
        exists = False
    if not exists:
        raise UsageError(f"{path}: there is no such buffer; make one with `oreo collect --into {path}`")
    return path


Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only episodes like this: 'won and steps < 20' (see docs/stored_trajectories.md).",
        show_default=False,
    ),
]


Data = Annotated[
    Path | None,
    typer.Option(help="The folder of games, or a pack of them; default: ALFWORLD_DATA.", show_default=False),
]


Delay = Annotated[float, typer.Option(min=0.0, help="Seconds between two steps.")]


Paused = Annotated[bool, typer.Option("--step", help="Wait for a key at every step.")]
