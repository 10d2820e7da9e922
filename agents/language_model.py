"""The language-model agent: samples its turn as text, all live episodes in one batch, with a cache kept across turns.

A turn is the action, or a thought that ends in a line "Action: …". What a turn says is not corrected: the environment
may refuse it. Episodes are written as tokens by the same `TurnFormat` that training uses, and what the model is shown
of its own past is the text of its turns tokenised as training does, not the tokens as they happened to be sampled.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oreo.agents.agent import Decision, Episode
from oreo.agents.context import check_context
from oreo.agents.models import Models
from oreo.agents.rereading import cache_for
from oreo.agents.sampling import draw
from oreo.agents.settings import AgentConfig
from oreo.agents.turns import Turn, decision, observations_of, warn_of_cut_turns
from oreo.encoding.turn_format import TurnFormat, tail
from oreo.envs.text_env import continues_message
from oreo.errors import DataError, UsageError

_CACHED_TEXTS = 1 << 16
_TAIL = 8
"""Tokens at the end of a turn in which a text that ends it is looked for."""


@dataclass
class _Story:
    """What the models are told of one episode."""

    row: int
    """Its key in the caches."""
    ids: list[int] = field(default_factory=list)
    steps: int = 0
    """Steps of the episode so far, as of the last look."""
    context_start: int = 0
    """The step from which it is told; older turns have left (`TurnFormat.drop_oldest_turns`)."""
    full: bool = False
    """No room for another turn."""
    preceding: str = ""
    """What the next turn stands right behind (`oreo.encoding.turn_format.tail`); "": it begins a message."""
    stop: tuple[str, ...] = ()
    """Texts that end the next turn and not its message (`oreo.envs.text_env.continues_message`)."""


class LanguageModelAgent:
    """Samples one turn; with a value model it also notes V of the state it chose in."""

    uses = frozenset({"top_p"})
    """Fields of `AgentConfig`, beside those of every language model (`oreo.agents.loading.DECODING`)."""
    greedy = True
    """Whether it has something to choose from at temperature 0, where all samples are alike."""
    candidates = 1
    """Turns sampled at each step."""

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        """Raises UsageError for settings that do not go together. Called before models are loaded."""

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        """Whether it cannot choose without a value model."""
        return False

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> LanguageModelAgent:
        """The agent that a checked config means."""
        return cls(models.policy, models.tokenizer, value=models.value, **decoding(models, config), top_p=config.top_p)

    def __init__(
        self,
        policy: Any,
        tokenizer: Any,
        *,
        value: Any = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 48,
        context: int | None = None,
        instruction: str | None = None,
        device: str | torch.device | None = None,
        checkpoint: str = "",
    ) -> None:
        """Args:
        policy: causal language model of transformers.
        tokenizer: its tokenizer.
        value: token-classification model with one label and the same tokenizer, or None.
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: sample among the likeliest tokens that hold this much probability.
        max_new_tokens: a turn is ended when it has this many tokens.
        context: tokens of an episode, its next turn included, that the models are shown at most; beyond, the oldest
            turns leave. None: as many as they have positions for.
        instruction: put before the first observation; None: what the tokenizer was saved with.
        device: where to run; None leaves the models where they are.
        checkpoint: digest of the policy's weights, for the trajectories.
        """
        if not temperature >= 0:
            raise UsageError(f"temperature is 0 (greedy) or more, got {temperature}")
        if not 0 < top_p <= 1:
            raise UsageError(f"top_p is above 0 and at most 1, got {top_p}")
        if max_new_tokens < 1:
            raise UsageError(f"max_new_tokens is at least 1, got {max_new_tokens}")
        self.temperature, self.top_p, self.max_new_tokens = temperature, top_p, max_new_tokens
        self.context, self.checkpoint = context, checkpoint
        self.format = TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
        self._ends = np.array(sorted(self.format.end_ids))
        for model in (policy, value):
            if model is not None:
                (model if device is None else model.to(device)).eval()
        self.policy = cache_for(policy)
        self.value = None if value is None else cache_for(value)
        check_context(context, max_new_tokens)
        limits = [context, *(cache.limit for cache in (self.policy, self.value) if cache is not None)]
        self._limit = min((limit for limit in limits if limit), default=None)
        # A turn that is cut off has so many tokens, and the one that ends it where it is learnt from.
        self.room = None if self._limit is None else self._limit - max_new_tokens - 1
        """Tokens of an episode before its next turn; None: any number."""
        self._stories: dict[int, _Story] = {}
        self._rows = 0
        self._texts: dict[tuple[str, tuple[int, ...]], str] = {}

    @property
    def name(self) -> str:
        return f"lm({self._settings()})"

    def _settings(self) -> str:
        nucleus = f", top_p={self.top_p}" if self.top_p < 1 else ""
        context = "" if self.context is None else f", context={self.context}"
        return f"temperature={self.temperature}{nucleus}{context}"

    @torch.inference_mode()
    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        order, stories = self._ordered(episodes)
        if not stories:
            return []
        logits = self.policy.read([story.ids for story in stories])
        values = self._values(stories)
        decisions = self._choose([episodes[index] for index in order], stories, logits, values)
        placed = {
            # A turn that is empty for want of room says nothing that is to be imitated.
            index: replace(decision, context_start=story.context_start, imitate=decision.imitate and not story.full)
            for index, story, decision in zip(order, stories, decisions, strict=True)
        }
        return [placed[index] for index in range(len(order))]

    def _ordered(self, episodes: Sequence[Episode]) -> tuple[list[int], list[_Story]]:
        """The stories in the order of the policy cache's rows, and which episode each is of."""
        stories = self._tell(episodes)
        self.policy.keep([story.row for story in stories])
        row_of = {key: row for row, key in enumerate(self.policy.keys)}
        order = sorted(range(len(stories)), key=lambda index: row_of[stories[index].row])
        return order, [stories[index] for index in order]

    def _choose(
        self,
        episodes: Sequence[Episode],
        stories: Sequence[_Story],
        logits: Tensor,
        values: Sequence[float | None],
    ) -> list[Decision]:
        """A decision for each row.

        Args:
            logits: [n, V] of the policy after each story.
            values: V(s) of the state each turn is chosen in.
        """
        uniform = np.stack([episode.rng.random((self.candidates, self.max_new_tokens)) for episode in episodes])
        turns = self._sample(logits, uniform, [None if story.full else story for story in stories])
        return self._decide(stories, turns, values)

    # What the models are told.

    def _tell(self, episodes: Sequence[Episode]) -> list[_Story]:
        """Bring each episode's tokens up to date; episodes no longer shown are forgotten."""
        known = self._stories
        self._stories = {}
        for episode in episodes:
            story = known.get(episode.key) or self._begin(episode)
            self._continue(episode, story)
            self._stories[episode.key] = story
        return list(self._stories.values())

    def _begin(self, episode: Episode) -> _Story:
        self._rows += 1
        return _Story(self._rows, self.format.start(observations_of(episode)[0]))

    def _continue(self, episode: Episode, story: _Story) -> None:
        observations, steps = observations_of(episode), episode.steps
        for index in range(story.steps, len(steps)):
            story.ids += self.format.step(steps[index], observations[index + 1], story.preceding)
            story.preceding = tail(steps[index], observations[index + 1])
        story.steps, story.stop = len(steps), tuple(episode.info.get("stop", ()))
        if self._fits(story.ids) and not story.full:
            return
        assert self.room is not None
        start = self.format.drop_oldest_turns(steps, episode.observation, story.context_start, self.room)
        story.full = start is None
        if start is None:
            warnings.warn(
                f"a task and an observation alone are longer than a context of {self._limit} tokens: turns are empty",
                stacklevel=2,
            )
            story.ids = [self.format.end]
            return
        warnings.warn(
            f"an episode is longer than a context of {self._limit} tokens: its oldest turns leave", stacklevel=2
        )
        story.context_start, story.ids = start, self.format.history(steps, episode.observation, start)
        if start == len(steps):
            story.preceding = ""

    def _sayable(self, ids: list[int], turns: Sequence[str]) -> list[str]:
        """Those of some turns that the models have positions for behind an episode."""
        if self._limit is None:
            return list(turns)
        return [turn for turn in turns if len(ids) + len(self.format.turn(turn)) <= self._limit]

    def _fits(self, ids: list[int]) -> bool:
        return self.room is None or len(ids) <= self.room

    # Sampling.

    def _values(self, stories: Sequence[_Story]) -> list[float | None]:
        """V(s) of the state each turn is chosen in."""
        if self.value is None:
            return [None] * len(stories)
        self.value.keep([story.row for story in stories])
        assert self.value.keys == self.policy.keys, "two caches with one history hold their rows in one order"
        return self.value.read([story.ids for story in stories])[:, 0].float().tolist()

    def _turn_ids(self, story: Any, text: str) -> list[int]:
        """What a turn of the story is to training, the token that ends it included."""
        return self.format.turn(text, continues_message=continues_message(text, story.stop), preceding=story.preceding)

    def _sample(
        self, logits: Tensor, uniform: np.ndarray, stories: Sequence[Any], counts: Sequence[int] | None = None
    ) -> list[list[Turn]]:
        """K turns of every row, or as many as it is given.

        Args:
            logits: [n, V] for the first token.
            uniform: [n, K, T] a number for each token that may be drawn.
            stories: [n] what the rows tell (their `stop` and `preceding` are looked at); None: it is to say nothing.
            counts: [n] turns of each row, at most K; None: K.
        """
        wanted = [0 if story is None else uniform.shape[1] for story in stories] if counts is None else list(counts)
        stops = [() if story is None else story.stop for story in stories]
        stopping = np.array([[bool(stop)] for stop in stops])
        preceding = ["" if story is None else story.preceding for story in stories]
        rows, branches, steps = uniform.shape
        tokens = np.zeros((rows, branches, steps), dtype=np.int64)
        log_prob = np.zeros((rows, branches))
        count = np.zeros((rows, branches), dtype=np.int64)
        cut = np.zeros((rows, branches), dtype=bool)
        alive = np.arange(branches) < np.array(wanted)[:, None]
        # Turns of a row that have begun alike draw from one output: which it is, and the row of each output.
        source = np.repeat(np.arange(rows)[:, None], branches, axis=1)
        row_of = np.arange(rows)
        for step in range(steps):
            drawn, each = self._draw(logits, uniform[row_of, :, step])
            token = drawn[source, np.arange(branches)]
            log_prob += np.where(alive, each[source, np.arange(branches)], 0.0)
            alive &= ~np.isin(token, self._ends)
            tokens[:, :, step] = token
            count += alive
            for row, k in zip(*np.nonzero(alive & stopping), strict=True):
                if (beyond := self._stopped(tokens[row, k, : step + 1], stops[row])) is not None:
                    alive[row, k], cut[row, k] = False, not beyond
                    if beyond:  # it begins with what follows the stop, and will be drawn again for the next turn
                        count[row, k] -= 1
                        log_prob[row, k] -= each[source[row, k], k]
            if step + 1 == steps or not alive.any():
                break
            vocabulary = logits.shape[-1]
            said, place = np.unique(source[alive] * vocabulary + token[alive], return_inverse=True)
            parents, said = np.divmod(said, vocabulary)
            logits = self.policy.grow(said.tolist(), parents.tolist())
            source, row_of = np.zeros_like(source), row_of[parents]
            source[alive] = place
        if alive.any():
            warn_of_cut_turns(self.max_new_tokens)
        return [
            [
                self._turn(
                    tokens[row, k, : count[row, k]],
                    log_prob[row, k],
                    bool(alive[row, k] or cut[row, k]),
                    preceding[row],
                )
                for k in range(branches if counts is None else wanted[row])
            ]
            for row in range(rows)
        ]

    def _sample_for(
        self, states: Sequence[Any], logits: Tensor, counts: Mapping[int, int]
    ) -> list[tuple[Any, list[Turn]]]:
        """Turns for each of some states in a search, in the order of the policy cache's rows.

        Args:
            states: with `key`, that of their row, `episode`, `stop` and `preceding`.
            logits: [rows, V] of the policy after each row of its cache; rows of other states say nothing.
            counts: how many turns, by the state's key.
        """
        keys = self.policy.keys
        by_key = {state.key: state for state in states}
        rows = [by_key.get(key) for key in keys]
        uniform = np.zeros((len(rows), max(counts.values()), self.max_new_tokens))
        row_of = {key: row for row, key in enumerate(keys)}
        for state in states:  # each episode draws for its own states, in their order, whoever else is there
            count = counts[state.key]
            uniform[row_of[state.key], :count] = state.episode.rng.random((count, self.max_new_tokens))
        sampled = self._sample(logits, uniform, rows, [counts.get(key, 0) for key in keys])
        return [(state, turns) for state, turns in zip(rows, sampled, strict=True) if state is not None]

    def _draw(self, logits: Tensor, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return draw(logits, uniform, temperature=self.temperature, top_p=self.top_p)

    def _stopped(self, ids: np.ndarray, stop: Sequence[str]) -> bool | None:
        """Whether the last token is beyond the text that ends a turn, or is in it; None: there is no such text yet."""
        tokenizer = self.format.tokenizer
        text = tokenizer.decode(ids[-_TAIL:].tolist(), clean_up_tokenization_spaces=False)
        found = [text.find(mark) + len(mark.rstrip(" ")) for mark in stop if mark in text]
        if not found:
            return None
        before = tokenizer.decode(ids[-_TAIL:-1].tolist(), clean_up_tokenization_spaces=False)
        return min(found) <= len(before)

    def _turn(self, ids: np.ndarray, log_prob: float, cut: bool, preceding: str) -> Turn:
        key = tuple(ids.tolist())
        text = self._texts.get((preceding, key))
        if text is None:
            if len(self._texts) >= _CACHED_TEXTS:
                self._texts.clear()
            text = self._texts[preceding, key] = self.format.decode(key, preceding)
        return Turn(list(key), text, float(log_prob), len(key) - cut)

    def _decide(
        self, stories: Sequence[_Story], turns: Sequence[Sequence[Turn]], values: Sequence[float | None]
    ) -> list[Decision]:
        """One turn each: the only one."""
        self.policy.settle([each[0].ids[: each[0].read] for each in turns])
        return [
            decision(each[0].text, log_prob=None if story.full else each[0].log_prob, value=value)
            for story, each, value in zip(stories, turns, values, strict=True)
        ]


def check_same_tokens(policy: Any, value: Any) -> None:
    """A value model reads the policy's tokens, so it needs the same vocabulary."""
    one, other = (int(model.config.get_text_config().vocab_size) for model in (policy, value))
    if one != other:
        raise DataError(f"the policy knows {one} tokens and the value model {other}: they do not belong together")


def decoding(models: Models, config: AgentConfig) -> dict[str, Any]:
    """What every language model takes of a config, by the names that constructors have for it."""
    return {
        "temperature": config.temperature,
        "max_new_tokens": config.max_new_tokens,
        "context": config.context,
        "instruction": config.instruction,
        "checkpoint": models.checkpoint,
    }
