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
from typing import Any

import torch
from torch import Tensor

from oreo.agents.agent import Decision, Episode
from oreo.agents.language_model import LanguageModelAgent, _Story, check_same_tokens, decoding
from oreo.agents.models import Models
from oreo.agents.settings import DEFAULT_K, AgentConfig
from oreo.agents.simulation import steps_left, world_of
from oreo.agents.turns import Turn, action_of, decision, different
from oreo.encoding.turn_format import tail
from oreo.envs.text_env import continues_message
from oreo.errors import UsageError, did_you_mean
from oreo.trajectory import Candidate, Step


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
    """As of `language_model._Story`."""
    world: Any
    """The environment's snapshot."""
    left: int | None
    """Steps until the episode is truncated; None: nothing limits them."""
    here: float | None = None
    """V of the state in which its next step is chosen."""
    parent: int = 0
    """The key of the beam it goes on from."""
    decisions: tuple[Decision, ...] = ()
    """What is said and done on the way here."""
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


SEARCHES = ("beam", "best", "vote")


class MessageSearchAgent(LanguageModelAgent):
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
        settings = decoding(models, config) | {"top_p": config.top_p, "search": config.choose}
        settings |= {
            "width": config.k or DEFAULT_K,
            "budget": config.budget,
            "budget_steps": config.budget_steps,
        }
        return cls(models.policy, models.value, models.tokenizer, **settings)

    def __init__(
        self,
        policy: Any,
        value: Any,
        tokenizer: Any,
        *,
        search: str = "beam",
        width: int = 5,
        budget: int | None = None,
        budget_steps: int | None = None,
        **settings: Any,
    ) -> None:
        """Args:
        policy, tokenizer, settings: as of `LanguageModelAgent`.
        value: token-classification model with one label and the same tokenizer; "vote" takes None too.
        search: "beam", "best" or "vote".
        width: B beams, or N messages.
        budget: of a message, in sampled tokens of all beams together. A step under way is finished, and so is the
            message, by a single sample a step. None: any.
        budget_steps: the same in steps of a message. None: any.
        """
        if search not in SEARCHES:
            raise UsageError(f"search {search!r} is unknown; {did_you_mean(str(search), SEARCHES)}")
        for name, number in (("width", width), ("budget", budget), ("budget_steps", budget_steps)):
            if number is not None and number < 1:
                raise UsageError(f"{name}={number}: expected 1 or more")
        if value is None and search != "vote":
            raise UsageError(f"search={search!r} takes a value model to choose by")
        if value is not None:
            check_same_tokens(policy, value)
        super().__init__(policy, tokenizer, value=value, **settings)
        self.search, self.width, self.budget, self.budget_steps = search, width, budget, budget_steps
        self.tokens = 0
        """Sampled so far, in all."""
        self._found: dict[int, list[Decision]] = {}

    @property
    def name(self) -> str:
        bounds = {"budget": self.budget, "budget_steps": self.budget_steps}
        said = "".join(f", {name}={number}" for name, number in bounds.items() if number is not None)
        return f"{self.search}(width={self.width}, {self._settings()}{said})"

    @torch.inference_mode()
    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        self._found = {episode.key: self._found.get(episode.key, []) for episode in episodes}
        if without := [episode for episode in episodes if not self._found[episode.key]]:
            self._search(without)
        return [self._found[episode.key].pop(0) for episode in episodes]

    def _search(self, episodes: Sequence[Episode]) -> None:
        order, stories = self._ordered(episodes)
        logits = self.policy.read([story.ids for story in stories])
        values = self._values(stories)
        roots = [_root(episodes[index], story, here) for index, story, here in zip(order, stories, values, strict=True)]
        searches = {root.episode.key: _Search(root, [root]) for root in roots}
        while level := [beam for each in searches.values() for beam in each.open]:
            self._propose(level, logits, searches)
            worth = self._worth(level)
            for each in searches.values():
                self._advance(each, worth)
            logits = self._go_on([beam for each in searches.values() for beam in each.open])
        for root, story in zip(roots, stories, strict=True):
            world_of(root.episode).restore(root.world)
            best = self._choice(searches[root.episode.key].beams)
            found = [replace(each, context_start=story.context_start) for each in best.decisions]
            self._found[root.episode.key] = found or [Decision("", value=root.here, imitate=False)]

    def _propose(self, level: list[_Beam], logits: Tensor, searches: dict[int, _Search]) -> None:
        """Next steps for each beam of a level. `logits`: [rows, V] of the policy after each row of its cache."""
        counts = {beam.key: self._samples(searches[beam.episode.key]) for beam in level}
        for beam, turns in self._sample_for(level, logits, counts):
            sampled = sum(len(turn.ids) + 1 for turn in turns)
            searches[beam.episode.key].spent += sampled
            self.tokens += sampled
            # Equal beams of one set are the same; N messages are N, whatever they say.
            beam.turns = [turns[index] for index in different(turns)] if self.search == "beam" else turns

    def _samples(self, search: _Search) -> int:
        """Of the next step of a beam."""
        return 1 if search.narrow or (self.search != "beam" and search.depth) else self.width

    def _advance(self, search: _Search, worth: dict[int, list[float]]) -> None:
        """A step further."""
        if not search.open:
            return
        children = [child for beam in search.open for child in self._children(beam, worth)]
        search.beams = self._kept([beam for beam in search.beams if beam.over], children)
        search.depth += 1
        spent = self.budget is not None and search.spent >= self.budget
        if spent or (self.budget_steps is not None and search.depth >= self.budget_steps):
            search.narrow = True
            search.beams = [beam for beam in search.beams if beam.ended] or [self._choice(search.open or search.beams)]

    def _worth(self, level: list[_Beam]) -> dict[int, list[float]]:
        """V of each next step of each beam, before the step's last token; by the beam's key."""
        if self.value is None:
            return {beam.key: [0.0] * len(beam.turns) for beam in level}
        beams = {beam.key: beam for beam in level}
        rows = [beams.get(key) for key in self.value.keys]
        ids = [
            [] if beam is None else [self._turn_ids(beam, turn.text)[:-1][: self.max_new_tokens] for turn in beam.turns]
            for beam in rows
        ]
        weighed = self.value.weigh([[each for each in row if each] for row in ids])
        found: dict[int, list[float]] = {}
        for beam, row, outputs in zip(rows, ids, weighed, strict=True):
            if beam is not None:
                # A step of one token ends where it began.
                left = iter(outputs)
                found[beam.key] = [float(next(left)[0]) if each else float(beam.here or 0.0) for each in row]
        return found

    def _children(self, beam: _Beam, worth: dict[int, list[float]]) -> list[_Beam]:
        """What the next steps of a beam lead to."""
        world = world_of(beam.episode)
        candidates = tuple(
            Candidate(turn.text, turn.log_prob, value if self.value is not None else None)
            for turn, value in zip(beam.turns, worth[beam.key], strict=True)
        )
        found = []
        for turn, value in zip(beam.turns, worth[beam.key], strict=True):
            world.restore(beam.world)
            observation, _, terminated, truncated, info = world.step(action_of(turn.text))
            if self.search == "vote" and "answer" not in info:
                raise UsageError(
                    "choose='vote' counts the answers that an environment finds in messages, info['answer'], and this "
                    "one finds none; choose='beam' and 'best' choose by value"
                )
            step = Step("", turn.text, continues_message=continues_message(turn.text, beam.stop))
            ids = beam.ids + self.format.step(step, observation, beam.preceding)
            left = None if beam.left is None else beam.left - 1
            ended = bool(terminated or truncated)
            over = ended or left == 0 or not self._fits(ids)
            self._rows += 1
            found.append(
                _Beam(
                    beam.episode,
                    self._rows,
                    ids,
                    tail(step, observation),
                    tuple(info.get("stop", ())),
                    None if over else world.snapshot(),
                    left,
                    parent=beam.key,
                    decisions=(
                        *beam.decisions,
                        decision(turn.text, log_prob=turn.log_prob, value=beam.here, candidates=candidates),
                    ),
                    message=beam.message + turn.text + observation,
                    value=value,
                    log_prob=beam.log_prob + turn.log_prob,
                    ended=ended,
                    over=over,
                    answer=info.get("answer_key", info.get("answer")),
                )
            )
        return found

    def _kept(self, finished: list[_Beam], children: list[_Beam]) -> list[_Beam]:
        """The finished ones, and the most valuable of the others, in order; of equal messages the first."""
        if self.search != "beam":
            return [*finished, *children]
        unlike = {beam.message: beam for beam in reversed([*finished, *children])}
        children = [beam for beam in children if unlike[beam.message] is beam]
        return [*finished, *sorted(children, key=_rank, reverse=True)[: self.width - len(finished)]]

    def _go_on(self, level: list[_Beam]) -> Tensor:
        """Rows of the caches for these beams alone; what the policy says after each."""
        ids = {beam.key: beam.ids for beam in level}
        logits = torch.zeros(0)
        for cache in (self.policy, self.value):
            if cache is None:
                continue
            cache.fork({beam.key: beam.parent for beam in level})
            cache.keep(list(ids))
            if not level:
                continue
            outputs = cache.read([ids[key] for key in cache.keys])
            if cache is self.policy:
                logits = outputs
            else:
                here = dict(zip(cache.keys, outputs[:, 0].float().tolist(), strict=True))
                for beam in level:
                    beam.here = here[beam.key]
        return logits

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


def _root(episode: Episode, story: _Story, here: float | None) -> _Beam:
    world = world_of(episode).snapshot()
    return _Beam(
        episode,
        story.row,
        story.ids,
        story.preceding,
        story.stop,
        world,
        steps_left(episode),
        here=here,
        over=story.full,
    )


def _rank(beam: _Beam) -> tuple[float, float]:
    """By value; among equals by likelihood, then (sorting is stable) by age."""
    return beam.value, beam.log_prob
