"""Best of K: sample K turns, say the one whose state has the highest value (arXiv 2412.16145, section 4.4).

The value of a candidate is read after its last token and before the one that ends the turn. That is the state in
which the end was chosen, so it is among the states the value was trained on; the state after the end is in no loss,
and ranking by it does worse than no guidance at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from oreo.agents.agent import Decision, Episode
from oreo.agents.models import Models
from oreo.agents.reading import EpisodeReader, Reading
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.turns import decision, different
from oreo.errors import UsageError
from oreo.trajectory import Candidate


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
        contexts = self.reader.contexts
        turns = [[row[place] for place in different(row)] for row in self.reader.sample(reading, self.k)]
        ids = [
            [contexts.unended_ids(context, turn.text) for turn in row]
            for context, row in zip(reading.contexts, turns, strict=True)
        ]
        values = self.value.values(ids)
        best = [
            max(range(len(row)), key=lambda place: (row_values[place], row[place].log_prob, -place))
            for row, row_values in zip(turns, values, strict=True)
        ]
        chosen = [row[place] for row, place in zip(turns, best, strict=True)]
        self.reader.policy.commit([turn.ids[: turn.read] for turn in chosen])
        self.value.commit([row[place] for row, place in zip(ids, best, strict=True)])
        decisions = []
        for context, turn, row, row_values, state_value in zip(
            reading.contexts, chosen, turns, values, reading.values, strict=True
        ):
            candidates = tuple(
                Candidate(turn.text, turn.log_prob, value) for turn, value in zip(row, row_values, strict=True)
            )
            decisions.append(
                Decision("")
                if context.full
                else decision(turn.text, log_prob=turn.log_prob, value=state_value, candidates=candidates, cut=turn.cut)
            )
        return decisions
