"""What language models are told of an episode, as the tokens that training sees.

What a model is shown of its own past are the tokens of its turns as they were sampled, which are stored and trained on;
where these are not kept (commands, searches), the text of its turns tokenised as training does. Where an episode
outgrows what the models can read, its oldest turns are left out, as `oreo.encoding.turn_format` leaves them out for
training.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oreo.agents.agent import Episode
from oreo.agents.turns import observations_of
from oreo.encoding.turn_format import TurnFormat, tail
from oreo.envs.text_env import continues_message
from oreo.errors import UsageError


class TurnPlace(Protocol):
    """Where a turn may be said: what its tokens and its end depend on."""

    @property
    def preceding(self) -> str:
        """The last character that the turn stands right behind (`oreo.encoding.turn_format.tail`); "": it begins a
        message."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end the turn and not its message (`oreo.envs.text_env.continues_message`)."""
        ...


@dataclass
class EpisodeContext:
    """What the models are told of one episode."""

    key: int
    """Of its row in the caches."""
    ids: list[int] = field(default_factory=list)
    steps: int = 0
    """Steps of the episode that are in it."""
    context_start: int = 0
    """The step from which it is told; older turns are left out (`TurnFormat.drop_oldest_turns`)."""
    full: bool = False
    """No room for another turn."""
    preceding: str = ""
    """As of `TurnPlace`."""
    stop: tuple[str, ...] = ()
    """As of `TurnPlace`."""


class Contexts:
    """The contexts of all live episodes, brought up to date turn by turn."""

    def __init__(self, turn_format: TurnFormat, *, max_new_tokens: int, limits: Iterable[int | None]) -> None:
        """Args:
        turn_format: how episodes are written as tokens.
        max_new_tokens: a turn is ended when it has this many tokens.
        limits: tokens of an episode, its next turn included, that it may have at most; None: any number.
        """
        self.format, self.max_new_tokens = turn_format, max_new_tokens
        self.limit = min((limit for limit in limits if limit), default=None)
        # A turn that is cut off has this many tokens, and one more that ends it where it is learnt from.
        self.room = None if self.limit is None else self.limit - max_new_tokens - 1
        """Tokens of an episode before its next turn; None: any number."""
        self._contexts: dict[int, EpisodeContext] = {}
        self._keys = itertools.count(1)

    def update(self, episodes: Sequence[Episode]) -> list[EpisodeContext]:
        """The context of each episode, in order; those of episodes that are not among them are forgotten."""
        before, self._contexts = self._contexts, {}
        for episode in episodes:
            context = before.get(episode.key) or self._begin(episode)
            self._continue(episode, context)
            self._contexts[episode.key] = context
        return list(self._contexts.values())

    def new_key(self) -> int:
        """A key for a row of the caches that no context has."""
        return next(self._keys)

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether there is room for a turn after these tokens."""
        return self.room is None or len(ids) <= self.room

    def sayable(self, ids: Sequence[int], turns: Sequence[str]) -> list[str]:
        """Those of some turns that the models have positions for after these tokens."""
        if self.limit is None:
            return list(turns)
        return [turn for turn in turns if len(ids) + len(self.format.turn(turn)) <= self.limit]

    def turn_ids(self, place: TurnPlace, text: str) -> list[int]:
        """What a turn is to training, the token that ends it included."""
        return self.format.turn(text, continues_message=continues_message(text, place.stop), preceding=place.preceding)

    def unended_ids(self, place: TurnPlace, text: str) -> list[int]:
        """A turn's tokens up to its end, as far as there is room: tokenised again, it may be longer than it was."""
        return self.turn_ids(place, text)[:-1][: self.max_new_tokens]

    def _begin(self, episode: Episode) -> EpisodeContext:
        return EpisodeContext(self.new_key(), self.format.start(observations_of(episode)[0]))

    def _continue(self, episode: Episode, context: EpisodeContext) -> None:
        observations, steps = observations_of(episode), episode.steps
        for index in range(context.steps, len(steps)):
            context.ids += self.format.step(steps[index], observations[index + 1], context.preceding)
            context.preceding = tail(steps[index], observations[index + 1])
        context.steps, context.stop = len(steps), tuple(episode.info.get("stop", ()))
        if not self.fits(context.ids) or context.full:
            self._shorten(episode, context)

    def _shorten(self, episode: Episode, context: EpisodeContext) -> None:
        """Leave the oldest turns out."""
        assert self.room is not None
        steps = episode.steps
        start = self.format.drop_oldest_turns(steps, episode.observation, context.context_start, self.room)
        context.full = start is None
        if start is None:
            warnings.warn(
                f"a task and an observation alone are longer than a context of {self.limit} tokens: turns are empty",
                stacklevel=2,
            )
            context.ids = [self.format.end]
            return
        warnings.warn(
            f"an episode is longer than a context of {self.limit} tokens: its oldest turns leave", stacklevel=2
        )
        context.context_start, context.ids = start, self.format.history(steps, episode.observation, start)
        if start == len(steps):
            context.preceding = ""


def check_context(context: int | None, max_new_tokens: int) -> None:
    """Raises UsageError for a context in which a turn has no room."""
    if context is not None and context < max_new_tokens + 3:
        raise UsageError(f"context has to be well above max_new_tokens={max_new_tokens}, got {context}")
