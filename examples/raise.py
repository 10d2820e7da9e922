"""Raise a language model on generated ALFWorld games alone, to play the real ones without having seen one.

    python examples/raise.py --output runs/raise
    oreo eval --agent runs/raise --split generated_unseen --env-arg realistic=true

Rounds. In each, fresh realistic houses in both dialects are played: four times by the explorer, made to stumble, or
from `--own-from` on three times by it and once by the model itself, sampled. The explorer then says, from the texts
alone, what it would have done at every state of every episode, and that is what the model learns (DAgger, Ross et al.
2011, arXiv 1011.0686): the stumbles, the model's own and the expert's, are context, what leads out of them is the
lesson. Two things are learnt beside it. The game's replies, with less weight; and, half-way up the model, which words
of them are those of the task, read off by a linear layer that is thrown away in the end.

All episodes of a game stand in one update, where the beginning that they share is computed once. The learning rate is
constant, and falls to zero over the last `--decay` of the rounds, so that more rounds can be asked for at any time
before that.

Round r depends on the seed, r and the weights before it. The same command goes on after an interruption of any kind and
ends with the same bits. log.jsonl has a line for each round, measured before each of its updates: how often the
likeliest token is the expert's, in all episodes and in those of the explorer that stumbles least, tokens, CPU seconds;
and every `--evaluate-every` rounds the success on held-out floor plans.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from oreo.agents import load_agent
from oreo.encoding.turn_format import TurnFormat
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.generation.generator import REALISTIC, GeneratorSettings
from oreo.eval.evaluate import evaluate
from oreo.experiments.resumable import claim
from oreo.models.loading import load_policy
from oreo.models.packing import pack, prepare
from oreo.models.saving import save_model
from oreo.progress import Progress, reported
from oreo.rollouts.loop import rollout
from oreo.training.checkpoint import latest_checkpoint, read_state, restore_optimizers, save_checkpoint
from oreo.training.devices import moments
from oreo.training.interrupts import stop_requests, uninterrupted
from oreo.trajectory import Trajectory

ENV = "oreo/ALFWorld-v0"
NOTICES = "notices.safetensors"
"""In a checkpoint: the linear layer that is thrown away in the end."""
NO_IDEA = "look"
"""What the explorer says when it has searched everything in vain; it has no other use for the word."""
STUMBLES = (0.02, 0.1, 0.2, 0.3)
"""A game is played by the explorer with each of these shares of its actions replaced, half of them by pointless and
half by refused ones; from `own_from` on the model plays in place of the last."""
OBSERVED = 0.3
"""Weight of predicting a token of what the game replies, where one of the expert's has 1: to tell what is seen again
from what is new is learnt from replies sooner than from the few turns that hang on it."""
MOST_STEPS = 50
"""Of an episode of the explorer's, and of those that are evaluated."""
OWN_STEPS = 25
"""Of an episode that the model plays: what it has not done by then it repeats what was refused in."""


@dataclass(frozen=True)
class Settings:
    """What decides the weights of a round; a folder belongs to one of these."""

    model: str
    """What to start from; empty: from nothing."""
    layers: int
    width: int
    games: int
    update_games: int
    own_from: int
    lr: float
    seed: int


@dataclass(frozen=True)
class Lesson:
    """An episode of T tokens."""

    tokens: np.ndarray
    """[T] int64."""
    labels: np.ndarray
    """[T] int64: in the agent's turns what the expert would have written, in the game's replies what stands there."""
    weights: np.ndarray
    """[T] float32: what learning each label is worth; 0 where there is none, 1 in the agent's turns."""
    marks: np.ndarray
    """[T, 2] bool: is this the word for what the task is about; for where it is to go (or for the lamp)?"""


def lesson(form: TurnFormat, trajectory: Trajectory) -> Lesson:
    """The explorer's word on every turn of an episode, whoever played it.

    Where the turn that was written leaves the explorer's, the first token that differs is the last one to be learnt:
    what would have to stand behind it stands in no text.
    """
    coded = form.encode(trajectory)
    tokens = np.asarray(coded.input_ids)
    acted = np.asarray(coded.action_mask, dtype=bool)
    labels, weights = tokens.copy(), np.where(acted, 0.0, OBSERVED).astype(np.float32)
    weights[: np.argmax(acted)] = 0.0  # the house and the task, which nobody can foresee
    explorer = Explorer(trajectory.steps[0].observation, trajectory.task_type, dialect=trajectory.dialect)
    after = [*(step.observation for step in trajectory.steps[1:]), trajectory.final_observation]
    for begin, step, feedback in zip(np.flatnonzero(coded.step_start), trajectory.steps, after, strict=True):
        action = explorer.act()
        if action != NO_IDEA:
            for place, token in enumerate(form.turn(action), start=int(begin)):
                labels[place], weights[place] = token, 1.0
                if tokens[place] != token:
                    break
        explorer.observe(step.action, feedback)
    task = explorer.task
    words = [form.tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in (task.thing, task.target)]
    marks = np.stack([tokens == ids[0] for ids in words], axis=1)
    return Lesson(tokens, labels, weights, marks)


def games_of(settings: Settings, number: int) -> list[str]:
    """The games of a round, half of them in each dialect; no round has one of another's."""
    first = number * settings.games
    return [
        str(GeneratorSettings(seed=settings.seed, index=index, dialect=("put", "move")[index % 2], **REALISTIC))
        for index in range(first, first + settings.games)
    ]


def lessons_of(settings: Settings, number: int, model: Path, form: TurnFormat) -> list[list[Lesson]]:
    """A round's episodes, by game, the most flawless first."""
    rng = np.random.default_rng((settings.seed, number))
    games = games_of(settings, number)
    agents = [load_agent("expert", noise=noise) for noise in STUMBLES]
    limits = [MOST_STEPS] * len(agents)
    if number >= settings.own_from:
        agents[-1], limits[-1] = load_agent(str(model), temperature=1.0), OWN_STEPS
    played = [
        rollout(
            ENV,
            agent=agent,
            games=games,
            seed=int(rng.integers(2**31)),
            batch_size=64,
            max_steps=most,
            env_kwargs={"split": "generated", "realistic": True},
        )
        for agent, most in zip(agents, limits, strict=True)
    ]
    return [[lesson(form, trajectory) for trajectory in of_game] for of_game in zip(*played, strict=True)]


@dataclass(frozen=True)
class Learnt:
    """What packed episodes teach: tensors [N] over all their labels."""

    loss: torch.Tensor
    """Cross-entropy, without weights."""
    right: torch.Tensor
    """Whether the likeliest token is the label."""
    weight: torch.Tensor
    row: torch.Tensor
    """Index of the episode."""
    noticing: torch.Tensor
    """[]: mean cross-entropy of telling, half-way up the model, which words of the replies are the task's."""


def learn(model: Any, notices: torch.nn.Linear, lessons: Sequence[Lesson]) -> Learnt:
    """A forward pass over episodes, for a model that was prepared for packing.

    Args:
        notices: reads the marks off a hidden state.
    """
    packing = pack([episode.tokens for episode in lessons], max(len(episode.tokens) for episode in lessons))
    states = model.model(**packing.inputs(model), output_hidden_states=True).hidden_states
    hidden, half_way = states[-1][0], states[len(states) // 2][0]
    places = [np.flatnonzero(episode.weights) for episode in lessons]
    before = torch.cat([packing.place[row, at - 1] for row, at in enumerate(places)])
    labels, weights = (
        torch.from_numpy(
            np.concatenate([getattr(episode, name)[at] for episode, at in zip(lessons, places, strict=True)])
        )
        for name in ("labels", "weights")
    )
    logits = model.lm_head(hidden[before])
    replies = [np.flatnonzero((episode.weights > 0) & (episode.weights < 1)) for episode in lessons]
    noticed = notices(half_way[torch.cat([packing.place[row, at] for row, at in enumerate(replies)])])
    marks = torch.from_numpy(np.concatenate([episode.marks[at] for episode, at in zip(lessons, replies, strict=True)]))
    return Learnt(
        torch.nn.functional.cross_entropy(logits, labels, reduction="none"),
        logits.detach().argmax(-1) == labels,
        weights,
        torch.repeat_interleave(torch.arange(len(lessons)), torch.tensor([len(at) for at in places])),
        torch.nn.functional.binary_cross_entropy_with_logits(noticed, marks.float(), pos_weight=torch.tensor(10.0)),
    )


def rate(number: float, rounds: int, decay: float) -> float:
    """Share of the learning rate at moment `number` of `rounds`: two rounds of warm-up, constant, a line to zero."""
    return min(1.0, number / 2, (rounds - number) / max(1e-9, decay * rounds))


def newborn(layers: int, width: int) -> tuple[Any, Any]:
    """An untrained Llama with heads of 32 and the tokenizer of `tiny`, which has all words of both dialects."""
    model, tokenizer = load_policy("tiny")
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.hidden_size, config.intermediate_size = layers, width, 8 * width // 3
    config.num_attention_heads = config.num_key_value_heads = width // config.head_dim
    return type(model)(config), tokenizer


class Raising:
    """The model, its optimiser, and the round it stands at."""

    def __init__(self, output: Path, settings: Settings) -> None:
        self.output, self.settings = output, settings
        self.checkpoints = output / "checkpoint"
        checkpoint = latest_checkpoint(self.checkpoints)
        torch.manual_seed(settings.seed)
        if checkpoint is None and not settings.model:
            self.model, self.tokenizer = newborn(settings.layers, settings.width)
        else:
            self.model, self.tokenizer = load_policy(settings.model if checkpoint is None else checkpoint / "policy")
        self.form = TurnFormat.from_tokenizer(self.tokenizer)
        self.totals: dict[str, float] = {"tokens": 0, "episodes": 0, "updates": 0, "cpu_seconds": 0.0}
        self.round = 0
        prepare([self.model])
        self.model.train()
        self.notices = torch.nn.Linear(self.model.config.hidden_size, 2)
        if checkpoint is not None:
            self.notices.load_state_dict(load_file(checkpoint / NOTICES))
        parameters = [*self.model.parameters(), *self.notices.parameters()]
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        self.parameters = [*matrices, *vectors]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
            lr=settings.lr,
            betas=(0.9, 0.98),
            fused=True,
        )
        if checkpoint is not None:
            state = read_state(checkpoint)
            self.round, self.totals = state["step"], state["totals"]
            restore_optimizers(checkpoint, {"policy": self.optimizer}, {"policy": self.parameters})

    def play_and_learn(self, rounds: int, decay: float) -> dict[str, Any]:
        """One round: its line of the log."""
        began = time.process_time()
        settings = self.settings
        if latest_checkpoint(self.checkpoints) is None:
            self.save()
        newest = latest_checkpoint(self.checkpoints)
        assert newest is not None
        by_game = lessons_of(settings, self.round, newest / "policy", self.form)
        played = time.process_time() - began
        chunks = [
            by_game[first : first + settings.update_games] for first in range(0, len(by_game), settings.update_games)
        ]
        total, hits, flawless_hits, noticing = 0.0, np.zeros(2), np.zeros(2), list[float]()
        for index, chunk in enumerate(chunks):
            share = rate(self.round + (index + 1) / (len(chunks) + 1), rounds, decay)
            for group in self.optimizer.param_groups:
                group["lr"] = settings.lr * share
            worth = sum(float(episode.weights.sum()) for of_game in chunk for episode in of_game)
            self.optimizer.zero_grad()
            for micro in _micro_batches(chunk):
                learnt = learn(self.model, self.notices, micro)
                weight = learnt.weight.sum()
                (((learnt.loss * learnt.weight).sum() + weight * learnt.noticing) / worth).backward()
                turns = learnt.weight == 1.0
                flawless = learnt.right[turns & (learnt.row % len(STUMBLES) == 0)]
                total += float(learnt.loss.detach()[turns].sum())
                noticing.append(float(learnt.noticing.detach()))
                hits += [int(turns.sum()), int(learnt.right[turns].sum())]
                flawless_hits += [len(flawless), int(flawless.sum())]
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
        episodes = [episode for of_game in by_game for episode in of_game]
        tokens = sum(len(episode.tokens) for episode in episodes)
        self.round += 1
        self.totals["tokens"] += tokens
        self.totals["episodes"] += len(episodes)
        self.totals["updates"] += len(chunks)
        self.totals["cpu_seconds"] += time.process_time() - began
        return {
            "round": self.round,
            "loss": round(total / hits[0], 5),
            "accuracy": round(hits[1] / hits[0], 5),
            "noticing": round(float(np.mean(noticing)), 5),
            "accuracy_of_the_expert": round(flawless_hits[1] / flawless_hits[0], 5),
            "lr": settings.lr * share,
            "played_seconds": round(played, 2),
            "round_tokens": tokens,
            **{name: round(value, 1) for name, value in self.totals.items()},
        }

    def save(self) -> None:
        """A checkpoint after the present round."""

        def save(folder: Path) -> None:
            save_model(self.model, self.tokenizer, folder / "policy")
            save_file(self.notices.state_dict(), folder / NOTICES)

        save_checkpoint(
            self.checkpoints,
            self.round,
            save=save,
            moments={"policy": moments(self.optimizer, self.parameters, keep=True)},
            state={"totals": self.totals},
        )

    def success(self, games: int) -> dict[str, float]:
        """Greedy success on realistic games of held-out floor plans, half of them in each dialect."""
        newest = latest_checkpoint(self.checkpoints)
        assert newest is not None
        won = {
            dialect: evaluate(
                ENV,
                str(newest / "policy"),
                episodes=games // 2,
                batch_size=50,
                max_steps=MOST_STEPS,
                env_kwargs={"split": "generated_unseen", "realistic": True, "dialect": dialect},
            ).overall.success
            for dialect in ("put", "move")
        }
        return {f"success_{dialect}": round(success, 4) for dialect, success in won.items()}


MICRO_TOKENS = 6_000
"""Tokens, shared ones counted for each episode, that are computed at once; more is slower where caches are small."""


def _micro_batches(by_game: Sequence[Sequence[Lesson]]) -> Iterator[list[Lesson]]:
    """Whole games, a few at a time."""
    micro: list[Lesson] = []
    for of_game in by_game:
        if micro and sum(len(episode.tokens) for episode in (*micro, *of_game)) > MICRO_TOKENS:
            yield micro
            micro = []
        micro += of_game
    yield micro


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="", help="a name or folder to start from, as of oreo train; none: untrained")
    parser.add_argument("--layers", type=int, default=4, help="of an untrained model")
    parser.add_argument("--width", type=int, default=128, help="of an untrained model; a multiple of 32")
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--games", type=int, default=64, help="of a round")
    parser.add_argument("--update-games", type=int, default=4, help="of an update")
    parser.add_argument("--own-from", type=int, default=100, help="the round from which on the model plays, too")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.3, help="share of the rounds in which the rate falls to zero")
    parser.add_argument("--evaluate-every", type=int, default=20, help="rounds")
    parser.add_argument("--evaluate-games", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1_000, help="of games and everything else; evaluations have 0")
    args = parser.parse_args()
    settings = Settings(
        args.model, args.layers, args.width, args.games, args.update_games, args.own_from, args.lr, args.seed
    )
    with reported(f"stopped; the same command goes on from the last round, which is in {args.output}"):
        claim(args.output, "raise.json", asdict(settings))
        raising = Raising(args.output, settings)
        with (
            open(args.output / "log.jsonl", "a") as log,
            Progress("rounds", args.rounds) as progress,
            stop_requests(several=False),
        ):
            while raising.round < args.rounds:
                line = raising.play_and_learn(args.rounds, args.decay)
                with uninterrupted():
                    raising.save()
                    print(json.dumps(line), file=log, flush=True)
                if raising.round % args.evaluate_every == 0 or raising.round == args.rounds:
                    line = {"round": raising.round, **raising.success(args.evaluate_games)}
                    print(json.dumps(line), file=log, flush=True)
                progress.to(raising.round, note=" ".join(f"{name} {value}" for name, value in line.items()))
            save_model(raising.model, raising.tokenizer, args.output / "policy")


if __name__ == "__main__":
    main()
