"""Best of K: sample K turns, say the one whose state has the highest value (arXiv 2412.16145, section 4.4).

The value of a candidate is read after its last token and before the one that ends the turn. That is the state in
which the end was chosen, so it is among the states the value was trained on; the state after the end is in no loss,
and ranking by it does worse than no guidance at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oreo.agents.agent import Decision
from oreo.agents.language_model import LanguageModelAgent, _Story, check_same_tokens, decoding
from oreo.agents.models import Models
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.turns import Turn, decision, different
from oreo.errors import UsageError
from oreo.trajectory import Candidate


class BestOfKAgent(LanguageModelAgent):
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
        settings = decoding(models, config)
        return cls(
            models.policy, models.value, models.tokenizer, k=config.k or DEFAULT_K, top_p=config.top_p, **settings
        )

    def __init__(self, policy: Any, value: Any, tokenizer: Any, *, k: int = 5, **settings: Any) -> None:
        """Args:
        policy, tokenizer, settings: as of `LanguageModelAgent`.
        value: token-classification model with one label and the same tokenizer.
        k: turns to choose from; equal ones count once.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        check_same_tokens(policy, value)
        super().__init__(policy, tokenizer, value=value, **settings)
        self.candidates = k

    @property
    def name(self) -> str:
        return f"best_of_{self.candidates}({self._settings()})"

    def _decide(
        self, stories: Sequence[_Story], turns: Sequence[Sequence[Turn]], values: Sequence[float | None]
    ) -> list[Decision]:
        assert self.value is not None
        kinds = [[(each[index].text, index) for index in different(each)] for each in turns]
        # Tokenised again, a turn may be longer than it was; there is room for so many.
        ids = [
            [self._turn_ids(story, text)[:-1][: self.max_new_tokens] for text, _ in each]
            for story, each in zip(stories, kinds, strict=True)
        ]
        weighed = self.value.weigh([[each for each in row if each] for row in ids])
        said, decisions, kept = [], [], []
        for story, each, kind, row_ids, found, here in zip(stories, turns, kinds, ids, weighed, values, strict=True):
            outputs = iter(found)
            # A turn without text ends where it began: its state is the one it was chosen in.
            worth = [float(next(outputs)[0]) if one else float(here or 0.0) for one in row_ids]
            candidates = [
                Candidate(text, each[index].log_prob, value) for (text, index), value in zip(kind, worth, strict=True)
            ]
            best = max(range(len(kind)), key=lambda index: (worth[index], candidates[index].log_prob, -index))
            said.append(each[kind[best][1]])
            kept.append(row_ids[best])
            if story.full:
                decisions.append(Decision(""))
                continue
            log_prob = candidates[best].log_prob
            decisions.append(decision(kind[best][0], log_prob=log_prob, value=here, candidates=tuple(candidates)))
        self.policy.settle([turn.ids[: turn.read] for turn in said])
        self.value.settle(kept)
        return decisions
