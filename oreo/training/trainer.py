"""Training: one loop on accelerate for all methods, which differ by their rows and their loss (oreo.training.methods).

    rows of the update → backward, micro-batch by micro-batch → apply → log → save

Updates are counted by how many are made: the first is made where 0 are, and its line of the log says step 1.

Every update is the exact gradient of one whole batch, however it is cut into micro-batches and processes. Logs are
JSON lines, and what oreo.training.trackers knows; there is no progress bar here, `on_step` gets each line.

Models and optimisers: oreo.training.modules; data: oreo.training.rows, and which of it an update takes:
oreo.training.order; files: oreo.training.run_folder; metrics: oreo.training.batch_metrics; how processes share models:
oreo.training.devices.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oreo.encoding.turn_format import INSTRUCTION_KEY, Encoded, TurnFormat
from oreo.errors import UsageError
from oreo.field_docs import document_settings
from oreo.files import writing
from oreo.models import lora
from oreo.models.saving import digest, save_model
from oreo.training import trackers
from oreo.training.batch_metrics import BatchMetrics
from oreo.training.batches import Batch, MicroBatching
from oreo.training.checkpoint import read_state, restore_optimizers, save_checkpoint
from oreo.training.config import TrainConfig
from oreo.training.devices import connect, sharded
from oreo.training.interrupts import stop_requests, uninterrupted
from oreo.training.methods.spec import MethodSpec, Update
from oreo.training.metrics import TrajectoryValues, value_summary
from oreo.training.modules import build, load_start
from oreo.training.nonfinite import NonFiniteLoss, keep_batch, not_finite
from oreo.training.order import Rows
from oreo.training.rows import (
    Example,
    encode_all,
    fingerprint,
    refuse_unknown_tokens,
    refuse_without_reward,
    those_meant,
)
from oreo.training.run_folder import RunFolder, TrainResult, claimed, stored_config
from oreo.training.schedule import schedule
from oreo.training.self_check import compare, noting
from oreo.training.small_models import describe, doubt, small_recipe
from oreo.trajectory import Trajectory

OnStep = Callable[[dict[str, Any]], None]
_AUC_WINDOW = 1024
"""Trajectories over which the logged AUC and mean values are taken: one batch has too few of either outcome."""


@document_settings(TrainConfig)
def train(
    data: str | os.PathLike[str] | Iterable[Trajectory],
    *,
    method: str | MethodSpec | Callable[..., Any] | None = None,
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
        method: a name of oreo.training.methods.registry, such as "oreo" or "rejection"; `path/to/file.py:NAME`, a
            `MethodSpec` or a loss function of your own (oreo.training.methods.spec); None: the recipe's, else "oreo".
        model: the starting policy; see `oreo.models.loading.resolve_checkpoint`.
        output: a new or empty folder; gets policy/, value/, config.json, log.jsonl, and checkpoint/ until done.
        resume: go on where an interrupted run with the same settings and data stopped; begin where nothing is
            there yet.
        on_step: called with each line of the log, which also says `steps`, the number of all updates. Of several
            processes only the main one calls it.
        fields: of `oreo.training.config.TrainConfig`, recipe="oreo-alfworld" for the settings of a known experiment. A
            small model without any takes those of oreo.training.small_models.

    Raises:
        UsageError: wrong options; an output folder in use; resuming with other settings.
        DataError: nothing to train on, trajectories that do not fit, a model that cannot be loaded, a damaged
            checkpoint.
        MissingExtra: a tracker that is not installed.
        NonFiniteLoss: see there.
        KeyboardInterrupt: passed on after a checkpoint was saved. SIGTERM raises it, too.
    """
    fields |= {"method": method, "model": str(model)}
    output = Path(output).expanduser()
    if small := small_recipe(fields, (stored_config(output) or None) if resume else None):
        fields["recipe"] = small
    config = TrainConfig.of(**fields)
    with claimed(output, config, resume=resume) as folder:
        if resume and (finished := folder.finished()):
            return finished
        run = Run(data, config, folder, resume=resume)
        if small and run.main:
            warnings.warn(describe(small, config.model), stacklevel=2)
        return run.train(on_step)


def _refuse_without_adapters() -> None:
    """Raises MissingExtra or UsageError where LoRA adapters cannot be trained."""
    lora.require_peft()
    if sharded():
        raise UsageError("LoRA keeps a whole base on each device and cannot be sharded; use ddp.yaml, or lora_r=0")


class Run:
    """A run under way: its rows, its modules, its folder, and how many updates are made."""

    def __init__(self, data: Any, config: TrainConfig, folder: RunFolder, *, resume: bool = False) -> None:
        """Make everything ready for the next update. Each part needs the ones above it.

        Args and what is raised: as `train`.
        """
        self.config, self.method, self.folder = config, config.spec, folder

        # 1) The processes. What they cannot train is refused before a model is read.
        self.accelerator = connect(config.bf16, **trackers.accelerator_arguments(config, folder.path))
        self.main = self.accelerator.is_main_process
        if config.lora_r:
            _refuse_without_adapters()

        # 2) The starting policy, whose tokenizer writes the data as tokens.
        start, self.tokenizer = load_start(config)
        if config.instruction is not None:
            self.tokenizer.init_kwargs[INSTRUCTION_KEY] = config.instruction
        self.max_length = config.max_length or getattr(start.config.get_text_config(), "max_position_embeddings", None)
        self.identity = {"start": digest(start)}
        self.acted: list[Trajectory] = []
        """Episodes that the starting model played, for the self-check."""
        self.format = TurnFormat.from_tokenizer(self.tokenizer, config.instruction)
        self.rows = self._encode(data)
        refuse_unknown_tokens(self.rows.examples, int(start.get_input_embeddings().weight.shape[0]))
        self.surveyed = None if self.method.survey is None else self.method.survey(config, self.rows.examples)
        self.value_only_updates = self.rows.per_epoch * (config.value_warmup_epochs if self.method.value else 0)
        self.total_updates = self.value_only_updates + self.rows.per_epoch * int(config.epochs or 0)

        # 3) Where the run stands. The start is known by its weights before `build` below hands them over to be trained.
        self.identity["data"] = fingerprint(self.rows.examples)
        checkpoint = folder.latest_checkpoint() if resume else None
        state = {} if checkpoint is None else read_state(checkpoint)
        if checkpoint is not None:
            self._refuse_other_identity(state)
        self.updates_made: int = state.get("step", 0)
        self._updates_saved = self.updates_made
        recent = (TrajectoryValues(*values) for values in state.get("recent", ()))
        self.recent = collections.deque(recent, maxlen=_AUC_WINDOW)
        """The trajectories that were learnt from last."""

        # 4) Models with the weights of that moment, and their optimisers. What a forward pass can take depends on them.
        self.modules = build(self.accelerator, config, start, checkpoint, lambda: self._store_start(start))
        self.micro_batching = self._micro_batching()
        if checkpoint is not None:
            restore_optimizers(checkpoint, self.modules.optimizers, self.modules.trained)

        # 5) The folder, now that nothing speaks against going on in it.
        if resume and self.main:
            folder.clean(self.updates_made)

    def _encode(self, data: Any) -> Rows:
        """The data as rows of the method."""
        if isinstance(data, str | os.PathLike):
            from oreo.data.buffer import TrajectoryBuffer

            data = TrajectoryBuffer(data, create=False)
        config = self.config
        meant = data if config.where is None else those_meant(data, config.where)
        examples = encode_all(
            noting(meant, self.identity["start"], self.acted),
            self.format,
            rows=self.method.rows,
            won_only=self.method.won_only,
            max_length=self.max_length,
            overlong=config.overlong,
            reward=config.reward,
            imitate=config.imitate,
            samples_per_game=config.samples_per_game,
            balance=config.balance,
            pairs_per_game=config.pairs_per_game,
            imitate_refused=config.imitate_refused,
            seed=config.seed,
        )
        if self.method.needs_reward:
            refuse_without_reward(examples, self.method.name)
        return Rows(examples, batch_size=config.batch_size, seed=config.seed, order=config.order)

    def _refuse_other_identity(self, state: dict[str, Any]) -> None:
        """Raises UsageError where a checkpoint's state is of another starting model or of other data."""
        for key, what in (("start", "the starting model"), ("data", "the training data")):
            if state.get(key) != self.identity[key]:
                raise UsageError(f"cannot resume {self.folder.path}: {what} changed since; give another output folder")

    def _micro_batching(self) -> MicroBatching:
        """How much of a batch goes into one forward pass."""
        pad, accelerator = self.tokenizer.pad_token_id, self.accelerator
        return MicroBatching(
            tokens=self.config.micro_tokens or (4096 if accelerator.device.type == "cpu" else 16384),
            packed=self.modules.packed,
            pad_id=int(self.tokenizer.eos_token_id or 0) if pad is None else int(pad),
            processes=accelerator.num_processes,
            process=accelerator.process_index,
            device=accelerator.device,
        )

    # The loop.

    def train(self, on_step: OnStep | None) -> TrainResult:
        """Make the updates that are missing, and write the final models.

        Raises:
            KeyboardInterrupt: Ctrl-C, or on any process a request to stop; a checkpoint was saved first.
        """
        line: dict[str, Any] = {}
        try:
            with self._logging() as log, stop_requests(self.accelerator.num_processes > 1) as requests:
                checked = self.self_check() if self.updates_made == 0 < self.total_updates else {}
                while self.updates_made < self.total_updates:
                    began = time.perf_counter()
                    rows = self.rows.of(self.updates_made)
                    metrics, trajectory_values = self.backward(rows)
                    with uninterrupted():
                        metrics |= self.apply(rows, metrics)
                        self.updates_made += 1
                        self.recent.extend(trajectory_values)
                        line = self.line(rows, metrics, time.perf_counter() - began) | checked
                        checked = {}
                        log(line)
                    if self._checkpoint_is_due():
                        self.save()
                    if on_step is not None and self.main:
                        on_step(line | {"steps": self.total_updates})
                    if self._on_any_process(bool(requests)):
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            if self.updates_made > self._updates_saved:
                with uninterrupted():
                    self.save()
            raise
        return self._finish(line)

    def self_check(self) -> dict[str, float]:
        """Score turns that the starting model has said once more, as training does; for the first line of the log.

        Warns where they are not as likely as they were (oreo.training.self_check).
        """
        policy = self.modules.called["policy"]

        def score(pieces: Sequence[Encoded]) -> Tensor:
            batch = self.micro_batching.batch(pieces)
            log_probs: Tensor = policy(batch.input_ids, batch.action_mask, kl=False, packing=batch.packing)[0]
            return log_probs

        compared = compare(self.acted, self.format, score, self.max_length)
        self.acted.clear()
        if compared is None:
            return {}
        if not compared.agrees and self.main:
            warnings.warn(
                f"{compared}, by the very model that said them: template, instruction, dtype or context of training "
                "are not those of acting (`oreo check-model` tells more)",
                stacklevel=4,
            )
        return {
            "self_check_turns": float(compared.turns),
            "self_check_mean": compared.mean,
            "self_check_largest": compared.largest,
        }

    @property
    def value_only(self) -> bool:
        """Whether the next update is one of those that train the value alone, before the policy's begin."""
        return self.updates_made < self.value_only_updates

    def backward(self, rows: Sequence[int]) -> tuple[dict[str, float], list[TrajectoryValues]]:
        """Add the gradient of the whole batch's loss, however it is cut, to the parameters.

        Returns the batch's metrics, and what the value model says of its trajectories.

        Each micro-batch's mean is weighted by its share of what the batch's mean runs over (rows, or tokens for
        imitation). `Accelerator.accumulate` would weigh a small last micro-batch as much as a full one.
        """
        update, batch_weight, metrics = self._update(rows), self._weight(rows), BatchMetrics()
        for micro in self.micro_batching.cut(rows, self.rows.lengths, self.rows.games):
            examples = [self.rows.examples[row] for row in micro.rows]
            share = 0.0 if micro.idle else self._weight(micro.rows) / batch_weight
            with contextlib.nullcontext() if micro.last else self.modules.local_gradients(self.accelerator):
                outcome = self.method.outcome(update, self._batch(examples), examples)
                # Data-parallel wrappers average over processes, where the shares already add up to one.
                self.accelerator.backward(outcome.loss * (share * self.accelerator.num_processes))
            metrics.add(outcome, [] if micro.idle else examples, share)
        self.modules.average_adapters(self.accelerator)
        return metrics.over_processes(self.accelerator)

    def apply(self, rows: Sequence[int], metrics: dict[str, float]) -> dict[str, float]:
        """Step the models that are trained in this update by their gradients, which are clipped first and gone then.

        Returns gradient norms and learning rates.

        Raises:
            NonFiniteLoss: a metric or a norm is not finite; no weight has changed then.
        """
        self._refuse_not_finite(rows, metrics)
        names = [name for name in self.modules.models if not (self.value_only and name == "policy")]
        norms = self.modules.clip(names, self.config.max_grad_norm)
        self._refuse_not_finite(rows, norms)
        rates = {name: self._rate(name) for name in names}
        self.modules.step(rates)
        return norms | {"lr" if name == "policy" else "value_lr": rate for name, rate in rates.items()}

    def save(self) -> None:
        """Write a checkpoint of this moment. All processes take part."""
        save = self.modules.saver(self.tokenizer, keep=self.main)
        moments = self.modules.moments(keep=self.main)
        if self.main:
            state = {"config": self.config.to_dict(), **self.identity, "recent": list(self.recent)}
            save_checkpoint(self.folder.checkpoints, self.updates_made, save=save, moments=moments, state=state)
        self._updates_saved = self.updates_made
        self.accelerator.wait_for_everyone()

    def _checkpoint_is_due(self) -> bool:
        every = self.config.save_every
        return bool(every) and self.updates_made % every == 0 and self.updates_made < self.total_updates

    # Parts of an update.

    def _update(self, rows: Sequence[int]) -> Update:
        """What the micro-batches of an update share, with what the method prepares of the whole batch."""
        update = Update(
            self.config,
            policy=self.modules.called["policy"],
            value=self.modules.called.get("value"),
            reference=self.modules.reference,
            value_only=self.value_only,
            max_length=self.max_length,
            surveyed=self.surveyed,
        )
        if self.method.prepare is None:
            return update
        examples = [self.rows.examples[row] for row in rows]
        return dataclasses.replace(update, prepared=self.method.prepare(update, examples, self._total))

    def _weight(self, rows: Sequence[int]) -> int:
        """What a mean over these rows runs over, such as their number."""
        return sum(self.method.weight(self.rows.examples[row]) for row in rows)

    def _total(self, examples: Sequence[Example], measure: Callable[[Batch, Sequence[Example]], Tensor]) -> Tensor:
        """Sum of a scalar over micro-batches of these examples and all processes, without gradient."""
        lengths = [[len(piece) for piece in example.pieces] for example in examples]
        apart = [str(index) for index in range(len(examples))]  # as if each were of a game of its own
        total = torch.zeros((), device=self.accelerator.device)
        with torch.no_grad():
            for micro in self.micro_batching.cut(range(len(examples)), lengths, apart):
                chosen = [examples[row] for row in micro.rows]
                total += measure(self._batch(chosen), chosen) * (not micro.idle)
        return self.accelerator.reduce(total, "sum")

    def _batch(self, examples: Sequence[Example]) -> Batch:
        """All sequences of these rows as tensors on the device."""
        return self.micro_batching.batch([piece for example in examples for piece in example.pieces])

    def _rate(self, name: str) -> float:
        """Linear warm-up, then a cosine to zero, over the updates in which this model is trained."""
        before = self.value_only_updates if name == "policy" else 0
        peak = self.config.lr if name == "policy" else self.config.value_lr
        return float(peak or 0.0) * schedule(
            self.updates_made - before, self.total_updates - before, self.config.warmup
        )

    def _on_any_process(self, flag: bool) -> bool:
        """Whether it is so on any process."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.accelerator.reduce(torch.tensor(float(flag), device=self.accelerator.device), "sum"))

    def _refuse_not_finite(self, rows: Sequence[int], metrics: dict[str, float]) -> None:
        """Raises NonFiniteLoss, with the batch and the weights from before it on disk."""
        names = not_finite(metrics)
        if not names:
            return
        folder = self.folder.path / f"nonfinite-step-{self.updates_made + 1:08d}"
        if self.main:
            keep_batch(folder, [self.rows.examples[row] for row in rows], metrics, self.micro_batching.pad_id)
        self.accelerator.wait_for_everyone()  # a launcher kills all processes when the first of them fails
        what = f"{', '.join(names)} not finite at update {self.updates_made + 1}; its batch is in {folder}"
        if not self.updates_made:
            raise NonFiniteLoss(f"{what}; nothing was trained yet, so a lower lr will not help: look at model and data")
        self.save()
        good = self.folder.checkpoints / f"step-{self.updates_made:08d}"
        raise NonFiniteLoss(
            f"{what}, the weights from before it in {good}; --resume makes this update again and most likely ends the "
            f"same, so begin a new run with a lower lr, from the start or from {good / 'policy'} (its reference, then)"
        )

    # Files.

    @contextlib.contextmanager
    def _logging(self) -> Iterator[OnStep]:
        """What takes the lines of the log: log.jsonl and the trackers, in the main process alone."""
        if not self.main:
            yield lambda line: None
            return
        self._write_config()
        trackers.begin(
            self.accelerator, self.config, self.folder.path, step=self.updates_made, run_id=self.folder.run_id
        )
        try:
            with self.folder.logging() as write:

                def log(line: dict[str, Any]) -> None:
                    write(line)
                    trackers.track(self.accelerator, line)

                yield log
        finally:
            trackers.end(self.accelerator)

    def line(self, rows: Sequence[int], metrics: dict[str, float], seconds: float) -> dict[str, Any]:
        """What the log says about the update just made."""
        tokens = self.rows.tokens(rows)
        return {
            "step": self.updates_made,
            "epoch": round(self.updates_made / self.rows.per_epoch, 4),
            "phase": "value" if self.updates_made <= self.value_only_updates else self.method.name,
            **metrics,
            **value_summary(self.recent),
            "tokens": tokens,
            "seconds": round(seconds, 4),
            "tokens_per_second": round(tokens / seconds, 1),
        }

    def _write_config(self) -> None:
        """Store what the run is set to, and what it starts from, in config.json."""
        self.folder.write_config(**self.identity, steps=self.total_updates, processes=self.accelerator.num_processes)

    def _store_start(self, start: Any) -> str:
        """Keep the sum of a base and an adapter, which nobody has stored yet, in base/; returns that folder."""
        base = self.folder.path / "base"
        if self.main and not base.exists():
            self._write_config()
            with writing(base):
                save_model(start, self.tokenizer, base)
        return str(base)

    def _finish(self, line: dict[str, Any]) -> TrainResult:
        """Write the final models, and warn where so short a training can hardly have learnt anything."""
        save = self.modules.saver(self.tokenizer, keep=self.main)
        if self.main:
            self.folder.finish(save)
            policy = self.modules.models["policy"]
            weights = sum(parameter.numel() for parameter in policy.parameters())
            if message := doubt(self.config, weights, self.updates_made - self.value_only_updates, line):
                warnings.warn(message, stacklevel=4)
        self.accelerator.wait_for_everyone()
        return self.folder.result(self.updates_made, line)
