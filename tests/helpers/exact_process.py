"""Decision processes of a few tokens, small enough to be solved: all states, and the optimum by dynamic programming.

A state is everything written before it, so the process is a tree, and a token leads to one state. The soft optimum
against a reference π_ref at temperature β, V* = 0 where the episode is over, γ a discount where a turn ends (else 1):

    V*(s)   = β log Σ_a π_ref(a|s) exp((r(s,a) + γ V*(s'))/β)
    π*(a|s) = π_ref(a|s) exp((r(s,a) + γ V*(s') − V*(s))/β)

`Conversation` is one of them as a text environment. Not here: what is trained (test_exactness.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from oreo.envs.text_env import TextEnv

END = "."
"""The end of a turn, where ending it is an action."""
OBSERVATIONS = ("x", "yy", "xyx")


@dataclass(frozen=True)
class Move:
    """What follows a token."""

    reward: float
    state: str | None
    """Where it leads; None: the episode is over."""
    ends_turn: bool
    observation: str = ""
    """What is read before the next turn; the end of `state`."""


Process: TypeAlias = dict[str, dict[str, Move]]
"""State -> token -> what follows. The first state is the start; a state comes before those it leads to."""
Walk: TypeAlias = list[tuple[str, str]]
"""(state, token) from the start to an end."""
Table: TypeAlias = dict[tuple[str, str], float]
"""A number for each (state, token)."""


def tree(seed: int = 0, words: str = "abcd", turns: tuple[int, ...] = (2, 1)) -> Process:
    """Any word at any time, turns of fixed lengths, nothing to read between them, a random reward on every token."""
    random = np.random.default_rng(seed)
    ends = {sum(turns[: index + 1]) for index in range(len(turns))}
    process: Process = {}
    level = [""]
    for depth in range(1, sum(turns) + 1):
        last = depth == sum(turns)
        for state in level:
            process[state] = {
                word: Move(random.uniform(0, 0.4), None if last else state + word, depth in ends) for word in words
            }
        level = [state + word for state in level for word in words]
    return process


def conversation(seed: int = 0, words: str = "ab", longest: int = 2, turns: int = 2) -> Process:
    """A turn is one to `longest` words and END, which is an action too; then there is something to read.

    A random reward on every END; a random observation of one to three letters, always the same in the same place. The
    action tokens of an episode differ in number, and so do its tokens.
    """
    random = np.random.default_rng(seed)
    process: Process = {}

    def write(state: str, spoken: int, turn: int) -> None:
        moves = process[state] = {}
        if spoken:
            last = turn == turns
            observation = "" if last else str(random.choice(OBSERVATIONS))
            after = None if last else state + END + observation
            moves[END] = Move(random.uniform(0, 0.6), after, True, observation)
            if after is not None:
                write(after, 0, turn + 1)
        if spoken < longest:
            for word in words:
                moves[word] = Move(0.0, state + word, False)
                write(state + word, spoken + 1, turn)

    write("", 0, 1)
    return process


def walks(process: Process) -> list[Walk]:
    """All episodes there are."""

    def onwards(state: str) -> list[Walk]:
        result = []
        for token, move in process[state].items():
            tails = [[]] if move.state is None else onwards(move.state)
            result += [[(state, token), *walk] for walk in tails]
        return result

    return onwards(next(iter(process)))


def name(walk: Walk) -> str:
    """The tokens of an episode."""
    return "".join(token for _, token in walk)


def random_reference(process: Process, seed: int = 0) -> Table:
    """log π_ref: softmax of standard normal numbers over the tokens of each state."""
    random = np.random.default_rng((1, seed))
    table: Table = {}
    for state, moves in process.items():
        logits = random.standard_normal(len(moves))
        total = np.logaddexp.reduce(logits)
        table |= {(state, token): float(logit - total) for token, logit in zip(moves, logits, strict=True)}
    return table


def solve(process: Process, reference: Table, beta: float, gamma: float = 1.0) -> tuple[dict[str, float], Table]:
    """V* and log π*, in float64, with a discount γ a turn.

    `reference` may leave probability to tokens that the process does not have: π* gives them none.
    """
    value: dict[str, float] = {}
    policy: Table = {}
    for state, moves in reversed(process.items()):
        gains = {}
        for token, move in moves.items():
            later = 0.0 if move.state is None else value[move.state] * (gamma if move.ends_turn else 1.0)
            gains[token] = reference[state, token] + (move.reward + later) / beta
        most = max(gains.values())
        total = most + math.log(sum(math.exp(gain - most) for gain in gains.values()))
        value[state] = beta * total
        policy |= {(state, token): gain - total for token, gain in gains.items()}
    return value, policy


def divergence(process: Process, log_p: Table, log_q: Table) -> dict[str, float]:
    """KL(p ‖ q) in each state, in nats. p has all its probability on the tokens of the process."""
    return {
        state: sum(math.exp(log_p[state, a]) * (log_p[state, a] - log_q[state, a]) for a in moves)
        for state, moves in process.items()
    }


def variation(process: Process, log_p: Table, log_q: Table) -> dict[str, float]:
    """Total variation in each state: half the sum of |p − q|, all tokens that the process does not have as one."""
    result = {}
    for state, moves in process.items():
        p, q = ([math.exp(table[state, a]) for a in moves] for table in (log_p, log_q))
        result[state] = (sum(abs(x - y) for x, y in zip(p, q, strict=True)) + abs(sum(p) - sum(q))) / 2
    return result


class Conversation(TextEnv):
    """`conversation()` to be played. A game is an episode by its name, and the expert plays that one."""

    process = conversation()
    games = [name(walk) for walk in walks(process)]

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:
        self.state: str | None = next(iter(self.process))
        self.turns = [] if game is None else game.split(END)
        return "?"

    def act(self, text: str) -> tuple[str, float, bool]:
        reward = 0.0
        for token in [*text, END]:
            assert self.state is not None
            move = self.process[self.state][token]
            reward, self.state = reward + move.reward, move.state
        return move.observation, reward, self.state is None

    def expert_action(self) -> str:
        return self.turns.pop(0)
