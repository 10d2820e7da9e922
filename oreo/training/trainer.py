"""Training: one loop on accelerate for all methods, which differ by their rows and their loss (oreo.training.methods).

OREO and DQO update the value with the log-ratios of the current policy, then the policy with the values from before
that update. Both losses therefore look at quantities from before either update, and neither sends gradient to the
other's model: computing both from one pair of forward passes and then stepping both optimisers is that very order.

Every update is the exact gradient of one whole batch, however it is cut into micro-batches and processes. Logs are
JSON lines, and what oreo.training.trackers knows; there is no progress bar here, `on_step` gets each line. How
processes share models: oreo.training.devices.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib.metadata
import itertools
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oreo.encoding.turn_format import INSTRUCTION_KEY, TurnFormat
from oreo.errors import DataError, OreoError, UsageError
from oreo.field_docs import document_settings
from oreo.files import write_text, writing
from oreo.models import lora
from oreo.models.activations import checkpoint_activations
from oreo.models.loading import (
    is_adapter,
    load_policy,
    load_reference,
    load_value,
    reallocated,
    resolve_checkpoint,
)
from oreo.models.packing import prepare
from oreo.models.saving import digest, save_model
from oreo.models.scorers import Policy, Value
from oreo.training import trackers
from oreo.training.batches import Batch, collate, micro_batches, share_out
from oreo.training.checkpoint import latest_checkpoint, read_state, restore_optimizers, save_checkpoint
from oreo.training.config import TrainConfig
from oreo.training.devices import (
    average_gradients,
    clip_gradients,
    connect,
    distribute,
    join,
    local,
    moments,
    place,
    sharded,
    weights,
)
from oreo.training.interrupts import _asked_to_stop, _uninterrupted
from oreo.training.methods import METHODS, Update, mismatched, trajectory_log_ratios
from oreo.training.metrics import _value_summary
from oreo.training.preferences import kto_reference_point
from oreo.training.rows import Example, encode_all, epoch_order, fingerprint
from oreo.training.run_folder import TrainResult, _claim, _clean, _finished, _run_id
from oreo.training.schedule import schedule
from oreo.trajectory import Trajectory

OnStep = Callable[[dict[str, Any]], None]
_AUC_WINDOW = 1024
"""Trajectories over which the logged AUC and mean values are taken: one batch has too few of either outcome."""


_WRAPS: dict[str, Any] = {"policy": Policy, "value": Value}


class NonFiniteLoss(OreoError, ArithmeticError):
    """A loss or gradient became NaN or infinite. Its batch is saved, and a checkpoint of the weights from before."""


@document_settings(TrainConfig)
def train(
    data: str | os.PathLike[str] | Iterable[Trajectory],
    *,
    method: str | None = None,
    model: str | os.PathLike[str] = "tiny",
    output: str | os.PathLike[str],
    resume: bool = False,
    on_step: OnStep | None = None,
    **fields: Any,
) -> TrainResult:
    """Train a policy (and with OREO and DQO a value) on stored trajectories.

        train(buffer, method="oreo", model="Qwen/Qwen2.5-0.5B-Instruct", output="checkpoints/kitchen", lr=1e-5)

    Args:
        data: a `TrajectoryBuffer`, a path to one, or any iterable of trajectories.
        method: "sft", "rejection", "dpo", "kto", "dqo" or "oreo"; None: the recipe's, else "oreo".
        model: the starting policy; see `oreo.models.loading.resolve_checkpoint`.
        output: a new or empty folder; gets policy/, value/, config.json, log.jsonl, and checkpoint/ until done.
        resume: go on where an interrupted run with the same settings and data stopped; begin where nothing is
            there yet.
        on_step: called with each line of the log, which also says `steps`, the number of all updates. Of several
            processes only the main one calls it.
        fields: of `oreo.training.config.TrainConfig`, recipe="oreo-alfworld" for the settings of a known experiment.

    Raises:
        UsageError: wrong options; an output folder in use; resuming with other settings.
        DataError: nothing to train on, trajectories that do not fit, a model that cannot be loaded.
        MissingExtra: a tracker that is not installed.
        NonFiniteLoss: see there.
        KeyboardInterrupt: passed on after a checkpoint was saved.
    """
    config = TrainConfig.of(method=method, model=str(model), **fields)
    output = Path(output).expanduser()
    _claim(output, config, resume)
    if resume and (finished := _finished(output)):
        return finished
    return _Run(data, config, output, resume).train(on_step)


class _Run:
    """A run under way: models, optimisers, data, and how many updates were made."""

    def __init__(self, data: Any, config: TrainConfig, output: Path, resume: bool = False) -> None:
        self.accelerator = connect(config.bf16, **trackers.accelerator_arguments(config, output))
        self.config, self.output, self.method = config, output, METHODS[config.method]
        self.step = 0
        self.recent: collections.deque[tuple[float, float, bool]] = collections.deque(maxlen=_AUC_WINDOW)
        if config.lora_r:
            lora.require_peft()
            if sharded():
                raise UsageError(
                    "LoRA keeps a whole base on each device and cannot be sharded; use ddp.yaml, or lora_r=0"
                )
        # Weights that are trained stay float32; a frozen base may be what it is computed in.
        dtype = "bfloat16" if config.lora_r and config.lora_models == "both" and config.bf16 else "float32"
        start, self.tokenizer = load_policy(config.model, dtype=dtype, trust_remote_code=config.trust_remote_code)
        start = reallocated(start)
        if config.instruction is not None:
            self.tokenizer.init_kwargs[INSTRUCTION_KEY] = config.instruction
        self.examples = self._encode(data, start)
        self.lengths = [[len(piece) for piece in example.pieces] for example in self.examples]
        self.games = [example.game for example in self.examples]
        self.order: tuple[int, list[int]] | None = None
        """The epoch that rows were last drawn for, and its order: drawn once an epoch and not for each update."""
        self.per_epoch = math.ceil(len(self.examples) / config.batch_size)
        self.warmup_steps = self.per_epoch * (config.value_warmup_epochs if self.method.value else 0)
        self.steps = self.warmup_steps + self.per_epoch * int(config.epochs or 0)
        self.identity = {"start": digest(start), "data": fingerprint(self.examples)}
        checkpoint = self._checkpoint() if resume else None
        self._build(start, checkpoint)
        if checkpoint:
            restore_optimizers(checkpoint, self.optimizers, self.trained)
        if resume and self.accelerator.is_main_process:
            _clean(output, self.step)

    def _encode(self, data: Any, model: Any) -> list[Example]:
        if isinstance(data, str | os.PathLike):
            from oreo.data.buffer import TrajectoryBuffer

            data = TrajectoryBuffer(data, create=False)
        config, text_config = self.config, model.config.get_text_config()
        self.max_length = config.max_length or getattr(text_config, "max_position_embeddings", None)
        examples = encode_all(
            data,
            TurnFormat.from_tokenizer(self.tokenizer, config.instruction),
            method=config.method,
            max_length=self.max_length,
            overlong=config.overlong,
            reward=config.reward,
            samples_per_game=config.samples_per_game,
            balance=config.balance,
            pairs_per_game=config.pairs_per_game,
            seed=config.seed,
        )
        largest = max(int(piece.input_ids.max()) for example in examples for piece in example.pieces)
        embedded = model.get_input_embeddings().weight.shape[0]
        if largest >= embedded:
            raise DataError(f"the tokenizer gives id {largest}, but {self.config.model} embeds only {embedded} tokens")
        return examples

    def _build(self, start: Any, checkpoint: Path | None) -> None:
        """Modules as they are spread over processes, and optimisers. `models` keeps the bare ones for saving."""
        config = self.config
        pad = self.tokenizer.pad_token_id
        self.pad_id = int(self.tokenizer.eos_token_id or 0) if pad is None else int(pad)
        self.micro_tokens = config.micro_tokens or (4096 if self.accelerator.device.type == "cpu" else 16384)
        self.reference: Policy | None = None
        self.modules: dict[str, Any] = {}
        self.trained: dict[str, list[nn.Parameter]] = {}
        self.models: dict[str, Any] = {}
        self.adapted: tuple[str, ...] = ()
        if config.lora_r and config.lora_models == "both":
            self._build_adapters(start, checkpoint, lora.ADAPTERS if self.method.value else lora.ADAPTERS[:1])
        else:
            self._build_models(start, checkpoint)
        models = list(self.models.values())
        if self.reference is not None and self.reference.model not in models:
            models.append(self.reference.model)
        if not sharded():
            for model in models:
                model.to(self.accelerator.device)  # where trying them out takes less time
        with self.accelerator.autocast():
            self.packed = config.packed and prepare(models)
        # Only now: what is spread over processes cannot be tried out.
        if self.reference is not None and not self.adapted:
            self.reference = distribute(self.accelerator, self.reference, trained=False)
        for name in self.models:
            if name not in self.adapted:
                self.modules[name] = distribute(self.accelerator, self.modules[name])
                self.trained[name] = [each for each in self.modules[name].parameters() if each.requires_grad]
        rates = {"policy": config.lr, "value": config.value_lr}
        self.optimizers: dict[str, Any] = {}
        for name, parameters in self.trained.items():
            optimizer = torch.optim.AdamW(
                parameters,
                lr=rates[name] or 0.0,
                betas=config.adam_betas,
                weight_decay=config.weight_decay,
                fused=self.accelerator.device.type in ("cpu", "cuda"),
            )
            self.modules[name], self.optimizers[name] = join(self.accelerator, self.modules[name], optimizer)

    def _build_models(self, start: Any, checkpoint: Path | None) -> None:
        """Policy, value and reference, each a model of its own; or the value as an adapter on the reference."""
        config = self.config
        trusted: Any = {"trust_remote_code": config.trust_remote_code}
        frozen = load_reference(start) if self.method.reference else None
        policy = reallocated(load_policy(checkpoint / "policy", **trusted)[0]) if checkpoint else start
        whole = {"policy": policy}
        if self.method.value and not config.lora_r:
            source = config.value_model or resolve_checkpoint(config.model)[0]
            whole["value"] = reallocated(load_value(checkpoint / "value" if checkpoint else source, **trusted))
        for name, model in whole.items():
            if config.checkpoint_activations:
                checkpoint_activations(model)
            self.models[name], self.modules[name] = model, _WRAPS[name](model)
        if config.lora_r:
            self._build_adapters(frozen, checkpoint, ("value",))
        elif frozen is not None:
            self.reference = Policy(frozen)

    def _build_adapters(self, start: Any, checkpoint: Path | None, names: tuple[str, ...]) -> None:
        """Policy and value, or the value alone, as adapters on one base, which is the reference."""
        config = self.config
        self.adapted = names
        self.base = resolve_checkpoint(config.model)[0]
        if is_adapter(self.base):
            # Adapters on an adapter: the sum of base and adapter is a model that nobody has stored yet.
            self.base = str(self.output / "base")
            if self.accelerator.is_main_process and not Path(self.base).exists():
                self._write_config()
                with writing(Path(self.base)):
                    save_model(start, self.tokenizer, self.base)
        if Path(self.base).exists():
            self.base = str(Path(self.base).resolve())
        start.to(self.accelerator.device)
        if config.bf16:
            lora.hold_in_bfloat16(start)
        models = lora.add_adapters(
            start,
            names,
            r=config.lora_r,
            alpha=float(config.lora_alpha or config.lora_r),
            targets=config.lora_targets,
            seed=config.seed,
        )
        if config.checkpoint_activations:
            checkpoint_activations(start, lora.again(start))
        for name, model in models.items():
            if checkpoint:
                lora.restore_adapter(model, name, checkpoint / name)
            self.models[name] = model
            self.modules[name] = place(self.accelerator, lora.through(_WRAPS[name](model), name))
            self.trained[name] = list(lora.parameters(model, name).values())
        if self.method.reference:
            with self.accelerator.autocast():  # it runs the model once, and that may hold float32 beside bfloat16
                self.reference = lora.Base(start)

    # The loop.

    def train(self, on_step: OnStep | None) -> TrainResult:
        main = self.accelerator.is_main_process
        if main:
            self._write_config()
            trackers.begin(self.accelerator, self.config, self.output, step=self.step, run_id=self.run_id)
        saved = self.step
        line: dict[str, Any] = {}
        log = (self.output / "log.jsonl").open("a", encoding="utf-8") if main else None
        try:
            with _asked_to_stop(self.accelerator.num_processes > 1) as asked:
                while self.step < self.steps:
                    began = time.perf_counter()
                    rows = self._rows(*divmod(self.step, self.per_epoch))
                    value_only = self.step < self.warmup_steps
                    metrics, seen = self._backward(rows, value_only)
                    with _uninterrupted():
                        metrics |= self._apply(rows, metrics, value_only)
                        self.recent.extend(seen)
                        line = self._line(rows, metrics, _value_summary(self.recent), time.perf_counter() - began)
                        if log is not None:
                            with writing(self.output / "log.jsonl"):
                                log.write(json.dumps(line) + "\n")
                                log.flush()
                            trackers.track(self.accelerator, line)
                    if self.config.save_every and self.step % self.config.save_every == 0 and self.step < self.steps:
                        self.save()
                        saved = self.step
                    if on_step is not None and main:
                        on_step(line | {"steps": self.steps})
                    if self._any(bool(asked)):
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            if self.step > saved:
                with _uninterrupted():
                    self.save()
            raise
        finally:
            if log is not None:
                with contextlib.suppress(OSError):  # what a full disk kept from being written is not worth more words
                    log.close()
                trackers.end(self.accelerator)
        return self._finish(line)

    def _any(self, here: bool) -> bool:
        """Whether it is so on any process."""
        if self.accelerator.num_processes == 1:
            return here
        return bool(self.accelerator.reduce(torch.tensor(float(here), device=self.accelerator.device), "sum"))

    def _apply(self, rows: Sequence[int], metrics: dict[str, float], value_only: bool) -> dict[str, float]:
        """Clip and step every model that is being trained. Returns gradient norms and learning rates."""
        self._check_finite(rows, metrics)
        active = [name for name in self.modules if not (value_only and name == "policy")]
        limit = self.config.max_grad_norm or math.inf
        norms = {f"{name}_grad_norm": clip_gradients(self.optimizers[name], limit) for name in active}
        self._check_finite(rows, norms)
        rates = {name: self._rate(name) for name in active}
        for name, rate in rates.items():
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate
            self.optimizers[name].step()
            self.optimizers[name].zero_grad()
        self.step += 1
        return norms | {"lr" if name == "policy" else "value_lr": rate for name, rate in rates.items()}

    def _line(
        self, rows: Sequence[int], metrics: dict[str, float], values: dict[str, float | None], seconds: float
    ) -> dict[str, Any]:
        """What the log says about the update just made."""
        tokens = sum(len(piece) for row in rows for piece in self.examples[row].pieces)
        return {
            "step": self.step,
            "epoch": round(self.step / self.per_epoch, 4),
            "phase": "value" if self.step <= self.warmup_steps else self.config.method,
            **metrics,
            **values,
            "tokens": tokens,
            "seconds": round(seconds, 4),
            "tokens_per_second": round(tokens / seconds, 1),
        }

    def _backward(
        self, rows: Sequence[int], value_only: bool
    ) -> tuple[dict[str, float], list[tuple[float, float, bool]]]:
        """Accumulate the gradient of the whole batch's loss.

        Each micro-batch's mean is weighted by its share of what the batch's mean runs over (rows, or tokens for
        imitation). `Accelerator.accumulate` would weigh a small last micro-batch as much as a full one. What a loss
        needs to know of the whole batch, KTO's reference point, is measured before the first backward pass.
        """
        world = self.accelerator.num_processes
        update = self._update(rows, value_only)
        whole = sum(self.method.weight(self.examples[row]) for row in rows)
        groups = self._groups(rows, self.lengths, self.games)
        sums: dict[str, Tensor] = {}
        seen: list[tuple[float, float, bool]] = []
        for index, group in enumerate(groups):
            # A process that has fewer micro-batches than others repeats a row at no weight.
            examples = [self.examples[row] for row in group or rows[:1]]
            share = sum(self.method.weight(self.examples[row]) for row in group) / whole
            last = index == len(groups) - 1
            with contextlib.nullcontext() if last else local(self.accelerator, self.modules.values()):
                loss, metrics, values = self.method.loss(update, self._batch(examples), examples)
                # Data-parallel wrappers average over processes, where the shares already add up to one.
                self.accelerator.backward(loss * (share * world))
            for name, metric in {"loss": loss.detach(), **metrics}.items():
                sums[name] = sums.get(name, torch.zeros_like(metric)) + metric * share
            if values is not None and group:
                seen += [
                    (start, middle, example.won)
                    for example, (start, middle) in zip(examples, values.tolist(), strict=True)
                ]
        # Nothing else does it for adapters.
        average_gradients(self.accelerator, itertools.chain.from_iterable(self.trained[name] for name in self.adapted))
        names = sorted(sums)
        totals = torch.stack([sums[name].float() for name in names])
        if world > 1:
            from accelerate.utils import gather_object

            totals = self.accelerator.reduce(totals, "sum")
            seen = gather_object(seen)
        return dict(zip(names, totals.tolist(), strict=True)), seen

    def _rows(self, epoch: int, index: int) -> list[int]:
        """Of one update."""
        if self.order is None or self.order[0] != epoch:
            games = self.games if self.config.games_together else None
            self.order = epoch, epoch_order(len(self.examples), seed=self.config.seed, epoch=epoch, games=games)
        return self.order[1][index * self.config.batch_size : (index + 1) * self.config.batch_size]

    def _groups(self, rows: Sequence[int], lengths: Sequence[Sequence[int]], games: Sequence[str]) -> list[list[int]]:
        """This process's micro-batches. All get equally many, some of them empty: each has to take part in each."""
        shares = share_out(rows, lengths, games, self.accelerator.num_processes)
        plans = [micro_batches(each, lengths, self.micro_tokens, games=games, packed=self.packed) for each in shares]
        own = plans[self.accelerator.process_index]
        return own + [[] for _ in range(max(map(len, plans)) - len(own))]

    def _batch(self, examples: Sequence[Example]) -> Batch:
        pieces = [piece for example in examples for piece in example.pieces]
        batch = collate(pieces, self.pad_id, packed=self.packed)
        return batch.to(self.accelerator.device)

    def _update(self, rows: Sequence[int], value_only: bool) -> Update:
        """What the micro-batches of an update share. For KTO that takes a pass over the batch's mismatched pairs."""
        update = Update(self.config, self.modules["policy"], self.modules.get("value"), self.reference, value_only)
        if self.config.method != "kto":
            return update
        pairs = mismatched([self.examples[row] for row in rows], self.max_length)
        lengths = [[len(piece) for piece in pair.pieces] for pair in pairs]
        total = torch.zeros((), device=self.accelerator.device)
        with torch.no_grad():
            for group in self._groups(range(len(pairs)), lengths, [str(each) for each in range(len(pairs))]):
                examples = [pairs[index] for index in group] or pairs[:1]
                sums = trajectory_log_ratios(update, self._batch(examples), examples)
                total += sums.sum() * bool(group)
        total = self.accelerator.reduce(total, "sum")
        return dataclasses.replace(update, reference_point=kto_reference_point(total, len(pairs)))

    def _rate(self, name: str) -> float:
        """Linear warm-up, then a cosine to zero, over the updates in which this model is trained."""
        before = self.warmup_steps if name == "policy" else 0
        peak = self.config.lr if name == "policy" else self.config.value_lr
        return float(peak or 0.0) * schedule(self.step - before, self.steps - before, self.config.warmup)

    def _check_finite(self, rows: Sequence[int], metrics: dict[str, float]) -> None:
        bad = [name for name, number in metrics.items() if not math.isfinite(number)]
        if not bad:
            return
        folder = self.output / f"nonfinite-step-{self.step + 1:08d}"
        if self.accelerator.is_main_process:
            from safetensors.torch import save_file

            batch = collate([piece for row in rows for piece in self.examples[row].pieces], self.pad_id)
            about = {"metrics": {k: str(v) for k, v in metrics.items()}, "names": [self.examples[r].name for r in rows]}
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                save_file(batch.tensors, folder / "batch.safetensors")
                (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")
        self.accelerator.wait_for_everyone()  # a launcher kills all processes when the first of them fails
        what = f"{', '.join(bad)} not finite at update {self.step + 1}; its batch is in {folder}"
        if not self.step:
            raise NonFiniteLoss(f"{what}; nothing was trained yet, so a lower lr will not help: look at model and data")
        self.save()
        good = self.output / "checkpoint" / f"step-{self.step:08d}"
        raise NonFiniteLoss(
            f"{what}, the weights from before it in {good}; --resume makes this update again and most likely ends the "
            f"same, so begin a new run with a lower lr, from the start or from {good / 'policy'} (its reference, then)"
        )

    # State on disk.

    def save(self) -> None:
        """A checkpoint of this moment. All processes take part."""
        main = self.accelerator.is_main_process
        whole = self._whole()
        found = {name: moments(each, self.trained[name], keep=main) for name, each in self.optimizers.items()}
        if main:
            save_checkpoint(
                self.output / "checkpoint",
                self.step,
                save=lambda folder: self._save_models(folder, whole),
                moments=found,
                state={"config": self.config.to_dict(), **self.identity, "recent": list(self.recent)},
            )
        self.accelerator.wait_for_everyone()

    def _save_models(self, folder: Path, whole: dict[str, dict[str, Tensor] | None]) -> None:
        """Write policy/ and value/; the value first, so that an output folder with policy/ is complete."""
        for name in reversed(self.models):
            if name in self.adapted:
                lora.save_adapter(self.models[name], name, self.base, self.tokenizer, folder / name)
            else:
                save_model(self.models[name], self.tokenizer, folder / name, weights=whole[name])

    def _whole(self) -> dict[str, dict[str, Tensor] | None]:
        """Of each model, for the main process, the weights that are in shards. All processes take part."""
        return {name: weights(model, keep=self.accelerator.is_main_process) for name, model in self.models.items()}

    def _checkpoint(self) -> Path | None:
        """The newest checkpoint, to go on from; None: begin again."""
        found = latest_checkpoint(self.output / "checkpoint")
        if found is None:
            return None
        state = read_state(found)
        for key, what in (("start", "the starting model"), ("data", "the training data")):
            if state.get(key) != self.identity[key]:
                raise UsageError(f"cannot resume {self.output}: {what} changed since; give another output folder")
        self.step = int(state["step"])
        self.recent.extend(map(tuple, state.get("recent", [])))
        return found

    def _write_config(self) -> None:
        versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "accelerate")}
        self.run_id = _run_id(self.output / "config.json") or secrets.token_hex(4)
        run = {
            "id": self.run_id,
            **self.identity,
            "steps": self.steps,
            "processes": self.accelerator.num_processes,
            "versions": versions,
        }
        with writing(self.output / "config.json"):
            self.output.mkdir(parents=True, exist_ok=True)
            write_text(self.output / "config.json", json.dumps({**self.config.to_dict(), "run": run}, indent=2) + "\n")

    def _finish(self, line: dict[str, Any]) -> TrainResult:
        """Write the final models."""
        whole = self._whole()
        if self.accelerator.is_main_process:
            with writing(self.output):
                self._save_models(self.output, whole)
            shutil.rmtree(self.output / "checkpoint", ignore_errors=True)
        self.accelerator.wait_for_everyone()
        value = self.output / "value" if "value" in self.models else None
        return TrainResult(self.output, self.output / "policy", value, self.step, line)


# Pieces without state.
