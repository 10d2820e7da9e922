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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError, did_you_mean
from oreo.experiments.resumable import Left, claim, one_process, passes, play_left, played, still_to_play, train_once
from oreo.files import read_json, write_json
from oreo.training.config import TrainConfig
from oreo.training.small_models import small_recipe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from oreo.eval.evaluate import Evaluation, Plan

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
        agent_settings: more for `oreo.agents.load_agent`.
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
    from oreo.eval.evaluate import plan_games

    one_process("oreo iterate", instead="start it once, with --workers N to collect in several")
    if rounds < 1 or episodes < 1:
        raise UsageError(f"rounds is {rounds}, episodes is {episodes}; expected at least 1")
    if reference not in REFERENCES:
        raise UsageError(f"reference {reference!r} is unknown; {did_you_mean(reference, REFERENCES)}")
    for name, value in {"model": model, "seed": seed}.items():
        if name in (training or {}):
            raise UsageError(f"{name} is an argument of its own (now {value!r}); leave it out of training")
    fields = {**(training or {}), "model": model, "seed": seed}
    output = Path(output).expanduser().absolute()
    begun = output / "iterate.json"
    recipe = small_recipe(fields, {"recipe": read_json(begun).get("training.recipe")} if begun.is_file() else None)
    if recipe is not None:
        fields["recipe"] = recipe
    config = TrainConfig.of(**fields)
    collecting = _collecting(config.recipe, per_game=per_game, max_steps=max_steps, temperature=temperature)
    held_out_kwargs = {**(env_kwargs or {}), **(held_out_kwargs or {})}
    plan = plan_games(env, held_out, seed=seed, max_steps=collecting["max_steps"], env_kwargs=held_out_kwargs)
    settings: dict[str, Any] = {
        "env": env,
        "env_kwargs": env_kwargs or {},
        "episodes": episodes,
        **collecting,
        "held_out": plan.episodes,
        "held_out_kwargs": held_out_kwargs,
        "eval_temperature": eval_temperature,
        "agent_settings": agent_settings or {},
        "reference": reference,
        **{
            f"training.{k}": v
            for k, v in config.to_dict().items()
            if k not in ("checkpoint_activations", "save_every", "trackers")
        },
    }
    claim(output, "iterate.json", settings)
    job = _Job(output, settings, plan, fields, config.spec.name, batch_size, workers, console)
    evaluation = job.evaluate(0, model)
    rows = [_row(0, evaluation)]
    results: dict[str, Any] = {"rounds": rows, "protocol": evaluation.protocol, "settings": settings}
    policy = model
    for number in range(1, rounds + 1):
        job.collect(number, policy)
        policy = job.train(number, policy)
        rows.append(_row(number, job.evaluate(number, policy), job.buffer(number)))
        write_json(output / "results.json", results)
    return results


@dataclass(frozen=True)
class _Job:
    """The three stages of a round, each of which does what is not done yet."""

    output: Path
    settings: dict[str, Any]
    """What iterate.json holds."""
    plan: Plan
    """Of the held-out games."""
    fields: dict[str, Any]
    """Of TrainConfig, as given."""
    method: str
    batch_size: int
    workers: int
    console: Console | None

    def buffer(self, number: int) -> Path:
        return self.output / f"round-{number}" / "buffer"

    def collect(self, number: int, policy: str) -> None:
        from oreo.eval.evaluate import plan_games

        settings, seed = self.settings, self.fields["seed"] + number
        episodes, per_game, arguments = settings["episodes"], settings["per_game"], settings["env_kwargs"]
        left = still_to_play(self.buffer(number), episodes, seed=seed, per_game=per_game)
        if not left:
            return
        games = plan_games(
            settings["env"],
            passes(episodes, per_game)[0],
            seed=seed,
            max_steps=settings["max_steps"],
            env_kwargs=arguments,
        ).games
        self._play(
            f"{number}  Collecting {episodes} episodes",
            left,
            self.buffer(number),
            policy,
            temperature=settings["temperature"],
            workers=self.workers,
            games=games,
            seed=seed,
            env_kwargs=arguments,
        )

    def train(self, number: int, policy: str) -> str:
        """Returns the folder, as `load_agent` takes it."""
        from oreo.models.loading import is_model

        folder = self.output / f"round-{number}" / self.method
        if is_model(folder / "policy"):
            return str(folder)
        start: dict[str, Any] = {}
        if self.settings["reference"] == "previous" and number > 1:
            start["model"] = str(Path(policy) / "policy")
            if (Path(policy) / "value").is_dir() and not TrainConfig.of(**self.fields).lora_r:
                start["value_model"] = str(Path(policy) / "value")
        buffers = [self.buffer(each) for each in range(1, number + 1)]
        with self._updates(f"{number}  Training on {number * self.settings['episodes']} episodes") as seen:
            train_once(buffers, folder, on_step=seen, **(self.fields | start))
        return str(folder)

    def evaluate(self, number: int, policy: str) -> Evaluation:
        from oreo.eval.evaluate import summarise

        folder, seed = self.output / f"round-{number}" / "held_out", self.fields["seed"]
        self._play(
            f"{number}  Evaluating on {self.plan.episodes} held-out games",
            still_to_play(folder, self.plan.episodes, seed=seed),
            folder,
            policy,
            temperature=self.settings["eval_temperature"],
            games=self.plan.games,
            seed=seed,
            env_kwargs=self.settings["held_out_kwargs"],
        )
        return summarise(
            played(folder, self.plan.episodes, seed=seed), {"max_steps": self.plan.max_steps, "seed": seed}
        )

    def _play(self, title: str, left: Left, into: Path, policy: str, *, temperature: float, **playing: Any) -> None:
        playing |= {"env": self.settings["env"], "batch_size": self.batch_size, "max_steps": self.settings["max_steps"]}
        settings = {"temperature": temperature, **self.settings["agent_settings"]}
        with self._episodes(title, left) as seen:
            play_left(left, into, agent=policy, agent_settings=settings, on_episode=seen, **playing)

    @contextmanager
    def _episodes(self, title: str, left: Left) -> Iterator[Any]:
        """What follows the episodes that are left, if anybody watches."""
        from oreo.progress import Episodes

        total = sum(len(indices) for _, indices in left)
        if self.console is None or not total:
            yield lambda won: None
            return
        self.console.print(title, highlight=False)
        with Episodes("   episodes", total) as seen:
            yield seen.one

    @contextmanager
    def _updates(self, title: str) -> Iterator[Any]:
        from oreo.progress import Updates

        if self.console is None:
            yield None
            return
        self.console.print(title, highlight=False)
        with Updates("   updates") as seen:
            yield seen


def _collecting(recipe: str | None, **given: Any) -> dict[str, Any]:
    """per_game, max_steps and temperature: as given, else as the recipe has them, else plain."""
    from oreo.training.recipe import load_recipe

    found: dict[str, Any] = {"per_game": 1, "max_steps": None, "temperature": 1.0}
    if recipe is not None:
        found |= {name: setting.value for name, setting in load_recipe(recipe).collect.items()}
    return found | {name: value for name, value in given.items() if value is not None}


def _row(number: int, evaluation: Evaluation, buffer: Path | None = None) -> dict[str, Any]:
    """A round as results.json has it: success on held-out games, and what was collected for it."""
    from oreo.data.buffer import TrajectoryBuffer

    outcome = evaluation.to_dict()
    kept = ("success", "low", "high", "episodes", "won", "mean_steps", "by_task_type", "agent", "checkpoint")
    row: dict[str, Any] = {"round": number, **{key: outcome[key] for key in kept}}
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
