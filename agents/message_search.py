"""Search for a whole message, step by step: beam search by value, and beside it the best of N messages, and their vote.

    beam    every one of B beams samples B next steps; beams that are finished stay, and of the B² steps (equal messages
            count once) those of highest V fill the places that are left (arXiv 2412.16145, section 4.4)
    best    N messages are sampled; the one of highest V is said
    vote    N messages are sampled; one of those with the most frequent answer is said, without V. Answers are equal
            where `info["answer_key"]` is, or, in an environment without it, `info["answer"]`

For environments whose agents write one message in several turns (`oreo.envs.text_env.continues_message`) and that can
be set back (`snapshot`, `restore`). The environment is asked what follows each step, a calculator's result or nothing;
what it pays and how it grades is not looked at. V of a step is read before its last token (best_of_k.py).

A message is found before its first step is said; if it does not end the episode, the search begins anew behind it.
Where a budget is spent, what is finished is chosen from; if nothing is, the best beginning is written to its end, one
sample a step. `tokens` counts all that were sampled, so that ways to search can be compared at equal cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oreo.actions import action_of
from oreo.agents.agent import Decision, Episode
from oreo.agents.context import EpisodeContext
from oreo.agents.models import Models
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.simulation import steps_left, world_of
from oreo.agents.turns import Turn, decision, different, tally
from oreo.agents.values import values_after
from oreo.encoding.turn_format import tail
from oreo.envs.text_env import continues_message
from oreo.errors import UsageError, did_you_mean
from oreo.trajectory import Candidate, Step

if TYPE_CHECKING:
    from torch import Tensor

    from oreo.agents.reading import EpisodeReader
    from oreo.agents.rereading import TokenCache

SEARCHES = ("beam", "best", "vote")


@dataclass
class _Search:
    """For one message."""

    root: _Beam
    beams: list[_Beam]
    spent: int = 0
    """Tokens sampled."""
    depth: int = 0
    """Steps of the beams that go on."""
    narrow: bool = False
    """Whether the budget is spent."""

    @property
    def open(self) -> list[_Beam]:
        return [beam for beam in self.beams if not beam.over]


@dataclass
class _Beam:
    """A beginning of a message, or all of it."""

    episode: Episode
    key: int
    """Of its row in the caches."""
    ids: list[int]
    """The episode up to here, as the models read it."""
    preceding: str
    stop: tuple[str, ...]
    """As of `oreo.agents.context.TurnPlace`."""
    world: Any
    """The environment's snapshot."""
    steps_left: int | None
    """Steps until the episode is truncated; None: nothing limits them."""
    state_value: float | None = None
    """V of the state in which its next step is chosen."""
    parent: int = 0
    """The key of the beam it goes on from."""
    decisions: tuple[Decision, ...] = ()
    """What is said and done on the way to it."""
    message: str = ""
    value: float = 0.0
    """V before the last token of its last step."""
    log_prob: float = 0.0
    ended: bool = False
    """The environment says that the episode is over."""
    over: bool = False
    """Nothing comes after it: it has ended, or there is no room, or no step left."""
    answer: Any = None
    turns: list[Turn] = field(default_factory=list)
    """The different next steps sampled."""
    tally: dict[str, int] = field(default_factory=dict)
    """How many of the samples said each of them."""


class MessageSearchAgent:
    """Says the message that a search has found."""

    uses = frozenset({"k", "budget", "budget_steps", "top_p"})
    greedy = False

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        if config.temperature == 0 and (config.k or DEFAULT_K) > 1:
            raise UsageError(
                f"choose={config.choose!r} chooses among samples; give it a temperature above 0, such as 1, or k=1"
            )

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return config.choose != "vote"

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> MessageSearchAgent:
        from oreo.agents.reading import EpisodeReader

        return cls(
            EpisodeReader.build(models, config),
            search=config.choose,
            width=config.k or DEFAULT_K,
            budget=config.budget,
            budget_steps=config.budget_steps,
            checkpoint=models.checkpoint,
        )

    def __init__(
        self,
        reader: EpisodeReader,
        *,
        search: str = "beam",
        width: int = DEFAULT_K,
        budget: int | None = None,
        budget_steps: int | None = None,
        checkpoint: str = "",
    ) -> None:
        """Args:
        reader: the models; only "vote" does without a value model.
        search: "beam", "best" or "vote".
        width: B beams, or N messages.
        budget: of a message, in sampled tokens of all beams together. A step under way is finished, and so is the
            message, by a single sample a step. None: any.
        budget_steps: the same in steps of a message. None: any.
        checkpoint: as of `LanguageModelAgent`.
        """
        if search not in SEARCHES:
            raise UsageError(f"search {search!r} is unknown; {did_you_mean(str(search), SEARCHES)}")
        for name, number in (("width", width), ("budget", budget), ("budget_steps", budget_steps)):
            if number is not None and number < 1:
                raise UsageError(f"{name}={number}: expected 1 or more")
        if reader.value_reader is None and search != "vote":
            raise UsageError(f"search={search!r} takes a value model to choose by")
        self.reader, self.checkpoint = reader, checkpoint
        self.search, self.width, self.budget, self.budget_steps = search, width, budget, budget_steps
        self.tokens = 0
        """Sampled so far, in all."""
        self._planned: dict[int, list[Decision]] = {}
        """What is still to be said of the message of each episode."""

    @property
    def name(self) -> str:
        bounds = {"budget": self.budget, "budget_steps": self.budget_steps}
        spent = "".join(f", {name}={number}" for name, number in bounds.items() if number is not None)
        return f"{self.search}(width={self.width}, {self.reader}{spent})"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        import torch

        self._planned = {episode.key: self._planned.get(episode.key, []) for episode in episodes}
        if without := [episode for episode in episodes if not self._planned[episode.key]]:
            with torch.inference_mode():
                self._search(without)
        return [self._planned[episode.key].pop(0) for episode in episodes]

    def _search(self, episodes: Sequence[Episode]) -> None:
        reading, _ = self.reader.read(episodes)
        assert reading is not None
        roots = [_root(*row) for row in zip(reading.episodes, reading.contexts, reading.state_values, strict=True)]
        searches = {root.episode.key: _Search(root, [root]) for root in roots}
        logits = reading.logits
        while level := [beam for search in searches.values() for beam in search.open]:
            self._propose(level, logits, searches)
            values = self._values(level)
            for search in searches.values():
                self._advance(search, values)
            logits = self._go_on([beam for search in searches.values() for beam in search.open])
        for root, context in zip(roots, reading.contexts, strict=True):
            world_of(root.episode).restore(root.world)
            best = self._choice(searches[root.episode.key].beams)
            message = [replace(decision, context_start=context.context_start) for decision in best.decisions]
            self._planned[root.episode.key] = message or [Decision("", value=root.state_value, imitate=False)]

    def _propose(self, level: list[_Beam], logits: Tensor, searches: dict[int, _Search]) -> None:
        """Next steps for each beam of a level. `logits`: [rows, V] of the policy after each row of its cache."""
        counts = {beam.key: self._samples(searches[beam.episode.key]) for beam in level}
        for beam, turns in self.reader.sampler.sample_states(self.reader.policy, logits, level, counts):
            sampled = sum(len(turn.ids) + 1 for turn in turns)
            searches[beam.episode.key].spent += sampled
            self.tokens += sampled
            # Equal beams of one set are the same; N messages are N, whatever they say.
            beam.turns = [turns[index] for index in different(turns)] if self.search == "beam" else turns
            beam.tally = tally(turns) if self.search == "beam" else {}

    def _samples(self, search: _Search) -> int:
        """Of the next step of a beam."""
        return 1 if search.narrow or (self.search != "beam" and search.depth) else self.width

    def _advance(self, search: _Search, values: dict[int, list[float]]) -> None:
        """A step further."""
        if not search.open:
            return
        children = [child for beam in search.open for child in self._children(beam, values[beam.key])]
        search.beams = self._survivors([beam for beam in search.beams if beam.over], children)
        search.depth += 1
        spent = self.budget is not None and search.spent >= self.budget
        if spent or (self.budget_steps is not None and search.depth >= self.budget_steps):
            search.narrow = True
            search.beams = [beam for beam in search.beams if beam.ended] or [self._choice(search.open or search.beams)]

    def _values(self, level: list[_Beam]) -> dict[int, list[float]]:
        """V of each next step of each beam, before the step's last token; by the beam's key."""
        if self.reader.value_reader is None:
            return {beam.key: [0.0] * len(beam.turns) for beam in level}
        cache, unended_ids = self.reader.value_reader.cache, self.reader.contexts.unended_ids
        beams = {beam.key: beam for beam in level}
        rows = [beams.get(key) for key in cache.keys]
        ids = [[] if beam is None else [unended_ids(beam, turn.text) for turn in beam.turns] for beam in rows]
        values = values_after(cache, ids, [None if beam is None else beam.state_value for beam in rows])
        return {beam.key: row for beam, row in zip(rows, values, strict=True) if beam is not None}

    def _children(self, beam: _Beam, values: list[float]) -> list[_Beam]:
        """What the next steps of a beam lead to, each of which has a value."""
        noted: Sequence[float | None] = [None] * len(values) if self.reader.value_reader is None else values
        candidates = tuple(
            Candidate(turn.text, turn.log_prob, value, beam.tally.get(turn.text, 1))
            for turn, value in zip(beam.turns, noted, strict=True)
        )
        return [self._child(beam, turn, value, candidates) for turn, value in zip(beam.turns, values, strict=True)]

    def _child(self, beam: _Beam, turn: Turn, value: float, candidates: tuple[Candidate, ...]) -> _Beam:
        """What one next step of a beam leads to."""
        world, contexts = world_of(beam.episode), self.reader.contexts
        world.restore(beam.world)
        observation, _, terminated, truncated, info = world.step(action_of(turn.text))
        if self.search == "vote" and "answer" not in info:
            raise UsageError(
                "choose='vote' counts the answers that an environment finds in messages, info['answer'], and this one "
                "finds none; choose='beam' and 'best' choose by value"
            )
        step = Step("", turn.text, continues_message=continues_message(turn.text, beam.stop))
        ids = beam.ids + contexts.format.step(step, observation, beam.preceding)
        remaining = None if beam.steps_left is None else beam.steps_left - 1
        ended = bool(terminated or truncated)
        over = ended or remaining == 0 or not contexts.fits(ids)
        spoken = decision(
            turn.text, log_prob=turn.log_prob, value=beam.state_value, candidates=candidates, cut=turn.cut
        )
        return _Beam(
            beam.episode,
            contexts.new_key(),
            ids,
            tail(step, observation),
            tuple(info.get("stop", ())),
            None if over else world.snapshot(),
            remaining,
            parent=beam.key,
            decisions=(*beam.decisions, spoken),
            message=beam.message + turn.text + observation,
            value=value,
            log_prob=beam.log_prob + turn.log_prob,
            ended=ended,
            over=over,
            answer=info.get("answer_key", info.get("answer")),
        )

    def _survivors(self, finished: list[_Beam], children: list[_Beam]) -> list[_Beam]:
        """The finished ones, and the most valuable of the others, in order; of equal messages the first."""
        if self.search != "beam":
            return [*finished, *children]
        unlike = {beam.message: beam for beam in reversed([*finished, *children])}
        children = [beam for beam in children if unlike[beam.message] is beam]
        return [*finished, *sorted(children, key=_rank, reverse=True)[: self.width - len(finished)]]

    def _go_on(self, level: list[_Beam]) -> Tensor:
        """Rows of the caches for these beams alone; what the policy says after each."""
        logits = self._read(self.reader.policy, level)
        if self.reader.value_reader is not None:
            cache = self.reader.value_reader.cache
            outputs = self._read(cache, level)[:, 0].float().tolist()
            values = dict(zip(cache.keys, outputs, strict=True))
            for beam in level:
                beam.state_value = values[beam.key]
        return logits

    def _read(self, cache: TokenCache, level: list[_Beam]) -> Tensor:
        """The outputs [rows, V] after each beam, which has a row of its own from now on."""
        import torch

        ids = {beam.key: beam.ids for beam in level}
        cache.fork({beam.key: beam.parent for beam in level})
        cache.retain(list(ids))
        return cache.read([ids[key] for key in cache.keys]) if level else torch.zeros(0, 1)

    def _choice(self, beams: list[_Beam]) -> _Beam:
        """What is said: one that has ended the episode, if any has."""
        beams = [beam for beam in beams if beam.ended] or beams
        if self.search == "vote":
            answers = Counter(beam.answer for beam in beams if beam.answer is not None)
            if answers:
                most = answers.most_common(1)[0][0]  # of equally frequent ones the one that was given first
                beams = [beam for beam in beams if beam.answer == most]
            return beams[0]
        return max(beams, key=_rank)


def _root(episode: Episode, context: EpisodeContext, state_value: float | None) -> _Beam:
    return _Beam(
        episode,
        context.key,
        context.ids,
        context.preceding,
        context.stop,
        world_of(episode).snapshot(),
        steps_left(episode),
        state_value=state_value,
        over=context.full,
    )


def _rank(beam: _Beam) -> tuple[float, float]:
    """By value; among equals by likelihood, then (sorting is stable) by age."""
    return beam.value, beam.log_prob
