"""`oreo eval`: how often an agent succeeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    AgentName,
    AgentOptions,
    BatchSize,
    EnvOptions,
    Expert,
    Json,
    Seed,
)
from oreo.cli.output import on_interrupt, print_json, result_console
from oreo.cli.playing import Failures, OnError, OnErrorOption, StepTimeout, patience, stdout_kept
from oreo.progress import Episodes

if TYPE_CHECKING:
    from oreo.trajectory import Trajectory


@with_option_groups
def evaluate(
    *,
    agent: AgentName,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="How many; default: every game of a real split once, else 200.")
    ] = None,
    world: EnvOptions,
    step_timeout: StepTimeout = None,
    expert: Expert = None,
    playing: AgentOptions,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    into: Annotated[Path | None, typer.Option(help="Keep the episodes in this buffer.")] = None,
    on_error: OnErrorOption = OnError.stop,
    json: Json = False,
) -> None:
    """How often an agent succeeds.

    By task type and overall, with 95 % Wilson intervals.

    \b
    Example:
      oreo eval --agent checkpoints/kitchen --best-of 5 --split generated_unseen --json
    """
    from contextlib import nullcontext

    from oreo.agents.loading import load_agent
    from oreo.data.buffer import TrajectoryBuffer, check_place
    from oreo.eval.evaluate import evaluate as run
    from oreo.eval.evaluate import plan_games, render
    from oreo.experiments.resumable import refuse_launcher, refuse_stored
    from oreo.rollouts.links import Player
    from oreo.rollouts.settings import Rollout

    refuse_launcher("oreo eval")
    if into:
        check_place(into)
    config, arguments = playing.acting_config(agent), world.arguments(expert=expert)
    with stdout_kept():
        plan = plan_games(world.env, episodes, seed=seed, max_steps=world.max_steps, env_kwargs=arguments)
    failures = Failures(on_error, patience(batch_size))
    with Episodes("evaluating", plan.episodes) as progress:
        keeping = f"kept in {into}" if into else "not kept (--into BUFFER would keep them)"

        def message() -> str:
            won = f"{progress.won} of them won (which end earlier than others)"
            return f"stopped after {progress.done} of {plan.episodes} episodes, {won}, {keeping}"

        def ended(trajectory: Trajectory) -> None:
            failures.passed()
            progress(trajectory)

        player = load_agent(agent, config)
        if into:
            rollout = Rollout(world.env, arguments, seed, plan.games, batch_size, world.max_steps)
            refuse_stored(into, rollout, Player(player.name, player.checkpoint), plan.episodes)
        with on_interrupt(message), stdout_kept(), TrajectoryBuffer(into) if into else nullcontext() as buffer:
            evaluation = run(
                world.env,
                player,
                episodes=plan.episodes,
                games=plan.games,
                seed=seed,
                batch_size=batch_size,
                max_steps=world.max_steps,
                step_timeout=step_timeout,
                env_kwargs=arguments,
                into=buffer,
                on_episode=ended,
                on_failure=failures,
            )
    if json:
        print_json(evaluation.to_dict())
    else:
        result_console().print(render(evaluation))
