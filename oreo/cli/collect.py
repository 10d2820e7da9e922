"""`oreo collect`: let an agent play into a buffer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    AgentName,
    AgentOptions,
    BatchSize,
    EnvOptions,
    Expert,
    Json,
    Ray,
    Seed,
    Workers,
)
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.cli.playing import Failures, OnError, OnErrorOption, StepTimeout, patience, stdout_kept
from oreo.progress import Episodes


@with_option_groups
def collect(
    *,
    into: Annotated[Path, typer.Option(help="The buffer, a folder; an existing one grows.")],
    agent: AgentName = "expert",
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    world: EnvOptions,
    step_timeout: StepTimeout = None,
    expert: Expert = None,
    playing: AgentOptions,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    workers: Workers = 1,
    ray: Ray = False,
    per_game: Annotated[
        int, typer.Option(min=1, help="Episodes of each game, which differ in the agent's draws; DPO needs several.")
    ] = 1,
    branch: Annotated[
        int,
        typer.Option(
            min=1,
            help="Of each, play K different turns on from a state that is drawn: K - 1 of K episodes begin as another.",
            metavar="K",
        ),
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Play what the buffer lacks of these episodes; without it, some are refused."),
    ] = False,
    on_error: OnErrorOption = OnError.skip,
    json: Json = False,
) -> None:
    """Play episodes and keep them in a buffer.

    \b
    Example:
      oreo collect --agent expert --noise 0.2 --episodes 500 --into runs/kitchen
      oreo collect --agent expert --noise 0.2 --episodes 500 --into runs/kitchen --resume
    """
    from oreo.data.buffer import check_place
    from oreo.eval.evaluate import plan_games
    from oreo.experiments.resumable import episodes_per_pass, missing, missing_of_player, refuse_launcher
    from oreo.rollouts.branching import Branching
    from oreo.rollouts.callbacks import Callbacks
    from oreo.rollouts.collect import collect as run
    from oreo.rollouts.settings import Rollout

    refuse_launcher("oreo collect", instead="start it once, with --workers N to play in several")
    check_place(into)
    config, arguments = playing.config(), world.arguments(expert=expert)
    # Of a split's games, in a drawn order: sorted, the first would be all of one task type.
    branching = Branching(str(into.expanduser()), per_game, branch) if branch > 1 else None
    samples = per_game if branching is None else branching.samples
    count = episodes_per_pass(episodes, samples)[0]
    with stdout_kept():
        games = plan_games(world.env, count, seed=seed, max_steps=world.max_steps, env_kwargs=arguments).games
    rollout = Rollout(
        world.env, arguments, seed, games, batch_size, world.max_steps, branching=branching, step_timeout=step_timeout
    )
    failures = Failures(on_error, patience(batch_size, workers))
    before = _episodes_in(into)
    with Episodes("collecting", episodes) as progress:

        def stored(won: bool) -> None:
            failures.passed()
            progress.count(won)

        def message() -> str:
            kept = _episodes_in(into) - before  # workers may have stored some that they could not report any more
            return f"stopped; {kept} episodes are kept in {into}; the same command with --resume goes on"

        with on_interrupt(message), stdout_kept():
            player = run(
                missing((), episodes, seed=seed, per_game=samples),
                rollout,
                agent=agent,
                agent_config=config,
                into=into,
                workers=workers,
                ray=ray,
                callbacks=Callbacks(stored, progress.steps, failures),
                narrow=missing_of_player(into, rollout, episodes, per_game=samples, resume=resume),
            )
    failures.check(progress.done)
    result = {
        "buffer": str(into),
        "agent": player.agent if player else agent,
        "collected": progress.done,
        "won": progress.won,
        "failed": failures.count,
        "episodes": _episodes_in(into),
    }
    print_json(result) if json else print_pairs(result)


def _episodes_in(buffer: Path) -> int:
    """How many it holds; 0 where there is none yet."""
    from oreo.data.buffer import MANIFEST, TrajectoryBuffer

    return len(TrajectoryBuffer(buffer)) if (buffer.expanduser() / MANIFEST).exists() else 0
