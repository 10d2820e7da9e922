"""The language-model agent: samples its turn as text, all live episodes in one batch, with a cache kept across turns.

A turn is the action, or a thought that ends in a line "Action: …". What a turn says is not corrected: the environment
may refuse it. Episodes are written as tokens by the same `TurnFormat` that training uses (context.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oreo.agents.agent import Decision, Episode
from oreo.agents.models import Models
from oreo.agents.settings import AgentConfig
from oreo.agents.turns import decision

if TYPE_CHECKING:
    from oreo.agents.reading import EpisodeReader, Reading


class LanguageModelAgent:
    """Samples one turn; with a value model it also notes V of the state it chose in."""

    uses = frozenset({"top_p"})
    greedy = True

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        """All settings go together."""

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return False

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> LanguageModelAgent:
        from oreo.agents.reading import EpisodeReader

        return cls(EpisodeReader.build(models, config), checkpoint=models.checkpoint)

    def __init__(self, reader: EpisodeReader, *, checkpoint: str = "") -> None:
        """Args:
        reader: the models.
        checkpoint: digest of the policy's weights, for the trajectories.
        """
        self.reader, self.checkpoint = reader, checkpoint

    @property
    def name(self) -> str:
        return f"lm({self.reader})"

    @property
    def tokenizer_digest(self) -> str:
        """What the tokenizer is recognised by, for the trajectories."""
        return self.reader.tokenizer_digest

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return self.reader.act(episodes, self.choose)

    def choose(self, reading: Reading) -> list[Decision]:
        """The one turn that was sampled."""
        turns = [row[0] for row in self.reader.sample(reading, 1)]
        self.reader.policy.commit([turn.ids[: turn.read] for turn in turns])
        return [
            decision(turn.text, value=value, cut=turn.cut)
            if context.full
            else decision(turn.text, log_prob=turn.log_prob, value=value, cut=turn.cut, token_ids=tuple(turn.ids))
            for context, turn, value in zip(reading.contexts, turns, reading.state_values, strict=True)
        ]
