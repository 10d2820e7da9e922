"""Best of K: sample K turns, say the one whose state has the highest value (arXiv 2412.16145, section 4.4).

Which of the K is said is one pure function (`Pick`); a way to choose that differs by no more is one of these and its
`PickOfK`:

    def likeliest_of_positive_value(candidates):
        positive = [index for index, candidate in enumerate(candidates) if (candidate.value or 0.0) > 0]
        return max(positive or range(len(candidates)), key=lambda index: candidates[index].log_prob or 0.0)

    POSITIVE = PickOfK("positive", likeliest_of_positive_value)

The value of a candidate is read after its last token and before the one that ends the turn. That is the state in
which the end was chosen, so it is among the states the value was trained on; the state after the end is in no loss,
and ranking by it did worse than no guidance at all (27 % of games won against 42 % greedily, in a trial).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from oreo.agents.agent import Decision, Episode
from oreo.agents.models import Models
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.turns import decision, different, tally
from oreo.errors import UsageError
from oreo.trajectory import Candidate

if TYPE_CHECKING:
    from oreo.agents.reading import EpisodeReader, Reading

Pick: TypeAlias = Callable[[Sequence[Candidate]], int]
"""The index of the candidate to say, of one or more in the order in which they were sampled, no two with equal texts.
Where a policy runs elsewhere, log_prob is None if it is not told, and value where there is no room to read it."""


def most_valuable(candidates: Sequence[Candidate]) -> int:
    """The candidate of highest value; among equals the likeliest, then the first."""

    def rank(index: int) -> tuple[float, float, int]:
        value, log_prob = candidates[index].value, candidates[index].log_prob
        return -math.inf if value is None else value, -math.inf if log_prob is None else log_prob, -index

    return max(range(len(candidates)), key=rank)


@dataclass(frozen=True)
class PickOfK:
    """A way to choose (`oreo.agents.registry.WayToChoose`) among K sampled turns whose values are read."""

    name: str
    """What the names of its agents begin with: "best_of" as in best_of_5(…)."""
    pick: Pick
    uses: ClassVar[frozenset[str]] = frozenset({"k", "top_p"})
    greedy: ClassVar[bool] = False

    def check(self, config: AgentConfig) -> None:
        if config.temperature == 0:
            raise UsageError(
                f"choose={config.choose!r} chooses among samples; give it a temperature above 0, such as 1"
            )

    def needs_value(self, config: AgentConfig) -> bool:
        return True

    def build(self, models: Models, config: AgentConfig) -> BestOfKAgent:
        from oreo.agents.reading import EpisodeReader

        reader = EpisodeReader.build(models, config)
        return BestOfKAgent(reader, k=config.k or DEFAULT_K, checkpoint=models.checkpoint, way=self)


BEST_OF_K = PickOfK("best_of", most_valuable)


class BestOfKAgent:
    """Samples K turns from one shared prefix and says one of them, by default the most valuable."""

    def __init__(
        self, reader: EpisodeReader, *, k: int = DEFAULT_K, checkpoint: str = "", way: PickOfK = BEST_OF_K
    ) -> None:
        """Args:
        reader: the models, a value model among them.
        k: turns to choose from; equal ones count once.
        checkpoint: as of `LanguageModelAgent`.
        way: which of them is said.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        self.reader, self.value_reader = reader, reader.needed_value_reader()
        self.k, self.checkpoint, self.way = k, checkpoint, way

    @property
    def name(self) -> str:
        return f"{self.way.name}_{self.k}({self.reader})"

    @property
    def tokenizer_digest(self) -> str:
        """What the tokenizer is recognised by, for the trajectories."""
        return self.reader.tokenizer_digest

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return self.reader.act(episodes, self.choose)

    def choose(self, reading: Reading) -> list[Decision]:
        """For each row, the turn that is picked of the K that were sampled, and these as its candidates."""
        # 1) K turns a row, equal ones once.
        sampled = self.reader.sample(reading, self.k)
        turns = [[row[index] for index in different(row)] for row in sampled]

        # 2) V after each turn, read where the value was trained: before the token that ends the turn. The value model
        # reads the turn's text as training tokenises it, which need not be the tokens that were sampled.
        ids = [
            [self.reader.contexts.unended_ids(context, turn.text) for turn in row]
            for context, row in zip(reading.contexts, turns, strict=True)
        ]
        candidates = [
            tuple(
                Candidate(turn.text, turn.log_prob, value, count[turn.text])
                for turn, value in zip(row, row_values, strict=True)
            )
            for row, count, row_values in zip(turns, map(tally, sampled), self.value_reader.values(ids), strict=True)
        ]

        # 3) One turn of each row, from which both models read on: the policy's cache keeps the sampled tokens that it
        # has read, the value model's those of 2).
        picked = [self.way.pick(row) for row in candidates]
        chosen = [row[index] for row, index in zip(turns, picked, strict=True)]
        self.reader.policy.commit([turn.ids[: turn.read] for turn in chosen])
        self.value_reader.commit([row[index] for row, index in zip(ids, picked, strict=True)])

        # 4) What is said. Where a context is full there was no room for a turn: what was sampled is of no account.
        return [
            Decision("")
            if context.full
            else decision(
                turn.text,
                log_prob=turn.log_prob,
                value=state_value,
                candidates=row_candidates,
                cut=turn.cut,
                token_ids=tuple(turn.ids),
            )
            for context, turn, row_candidates, state_value in zip(
                reading.contexts, chosen, candidates, reading.state_values, strict=True
            )
        ]
