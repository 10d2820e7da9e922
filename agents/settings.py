"""What an agent is set to, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oreo.field_docs import document_fields

MAX_NEW_TOKENS = 48
"""A turn of a language model is ended when it has this many tokens."""
BETA = 0.03
"""OREO's β, as the paper has it (arXiv 2412.16145, section 5)."""
CHOICES = ("sample", "best-of", "admissible", "plan", "beam", "best", "vote")
PROPOSALS = ("sampled", "admissible")
SERVED, VLLM = "served:", "vllm:"


@document_fields
@dataclass(frozen=True)
class AgentConfig:
    """Settings of `oreo.agents.load_agent`. What an agent has no use for has to be left at its default.

    Raises:
        UsageError: a value of another type than its field's, out of range, or of a field that would do nothing.
    """

    choose: str = "sample"
    """How a language model comes to its action: "sample", what it writes; "best-of", the best of k sampled turns by the
    value model; "admissible", one of the commands that the environment accepts now, by likelihood (and by value among
    k); "plan", the best of k turns after trying them in a copy of the environment. For messages in several turns:
    "beam", step-level beam search by value; "best", the most valuable of k whole messages; "vote", one with their most
    frequent answer."""
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
