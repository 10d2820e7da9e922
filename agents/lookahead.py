"""Looking ahead: try turns in a copy of the world and take the one that leads to the best state.

The world is asked what would follow, so this is a planner and not a policy, and its name says so. At each of `depth`
levels the policy proposes up to `width` turns, the environment takes each of them and is set back (`snapshot`,
`restore`), and the value model judges the states at the last level, after the environment's answer. A turn is worth the
rewards on the way and the best that may follow; where the episode ends, the rewards alone. Turns that were sampled are
ranked by that alone; admissible commands, which may be unlikely ones, by β log π besides (admissible.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from oreo.agents.admissible import check_beta, commands_of, rank
from oreo.agents.agent import Decision, Episode
from oreo.agents.language_model import LanguageModelAgent, _Story, check_same_tokens, decoding
from oreo.agents.models import Models
from oreo.agents.settings import BETA, DEFAULT_K, PROPOSALS, AgentConfig
from oreo.agents.simulation import steps_left, world_of
from oreo.agents.turns import action_of, decision, different
from oreo.encoding.turn_format import tail
from oreo.envs.text_env import continues_message
from oreo.errors import UsageError, did_you_mean
from oreo.trajectory import Candidate, Step


@dataclass
class _State:
    """A state that may come about."""

    episode: Episode
    key: int
    """Of its row in the caches."""
    ids: list[int]
    """Its history, as the models read it."""
    world: Any
    """The environment's snapshot."""
    info: dict[str, Any]
    preceding: str = ""
    """As of `language_model._Story`."""
    left: int | None = None
    """Steps until the episode is truncated; None: nothing limits them."""
    parent: int = 0
    """The key of the state it comes from; the present has none."""
    returned: float = 0.0
    """Rewards on the way here from the present."""
    over: bool = False
    """Nothing comes after it: the episode has ended, or there is no room to go on."""
    value: float = 0.0
    proposed: list[tuple[str, float]] = field(default_factory=list)
    """Turns and their log-probabilities."""
    children: list[_State] = field(default_factory=list)
    """What each of them leads to."""

    @property
    def stop(self) -> tuple[str, ...]:
        return tuple(self.info.get("stop", ()))

    def ranks(self, beta: float) -> list[float]:
        """By which the best of the proposed turns is taken."""
        return [
            rank(log_prob, child.worth(beta), beta)
            for (_, log_prob), child in zip(self.proposed, self.children, strict=True)
        ]

    def worth(self, beta: float) -> float:
        if self.children:
            return max(self.ranks(beta))
        return self.returned if self.over else self.returned + self.value


class LookaheadAgent(LanguageModelAgent):
    """A planner over the environment's own dynamics, guided by a policy and a value model."""

    uses = frozenset({"k", "depth", "proposals", "beta", "top_p"})
    greedy = False

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        sampled = config.proposals == "sampled"
        if sampled and config.temperature == 0:
            raise UsageError("choose='plan' tries samples; give it a temperature above 0, such as 1")
        for name in ("beta",) if sampled else ("temperature", "top_p"):
            if name in config.changed():
                other = "admissible" if sampled else "sampled"
                raise UsageError(f"{name} does nothing with proposals={config.proposals!r}; it is for {other!r} ones")

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return True

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> LookaheadAgent:
        settings = decoding(models, config) | {"top_p": config.top_p, "proposals": config.proposals}
        settings |= {"width": config.k or DEFAULT_K, "depth": config.depth, "beta": config.beta}
        return cls(models.policy, models.value, models.tokenizer, **settings)

    def __init__(
        self,
        policy: Any,
        value: Any,
        tokenizer: Any,
        *,
        width: int = 5,
        depth: int = 1,
        proposals: str = "sampled",
        beta: float = BETA,
        **settings: Any,
    ) -> None:
        """Args:
        policy, tokenizer, settings: as of `LanguageModelAgent`.
        value: token-classification model with one label and the same tokenizer.
        width: turns to try in each state; equal ones count once.
        depth: turns to look ahead. Each further one multiplies the work by `width`.
        proposals: "sampled", turns from the policy, or "admissible", its likeliest among the accepted commands.
        beta: how much reward a nat of an admissible command's log-likelihood is worth; 0: value alone. Sampled turns
            are ranked without.
        """
        if width < 1 or depth < 1:
            raise UsageError(f"width and depth are at least 1, got {width} and {depth}")
        if proposals not in PROPOSALS:
            raise UsageError(f"proposals {proposals!r} is unknown; {did_you_mean(str(proposals), PROPOSALS)}")
        check_beta(beta)
        check_same_tokens(policy, value)
        super().__init__(policy, tokenizer, value=value, **settings)
        self.candidates, self.depth, self.proposals = width, depth, proposals
        if proposals == "admissible" and self.top_p < 1:
            raise UsageError("top_p is for sampled text; among admissible commands use beta and k")
        self.beta = beta if proposals == "admissible" else 0.0

    @property
    def name(self) -> str:
        # The likeliest commands are no samples, so a temperature means nothing there.
        how = f"admissible, beta={self.beta:g}" if self.proposals == "admissible" else f"text, {self._settings()}"
        return f"planner(depth={self.depth}, width={self.candidates}, {how})"

    def _choose(
        self,
        episodes: Sequence[Episode],
        stories: Sequence[_Story],
        logits: Tensor,
        values: Sequence[float | None],
    ) -> list[Decision]:
        roots = [
            _State(
                episode,
                story.row,
                story.ids,
                world_of(episode).snapshot(),
                episode.info,
                story.preceding,
                steps_left(episode),
                over=story.full,
            )
            for episode, story in zip(episodes, stories, strict=True)
        ]
        level, parents = [root for root in roots if not root.over], roots
        for depth in range(self.depth):
            if not level:
                break
            if depth:
                logits = self._branch_off(roots, level)
            self._propose(level, logits)
            parents = level
            level = [child for state in parents for child in self._try(state) if not child.over]
        self._judge(parents)
        for root in roots:
            world_of(root.episode).restore(root.world)
        for cache in (self.policy, self.value):
            assert cache is not None
            cache.keep([root.key for root in roots])
        return [_decide(root, here, self.beta) for root, here in zip(roots, values, strict=True)]

    def _propose(self, level: list[_State], logits: Tensor) -> None:
        """Turns for each state of a level. `logits`: [rows, V] of the policy after each row of its cache."""
        if self.proposals == "admissible":
            states = {state.key: state for state in level}
            rows = [states.get(key) for key in self.policy.keys]
            commands = [[] if state is None else self._sayable(state.ids, commands_of(state.info)) for state in rows]
            ids = [
                [] if state is None else [self._turn_ids(state, each) for each in row]
                for state, row in zip(rows, commands, strict=True)
            ]
            scores = self.policy.score(logits, ids)
            for state, row, score in zip(rows, commands, scores, strict=True):
                if state is not None:
                    best = np.argsort(-score, kind="stable")[: self.candidates]
                    state.proposed = [(row[index], float(score[index])) for index in best]
            return
        for state, turns in self._sample_for(level, logits, {state.key: self.candidates for state in level}):
            state.proposed = [(turns[index].text, turns[index].log_prob) for index in different(turns)]

    def _try(self, state: _State) -> list[_State]:
        """What each of the proposed turns leads to."""
        world = world_of(state.episode)
        state.over = not state.proposed
        for text, _ in state.proposed:
            world.restore(state.world)
            observation, reward, terminated, truncated, info = world.step(action_of(text))
            left = None if state.left is None else state.left - 1
            over = bool(terminated or truncated) or left == 0
            step = Step(state.episode.observation, text, continues_message=continues_message(text, state.stop))
            ids = state.ids + self.format.step(step, observation, state.preceding)
            self._rows += 1
            state.children.append(
                _State(
                    state.episode,
                    self._rows,
                    ids,
                    None if over else world.snapshot(),
                    info,
                    tail(step, observation),
                    left,
                    parent=state.key,
                    returned=state.returned + float(reward),
                    over=over or not self._fits(ids),
                )
            )
        return state.children

    def _branch_off(self, roots: list[_State], level: list[_State]) -> Tensor:
        """Rows for the states of a level beside those of the present; what the policy says after each row."""
        ids = {state.key: state.ids for state in (*roots, *level)}
        for cache in (self.policy, self.value):
            assert cache is not None
            cache.fork({state.key: state.parent for state in level})
            cache.keep(list(ids))
            outputs = cache.read([ids[key] for key in cache.keys])
            if cache is self.policy:
                logits = outputs
        return logits

    def _judge(self, parents: list[_State]) -> None:
        """The value of the states that a last level of turns leads to."""
        assert self.value is not None
        states = {state.key: state for state in parents}
        rows = [states.get(key) for key in self.value.keys]
        open_ = [[child for child in state.children if not child.over] if state else [] for state in rows]
        more = [
            [child.ids[len(state.ids) :] for child in row] if state else []
            for state, row in zip(rows, open_, strict=True)
        ]
        judged = self.value.weigh(more)
        for row, outputs in zip(open_, judged, strict=True):
            for child, output in zip(row, outputs, strict=True):
                child.value = float(output[0])


def _decide(root: _State, value: float | None, beta: float) -> Decision:
    if not root.children:
        return Decision("", value=value)
    worth, ranks = [child.worth(beta) for child in root.children], root.ranks(beta)
    best = max(range(len(ranks)), key=lambda index: (ranks[index], -index))
    candidates = tuple(
        Candidate(text, log_prob, each) for (text, log_prob), each in zip(root.proposed, worth, strict=True)
    )
    text, log_prob = root.proposed[best]
    return decision(text, log_prob=log_prob, value=value, candidates=candidates)
