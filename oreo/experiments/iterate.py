"""Iterative OREO (arXiv 2412.16145, section 4.3): roll out, add to the data, train again, evaluate; round by round.

    iterate("runs/rounds", rounds=3, episodes=500, env_kwargs={"split": "generated"}, held_out=200,
            held_out_kwargs={"split": "generated_unseen"}, method="oreo", lr=1e-3)

    iterate.json            the settings the folder was begun with
    round-0/held_out/       episodes of the start model on the held-out games
    round-K/buffer/         episodes of round K, played by the policy of round K − 1 (K = 1: the start model)
    round-K/oreo/           policy and value, trained on the episodes of rounds 1 … K; named by the method
    round-K/held_out/       episodes of that policy on the held-out games
    results.json            success of each round, written anew when a round is done

Called again it goes on from wherever it was stopped, killed included, and ends with the models of a run that was left
alone. More rounds may be asked for later.
Not here: several devices or machines. One process trains and evaluates, and `workers` of them collect; to be started
by a launcher (torchrun, accelerate launch) is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.agents.settings import AgentConfig, configure
from oreo.errors import UsageError, did_you_mean
from oreo.experiments.resumable import (
    claim,
    episodes_per_pass,
    missing,
    play_missing,
    played,
    refuse_launcher,
    stored_seeds,
    train_once,
)
from oreo.files import read_json, write_json
from oreo.rollouts.settings import Rollout
from oreo.training.config import TrainConfig
from oreo.training.small_models import small_recipe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from oreo.eval.evaluate import Evaluation, GamePlan

REFERENCES = ("previous", "start")


def iterate(
    output: str | os.PathLike[str],
    *,
    rounds: int,
    episodes: int,
    env: str,
    env_kwargs: dict[str, Any] | None = None,
    held_out: int | None = None,
    held_out_kwargs: dict[str, Any] | None = None,
    model: str = "tiny",
    reference: str = "previous",
    per_game: int | None = None,
    max_steps: int | None = None,
    temperature: float | None = None,
    eval_temperature: float = 0.0,
    agent_settings: dict[str, Any] | None = None,
    batch_size: int = 32,
    workers: int = 1,
    seed: int = 0,
    training: dict[str, Any] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Collect, train, evaluate, again.

    Which model a round starts from and keeps close to is open in the paper: it says that the policy is updated again,
    and of the first iteration that its reference is the SFT model. `reference="previous"` reads this as one step after
    another: each round starts from the policy and the value of the round before, so KL to the start may grow with each.
    (A value that is a LoRA adapter belongs to the model it was trained on, and begins anew.)
    `reference="start"` trains each round anew from the start model on the larger data, which bounds that KL by β.

    Args:
        output: the folder for everything.
        rounds: how many. An output folder that has more than that keeps them.
        episodes: collected in each round, on games of their own: round k plays those of seed + k.
        env, env_kwargs: as for `oreo.make`.
        held_out: how many held-out games, those of `seed`; None: every one where the environment lists its games.
        held_out_kwargs: what differs from env_kwargs for them. Without anything they differ by their seeds alone.
        model: the start model, as for `oreo.train`.
        reference: "previous" or "start"; see above.
        per_game, max_steps, temperature: of collecting; None: the recipe's, else 1, the environment's, 1.0. The step
            limit holds for held-out games as well.
        eval_temperature: at which held-out games are played; 0 is greedy.
        agent_settings: fields of `oreo.agents.AgentConfig`, beside these temperatures or in place of them.
        batch_size, workers: episodes under way at a time, and processes that collect; they change no result (but for
            the rounding of a model that answers more of them, or fewer, in one pass).
        seed: of games, sampling and training.
        training: fields of `oreo.training.config.TrainConfig`, method and recipe among them; not model and seed.
        console: where to say what is being done, beside progress on standard error; None: silent.

    Returns:
        What results.json holds: rounds, protocol, settings.

    Raises:
        UsageError: wrong options; a folder that was begun with other ones; a launcher started several processes.
        OreoError: whatever environment, agent or training find wrong.
    """
    # 1) Refuse what cannot be right.
    refuse_launcher("oreo iterate", instead="start it once, with --workers N to collect in several")
    if rounds < 1 or episodes < 1:
        raise UsageError(f"rounds is {rounds}, episodes is {episodes}; expected at least 1")
    if reference not in REFERENCES:
        raise UsageError(f"reference {reference!r} is unknown; {did_you_mean(reference, REFERENCES)}")
    for name, value in {"model": model, "seed": seed}.items():
        if name in (training or {}):
            raise UsageError(f"{name} is an argument of its own (now {value!r}); leave it out of training")

    # 2) Say once what is done in every round, and hold the folder to it.
    fields = {**(training or {}), "model": model, "seed": seed}
    output = Path(output).expanduser().absolute()
    begun = output / "iterate.json"
    recipe = small_recipe(fields, {"recipe": read_json(begun).get("training.recipe")} if begun.is_file() else None)
    if recipe is not None:
        fields["recipe"] = recipe
    config = TrainConfig.of(**fields)
    settings: dict[str, Any] = {
        "env": env,
        "env_kwargs": env_kwargs or {},
        "episodes": episodes,
        **_collecting(config.recipe, per_game=per_game, max_steps=max_steps, temperature=temperature),
        "held_out": held_out,
        "held_out_kwargs": {**(env_kwargs or {}), **(held_out_kwargs or {})},
        "eval_temperature": eval_temperature,
        "agent_settings": agent_settings or {},
        "reference": reference,
    }
    for temperature_of in ("temperature", "eval_temperature"):
        _agent_config(settings, temperature_of)
    plan = _held_out_games(settings, held_out, seed)
    settings["held_out"] = plan.episodes
    for name, value in config.to_dict().items():
        if name not in ("checkpoint_activations", "save_every", "trackers"):
            settings[f"training.{name}"] = value
    claim(output, "iterate.json", settings)

    # 3) Go round.
    stages = _Stages(output, settings, plan, fields, config.spec.name, batch_size, workers, console)
    evaluation = stages.evaluate(0, model)
    rows = [_row(0, evaluation)]
    results: dict[str, Any] = {"rounds": rows, "protocol": evaluation.protocol, "settings": settings}
    policy = model
    for number in range(1, rounds + 1):
        stages.collect(number, policy)
        policy = stages.train(number, policy)
        rows.append(_row(number, stages.evaluate(number, policy), stages.buffer(number)))
        write_json(output / "results.json", results)
    return results


def _held_out_games(settings: dict[str, Any], episodes: int | None, seed: int) -> GamePlan:
    from oreo.eval.evaluate import plan_games

    kwargs, max_steps = settings["held_out_kwargs"], settings["max_steps"]
    return plan_games(settings["env"], episodes, seed=seed, max_steps=max_steps, env_kwargs=kwargs)


@dataclass(frozen=True)
class _Stages:
    """The three stages of a round, each of which does what is not done yet."""

    output: Path
    settings: dict[str, Any]
    """What iterate.json holds."""
    plan: GamePlan
    """Of the held-out games."""
    fields: dict[str, Any]
    """Of TrainConfig, as given."""
    method: str
    batch_size: int
    workers: int
    console: Console | None

    def buffer(self, number: int) -> Path:
        """What was collected in a round."""
        return self.output / f"round-{number}" / "buffer"

    def collect(self, number: int, policy: str) -> None:
        """Let the policy of the round before play games of this round's own."""
        from oreo.eval.evaluate import plan_games

        settings, buffer, seed = self.settings, self.buffer(number), self.fields["seed"] + number
        episodes, per_game = settings["episodes"], settings["per_game"]
        lacking = missing(stored_seeds(buffer), episodes, seed=seed, per_game=per_game)
        if not lacking:
            return
        env, kwargs, max_steps = settings["env"], settings["env_kwargs"], settings["max_steps"]
        count, *_ = episodes_per_pass(episodes, per_game)
        games = plan_games(env, count, seed=seed, max_steps=max_steps, env_kwargs=kwargs).games
        play_missing(
            lacking,
            Rollout(env, kwargs, seed, games, self.batch_size, max_steps),
            agent=policy,
            agent_config=_agent_config(settings, "temperature"),
            into=buffer,
            title=f"{number}  Collecting {episodes} episodes",
            console=self.console,
            workers=self.workers,
        )

    def train(self, number: int, policy: str) -> str:
        """Learn from the episodes of all rounds so far; returns the folder, as `load_agent` takes it."""
        from oreo.models.loading import is_model
        from oreo.progress import Updates

        folder = self.output / f"round-{number}" / self.method
        if is_model(folder / "policy"):
            return str(folder)
        buffers = [self.buffer(earlier) for earlier in range(1, number + 1)]
        fields = self.fields | self._start(number, policy)
        if self.console is None:
            train_once(buffers, folder, on_step=None, **fields)
            return str(folder)
        self.console.print(f"{number}  Training on {number * self.settings['episodes']} episodes", highlight=False)
        with Updates("   updates") as progress:
            train_once(buffers, folder, on_step=progress, **fields)
        return str(folder)

    def _start(self, number: int, policy: str) -> dict[str, Any]:
        """What a round starts from, where that is not the start model."""
        if self.settings["reference"] != "previous" or number == 1:
            return {}
        start = {"model": str(Path(policy) / "policy")}
        if (Path(policy) / "value").is_dir() and not TrainConfig.of(**self.fields).lora_r:
            start["value_model"] = str(Path(policy) / "value")
        return start

    def evaluate(self, number: int, policy: str) -> Evaluation:
        """Let a policy play the held-out games."""
        from oreo.eval.evaluate import summarise

        settings, plan, seed = self.settings, self.plan, self.fields["seed"]
        folder = self.output / f"round-{number}" / "held_out"
        kwargs, max_steps = settings["held_out_kwargs"], settings["max_steps"]
        play_missing(
            missing(stored_seeds(folder), plan.episodes, seed=seed),
            Rollout(settings["env"], kwargs, seed, plan.games, self.batch_size, max_steps),
            agent=policy,
            agent_config=_agent_config(settings, "eval_temperature"),
            into=folder,
            title=f"{number}  Evaluating on {plan.episodes} held-out games",
            console=self.console,
        )
        return summarise(played(folder, plan.episodes, seed=seed), {"max_steps": plan.max_steps, "seed": seed})


def _agent_config(settings: dict[str, Any], temperature: str) -> AgentConfig:
    """What the player is set to. Raises UsageError for what it cannot be set to.

    Args:
        temperature: the setting that says at which it plays.
    """
    return configure(AgentConfig(temperature=settings[temperature]), settings["agent_settings"])


def _collecting(recipe: str | None, **own: Any) -> dict[str, Any]:
    """per_game, max_steps and temperature: as given, else as the recipe has them, else plain."""
    from oreo.training.recipe import load_recipe

    settings: dict[str, Any] = {"per_game": 1, "max_steps": None, "temperature": 1.0}
    if recipe is not None:
        settings |= {name: setting.value for name, setting in load_recipe(recipe).collect.items()}
    return settings | {name: value for name, value in own.items() if value is not None}


def _row(number: int, evaluation: Evaluation, buffer: Path | None = None) -> dict[str, Any]:
    """A round as results.json has it: success on held-out games, and what was collected for it."""
    from oreo.data.buffer import TrajectoryBuffer

    figures = evaluation.to_dict()
    shown = ("success", "low", "high", "episodes", "won", "mean_steps", "by_task_type", "agent", "checkpoint")
    row: dict[str, Any] = {"round": number, **{key: figures[key] for key in shown}}
    if buffer is not None:
        collected = [won for _, won in TrajectoryBuffer(buffer, create=False).stored_by()]
        row["collected"] = {"episodes": len(collected), "won": sum(collected)}
    return row


def render(results: dict[str, Any]) -> RenderableType:
    """What `oreo iterate` prints: the protocol, then a row per round."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from oreo.eval.evaluate import describe
    from oreo.eval.statistics import percent

    temperature = results["settings"]["eval_temperature"]
    how = f"sampled at {temperature}" if temperature else "greedy"
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("round")
    for column in ("collected", "of them won", "success", "95 % interval", "games", "steps"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in results["rounds"]:
        collected = row.get("collected")
        table.add_row(
            str(row["round"]) if collected else "start",
            str(collected["episodes"]) if collected else "",
            percent(collected["won"] / collected["episodes"]) if collected else "",
            percent(row["success"]),
            f"{100 * row['low']:.1f} – {percent(row['high'])}",
            str(row["episodes"]),
            f"{row['mean_steps']:.1f}",
        )
    return Group(Text(f"success on held-out games: {describe(results['protocol'])}, {how}\n"), table)
