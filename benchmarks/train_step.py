"""A policy update: the package's scoring against full logits, in time, memory, FLOP and gradients.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --action-share 1
    python benchmarks/train_step.py --shape 0.5b --device cuda --dtype bfloat16 --tokens 8192
    python benchmarks/train_step.py --shape deep --vocabulary 8000 --tokens 4096 --checkpoint-activations
    python benchmarks/train_step.py --shape deep --vocabulary 8000 --tokens 4096 --length 512 --packed
    python benchmarks/train_step.py --shape deep --vocabulary 8000 --tokens 4096 --length 512 --packed --shared 256

One forward and backward pass of OREO's policy loss (token level, with its KL term) through a randomly initialised Qwen2
with 151,936 entries in its vocabulary and tied embeddings, on random tokens of which a share are actions (ALFWorld:
about 15 %). The value model, the same in both, and the optimiser are left out.

    ours          Policy of oreo.models.scorers: the output layer at action tokens only, in chunks, with a backward pass
                  of its own
    full logits   log-softmax of policy and reference over [batch, length, vocabulary], as the paper's released code
    ours, again   with --checkpoint-activations: ours, with the policy's blocks computed again (oreo.models.activations)
    ours, packed  with --packed: ours, on packed rows (oreo.models.packing); the others pad to the longest. --shortest
                  makes rows of unequal lengths, --shared has them begin with N equal tokens, as with an instruction

Each runs in a process of its own. Memory is the most that the process (or the accelerator) held in an update, over what
it held before, with both models and the policy's gradients in place.

FLOP are those of matrix products that the update cannot do without, and the same number for both: for each token 6 for
each weight of the policy's body, 2 for each of the reference's, and 8 · layers · hidden · length for causal attention
(6 + 2 again, for two products over half the length); for each action token 8 · hidden · vocabulary in the output layers
(6 + 2). Chunks that are computed again do not count, so the share of the machine's rate, that of a large product in the
same dtype in the same run, is of useful work. Nor does padding, and shared tokens count for each row.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import pad
from transformers import Qwen2Config, Qwen2ForCausalLM

from oreo.models.activations import checkpoint_activations
from oreo.models.loading import load_reference
from oreo.models.packing import Packing, pack, prepare
from oreo.models.scorers import Policy
from oreo.training.losses import policy_loss, trajectory_mean

SHAPES: dict[str, dict[str, int]] = {
    # The last two as Qwen2.5-0.5B and -1.5B; all have two key-value heads.
    "tiny": dict(hidden_size=256, intermediate_size=704, num_hidden_layers=2, num_attention_heads=4),
    "deep": dict(hidden_size=256, intermediate_size=704, num_hidden_layers=24, num_attention_heads=4),
    "0.5b": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14),
    "1.5b": dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12),
}
BETA, ALPHA = 0.03, 0.01
FORMULATIONS = ("ours", "full logits", "ours, again", "ours, packed")


def full_logits(model: Any, reference: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What `Policy` returns, the plain way."""
    ours = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    with torch.no_grad():
        theirs = reference(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    chosen = ids[:, 1:, None]
    log_prob, reference_log_prob = (tensor.gather(-1, chosen)[..., 0] for tensor in (ours, theirs))
    kl = (ours.exp() * (ours - theirs)).sum(-1)
    first, second, third = (pad(tensor, (1, 0)) * mask for tensor in (log_prob, reference_log_prob, kl))
    return first, second, third


def build(args: argparse.Namespace) -> tuple[Any, Any]:
    """A policy and, a little apart from it, its reference."""
    torch.manual_seed(args.seed)
    config = Qwen2Config(
        vocab_size=args.vocabulary,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=max(args.length, 32768),
        bos_token_id=None,
        eos_token_id=None,
        **SHAPES[args.shape],
    )
    model = Qwen2ForCausalLM(config).to(args.device, getattr(torch, args.dtype))
    reference = load_reference(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.002)
    return model, reference


def batch(args: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor, Packing]:
    """[B, T] tokens; which are actions, the last of every 20 by the share asked for; [B] lengths; the packing."""
    generator = torch.Generator().manual_seed(args.seed)
    ids = torch.randint(0, args.vocabulary, (args.tokens // args.length, args.length), generator=generator)
    ids[:, : args.shared] = ids[0, : args.shared]
    place = torch.arange(args.length)
    lengths = torch.linspace(args.length, args.shortest or args.length, len(ids)).long()
    mask = ((place % 20 >= round(20 * (1 - args.action_share))) & (place > args.shared)).expand(len(ids), -1)
    mask = mask & (place < lengths[:, None])
    rows = [row[:length].numpy() for row, length in zip(ids, lengths, strict=True)]
    return ids.to(args.device), mask.to(args.device), lengths, pack(rows, args.length).to(args.device)


def loss_of(scores: tuple[Tensor, Tensor, Tensor], mask: Tensor) -> Tensor:
    log_prob, reference_log_prob, kl = scores
    reward = (mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))).to(log_prob)
    loss, _ = policy_loss(
        torch.full_like(log_prob, 0.5), log_prob - reference_log_prob, reward, mask, beta=BETA, level="token"
    )
    return loss + ALPHA * trajectory_mean(kl, mask)


def held(device: torch.device) -> float:
    """The most megabytes so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def holding(device: torch.device) -> float:
    """Megabytes now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(args: argparse.Namespace) -> float:
    """FLOP a second of a large square product, the best of several."""
    device = torch.device(args.device)
    size = 8192 if device.type == "cuda" else 1024
    one, other = (torch.randn(size, size, device=device).to(getattr(torch, args.dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(12):
        wait(device)
        began = time.perf_counter()
        one @ other
        wait(device)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def flop(args: argparse.Namespace, model: Any, lengths: Tensor, actions: int) -> float:
    """Of one update, as the head of this file says."""
    config = model.config
    weight = model.get_output_embeddings().weight
    body = sum(p.numel() for p in model.parameters() if p.ndim > 1 and p is not weight)
    attention = config.num_hidden_layers * config.hidden_size * lengths.square()
    return float((8 * body * lengths + 8 * attention).sum()) + actions * 8 * weight.numel()


def measure(args: argparse.Namespace) -> None:
    """One formulation, in this process. Figures go to standard output as JSON, gradients into a file."""
    device = torch.device(args.device)
    model, reference = build(args)
    ids, mask, lengths, packing = batch(args)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    if args.one == "ours, again":
        checkpoint_activations(model)
    policy, other = Policy(model), Policy(reference)
    packed = {"packing": packing} if args.one == "ours, packed" else {}
    if packed:
        assert prepare([model, reference])

    def update() -> Tensor:
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad.zero_()
        if args.one == "full logits":
            scores = full_logits(model, reference, ids, mask)
        else:
            scores = policy(ids, mask, reference=other, **packed)
        loss = loss_of(scores, mask)
        loss.backward()
        return loss.detach()

    wait(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before = holding(device)
    loss = update()
    wait(device)
    megabytes = held(device) - before
    taken: list[tuple[float, float]] = []
    for _ in range(args.repeats):
        began, busy = time.perf_counter(), time.process_time()
        update()
        wait(device)
        taken.append((time.perf_counter() - began, time.process_time() - busy))
    torch.save({name: weight.grad.float().cpu() for name, weight in model.named_parameters()}, args.gradients)
    seconds, cpu = (min(column) for column in zip(*taken, strict=True))
    result = {
        "loss": float(loss),
        "seconds": seconds,
        "cpu": cpu,
        "megabytes": megabytes,
        "flop": flop(args, model, lengths, int(mask.sum())),
        "actions": int(mask.sum()),
        "tokens": int(lengths.sum()),
        "rate": matrix_rate(args),
    }
    print(json.dumps(result))


def compare(args: argparse.Namespace) -> None:
    results: dict[str, dict[str, float]] = {}
    wanted = {"ours, again": args.checkpoint_activations, "ours, packed": args.packed}
    names = [name for name in FORMULATIONS if wanted.get(name, True)]
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{index}.pt" for index, name in enumerate(names)}
        for name, file in files.items():
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--one", name, "--gradients", file],
                stdout=subprocess.PIPE,
                text=True,
            )
            if done.returncode:
                raise SystemExit(f"{name} failed; its error is above")
            results[name] = json.loads(done.stdout.splitlines()[-1])
        gradients = {name: torch.load(file) for name, file in files.items()}

    first = results[names[0]]
    share = first["actions"] / first["tokens"]
    title = f"{args.shape}, {args.dtype} on {args.device}, {first['tokens']:,} tokens, {share:.0%} of them actions"
    table = Table(
        "", *names, *(f"{name} / ours" for name in names[1:]), title=f"{title}, vocabulary {args.vocabulary:,}"
    )
    for row, key, form in (
        ("seconds", "seconds", ".2f"),
        ("CPU seconds", "cpu", ".2f"),
        ("peak MB", "megabytes", ",.0f"),
    ):
        numbers = [results[name][key] for name in names]
        ratios = (number / max(numbers[0], 1e-9) for number in numbers[1:])
        table.add_row(row, *(format(number, form) for number in numbers), *(f"{ratio:.2f}" for ratio in ratios))
    table.add_row("tokens/s", *(f"{result['tokens'] / result['seconds']:,.0f}" for result in results.values()))
    table.add_row("loss", *(f"{result['loss']:.6f}" for result in results.values()))
    rate = max(result["rate"] for result in results.values())
    shares = (result["flop"] / result["seconds"] / rate for result in results.values())
    table.add_row("share of matrix rate", *(f"{part:.0%}" for part in shares))
    Console().print(table)
    full = gradients.pop("full logits")
    largest = max(float(gradient.abs().max()) for gradient in full.values())
    norm = sum(float(gradient.double().square().sum()) for gradient in full.values()) ** 0.5
    for other, ours in gradients.items():
        off = max(float((ours[name] - full[name]).abs().max()) for name in full)
        apart = sum(float((ours[name] - full[name]).double().square().sum()) for name in full) ** 0.5
        print(
            f"gradients: {other} and full logits differ by {off:.1e} at most, of {largest:.1e}; {apart / norm:.1e} of "
            "the norm of all"
        )
    print(f"{first['flop'] / first['tokens'] / 1e9:.3f} GFLOP a token; matrix rate {rate / 1e9:,.0f} GFLOP/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tokens", type=int, default=1024, help="in the batch")
    parser.add_argument("--length", type=int, default=1024, help="of a sequence")
    parser.add_argument("--action-share", type=float, default=0.15)
    parser.add_argument("--vocabulary", type=int, default=151936)
    parser.add_argument("--repeats", type=int, default=3, help="timed updates, after one that is not; the best counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-activations", action="store_true", help="one column more: blocks computed again")
    parser.add_argument("--packed", action="store_true", help="one column more: packed rows")
    parser.add_argument("--shortest", type=int, help="the shortest sequence; others lie evenly between it and --length")
    parser.add_argument("--shared", type=int, default=0, help="tokens that all sequences begin with")
    parser.add_argument("--one", choices=FORMULATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--gradients", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tokens % args.length or not 0 < args.action_share <= 1:
        parser.error("--tokens has to be a multiple of --length, --action-share above 0 and at most 1")
    if not 0 <= args.shared <= (args.shortest or args.length) - 20 or (args.shortest or 0) > args.length:
        parser.error("--shortest has to be at most --length, and --shared 20 less than that")
    measure(args) if args.one else compare(args)


if __name__ == "__main__":
    main()
