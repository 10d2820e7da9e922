"""`oreo watch`: see an agent play one episode."""

from __future__ import annotations

from typing import Annotated

import typer

from oreo.cli.help import ENVIRONMENT
from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    AgentName,
    AgentOptions,
    Delay,
    EnvOptions,
    Expert,
    Paused,
    Seed,
)
from oreo.cli.output import on_interrupt


@with_option_groups
def watch(
    *,
    agent: AgentName = "tiny",
    game: Annotated[
        str | None, typer.Option(help="Which game; default: drawn from the seed.", rich_help_panel=ENVIRONMENT)
    ] = None,
    world: EnvOptions,
    expert: Expert = None,
    playing: AgentOptions,
    seed: Seed = 0,
    delay: Delay = 0.5,
    step: Paused = False,
) -> None:
    """Watch an agent play one episode.

    What it does, what it considered, how it values each state.

    \b
    Keys: space pause, n next step, q quit. Without a terminal: plain lines.
    Example:
      oreo watch --agent checkpoints/kitchen --best-of 5 --split generated_unseen --seed 3
    """
    from oreo.agents.loading import load_agent
    from oreo.eval.terminal.watch import watch as run

    player = load_agent(agent, playing.acting_config(agent))
    with on_interrupt(lambda: "stopped; watching keeps nothing"):
        run(
            world.env,
            player,
            game=game,
            seed=seed,
            delay=delay,
            paused=step,
            max_steps=world.max_steps,
            env_kwargs=world.arguments(expert=expert),
        )
