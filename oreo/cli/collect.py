"""`oreo collect`: let an agent play into a buffer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli.options import (
    DEFAULT_ENV,
    AgentArg,
    AgentName,
    BatchSize,
    BestOf,
    Budget,
    Choose,
    Depth,
    Device,
    Dialect,
    Engine,
    Env,
    EnvArg,
    Expert,
    Json,
    K,
    Limit,
    MaxSteps,
    Ray,
    Seed,
    Split,
    TopP,
    Workers,
    agent_settings,
    env_arguments,
)
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.progress import Episodes


def collect(
    into: Annotated[Path, typer.Option(help="The buffer, a folder; an existing one grows.")],
    env: Env = DEFAULT_ENV,
    agent: AgentName = "expert",
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    split: Split = None,
    limit: Limit = None,
    engine: Engine = None,
    dialect: Dialect = None,
    expert: Expert = None,
    env_arg: EnvArg = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    workers: Workers = 1,
    ray: Ray = False,
    max_steps: MaxSteps = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="0 is greedy. Default: 1.")] = None,
    top_p: TopP = None,
    choose: Choose = None,
    k: K = None,
    depth: Depth = None,
    budget: Budget = None,
    best_of: BestOf = None,
    noise: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of the expert's actions replaced by random ones.")
    ] = None,
    per_game: Annotated[
        int, typer.Option(min=1, help="Episodes of each game, which differ in the agent's draws; DPO needs several.")
    ] = 1,
    device: Device = None,
    agent_arg: AgentArg = None,
    json: Json = False,
) -> None:
    """Play episodes and keep them in a buffer.

    \b
    Example:
      oreo collect --agent expert --noise 0.2 --episodes 500 --into runs/kitchen
    """
    from oreo.agents import load_agent
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.eval.evaluate import plan_games
    from oreo.experiments.resumable import one_process, passes, play_into
    from oreo.rollouts import collect as crew

    one_process("oreo collect", instead="start it once, with --workers N to play in several")
    arguments = env_arguments(env_arg, split=split, limit=limit, engine=engine, dialect=dialect, expert=expert)
    counts = passes(episodes, per_game)
    playing: dict[str, Any] = {
        # Of a split's games, in a drawn order: sorted, the first would be all of one task type.
        "games": plan_games(env, counts[0], seed=seed, max_steps=max_steps, env_kwargs=arguments).games,
        "seed": seed,
        "batch_size": batch_size,
        "max_steps": max_steps,
        "env_kwargs": arguments,
    }
    sets = [{**playing, "episodes": count, "sample": sample} for sample, count in enumerate(counts)]
    settings = agent_settings(
        agent_arg,
        temperature=temperature,
        top_p=top_p,
        choose=choose,
        k=k,
        depth=depth,
        budget=budget,
        best_of=best_of,
        noise=noise,
        device=device,
    )
    with Episodes("collecting", episodes) as seen:

        def message() -> str:
            go_on = f"--episodes {episodes - seen.done} --seed {seed + 1}"
            return f"stopped; {seen.done} episodes are kept in {into}; the same command with {go_on} goes on"

        with on_interrupt(message):
            if workers > 1 or ray:
                name = agent
                crowd: dict[str, Any] = {"workers": workers, "ray": ray, "into": into, "on_episode": seen.one}
                for each in sets:
                    crew.collect(env, agent=agent, agent_settings=settings, **crowd, **each)
            else:
                player = load_agent(agent, **settings)
                name = player.name
                for each in sets:  # no episode is kept in memory
                    play_into(into, env, player, range(each.pop("episodes")), on_episode=seen, **each)
    total = len(TrajectoryBuffer(into, create=False))
    result = {"buffer": str(into), "agent": name, "collected": seen.done, "won": seen.won, "episodes": total}
    print_json(result) if json else print_pairs(result)
