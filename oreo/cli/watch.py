"""`oreo watch`: see an agent play one episode."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.help import AGENT, ENVIRONMENT
from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    AgentOptions,
    Delay,
    EnvOptions,
    Expert,
    Paused,
    Seed,
    existing_buffer,
)
from oreo.cli.output import on_interrupt
from oreo.cli.playing import StepTimeout
from oreo.cli.screens import CastFile, Plain, Record, has_program, line_console, needs_program, stored_job
from oreo.errors import UsageError


@with_option_groups
def watch(
    place: Annotated[
        Path | None,
        typer.Argument(
            help="A run of oreo train, for its curves; or, with --follow, a buffer. Default: an agent is watched.",
            show_default=False,
        ),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="List a buffer's episodes as collect or eval store them elsewhere.")
    ] = False,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            help="random, expert, tiny, tiny-math, a checkpoint folder, a Hub name, served:MODEL, vllm:MODEL, or your "
            "own: path/to/file.py:Class. Given twice: two on the same game, in step. Default: tiny.",
            rich_help_panel=AGENT,
            show_default=False,
        ),
    ] = None,
    game: Annotated[
        str | None, typer.Option(help="Which game; default: drawn from the seed.", rich_help_panel=ENVIRONMENT)
    ] = None,
    world: EnvOptions,
    step_timeout: StepTimeout = None,
    expert: Expert = None,
    playing: AgentOptions,
    seed: Seed = 0,
    delay: Delay = 0.5,
    step: Paused = False,
    record: Record = None,
    plain: Plain = False,
    cast: CastFile = None,
) -> None:
    """Watch an agent play, and take over from it.

    What it does, what it considered, how it values each state. Keys: ? lists them. Without a terminal: plain lines of
    one episode.

    \b
    Example:
      oreo watch runs/kitchen --follow
      oreo watch --agent checkpoints/kitchen --best-of 5 --split generated_unseen --seed 3
    """
    from oreo.data.buffer import TrajectoryBuffer, check_place

    if place is not None:
        return _watch_place(place, follow)
    if follow:
        raise UsageError("--follow is for a buffer: oreo watch BUFFER --follow")
    agents = agent or ["tiny"]
    if len(agents) > 2:
        raise UsageError(f"--agent is given {len(agents)} times; two can be watched side by side")
    configs = [playing.acting_config(name) for name in agents]
    arguments = world.arguments(expert=expert)
    if record is not None:
        check_place(record)
    if cast is not None:
        needs_program("--cast")
    if len(agents) == 2:
        needs_program("--agent A --agent B")
    with on_interrupt(lambda: "stopped; an episode that has not ended is not kept"):
        if has_program(plain):
            from oreo.eval.terminal.app.doors import live
            from oreo.eval.terminal.live.messages import Job

            jobs = [
                Job(
                    env=world.env,
                    env_kwargs=arguments,
                    max_steps=world.max_steps,
                    seed=seed,
                    game=game,
                    agent=name,
                    config=dataclasses.asdict(config),
                    step_timeout=step_timeout,
                    record=None if record is None else str(record.expanduser().absolute()),
                )
                for name, config in zip(agents, configs, strict=True)
            ]
            return live(jobs, delay=delay, playing=not step, cast=cast)
        from oreo.agents.loading import load_agent
        from oreo.eval.terminal.watch import watch as run

        played = run(
            world.env,
            load_agent(agents[0], configs[0]),
            game=game,
            seed=seed,
            delay=delay,
            paused=step,
            max_steps=world.max_steps,
            env_kwargs=arguments,
            step_timeout=step_timeout,
            console=line_console(plain),
        )
        if record is not None and played is not None:
            with TrajectoryBuffer(record) as buffer:
                buffer.append(played)


def _watch_place(place: Path, follow: bool) -> None:
    """What goes on in a folder: a training run, or a buffer that grows.

    Raises:
        UsageError: it is neither.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.eval.terminal.run_log import LOG

    if not follow:
        if not (place.expanduser() / LOG).is_file():
            raise UsageError(f"{place} is no run of oreo train (it has no {LOG}); of a buffer say --follow")
        needs_program(f"oreo watch {place}")
        from oreo.eval.terminal.app.doors import training

        with on_interrupt(lambda: f"stopped watching; {place} is as it was"):
            return training(place.expanduser())
    existing_buffer(place)
    needs_program("--follow")
    from oreo.eval.terminal.app.doors import browse

    with TrajectoryBuffer(place, create=False) as buffer, on_interrupt(lambda: f"stopped; {place} is as it was"):
        browse(buffer, condition="", job=stored_job(None, None, {}, None), delay=0.5, follow=True)
