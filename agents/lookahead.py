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
from typing import TYPE_CHECKING, Any

import numpy as np

from oreo.actions import action_of
from oreo.agents.admissible import check_beta, commands_of, rank
from oreo.agents.agent import Decision, Episode
from oreo.agents.finite import check_numbers
from oreo.agents.models import Models
from oreo.agents.settings import BETA, DEFAULT_K, PROPOSALS, AgentConfig
from oreo.agents.simulation import steps_left, world_of
from oreo.agents.turns import Turn, decision, different, tally
from oreo.agents.values import values_after
from oreo.encoding.turn_format import tail
from oreo.envs.text_env import continues_message
from oreo.errors import UsageError, did_you_mean
from oreo.trajectory import Candidate, Step

if TYPE_CHECKING:
    from torch import Tensor

    from oreo.agents.reading import EpisodeReader, Reading


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
    """As of `oreo.agents.context.TurnPlace`."""
    steps_left: int | None = None
    """Steps until the episode is truncated; None: nothing limits them."""
    parent: int = 0
    """The key of the state it comes from; the present has none."""
    returned: float = 0.0
    """Rewards on the way to it from the present."""
    over: bool = False
    """Nothing comes after it: the episode has ended, or there is no room to go on."""
    value: float = 0.0
    proposed: list[Turn] = field(default_factory=list)
    tally: dict[str, int] = field(default_factory=dict)
    """How many of the sampled turns said each text; none are where commands are weighed."""
    children: list[_State] = field(default_factory=list)
    """What each of the proposed turns leads to."""

    @property
    def stop(self) -> tuple[str, ...]:
        return tuple(self.info.get("stop", ()))

    def ranks(self, beta: float) -> list[float]:
        """By which the best of the proposed turns is taken."""
        return [
            rank(turn.log_prob, child.worth(beta), beta)
            for turn, child in zip(self.proposed, self.children, strict=True)
        ]

    def worth(self, beta: float) -> float:
        """The rewards on the way and what may follow."""
        if self.children:
            return max(self.ranks(beta))
        return self.returned if self.over else self.returned + self.value


class LookaheadAgent:
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
        from oreo.agents.reading import EpisodeReader

        return cls(
            EpisodeReader.build(models, config),
            width=config.k or DEFAULT_K,
            depth=config.depth,
            proposals=config.proposals,
            beta=config.beta,
            checkpoint=models.checkpoint,
        )

    def __init__(
        self,
        reader: EpisodeReader,
        *,
        width: int = DEFAULT_K,
        depth: int = 1,
        proposals: str = "sampled",
        beta: float = BETA,
        checkpoint: str = "",
    ) -> None:
        """Args:
        reader: the models, a value model among them.
        width: turns to try in each state; equal ones count once.
        depth: turns to look ahead. Each further one multiplies the work by `width`.
        proposals: "sampled", turns from the policy, or "admissible", its likeliest among the accepted commands.
        beta: how much reward a nat of an admissible command's log-likelihood is worth; 0: value alone. Sampled turns
            are ranked without.
        checkpoint: as of `LanguageModelAgent`.
        """
        if width < 1 or depth < 1:
            raise UsageError(f"width and depth are at least 1, got {width} and {depth}")
        if proposals not in PROPOSALS:
            raise UsageError(f"proposals {proposals!r} is unknown; {did_you_mean(str(proposals), PROPOSALS)}")
        check_beta(beta)
        if proposals == "admissible" and reader.sampler.top_p < 1:
            raise UsageError("top_p is for sampled text; among admissible commands use beta and k")
        self.reader, self.caches = reader, (reader.policy, reader.needed_value_reader().cache)
        self.width, self.depth, self.proposals, self.checkpoint = width, depth, proposals, checkpoint
        self.beta = beta if proposals == "admissible" else 0.0

    @property
    def name(self) -> str:
        # The likeliest commands are no samples, so a temperature means nothing there.
        how = f"admissible, beta={self.beta:g}" if self.proposals == "admissible" else f"text, {self.reader}"
        return f"planner(depth={self.depth}, width={self.width}, {how})"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return self.reader.act(episodes, self.choose)

    def choose(self, reading: Reading) -> list[Decision]:
        """The turn of each row that leads to the best state."""
        roots = [
            _State(
                episode,
                context.key,
                context.ids,
                world_of(episode).snapshot(),
                episode.info,
                context.preceding,
                steps_left(episode),
                over=context.full,
            )
            for episode, context in zip(reading.episodes, reading.contexts, strict=True)
        ]
        logits, level, parents = reading.logits, [root for root in roots if not root.over], roots
        for depth in range(self.depth):
            if not level:
                break
            if depth:
                logits = self._branch_off(roots, level)
            self._propose(level, logits)
            parents = level
            level = [child for state in parents for child in self._try(state) if not child.over]
        self._read_values(parents)
        for root in roots:
            world_of(root.episode).restore(root.world)
        for cache in self.caches:
            cache.retain([root.key for root in roots])
        return [_decide(root, value, self.beta) for root, value in zip(roots, reading.state_values, strict=True)]

    def _propose(self, level: list[_State], logits: Tensor) -> None:
        """Turns for each state of a level. `logits`: [rows, V] of the policy after each row of its cache."""
        if self.proposals == "admissible":
            self._propose_commands(level, logits)
            return
        counts = {state.key: self.width for state in level}
        for state, turns in self.reader.sampler.sample_states(self.reader.policy, logits, level, counts):
            state.proposed, state.tally = [turns[index] for index in different(turns)], tally(turns)

    def _propose_commands(self, level: list[_State], logits: Tensor) -> None:
        """The likeliest commands that the environment accepts in each state."""
        policy, contexts = self.reader.policy, self.reader.contexts
        states = {state.key: state for state in level}
        rows = [states.get(key) for key in policy.keys]
        commands = [[] if state is None else contexts.sayable(state.ids, commands_of(state.info)) for state in rows]
        ids = [
            [] if state is None else [contexts.turn_ids(state, command) for command in row]
            for state, row in zip(rows, commands, strict=True)
        ]
        for state, row, log_probs in zip(rows, commands, policy.log_probs(logits, ids), strict=True):
            if state is not None:
                check_numbers(log_probs, "policy")
                best = np.argsort(-log_probs, kind="stable")[: self.width]
                state.proposed = [Turn([], row[index], float(log_probs[index]), 0) for index in best]

    def _try(self, state: _State) -> list[_State]:
        """What each of the proposed turns leads to."""
        world, contexts = world_of(state.episode), self.reader.contexts
        state.over = not state.proposed
        for turn in state.proposed:
            world.restore(state.world)
            observation, reward, terminated, truncated, info = world.step(action_of(turn.text))
            remaining = None if state.steps_left is None else state.steps_left - 1
            over = bool(terminated or truncated) or remaining == 0
            step = Step(
                state.episode.observation, turn.text, continues_message=continues_message(turn.text, state.stop)
            )
            ids = state.ids + contexts.format.step(step, observation, state.preceding)
            state.children.append(
                _State(
                    state.episode,
                    contexts.new_key(),
                    ids,
                    None if over else world.snapshot(),
                    info,
                    tail(step, observation),
                    remaining,
                    parent=state.key,
                    returned=state.returned + float(reward),
                    over=over or not contexts.fits(ids),
                )
            )
        return state.children

    def _branch_off(self, roots: list[_State], level: list[_State]) -> Tensor:
        """Rows for the states of a level beside those of the present; what the policy says after each row."""
        ids = {state.key: state.ids for state in (*roots, *level)}
        outputs = []
        for cache in self.caches:
            cache.fork({state.key: state.parent for state in level})
            cache.retain(list(ids))
            outputs.append(cache.read([ids[key] for key in cache.keys]))
        return outputs[0]

    def _read_values(self, parents: list[_State]) -> None:
        """The value of the states that a last level of turns leads to."""
        _, cache = self.caches
        states = {state.key: state for state in parents}
        rows = [states.get(key) for key in cache.keys]
        leaves = [[child for child in state.children if not child.over] if state else [] for state in rows]
        continuations = [
            [child.ids[len(state.ids) :] for child in row] if state else []
            for state, row in zip(rows, leaves, strict=True)
        ]
        values = values_after(cache, continuations, [None] * len(rows))
        for row, row_values in zip(leaves, values, strict=True):
            for child, value in zip(row, row_values, strict=True):
                child.value = value


def _decide(root: _State, value: float | None, beta: float) -> Decision:
    if not root.children:
        return Decision("", value=value)
    worth, ranks = [child.worth(beta) for child in root.children], root.ranks(beta)
    best = max(range(len(ranks)), key=lambda index: (ranks[index], -index))
    candidates = tuple(
        Candidate(turn.text, turn.log_prob, turn_worth, root.tally.get(turn.text, 1))
        for turn, turn_worth in zip(root.proposed, worth, strict=True)
    )
    turn = root.proposed[best]
    return decision(turn.text, log_prob=turn.log_prob, value=value, candidates=candidates, cut=turn.cut)
