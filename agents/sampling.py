"""Sampling turns: drawing tokens by temperature, nucleus and inverse cumulative distribution, until a turn ends.

N distributions, V tokens, m draws each; n rows of a cache, K turns of each, T tokens of a turn at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from oreo.agents.agent import Episode
from oreo.agents.context import TurnPlace
from oreo.agents.finite import check_numbers
from oreo.agents.rereading import TokenCache
from oreo.agents.turns import Turn, warn_of_cut_turns
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import UsageError

_CACHED_TEXTS = 1 << 16
_TAIL = 8
"""Tokens at the end of a turn in which a text that ends it is looked for."""


class SearchState(TurnPlace, Protocol):
    """A state of a search in which turns are sampled."""

    @property
    def key(self) -> int:
        """Of its row in the caches."""
        ...

    @property
    def episode(self) -> Episode:
        """The episode that the search is for, from whose randomness its turns are drawn."""
        ...


@dataclass
class _Branch:
    """A turn that is being sampled."""

    row: int
    place: int
    """Which of its row's turns it is, and so which random numbers are its own."""
    output: int
    """The output that its next token is drawn from; turns of a row that have begun alike draw from one."""
    ids: list[int] = field(default_factory=list)
    log_prob: float = 0.0
    unread: int = 0
    """Tokens at its end that the policy has not read: the last, where a text or the limit ended the turn at it."""
    cut: bool = False
    """Whether the limit ended it."""


class TurnSampler:
    """Samples turns of a policy as its cache stands."""

    def __init__(
        self, turn_format: TurnFormat, *, temperature: float = 1.0, top_p: float = 1.0, max_new_tokens: int = 48
    ) -> None:
        """Args:
        turn_format: which tokens end a turn, and what its tokens say.
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: sample among the likeliest tokens that hold this much probability.
        max_new_tokens: T.
        """
        if not temperature >= 0:
            raise UsageError(f"temperature is 0 (greedy) or more, got {temperature}")
        if not 0 < top_p <= 1:
            raise UsageError(f"top_p is above 0 and at most 1, got {top_p}")
        if max_new_tokens < 1:
            raise UsageError(f"max_new_tokens is at least 1, got {max_new_tokens}")
        self.temperature, self.top_p, self.max_new_tokens = temperature, top_p, max_new_tokens
        self._format = turn_format
        self._texts: dict[tuple[str, tuple[int, ...]], str] = {}

    def __str__(self) -> str:
        """As it stands in the names of agents."""
        nucleus = f", top_p={self.top_p}" if self.top_p < 1 else ""
        return f"temperature={self.temperature}{nucleus}"

    def sample(
        self,
        policy: TokenCache,
        logits: Tensor,
        uniform: np.ndarray,
        places: Sequence[TurnPlace | None],
        counts: Sequence[int],
    ) -> list[list[Turn]]:
        """Turns of every row.

        Args:
            policy: what has read the rows; it reads on, and keeps none of it before `commit`.
            logits: [n, V] for the first token.
            uniform: [n, K, T] a number for each token that may be drawn.
            places: [n] where the turns would be said; None: nothing is to be.
            counts: [n] turns of each row, at most K.
        """
        rows = [
            [_Branch(row, place, row) for place in range(count if places[row] else 0)]
            for row, count in enumerate(counts)
        ]
        live = [branch for row in rows for branch in row]
        row_of = np.arange(len(rows))
        for step in range(uniform.shape[2]):
            tokens, log_probs = self._draw(logits, uniform[row_of, :, step])
            for branch in live:
                drawn = branch.output, branch.place
                branch.ids.append(int(tokens[drawn]))
                branch.log_prob += float(log_probs[drawn])
            live = [branch for branch in live if self._goes_on(branch, places[branch.row], log_probs)]
            if step + 1 == uniform.shape[2] or not live:
                break
            logits, row_of = self._extend(policy, live, row_of)
        for branch in live:
            branch.cut, branch.unread = True, 1
        if live:
            warn_of_cut_turns(self.max_new_tokens)
        return [[self._turn(branch, places[branch.row]) for branch in row] for row in rows]

    def sample_states(
        self, policy: TokenCache, logits: Tensor, states: Sequence[Any], counts: Mapping[int, int]
    ) -> list[tuple[Any, list[Turn]]]:
        """Turns for each of some states of a search, in the order of the policy cache's rows.

        Args:
            policy, logits: as of `sample`; rows of other states say nothing.
            states: each a `SearchState`.
            counts: how many turns, by the state's key.
        """
        by_key = {state.key: state for state in states}
        rows = [by_key.get(key) for key in policy.keys]
        uniform = np.zeros((len(rows), max(counts.values()), self.max_new_tokens))
        row_of = {key: row for row, key in enumerate(policy.keys)}
        for state in states:  # each episode draws for its own states, in their order, whoever else is there
            count = counts[state.key]
            uniform[row_of[state.key], :count] = state.episode.rng.random((count, self.max_new_tokens))
        sampled = self.sample(policy, logits, uniform, rows, [counts.get(key, 0) for key in policy.keys])
        return [(state, turns) for state, turns in zip(rows, sampled, strict=True) if state is not None]

    def _draw(self, logits: Tensor, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens, log_probs = draw(logits, uniform, temperature=self.temperature, top_p=self.top_p)
        check_numbers(log_probs, "policy")
        return tokens, log_probs

    def _goes_on(self, branch: _Branch, place: TurnPlace | None, log_probs: np.ndarray) -> bool:
        """Whether the turn goes on after the token drawn last. Takes the tokens back that are not part of it."""
        if branch.ids[-1] in self._format.end_ids:
            branch.ids.pop()
            return False
        beyond = self._stopped(branch.ids, place.stop) if place is not None and place.stop else None
        if beyond is None:
            return True
        if beyond:  # it begins with what follows the stop, and will be drawn again for the next turn
            branch.ids.pop()
            branch.log_prob -= float(log_probs[branch.output, branch.place])
        else:
            branch.unread = 1
        return False

    def _extend(self, policy: TokenCache, live: Sequence[_Branch], row_of: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Read each turn's last token, once for those that have said the same so far: the outputs and their rows."""
        distinct = sorted({(branch.output, branch.ids[-1]) for branch in live})
        number = {continuation: index for index, continuation in enumerate(distinct)}
        parents = [output for output, _ in distinct]
        logits = policy.extend([token for _, token in distinct], parents)
        for branch in live:
            branch.output = number[branch.output, branch.ids[-1]]
        return logits, row_of[parents]

    def _stopped(self, ids: Sequence[int], stop: Sequence[str]) -> bool | None:
        """Whether the last token is beyond the text that ends a turn, or is in it; None: there is no such text yet."""
        tokenizer = self._format.tokenizer
        text = tokenizer.decode(ids[-_TAIL:], clean_up_tokenization_spaces=False)
        ends = [text.find(mark) + len(mark.rstrip(" ")) for mark in stop if mark in text]
        if not ends:
            return None
        before = tokenizer.decode(ids[-_TAIL:-1], clean_up_tokenization_spaces=False)
        return min(ends) <= len(before)

    def _turn(self, branch: _Branch, place: TurnPlace | None) -> Turn:
        preceding, ids = "" if place is None else place.preceding, tuple(branch.ids)
        text = self._texts.get((preceding, ids))
        if text is None:
            if len(self._texts) >= _CACHED_TEXTS:
                self._texts.clear()
            text = self._texts[preceding, ids] = self._format.decode(ids, preceding)
        return Turn(branch.ids, text, branch.log_prob, len(ids) - branch.unread, branch.cut)


def draw(
    logits: Tensor, uniform: np.ndarray, *, temperature: float = 1.0, top_p: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw m tokens from each of N distributions.

    Each draw is a function of its own logits and its own uniform number, so that what one episode draws does not
    depend on which others share its batch.

    Args:
        logits: [N, V].
        uniform: [N, m] in [0, 1).
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: draw from the smallest set of likeliest tokens that holds at least this much probability.

    Returns:
        tokens [N, m] int64 and their log-probabilities [N, m] under the distribution drawn from (at temperature 0:
        under the model's own).
    """
    logits = logits.float()
    if temperature == 0:
        log_probs = logits.log_softmax(-1)
        token = log_probs.argmax(-1, keepdim=True).expand(-1, uniform.shape[1])
    else:
        log_probs = (logits / temperature).log_softmax(-1)
        if top_p < 1:
            log_probs = _nucleus(log_probs, top_p)
        cumulative = log_probs.exp().cumsum(-1)
        # Below 1 in float32 too, where the largest uniform would round up and point behind the last token.
        height = torch.from_numpy(np.minimum(uniform, 1 - 2.0**-24).astype(np.float32)).to(logits.device)
        token = torch.searchsorted(cumulative, height * cumulative[:, -1:], right=True)
        token = token.clamp_(max=logits.shape[-1] - 1)
    return token.cpu().numpy(), log_probs.gather(-1, token).cpu().numpy().astype(np.float64)


def _nucleus(log_probs: Tensor, top_p: float) -> Tensor:
    """[N, V] renormalised over the likeliest tokens that hold `top_p` together, -inf elsewhere."""
    ordered, index = log_probs.sort(-1, descending=True)
    probs = ordered.exp()
    # What stands before a token decides: the one that crosses top_p is still in.
    ordered = ordered.masked_fill(probs.cumsum(-1) - probs >= top_p, -torch.inf)
    return torch.empty_like(log_probs).scatter_(-1, index, ordered).log_softmax(-1)
