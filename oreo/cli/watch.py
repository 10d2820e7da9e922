"""`oreo watch`: see an agent play one episode."""

from __future__ import annotations

from typing import Annotated

import typer

from oreo.cli.help import ENVIRONMENT
from oreo.cli.options import (
    DEFAULT_ENV,
    AgentArg,
    AgentName,
    BestOf,
    Budget,
    Choose,
    Delay,
    Depth,
    Device,
    Dialect,
    Engine,
    Env,
    EnvArg,
    Except,
    Expert,
    K,
    MaxSteps,
    Paused,
    Seed,
    Split,
    Temperature,
    TopP,
    acting_agent,
    env_arguments,
)
from oreo.cli.output import on_interrupt


def watch(
    agent: AgentName = "tiny",
    env: Env = DEFAULT_ENV,
    game: Annotated[
        str | None, typer.Option(help="Which game; default: drawn from the seed.", rich_help_panel=ENVIRONMENT)
    ] = None,
    split: Split = None,
    except_: Except = None,
    engine: Engine = None,
    dialect: Dialect = None,
    expert: Expert = None,
    env_arg: EnvArg = None,
    seed: Seed = 0,
    max_steps: MaxSteps = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    choose: Choose = None,
    k: K = None,
    depth: Depth = None,
    budget: Budget = None,
    best_of: BestOf = None,
    device: Device = None,
    agent_arg: AgentArg = None,
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
    from oreo.eval.terminal.watch import watch as run

    arguments = env_arguments(
        env_arg, split=split, except_task_types=except_, engine=engine, dialect=dialect, expert=expert
    )
    player = acting_agent(
        agent,
        agent_arg,
        temperature=temperature,
        top_p=top_p,
        choose=choose,
        k=k,
        depth=depth,
        budget=budget,
        best_of=best_of,
        device=device,
    )
    with on_interrupt(lambda: "stopped; watching keeps nothing"):
        run(
            env,
            player,
            game=game,
            seed=seed,
            delay=delay,
            paused=step,
            max_steps=max_steps,
            env_kwargs=arguments,
        )
