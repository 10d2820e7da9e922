"""Best of K: sample K turns, say the one whose state has the highest value (arXiv 2412.16145, section 4.4).

The value of a candidate is read after its last token and before the one that ends the turn. That is the state in
which the end was chosen, so it is among the states the value was trained on; the state after the end is in no loss,
and ranking by it did worse than no guidance at all (27 % of games won against 42 % greedily, in a trial).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oreo.agents.agent import Decision, Episode
from oreo.agents.context import EpisodeContext
from oreo.agents.models import Models
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.turns import Turn, decision, different
from oreo.errors import UsageError
from oreo.trajectory import Candidate

if TYPE_CHECKING:
    from oreo.agents.reading import EpisodeReader, Reading


class BestOfKAgent:
    """Samples K turns from one shared prefix and takes the most valuable."""

    uses = frozenset({"k", "top_p"})
    greedy = False

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        if config.temperature == 0:
            raise UsageError("choose='best-of' chooses among samples; give it a temperature above 0, such as 1")

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return True

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> BestOfKAgent:
        from oreo.agents.reading import EpisodeReader

        return cls(EpisodeReader.build(models, config), k=config.k or DEFAULT_K, checkpoint=models.checkpoint)

    def __init__(self, reader: EpisodeReader, *, k: int = DEFAULT_K, checkpoint: str = "") -> None:
        """Args:
        reader: the models, a value model among them.
        k: turns to choose from; equal ones count once.
        checkpoint: as of `LanguageModelAgent`.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        self.reader, self.value, self.k, self.checkpoint = reader, reader.value_model(), k, checkpoint

    @property
    def name(self) -> str:
        return f"best_of_{self.k}({self.reader})"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return self.reader.act(episodes, self.choose)

    def choose(self, reading: Reading) -> list[Decision]:
        """The most valuable turn of each row; among equals the likeliest, then the first."""
        # 1) K turns a row, equal ones once.
        sampled = self.reader.sample(reading, self.k)
        turns = [[row[place] for place in different(row)] for row in sampled]

        # 2) V after each, read where the value was trained: before the token that ends the turn.
        ids = [
            [self.reader.contexts.unended_ids(context, turn.text) for turn in row]
            for context, row in zip(reading.contexts, turns, strict=True)
        ]
        values = self.value.values(ids)

        # 3) The best of each row. Both models go on from it: the policy has read the tokens that it sampled, the value
        # model the text of the turn, tokenised as training does.
        best = [_best(row, row_values) for row, row_values in zip(turns, values, strict=True)]
        chosen = [row[place] for row, place in zip(turns, best, strict=True)]
        self.reader.policy.commit([turn.ids[: turn.read] for turn in chosen])
        self.value.commit([row[place] for row, place in zip(ids, best, strict=True)])
        return [_decision(*row) for row in zip(reading.contexts, chosen, turns, values, reading.values, strict=True)]


def _best(turns: Sequence[Turn], values: Sequence[float]) -> int:
    return max(range(len(turns)), key=lambda place: (values[place], turns[place].log_prob, -place))


def _decision(
    context: EpisodeContext, chosen: Turn, turns: Sequence[Turn], values: Sequence[float], state_value: float | None
) -> Decision:
    if context.full:  # there is no room for a turn; what was sampled is of no account
        return Decision("")
    candidates = tuple(Candidate(turn.text, turn.log_prob, value) for turn, value in zip(turns, values, strict=True))
    return decision(chosen.text, log_prob=chosen.log_prob, value=state_value, candidates=candidates, cut=chosen.cut)
