"""Acting: what caches that live across turns save, and what choosing by value costs.

    python benchmarks/acting.py
    python benchmarks/acting.py --model Qwen/Qwen2.5-0.5B-Instruct --device cuda --dtype bfloat16

The same generated games, played for a fixed number of turns whether won or not, by

    cached            this package's language-model agent, greedy
    read anew         the same, but with nothing kept from one turn to the next
    generate          transformers' own `generate` on the whole history, padded at the left, each turn
    best of 5         five sampled turns each, the value model's choice (its head is new: only time is measured)
    admissible        the likeliest of the admissible commands

Each in a process of its own. Processor time counts what other programs do not take; without an accelerator it is the
steadier figure. Memory is the most that the process (or the accelerator) held, over what it held before the first turn.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from oreo.agents.admissible import AdmissibleAgent
from oreo.agents.agent import Decision, Episode
from oreo.agents.best_of_k import BestOfKAgent
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.agents.turns import decision
from oreo.encoding.turn_format import TurnFormat
from oreo.envs import make
from oreo.models.loading import load_policy, load_value, resolve_checkpoint
from oreo.rollouts.loop import rollout


class Endless(gym.Wrapper[str, str, str, str]):
    """Goes on when the game is won, so that all agents play the same number of turns."""

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        observation, reward, _, truncated, info = self.env.step(action)
        return observation, float(reward), False, truncated, info


class ReadAnew(LanguageModelAgent):
    """Forgets what it has read at the end of every turn."""

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        self.reader.policy.retain([])
        return super().act(episodes)


class Generate:
    """What one writes with transformers alone: tokenise the history, `generate`, every turn."""

    name, checkpoint = "generate", ""

    def __init__(self, model: Any, tokenizer: Any, max_new_tokens: int) -> None:
        self.model, self.format, self.max_new_tokens = model, TurnFormat.from_tokenizer(tokenizer), max_new_tokens

    @torch.inference_mode()
    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        histories = [self.format.history(episode.steps, episode.observation) for episode in episodes]
        longest, device = max(map(len, histories)), next(self.model.parameters()).device
        ids = torch.full((len(histories), longest), self.format.end)
        mask = torch.zeros_like(ids)
        for row, history in enumerate(histories):
            ids[row, longest - len(history) :] = torch.tensor(history)
            mask[row, longest - len(history) :] = 1
        generated = self.model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(self.format.end_ids),
            pad_token_id=self.format.end,
        )[:, longest:].cpu()
        return [decision(self.format.decode(self._turn(row))) for row in generated.tolist()]

    def _turn(self, ids: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(ids) if token in self.format.end_ids]
        return ids[: ends[0]] if ends else ids


def held(device: torch.device) -> float:
    """The most megabytes so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(agent: Any, args: argparse.Namespace, device: torch.device) -> tuple[float, float, float, list[list[str]]]:
    """Seconds, seconds of the processor, megabytes, and the actions of every episode."""

    def env(**kwargs: Any) -> gym.Env[str, str]:
        return Endless(make("oreo/ALFWorld-v0", max_steps=args.turns, **kwargs))

    def play(episodes: int, turns: int) -> list[Any]:
        args.turns, before = turns, args.turns
        try:
            return rollout(env, agent=agent, episodes=episodes, batch_size=args.batch_size)
        finally:
            args.turns = before

    play(2, 2)  # whatever is made on first use
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before, start, worked = held(device), time.perf_counter(), time.process_time()
    played = play(args.episodes, args.turns)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    return seconds, worked, held(device) - before, [[step.action for step in trajectory.steps] for trajectory in played]


AGENTS = ("cached", "read anew", "generate", "best of 5", "admissible")


def make_agent(name: str, args: argparse.Namespace) -> Any:
    path, _ = resolve_checkpoint(args.model)
    policy, tokenizer = load_policy(path, dtype=args.dtype, device=args.device)
    greedy: dict[str, Any] = {"temperature": 0.0, "max_new_tokens": args.max_new_tokens}
    if name == "generate":
        return Generate(policy, tokenizer, args.max_new_tokens)
    if name == "best of 5":
        value = load_value(path, dtype=args.dtype, device=args.device)
        return BestOfKAgent(EpisodeReader(policy, tokenizer, value=value, max_new_tokens=args.max_new_tokens))
    kinds = {"cached": LanguageModelAgent, "read anew": ReadAnew, "admissible": AdmissibleAgent}
    return kinds[name](EpisodeReader(policy, tokenizer, **greedy))


def run(name: str, args: argparse.Namespace) -> tuple[float, float, float, list[list[str]]]:
    return measure(make_agent(name, args), args, torch.device(args.device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    args = parser.parse_args()
    columns = ("agent", "episodes a second", "time, cached = 1", "processor time, cached = 1", "MB")
    table = Table(*columns, title=f"{args.episodes} episodes")
    results: dict[str, tuple[float, float, float, list[list[str]]]] = {}
    for name in AGENTS:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            seconds, worked, megabytes, _ = results[name] = process.apply(run, (name, args))
        times = [f"{seconds / results['cached'][0]:.2f}", f"{worked / results['cached'][1]:.2f}"]
        table.add_row(name, f"{args.episodes / seconds:.2f}", *times, f"{megabytes:.0f}")
    Console().print(table)
    for name in ("read anew", "generate"):
        pairs = list(zip(results["cached"][3], results[name][3], strict=True))
        same = sum(one == other for one, other in pairs)
        print(f"cached and {name}: the same actions in {same} of {len(pairs)} episodes")
    print(f"{np.mean([len(actions) for actions in results['cached'][3]]):.0f} turns an episode")


if __name__ == "__main__":
    main()
