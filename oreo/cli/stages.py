"""The main job, and its three stages each on its own: collect, train, eval."""

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
    Choose,
    Device,
    Dialect,
    Engine,
    Env,
    EnvArg,
    Expert,
    Json,
    Limit,
    Lookahead,
    MaxSteps,
    Ray,
    Recipe,
    Seed,
    Split,
    Temperature,
    TopP,
    Workers,
    acting_agent,
    agent_settings,
    env_arguments,
    existing_buffer,
    other_fields,
)
from oreo.cli.output import kept, print_json, print_pairs, result_console
from oreo.progress import Episodes, Updates, is_main_process, main_metrics


def quickstart(
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for everything it makes.", show_default="runs/quickstart, or runs/quickstart-math"),
    ] = None,
    env: Annotated[str, typer.Option(help="alfworld, or math for generated problems.")] = "alfworld",
    seed: Seed = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Two minutes instead of ten; learns less.")] = False,
) -> None:
    """The main job on an embedded model.

    Collects, trains, evaluates on what was held out and shows an episode. No download, no GPU.

    \b
    Example:
      oreo quickstart --fast --output /tmp/quickstart
      oreo quickstart --env math
    """
    from rich.console import Console

    from oreo.quickstart import ALFWORLD, run, world_of

    world = world_of(env)
    folder = output or Path("runs/quickstart" if world is ALFWORLD else "runs/quickstart-math")
    with kept(lambda: f"stopped; what was finished is in {folder}, and the same command goes on from there"):
        run(folder, world, seed=seed, fast=fast, console=Console())


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
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 1.0,
    top_p: TopP = 1.0,
    best_of: BestOf = 1,
    choose: Choose = "text",
    lookahead: Lookahead = 0,
    noise: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of actions replaced by random ones.")] = 0.0,
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
    from oreo.resumable import one_process, passes, play_into
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
        best_of=best_of,
        choose=choose,
        lookahead=lookahead,
        noise=noise,
        device=device,
    )
    with Episodes("collecting", episodes) as seen:

        def message() -> str:
            go_on = f"--episodes {episodes - seen.done} --seed {seed + 1}"
            return f"stopped; {seen.done} episodes are kept in {into}; the same command with {go_on} goes on"

        with kept(message):
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


def train(
    buffer: Annotated[Path, typer.Argument(help="The buffer to learn from.")],
    output: Annotated[Path, typer.Option(help="A new folder for the models, the log and the checkpoint.")],
    method: Annotated[
        str | None, typer.Option(help="oreo, dqo, dpo, kto, rejection or sft; default: the recipe's, else oreo.")
    ] = None,
    recipe: Recipe = None,
    model: Annotated[str, typer.Option(help="What to start from: tiny, tiny-math, a folder or a Hub name.")] = "tiny",
    epochs: Annotated[int | None, typer.Option(help="Passes over the buffer.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Trajectories (dpo: pairs) for one update.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate of the policy.")] = None,
    value_lr: Annotated[float | None, typer.Option(help="Peak learning rate of the value model.")] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of the log-ratio to the starting model.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of the KL to the starting model.")] = None,
    level: Annotated[str | None, typer.Option(help="oreo: an action is a token, step or response.")] = None,
    lambda_: Annotated[
        float | None, typer.Option("--lambda", help="oreo, dqo: 0 one-step consistency, 1 telescoped (the paper).")
    ] = None,
    reward: Annotated[str | None, typer.Option(help="oreo, dqo: stored, success (1, 0) or signed (1, -1).")] = None,
    samples_per_game: Annotated[int | None, typer.Option(help="Episodes of each game, at most.")] = None,
    balance: Annotated[str | None, typer.Option(help="Equal numbers of won and lost: none, game or all.")] = None,
    pairs_per_game: Annotated[int | None, typer.Option(help="dpo: pairs of each game, at most.")] = None,
    lora_r: Annotated[
        int | None, typer.Option("--lora", help="Rank of LoRA adapters to train in place of all weights.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other field of oreo.training.config.TrainConfig (repeatable)."
        ),
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Log to tensorboard, wandb or trackio as well (repeatable).")
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped, if there is one.")
    ] = False,
    json: Json = False,
) -> None:
    """Train on a buffer.

    A policy, and with --method oreo or dqo a value model. Defaults are the paper's for ALFWorld; --recipe names another
    of its experiments. What is said explicitly wins.

    \b
    Example:
      oreo train runs/kitchen --model tiny --output checkpoints/kitchen --lr 1e-4 --set value_warmup_epochs=1
    """
    named = {
        "method": method,
        "model": model,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "value_lr": value_lr,
        "beta": beta,
        "alpha": alpha,
        "level": level,
        "lambda_": lambda_,
        "reward": reward,
        "samples_per_game": samples_per_game,
        "balance": balance,
        "pairs_per_game": pairs_per_game,
        "lora_r": lora_r,
        "recipe": recipe,
        "trackers": track or None,
    }
    settings = other_fields(setting, named) | named
    existing_buffer(buffer)  # before seconds go by for torch
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.training.devices import disconnect
    from oreo.training.trainer import train as run

    with Updates("training") as seen:

        def message() -> str:
            return f"stopped after update {seen.done} of {seen.total or '?'}; the same command with --resume goes on"

        with kept(message), TrajectoryBuffer(buffer, create=False) as stored:
            result: Any = run(stored, output=output, resume=resume, on_step=seen, **settings)
    disconnect()
    if not is_main_process():
        return
    if json:
        print_json(vars(result))
    else:
        made = {name: value for name, value in vars(result).items() if name != "metrics"}
        print_pairs(made | main_metrics(result.metrics) | {"log": output / "log.jsonl"})


def evaluate(
    agent: AgentName,
    env: Env = DEFAULT_ENV,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="How many; default: every game of a real split once, else 200.")
    ] = None,
    split: Split = None,
    limit: Limit = None,
    engine: Engine = None,
    dialect: Dialect = None,
    expert: Expert = None,
    env_arg: EnvArg = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    max_steps: MaxSteps = None,
    temperature: Temperature = None,
    top_p: TopP = 1.0,
    best_of: BestOf = 1,
    choose: Choose = "text",
    lookahead: Lookahead = 0,
    device: Device = None,
    agent_arg: AgentArg = None,
    into: Annotated[Path | None, typer.Option(help="Keep the episodes in this buffer.")] = None,
    json: Json = False,
) -> None:
    """How often an agent succeeds.

    By task type and overall, with 95 % Wilson intervals.

    \b
    Example:
      oreo eval --agent checkpoints/kitchen --best-of 5 --split generated_unseen --json
    """
    from contextlib import nullcontext

    from oreo.data.buffer import TrajectoryBuffer
    from oreo.eval.evaluate import evaluate as run
    from oreo.eval.evaluate import plan_games, render
    from oreo.resumable import one_process

    one_process("oreo eval")
    arguments = env_arguments(env_arg, split=split, limit=limit, engine=engine, dialect=dialect, expert=expert)
    plan = plan_games(env, episodes, seed=seed, max_steps=max_steps, env_kwargs=arguments)
    with Episodes("evaluating", plan.episodes) as seen:
        keeping = f"kept in {into}" if into else "not kept (--into BUFFER would keep them)"

        def message() -> str:
            return f"stopped after {seen.done} of {plan.episodes} episodes, {seen.won} of them won, {keeping}"

        player = acting_agent(
            agent,
            agent_arg,
            temperature=temperature,
            top_p=top_p,
            best_of=best_of,
            choose=choose,
            lookahead=lookahead,
            device=device,
        )
        with kept(message), TrajectoryBuffer(into) if into else nullcontext() as buffer:
            evaluation = run(
                env,
                player,
                episodes=plan.episodes,
                games=plan.games,
                seed=seed,
                batch_size=batch_size,
                max_steps=max_steps,
                env_kwargs=arguments,
                into=buffer,
                on_episode=seen,
            )
    if json:
        print_json(evaluation.to_dict())
    else:
        result_console().print(render(evaluation))
