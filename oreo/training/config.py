"""What a training run is set to. Defaults are the paper's for ALFWorld (arXiv 2412.16145, section 5 and appendix),
each with its source; where the paper names none, the doc line says so."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from oreo.data.filters import parse
from oreo.errors import UsageError, did_you_mean
from oreo.field_docs import document_fields
from oreo.records import ABOVE_0, check_ranges, check_types, check_values
from oreo.training.methods.registry import knowing, load_method
from oreo.training.methods.spec import MethodSpec
from oreo.training.order import ORDERS
from oreo.training.recipe import load_recipe

OVERLONG = ("refuse", "split", "drop")
LEVELS = ("token", "step", "response")
REWARDS = ("stored", "success", "signed")
IMITATED = ("all", "person")
BALANCES = ("none", "game", "all")
TRACKERS = ("tensorboard", "wandb", "trackio")
LORA_MODELS = ("both", "value")

_MAY_CHANGE = {"checkpoint_activations", "save_every", "trackers", "recipe"}
"""Fields that may differ when a run is resumed: the weights do not depend on them."""


@document_fields
@dataclass(frozen=True)
class TrainConfig:
    """Settings of `oreo.train`. A None that depends on method or level is filled in when the config is made; one that
    the method does not know stays None.

    Raises:
        UsageError: a value of another type than its field's, out of range, or of a field that would do nothing.
    """

    method: str | MethodSpec = "oreo"
    """A name of oreo.training.methods.registry, `path/to/file.py:NAME`, or a method of your own: a `MethodSpec`, or a
    loss function alone. "sft" imitates every trajectory, "rejection" the won ones, "rwr", "awr" and "iql" by what they
    got; "dpo" prefers the won to the lost of the same game, "kto" the won to the lost at large; "oapl" and "grpo"
    compare the samples of a game, "tbrm" has its logits for a value; "oreo" and "dqo" learn policy and value from
    all."""
    model: str = "tiny"
    """The starting policy, and the reference of all but imitation: a folder, "tiny", "tiny-math", or a Hub name."""
    value_model: str | None = None
    """The starting value; None: a copy of the starting policy with a head of zeros (paper, section 4.1)."""
    instruction: str | None = None
    """Text before the first observation; None keeps the one the model was trained with, if any."""
    epochs: int | None = None
    """Passes over the data; None: the method's, which for those of the paper is the paper's."""
    value_warmup_epochs: int = 0
    """OREO, DQO, AWR, IQL: passes before those in which only the value is trained. Not in the paper; small models need
    them."""
    batch_size: int = 128
    """Rows for one update: trajectories, for DPO pairs of them. Paper: 128."""
    lr: float | None = None
    """Peak learning rate of the policy; None: the method's, which for those of the paper is the paper's."""
    value_lr: float | None = None
    """OREO, DQO, AWR, IQL: peak learning rate of the value; None: 5e-6 (paper)."""
    beta: float | None = None
    """Weight β of the log-ratio to the starting policy; None: the method's, such as 0.03 (oreo, paper). RWR, AWR, IQL:
    the temperature of their weights exp(R/β), exp(A/β)."""
    alpha: float | None = None
    """OREO: weight α of the exact KL to the reference. Paper: 0.01 (token), 0.1 (step), 0.3 (response). It outweighs β:
    near the reference the KL is ½ E[ρ²], so at an advantage A the loss is least where ρ = 2βA / (2β² + α), as if β were
    β + α/(2β), at the paper's numbers 0.197."""
    level: str = "token"
    """OREO: what one action is: "token", "step" (a turn) or "response" (the episode). Paper, ALFWorld: token."""
    value_lambda: float | None = None
    """OREO, DQO, AWR, IQL: λ of the value's target: 1, the whole rest of the episode (paper, equation 7); 0, the value
    of the state in which the next turn begins; see `oreo.training.losses`. While only the value is trained it is 1.
    None: the method's, 1 (oreo, paper)."""
    policy_lambda: float | None = None
    """OREO, DQO: λ of the policy's target, likewise; AWR, IQL: of the advantage. None: the method's, 1 (oreo,
    paper)."""
    gamma: float = 1.0
    """OREO, DQO, AWR, IQL: the discount γ of a turn. Paper: none, 1."""
    expectile: float | None = None
    """IQL: τ, between 0 and 1: the larger, the more V is what the better outcomes are; ½ is their mean. None: 0.7."""
    max_weight: float | None = None
    """AWR, IQL: the most that a turn may weigh. None: 20 (awr), 100 (iql)."""
    clip: float | None = None
    """GRPO: ε, how far a token's ratio to the reference goes on being rewarded. None: 0.2."""
    imitate_refused: bool = True
    """Whether SFT, rejection sampling, RWR, AWR and IQL also imitate turns that the environment refused, where that is
    stored; False: they are context alone. Not in the paper."""
    reward: str = "stored"
    """Of methods that learn from rewards: "stored" rewards, dense ones included; or one at the end: "success", 1 where
    won, else 0 (paper); "signed", 1 where won, else -1 (an option of the released code)."""
    desirable_weight: float = 1.0
    """KTO: weight λ_D of won trajectories. arXiv 2402.01306: 1."""
    undesirable_weight: float = 1.0
    """KTO: weight λ_U of lost trajectories. arXiv 2402.01306: 1, and where one outcome is rarer, more for that one."""
    imitate: str = "all"
    """SFT, rejection, RWR, AWR, IQL: "all" turns, or those that a "person" chose, such as the corrections of an
    agent."""
    where: str | None = None
    """Learn from the trajectories that a condition means, such as "won and steps < 20"; None: from all. See
    oreo.data.filters."""
    samples_per_game: int | None = None
    """Learn from at most N trajectories of each game, drawn by `seed`; None: from all. See oreo.data.selection."""
    balance: str = "none"
    """Learn from as many won as lost trajectories: of each "game", or over "all"; "none": from all there are."""
    pairs_per_game: int | None = None
    """DPO: at most N pairs of each game, drawn by `seed`. Paper: 5 (ALFWorld), 6 (maths 1.5B), 10 (maths 7B)."""
    lora_r: int = 0
    """Rank of LoRA adapters, which are then trained in place of all weights: policy and value are two adapters on one
    base, and the base alone is the reference (see `oreo.models.lora`); 0: train all weights. Paper: 64 (its 7B
    value)."""
    lora_models: str = "both"
    """LoRA: "both", or "value": the policy is trained whole, and the value is an adapter on the reference. Paper: value
    (7B)."""
    lora_alpha: float | None = None
    """LoRA: α; adapters are scaled by α/r. None: r (paper: 64 and 64)."""
    lora_targets: str = "all-linear"
    """LoRA: layers that get adapters: "all-linear", all but the output layer, or the ends of their names, such as
    "q_proj,v_proj"."""
    warmup: float = 0.03
    """Share of the updates in which the learning rate rises to its peak; then it falls as a cosine. Paper: 3 %."""
    adam_betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's betas. Paper: (0.9, 0.95)."""
    weight_decay: float = 0.0
    """AdamW's weight decay. The paper names none."""
    max_grad_norm: float = 1.0
    """Gradients of each model are scaled down to this norm; 0: never. Paper: 1.0."""
    max_length: int | None = None
    """Longest trajectory in tokens; None: what the model has positions for."""
    overlong: str = "refuse"
    """What to do with longer ones: "refuse" to train, "split" (their oldest turns leave, as an agent with so short a
    context would have been told of them) or "drop"; never cut and still paid."""
    micro_tokens: int | None = None
    """Tokens, padding (if any) included, in one forward pass; None: 4,096 on a CPU, 16,384 elsewhere. Weights differ by
    rounding only."""
    order: str = "rows"
    """What is drawn for an epoch: the order of all "rows", or of "games": samples of a game are learnt from in one
    update, and the prompt that they share is computed once (with `packed`). The paper does not say. See
    oreo.training.order."""
    packed: bool = True
    """Lay rows end to end without padding, what they begin with alike once (see oreo.models.packing); False: pad them.
    Weights differ by rounding only."""
    bf16: bool = False
    """Compute in bfloat16, weights stay float32. Paper: bf16; off here, since few CPUs are faster with it."""
    checkpoint_activations: bool = False
    """Keep only the inputs of each transformer block in the forward pass, and compute the rest again in the backward
    pass: less memory, up to a third more time, the same weights."""
    seed: int = 0
    """Order of the data, and what is selected of it."""
    save_every: int = 100
    """Updates between checkpoints; 0: only when the run is interrupted, or stopped by a loss that is not finite."""
    trust_remote_code: bool = False
    """Run Python that comes with the model."""
    trackers: tuple[str, ...] = ()
    """Where the log goes as well: "tensorboard" (files in the output folder), "wandb", "trackio". See
    oreo.training.trackers."""
    recipe: str | None = None
    """Where `of` takes what is not given to it; see oreo.training.recipe."""
    spec: MethodSpec = field(init=False, repr=False, compare=False)
    """What `method` names."""

    def __post_init__(self) -> None:
        trackers = [self.trackers] if isinstance(self.trackers, str) else self.trackers
        object.__setattr__(self, "trackers", trackers)
        if callable(self.method):  # a loss function alone
            object.__setattr__(self, "method", load_method(self.method))
        check_types(self)
        object.__setattr__(self, "trackers", tuple(dict.fromkeys(trackers)))
        object.__setattr__(self, "adam_betas", tuple(self.adam_betas))
        object.__setattr__(self, "spec", load_method(self.method))
        for name, choices in _CHOICES.items():
            _one_of(name, getattr(self, name), choices)
        if self.where is not None:
            parse(self.where)
        for name in self.trackers:
            _one_of("tracker", name, TRACKERS)
        self._refuse_what_would_do_nothing()
        self._fill_in()
        self._check_ranges()

    def _refuse_what_would_do_nothing(self) -> None:
        for name in OF_SOME_METHODS:
            if not self.spec.knows(name) and getattr(self, name) != _default(name):
                raise UsageError(
                    f"{name} means nothing to method {self.spec.name!r}; leave it out (it is for "
                    f"{', '.join(knowing(name))})"
                )
        for name, reason in self.spec.fixed.items():
            if getattr(self, name) not in (None, self.spec.default(name, self.level)):
                raise UsageError(reason)
        for name in ("lora_alpha", "lora_targets", "lora_models"):
            if not self.lora_r and getattr(self, name) != _default(name):
                raise UsageError(
                    f"{name} {getattr(self, name)!r} means nothing without lora_r; give that a rank, such as 64, or "
                    f"leave {name} at {_default(name)!r}"
                )
        if self.lora_r and self.value_model is not None:
            raise UsageError("with lora_r the value is an adapter on the starting model; leave value_model out")
        if self.level == "response" and self.policy_lambda not in (None, 1):
            raise UsageError(
                f'policy_lambda is {self.policy_lambda}, but level "response" has nothing to mix; leave it at 1'
            )

    def _fill_in(self) -> None:
        """What is None until method and level are known."""
        for name in _FILLED_IN:
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.spec.default(name, self.level))
        if self.lora_alpha is None and self.lora_r:
            object.__setattr__(self, "lora_alpha", self.lora_r)

    def _check_ranges(self) -> None:
        check_ranges(self, _RANGE)
        if not all(0 <= beta < 1 for beta in self.adam_betas):
            raise UsageError(f"adam_betas is {list(self.adam_betas)}; expected two numbers from 0 to below 1")
        if self.epochs == 0 and self.value_warmup_epochs == 0:
            raise UsageError("epochs is 0, so there is nothing to train")

    @classmethod
    def of(cls, **fields: Any) -> TrainConfig:
        """From named fields, over those of the recipe where one is named. None is as if not given.

        Raises:
            UsageError: a field or a recipe that does not exist, with the near one; values that do not fit.
        """
        check_names(fields)
        fields = {name: value for name, value in fields.items() if value is not None}
        if "recipe" in fields:
            # What a recipe looks things up by.
            check_values(cls, {name: fields[name] for name in ("recipe", "level") if name in fields})
            fields = load_recipe(fields["recipe"]).settings(fields)
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        fields = {name: getattr(self, name) for name in field_names()} | {"method": self._method_name()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    def _when_not_stored(self, name: str) -> Any:
        """What a field was that did not exist when a run was stored."""
        return self.spec.default(name, self.level) if name in _FILLED_IN else _default(name)

    def _method_name(self) -> str:
        return self.method if isinstance(self.method, str) else self.method.name

    def differences(self, other: dict[str, Any]) -> list[str]:
        """`lr: 5e-06 then, 0.0001 now` for each field that differs from a stored `to_dict` and must not.

        A field that did not exist when that was stored had what is its default now. One that the method does not know
        may have been stored with any value.
        """
        if other.get("games_together"):  # what order="games" was called
            other = other | {"order": "games"}
        before = {name: other.get(name, self._when_not_stored(name)) for name in self.to_dict()}
        gone = [
            f"{name}: {other[name]!r} then, and there is no such setting now ({reason})"
            for name, (default, reason) in _GONE.items()
            if other.get(name, default) != default
        ]
        return gone + [
            f"{name}: {before[name]!r} then, {value!r} now"
            for name, value in self.to_dict().items()
            if name not in _MAY_CHANGE
            and before[name] != value
            and (before["method"] != self._method_name() or name not in OF_SOME_METHODS or self.spec.knows(name))
        ]


_FILLED_IN = (
    *("epochs", "lr", "value_lr", "beta", "alpha", "pairs_per_game"),
    *("value_lambda", "policy_lambda", "expectile", "max_weight", "clip"),
)
"""Fields whose None stands for the method's own number."""
_GONE = {"lambda_": (1.0, "it counted tokens; value_lambda and policy_lambda count turns")}
"""Fields of before: what they were where they did nothing, and why they went."""
OF_SOME_METHODS = (
    *("value_model", "value_warmup_epochs", "value_lr", "beta", "alpha", "level", "reward"),
    *("value_lambda", "policy_lambda", "gamma", "expectile", "max_weight", "clip", "imitate_refused"),
    *("desirable_weight", "undesirable_weight", "pairs_per_game", "balance", "lora_models", "imitate"),
)
"""Fields that only some methods know. Given to another, they would do nothing."""
_CHOICES = {
    "level": LEVELS,
    "overlong": OVERLONG,
    "reward": REWARDS,
    "imitate": IMITATED,
    "balance": BALANCES,
    "lora_models": LORA_MODELS,
    "order": tuple(ORDERS),
}
_RANGE: dict[str, tuple[float, float]] = {
    "epochs": (0, math.inf),
    "value_warmup_epochs": (0, math.inf),
    "batch_size": (1, math.inf),
    "lr": (0, math.inf),
    "value_lr": (0, math.inf),
    "beta": (ABOVE_0, math.inf),
    "alpha": (0, math.inf),
    "value_lambda": (0, 1),
    "policy_lambda": (0, 1),
    "gamma": (0, 1),
    "expectile": (ABOVE_0, 1),
    "max_weight": (ABOVE_0, math.inf),
    "clip": (ABOVE_0, math.inf),
    "desirable_weight": (0, math.inf),
    "undesirable_weight": (0, math.inf),
    "samples_per_game": (1, math.inf),
    "pairs_per_game": (1, math.inf),
    "lora_r": (0, math.inf),
    "lora_alpha": (0, math.inf),
    "warmup": (0, 1),
    "weight_decay": (0, math.inf),
    "max_grad_norm": (0, math.inf),
    "max_length": (1, math.inf),
    "micro_tokens": (1, math.inf),
    "save_every": (0, math.inf),
    "seed": (0, 2**63 - 1),
}
"""Least and most."""


def _default(name: str) -> Any:
    return TrainConfig.__dataclass_fields__[name].default


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} {value!r} is unknown; {did_you_mean(value, choices)}")


def check_names(names: Iterable[str]) -> None:
    """Raises UsageError for what is no field of `TrainConfig`."""
    existing = field_names()
    for name in names:
        if name not in existing:
            raise UsageError(f"unknown training option {name!r}; {did_you_mean(name, existing)}")


def field_names() -> list[str]:
    """The settings there are."""
    return [field.name for field in dataclasses.fields(TrainConfig) if field.init]
