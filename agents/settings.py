"""What an agent is set to, in one record."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oreo.agents.registry import CHOICES
from oreo.errors import UsageError, did_you_mean
from oreo.field_docs import document_fields
from oreo.records import ABOVE_0, check_ranges, check_types

MAX_NEW_TOKENS = 48
"""A turn of a language model is ended when it has this many tokens."""
BETA = 0.03
"""OREO's β, as the paper has it (arXiv 2412.16145, section 5)."""
DEFAULT_K = 5
"""Candidates to choose from: the paper's K, and the beams of its beam search (section 5)."""
PROPOSALS = ("sampled", "admissible")
APIS = ("chat", "text")
_RANGE: dict[str, tuple[float, float]] = {
    "k": (1, math.inf),
    "depth": (1, math.inf),
    "budget": (1, math.inf),
    "budget_steps": (1, math.inf),
    "beta": (0, math.inf),
    "temperature": (0, math.inf),
    "top_p": (ABOVE_0, 1),
    "max_new_tokens": (1, math.inf),
    "context": (1, math.inf),
    "noise": (0, 1),
    "concurrency": (1, math.inf),
    "timeout": (ABOVE_0, math.inf),
    "deadline": (ABOVE_0, math.inf),
}
"""Least and most."""
_FORMER = {
    "best_of": "choose='best-of', k={value!r} (on the command line --best-of {value})",
    "lookahead": "choose='plan', depth={value!r}, with k turns to try (on the command line --choose plan "
    "--depth {value})",
    "search": "choose={value!r}, with k beams or messages (on the command line --choose {value})",
}
"""What is to be typed in place of settings that there were."""


@document_fields
@dataclass(frozen=True)
class AgentConfig:
    """Settings of `oreo.agents.load_agent`. What an agent has no use for has to be left at its default.

    Raises:
        UsageError: a value of another type than its field's, out of range, or of a field that would do nothing.
    """

    choose: str = "sample"
    """How a language model comes to its action, a word of `oreo.agents.registry.CHOICES`, which says what each does.
    "beam", "best" and "vote" are for messages in several turns."""
    k: int | None = None
    """How many candidates, beams or messages; None: 1 for "sample" and "admissible", else 5."""
    depth: int = 1
    """"plan": turns to look ahead."""
    proposals: str = "sampled"
    """"plan": what it tries, "sampled" turns or the likeliest "admissible" commands."""
    budget: int | None = None
    """"beam", "best", "vote": tokens sampled for one message; where they are spent, the best beginning is written to
    its end, one sample a step. None: any number."""
    budget_steps: int | None = None
    """The same in steps of a message."""
    beta: float = BETA
    """"admissible" with a value model, and "plan" over admissible commands: how much value a nat of a command's
    log-likelihood is worth; 0: value alone."""
    temperature: float = 1.0
    """Of sampling; 0 is greedy."""
    top_p: float = 1.0
    """Share of the probability that is sampled from."""
    max_new_tokens: int = MAX_NEW_TOKENS
    """Tokens after which a turn is ended."""
    context: int | None = None
    """Tokens of an episode that the models are shown at most; beyond, its oldest turns are left out. None: as many as
    they have positions for."""
    noise: float = 0.0
    """Share of the expert's actions that is replaced by others."""
    instruction: str | None = None
    """Text before the first observation; None: what the tokenizer was saved with."""
    value: str | None = None
    """Where the value model is; None: beside the policy, as `oreo train` leaves it. Where one is found, the values of
    the states are noted in the trajectories, whatever chooses."""
    dtype: str = "float32"
    """Of the weights."""
    device: str | None = None
    """Where models run; None: the CPU. vLLM runs on the devices that it finds."""
    trust_remote_code: bool = False
    """Run Python that comes with a model."""
    server: str | None = None
    """Where a served model is, such as http://127.0.0.1:8000/v1; None: where $OPENAI_BASE_URL says. A key is taken from
    $OPENAI_API_KEY alone."""
    api: str = "chat"
    """How a served model is asked: "chat", or "text" for models without a chat template."""
    stop: str | tuple[str, ...] | None = None
    """Texts that end a served model's turn, beside its own end of turn."""
    tokenizer: str | None = None
    """Folder or Hub name of a served model's tokenizer, for api="text"; None: the value model's."""
    concurrency: int = 32
    """Requests to the server at once."""
    timeout: float = 60.0
    """Seconds until a request is made again."""
    deadline: float = 300.0
    """Seconds until a request that is not answered fails the run."""
    engine: Mapping[str, Any] | None = None
    """Arguments of vLLM's engine, such as {"tensor_parallel_size": 2}."""
    arguments: Mapping[str, Any] | None = None
    """Of an agent of your own: keyword arguments for its class."""

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop
        object.__setattr__(self, "stop", tuple(stop) if isinstance(stop, list) else stop)
        check_types(self)
        for name, choices in (("choose", tuple(CHOICES)), ("proposals", PROPOSALS), ("api", APIS)):
            value = getattr(self, name)
            if value not in choices:
                hint = "choose='sample'" if value == "text" and name == "choose" else did_you_mean(value, choices)
                raise UsageError(f"{name} {value!r} is unknown; {hint}")
        check_ranges(self, _RANGE)
        if self.context is not None and self.context < self.max_new_tokens + 3:
            raise UsageError(f"context is {self.context}; expected well above max_new_tokens={self.max_new_tokens}")

    def changed(self) -> dict[str, Any]:
        """The fields that are not at their defaults, by name: `AgentConfig(**config.changed()) == config`."""
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in settings.items() if value != _default(name)}


def configure(config: AgentConfig | None, settings: Mapping[str, Any]) -> AgentConfig:
    """The config with these fields in place of its own; None: the defaults.

    Raises:
        UsageError: a name that is no field, or a value that its field does not take.
    """
    if config is not None and not isinstance(config, AgentConfig):
        raise UsageError(f"config is {config!r}; expected an AgentConfig, or settings by name")
    check_names(settings)
    return dataclasses.replace(config or AgentConfig(), **settings)


def check_names(settings: Mapping[str, Any]) -> None:
    """Raises UsageError for what is no field of `AgentConfig`."""
    names = [field.name for field in dataclasses.fields(AgentConfig)]
    for name, value in settings.items():
        if name in _FORMER:
            raise UsageError(f"{name}={value!r} is written otherwise: {_FORMER[name].format(value=value)}")
        if name not in names:
            raise UsageError(f"unknown setting of an agent {name!r}; {did_you_mean(name, names)}")


def unused(config: AgentConfig, used: Iterable[str]) -> list[str]:
    """The fields that are set and not among those that are used."""
    return [name for name in config.changed() if name not in set(used)]


def _default(name: str) -> Any:
    return AgentConfig.__dataclass_fields__[name].default
