"""Train the tiny causal LMs that ship in oreo/tiny/ and oreo/tiny_math/: from nothing, by imitation of an expert.

A small Llama (4 layers, 128 wide) and a tokenizer whose tokens are whole words: for ALFWorld with its set phrases and
numbers, for mathematics with single digits. Episodes are fresh: none is seen twice. In ALFWorld the expert is the
explorer, a share of whose actions is replaced by pointless or refused ones; those are context, never a target, so the
model learns to recover and not to err. In mathematics it writes the worked solutions of generated problems.

    python examples/train_tiny_lm.py --output runs/tiny --episodes 36032
    python examples/train_tiny_lm.py --world math --output runs/tiny_math --episodes 80000

Left out: anything that would make them strong. An embedded model is a starting point that OREO has to improve on.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from oreo.encoding.turn_format import TurnFormat
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

PAD, EOS = "<pad>", "<eos>"
# Sentences of the game that always stand together become one token each, which halves an episode.
PHRASES = (
    "-= Welcome to TextWorld, ALFRED! =-\n\n",
    "You are in the middle of a room. Looking quickly around you, you see a",
    "\n\nYour task is to:",
    "\nYou arrive at loc",
    "\nYou arrive at",
    "\nYou open the",
    "\nYou close the",
    "\nYou pick up the",
    "\nYou put the",
    "\nYou move the",
    "\nYou clean the",
    "\nYou heat the",
    "\nYou cool the",
    "\nYou turn on the",
    "\nYou turn off the",
    "\nYou are carrying:",
    "\nYou are facing the",
    "\nYou are not carrying anything.",
    "\nThis is a",
    "\nThere's nothing special about",
    "\nOn the",
    "\nThe",
    "\nNothing happens.",
    ". Next to it, you see nothing.",
    ". On the",
    ". The",
    " is closed.",
    " is open. In it, you see nothing.",
    " is open. In it, you see a",
    ", you see nothing.",
    ", you see a",
    ", and a",
    ", a",
    " from the",
    " in/on the",
    " to the",
    " using the",
    " in/on",
    "go to",
    "\n> ",
)


def build_tokenizer(texts: list[str], pieces: str, smallest_count: int = 5) -> PreTrainedTokenizerFast:
    """Tokens are those pieces of `texts` (a pattern); anything else falls back to bytes, so nothing is lost."""
    pattern = Regex(pieces + r"|[\s\S]")
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    counts = collections.Counter(piece for text in texts for piece, _ in splitter.pre_tokenize_str(text))
    vocabulary = [PAD, EOS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary += sorted(piece for piece, count in counts.items() if count >= smallest_count and len(piece) > 1)
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS)


def _escape(text: str) -> str:
    return "".join("\\" + c if c in ".+*?()[]{}|^$\\-/" else c for c in text)


@dataclass(frozen=True)
class World:
    env: str
    env_kwargs: dict[str, Any]
    pieces: str
    """Pattern of its tokens."""
    noise: float
    corpus: Callable[[], list[str]]
    """Texts in which every word of the world occurs."""
    episodes: int
    observation_weight: float
    """Weight of predicting what the environment says."""


def expert_episodes(world: World, first: int, count: int, noise: float) -> list[Trajectory]:
    """Episodes number first … first+count-1 of the expert in generated games or problems for training."""
    from oreo.agents import load_agent

    return rollout(
        world.env,
        agent=load_agent("expert", noise=noise),
        episodes=count,
        seed=1_000_000 + first,  # far from the seeds of evaluations
        batch_size=64,
        env_kwargs=world.env_kwargs,
    )


def _produce(
    queue: multiprocessing.Queue, world: str, tokenizer_path: str, stop: int, noise: float, observation_weight: float
) -> None:
    torch.set_num_threads(1)
    form = TurnFormat.from_tokenizer(PreTrainedTokenizerFast.from_pretrained(tokenizer_path))
    for first in range(0, stop, 64):
        batch = []
        for trajectory in expert_episodes(WORLDS[world], first, min(64, stop - first), noise):
            coded = form.encode(trajectory)
            acted, imitate = np.asarray(coded.action_mask, dtype=bool), np.asarray(coded.imitate, dtype=bool)
            weight = np.where(acted, np.where(imitate, 1.0, 0.0), observation_weight)  # what noise did is no target
            batch.append((np.asarray(coded.input_ids, dtype=np.int64), weight.astype(np.float32)))
        queue.put(batch)
    queue.put(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--world", choices=WORLDS, default="alfworld")
    parser.add_argument("--episodes", type=int, help="None: the world's own number")
    parser.add_argument("--noise", type=float, help="share of the expert's actions that are replaced")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64, help="episodes per step")
    parser.add_argument("--lr", type=float, default=1.7e-3)
    parser.add_argument("--save-every", type=int, default=4_000, help="episodes between two saved models")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    world = WORLDS[args.world]
    args.episodes = world.episodes if args.episodes is None else args.episodes
    args.noise = world.noise if args.noise is None else args.noise
    torch.manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)

    print("building the tokenizer")
    tokenizer = build_tokenizer(world.corpus(), world.pieces)
    tokenizer.save_pretrained(args.output)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=args.hidden,
        intermediate_size=8 * args.hidden // 3,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"vocabulary {len(tokenizer)}, {parameters / 1e6:.2f} M parameters")

    queue: multiprocessing.Queue = multiprocessing.get_context("spawn").Queue(maxsize=32)
    producer = multiprocessing.get_context("spawn").Process(
        target=_produce,
        args=(queue, args.world, str(args.output), args.episodes, args.noise, world.observation_weight),
        daemon=True,
    )
    producer.start()

    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=args.lr,
        betas=(0.9, 0.95),
    )
    total_steps = args.episodes // args.batch
    seen, tokens, began, pool = 0, 0, time.time(), []
    next_save = args.save_every
    with open(args.output / "log.jsonl", "w") as log:
        for step in range(total_steps):
            while len(pool) < 4 * args.batch and (fresh := queue.get()) is not None:
                pool.extend(fresh)
            pool.sort(key=lambda episode: len(episode[0]))
            start = int(np.random.default_rng((args.seed, step)).integers(0, max(1, len(pool) - args.batch + 1)))
            batch, pool[start : start + args.batch] = pool[start : start + args.batch], []
            rate = args.lr * min(1.0, (step + 1) / 100)  # constant: where to stop is then free to choose
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss, action_loss, hits = imitation_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seen += len(batch)
            tokens += sum(len(ids) for ids, _ in batch)
            if step % 20 == 0:
                line = {
                    "episodes": seen,
                    "seconds": round(time.time() - began, 1),
                    "tokens_per_second": round(tokens / (time.time() - began)),
                    "action_loss": round(action_loss, 4),
                    "action_accuracy": round(hits, 4),
                    "lr": rate,
                }
                print(json.dumps(line), file=log, flush=True)
                print(line, flush=True)
            if seen >= next_save:
                next_save += args.save_every
                model.save_pretrained(args.output / f"episodes-{seen}")
                tokenizer.save_pretrained(args.output / f"episodes-{seen}")
    model.save_pretrained(args.output)
    producer.join()


def alfworld_corpus() -> list[str]:
    """Expert play in houses of all sizes, in both dialects."""
    from oreo.agents import load_agent

    texts = []
    for dialect, size, count in itertools.product(("put", "move"), (8, None), (300,)):
        kwargs = {"split": "generated", "dialect": dialect, "max_receptacles": size, "max_objects": size and 14}
        played = rollout("oreo/ALFWorld-v0", agent=load_agent("expert", noise=0.3), episodes=count, env_kwargs=kwargs)
        for trajectory in played:
            for step in trajectory.steps:
                texts += ["\n" + step.observation, *(step.admissible_commands or ()), step.action]
            texts.append("\n" + trajectory.final_observation + "\n> ")
    return texts


def math_corpus() -> list[str]:
    """Generated problems of all kinds with distractors, and their solutions."""
    from oreo.envs.math.generator import GeneratorSettings, generate

    problems = [generate(number, "train", GeneratorSettings(seed=1, distractors=number % 3)) for number in range(3000)]
    return [f"{problem.question}\n> {problem.solution}\n" for problem in problems]


WORLDS = {
    "alfworld": World(
        env="oreo/ALFWorld-v0",
        env_kwargs={"split": "generated"},
        pieces="|".join(_escape(phrase) for phrase in PHRASES) + "| ?[a-z]+| ?[0-9]+",
        noise=0.2,
        corpus=alfworld_corpus,
        episodes=36_032,
        observation_weight=0.3,
    ),
    # A digit a token: sums and products are learnt digit by digit. What the environment says is the problem, whose
    # numbers nobody can predict.
    "math": World(
        env="oreo/Math-v0",
        env_kwargs={"source": "generated", "split": "train"},
        pieces=r"\n> |####|<<|>>| ?[A-Za-z]+| ?[-+*/=(]| ?[0-9]",
        noise=0.0,
        corpus=math_corpus,
        episodes=80_000,
        observation_weight=0.05,
    ),
}


def imitation_loss(
    model: LlamaForCausalLM, batch: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[torch.Tensor, float, float]:
    """Weighted cross-entropy over (token ids, weights); padding stands at the right, where no token sees it."""
    length = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    weight = torch.zeros(len(batch), length)
    for row, (tokens, weights) in enumerate(batch):
        ids[row, : len(tokens)] = torch.from_numpy(tokens)
        weight[row, : len(tokens)] = torch.from_numpy(weights)
    logits = model(ids, use_cache=False).logits[:, :-1].flatten(0, 1)
    labels, weight = ids[:, 1:].flatten(), weight[:, 1:].flatten()
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    acted = weight == 1.0
    hits = (logits.detach().argmax(-1) == labels)[acted].float().mean()
    return (losses * weight).sum() / weight.sum(), float(losses.detach()[acted].mean()), float(hits)


if __name__ == "__main__":
    main()
