"""Which agents there are and which ways a language model has to choose, each imported where it is first used.

A new way to choose is one function or class in one file (a `WayToChoose`) and one line in `CHOICES`: checks, the
command line and its help read them from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from oreo.agents.agent import Agent
    from oreo.agents.models import Models
    from oreo.agents.settings import AgentConfig

SERVED, VLLM = "served:", "vllm:"


class Entry(NamedTuple):
    """Where an agent or a way to choose is defined, and a line on what it does, for the help."""

    path: str
    """module:NAME."""
    help: str


class WayToChoose(Protocol):
    """What an entry of `CHOICES` names: a class of agents that has these, or a `PickOfK` (agents/best_of_k.py)."""

    uses: ClassVar[frozenset[str]]
    """Fields of `AgentConfig`, beside those of every language model (`oreo.agents.loading.DECODING`)."""
    greedy: ClassVar[bool]
    """Whether it has something to choose from at temperature 0, where all samples are alike."""

    def check(self, config: AgentConfig) -> None:
        """Raises UsageError for settings that do not go together. Called before models are loaded."""
        ...

    def needs_value(self, config: AgentConfig) -> bool:
        """Whether it cannot choose without a value model."""
        ...

    def build(self, models: Models, config: AgentConfig) -> Agent:
        """The agent that a checked config means."""
        ...


CHOICES = {
    "sample": Entry("oreo.agents.language_model:LanguageModelAgent", "what the model writes"),
    "best-of": Entry("oreo.agents.best_of_k:BEST_OF_K", "the best of k sampled turns by the value model"),
    "admissible": Entry("oreo.agents.admissible:AdmissibleAgent", "the likeliest of the commands accepted now"),
    "plan": Entry("oreo.agents.lookahead:LookaheadAgent", "the best of k turns, tried in a copy of the world"),
    "beam": Entry("oreo.agents.message_search:MessageSearchAgent", "a message in steps, by k beams and value"),
    "best": Entry("oreo.agents.message_search:MessageSearchAgent", "the most valuable of k messages"),
    "vote": Entry("oreo.agents.message_search:MessageSearchAgent", "a message with the most frequent answer of k"),
}
"""How a language model comes to its action."""
SIMPLE = {
    "random": Entry("oreo.agents.random:RandomAgent", "any admissible command"),
    "expert": Entry("oreo.agents.expert:ExpertAgent", "the environment's own"),
}
"""Agents without a model."""
RUNTIMES = {
    SERVED: Entry("oreo.agents.served:ServedCompleter", "a model of an OpenAI-compatible server"),
    VLLM: Entry("oreo.agents.vllm:VllmCompleter", "a model that vLLM runs here"),
}
"""What runs a language model in place of transformers, by the prefix of its name."""


def load_entry(entry: Entry) -> Any:
    """The class, or the `PickOfK`, that an entry names."""
    module, _, name = entry.path.partition(":")
    return getattr(import_module(module), name)
