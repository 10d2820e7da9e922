"""Agents whose policy runs somewhere else: who continues an episode is asked for turns, of which one is taken.

A `Completer` is a server (served.py) or vLLM in this process (vllm.py). What is made of its turns is one thing: with a
value model here (context_values.py) one of K is picked by value (best_of_k.py), and V of the states is noted. Without
one, nothing is imported that runs models: an agent behind a server starts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from oreo.agents.agent import Decision, Episode
from oreo.agents.best_of_k import BEST_OF_K, PickOfK
from oreo.agents.completions import Sample
from oreo.agents.registry import CHOICES, load_entry
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.turns import decision, different, tally, warn_of_cut_turns
from oreo.errors import DataError, UsageError
from oreo.trajectory import Candidate

if TYPE_CHECKING:
    from oreo.agents.context_values import ContextValues


@dataclass(frozen=True)
class Completion:
    """What a completer makes of an episode."""

    turns: list[Sample]
    """At least one."""
    context_start: int = 0
    """The step from which it was told of the episode."""


class Completer(Protocol):
    """What continues episodes with a policy that is somewhere else."""

    @property
    def model(self) -> str:
        """Whom it asks, for messages."""
        ...

    @property
    def label(self) -> str:
        """As its agents' names have it, with what is said in brackets after it: `served(` and the model's name."""
        ...

    @property
    def checkpoint(self) -> str:
        """As of `oreo.agents.agent.Agent`."""
        ...

    @property
    def max_new_tokens(self) -> int:
        """A turn is ended when it has this many tokens."""
        ...

    def complete(self, episodes: Sequence[Episode], seeds: Sequence[int], count: int) -> list[Completion]:
        """Turns for each episode, in order, and their number; at temperature 0 one is enough, all being alike."""
        ...


class CompleterAgent:
    """Asks a completer for its turn; with a value model it notes V of the state, and picks one of K turns by it."""

    def __init__(
        self,
        completer: Completer,
        *,
        settings: str,
        k: int = 1,
        context: int | None = None,
        values: ContextValues | None = None,
        way: PickOfK = BEST_OF_K,
    ) -> None:
        """Args:
        completer: who is asked.
        settings: how it samples, for the agent's name: "temperature=1.0".
        k: turns to choose from by value; equal ones count once.
        context: as of `EpisodeReader`, for the agent's name.
        values: a value model.
        way: which of the K turns is said.

        Raises:
            UsageError: K turns without a value model to choose by.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        if k > 1 and values is None:
            raise UsageError("best of several turns takes a value model to choose by")
        self.completer, self.k, self.values, self.way = completer, k, values, way
        best = f", {way.name}={k}" if k > 1 else ""
        self.name = f"{completer.label}{settings}{best}{'' if context is None else f', context={context}'})"

    @property
    def checkpoint(self) -> str:
        return self.completer.checkpoint

    @property
    def tokenizer_digest(self) -> str:
        """What the tokenizer of its turns is recognised by; "" where these come as text."""
        return str(getattr(self.completer, "tokenizer_digest", ""))

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        if any(episode.info.get("stop") for episode in episodes):
            raise UsageError(
                f"{self.completer.model} is asked for whole messages, and this environment wants one in several "
                "steps; let a step be the whole of it (oreo/Math-v0: step='solution'), or load the model here"
            )
        # Drawn once: an episode's randomness does not depend on how often the completer has to be asked.
        seeds = [int(episode.rng.integers(1 << 30)) for episode in episodes]
        state_values: list[float | None] = [None] * len(episodes)
        if self.values is not None:
            state_values = self.values.read(episodes)
        completions = self.completer.complete(episodes, seeds, self.k)
        if any(turn.cut for completion in completions for turn in completion.turns):
            warn_of_cut_turns(self.completer.max_new_tokens)
        chosen, candidates = self._choose([completion.turns for completion in completions])
        return [
            decision(
                turn.text,
                log_prob=turn.log_prob,
                value=state_value,
                candidates=weighed,
                context_start=completion.context_start,
                cut=turn.cut,
                token_ids=turn.ids,
            )
            for completion, turn, weighed, state_value in zip(
                completions, chosen, candidates, state_values, strict=True
            )
        ]

    def _choose(self, rows: Sequence[Sequence[Sample]]) -> tuple[list[Sample], list[tuple[Candidate, ...]]]:
        """The turn of each row that is said, and the candidates it was picked from; none where there was no choice."""
        if self.values is None or self.k == 1:
            return [row[0] for row in rows], [()] * len(rows)
        turns = [[row[place] for place in different(row)] for row in rows]
        values = self.values.values([[turn.text for turn in row] for row in turns])
        candidates = [
            tuple(
                Candidate(turn.text, turn.log_prob, value, count[turn.text])
                for turn, value in zip(row, row_values, strict=True)
            )
            for row, count, row_values in zip(turns, map(tally, rows), values, strict=True)
        ]
        picked = [self.way.pick(row) for row in candidates]
        self.values.commit(picked)
        return [row[index] for row, index in zip(turns, picked, strict=True)], candidates


def describe(temperature: float, top_p: float) -> str:
    """How turns are sampled, as it stands in the names of agents."""
    return f"temperature={temperature}" + (f", top_p={top_p}" if top_p < 1 else "")


def is_offered(choose: str) -> bool:
    """Whether what a completer says is enough for a way to choose."""
    return choose == "sample" or isinstance(load_entry(CHOICES[choose]), PickOfK)


def picking(config: AgentConfig) -> dict[str, Any]:
    """How many turns are sampled and which of them is said, as arguments of a `CompleterAgent`."""
    if config.choose == "sample":
        return {"k": 1}
    return {"k": config.k or DEFAULT_K, "way": load_entry(CHOICES[config.choose])}


def refuse_missing_value(spec: str, config: AgentConfig, value: str | None) -> None:
    """Raises DataError where a value model is to choose and none is named or beside the policy."""
    if config.choose != "sample" and value is None:
        raise DataError(
            f"{spec} has no value model beside it, which choose={config.choose!r} takes; name one with value=…, or "
            "leave choose at 'sample'"
        )


def load_tokenizer(path: str, *, trust_remote_code: bool) -> Any:
    """The tokenizer of a model or of an output folder of `oreo train`. Raises DataError where there is none."""
    from transformers import AutoTokenizer

    from oreo.models.loading import resolve_checkpoint
    from oreo.models.reading import reading

    policy, value = resolve_checkpoint(path)
    with reading(path):
        return AutoTokenizer.from_pretrained(value or policy, trust_remote_code=trust_remote_code)
