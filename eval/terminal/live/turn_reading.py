"""An episode read by an agent's models, token by token: probabilities, values, and what the policy came to prefer.

Tokens are those that training sees. V after a token is that of the state which it leads to; it is not known after the
token that ends a turn. The implicit advantage of a turn is β Σ ρ over its tokens, ρ = log π − log π_ref (arXiv
2412.16145, equation 12), where the agent is a folder of `oreo train`: that names its starting model and β.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oreo.errors import DataError, UsageError
from oreo.eval.terminal.tokens import Token
from oreo.trajectory import Step, Trajectory


@dataclass(frozen=True)
class TurnRead:
    """One turn, as the models read it."""

    tokens: tuple[Token, ...]
    value: float | None
    """V of the state that it was chosen in."""
    implicit: float | None
    """β Σ ρ; None where there is no reference."""


def read_turns(agent: Any, spec: str, steps: Sequence[Step], observation: str, tokenizer: str) -> list[TurnRead]:
    """Every turn of an episode.

    Args:
        agent: whose models.
        spec: what it was loaded by; a folder of `oreo train` knows its reference.
        steps: of the episode.
        observation: what was said last.
        tokenizer: digest of the tokenizer that the steps' token ids are of.

    Raises:
        UsageError: the agent has no models here.
        DataError: the episode outgrew its agent's context.
    """
    import torch

    from oreo.models.loading import device_of
    from oreo.models.scorers import Policy, Value
    from oreo.training.batches import collate

    reader = getattr(agent, "reader", None)
    policy = getattr(getattr(reader, "policy", None), "model", None)
    if reader is None or policy is None:
        raise UsageError(f"agent {agent.name} has no language model in this process that could read a turn")
    turn_format = reader.contexts.format
    episode = Trajectory(
        "", tuple(steps), observation, terminated=False, truncated=True, won=False, tokenizer=tokenizer
    )
    encoded = turn_format.encode(episode)
    batch = collate([encoded], 0).to(device_of(policy))
    value = None if reader.value_reader is None else reader.value_reader.cache.model
    reference, beta = reference_of(spec)
    with torch.inference_mode():
        log_prob, reference_log_prob, _ = Policy(policy)(
            batch.input_ids, batch.action_mask, reference=None if reference is None else Policy(reference), kl=False
        )
        before = None if value is None else Value(value)(batch.input_ids, batch.action_mask)[0].tolist()
    ratio = None if reference is None else (log_prob - reference_log_prob)[0].tolist()
    log_probs = log_prob[0].tolist()
    turns = []
    for begin, end in _turns(encoded.action_mask, encoded.step_start):
        places = range(begin, end)
        tokens = tuple(
            Token(
                int(encoded.input_ids[place]),
                turn_format.tokenizer.decode([int(encoded.input_ids[place])]),
                log_probs[place],
                None if before is None or place + 1 >= end else before[place + 1],
            )
            for place in places
        )
        implicit = None if ratio is None else beta * sum(ratio[begin:end])
        turns.append(TurnRead(tokens, None if before is None else before[begin], implicit))
    return turns


def _turns(action_mask: np.ndarray, step_start: np.ndarray) -> list[tuple[int, int]]:
    """Where each turn begins and ends."""
    turns = []
    for begin in np.flatnonzero(step_start).tolist():
        end = begin + 1
        while end < len(action_mask) and action_mask[end] and not step_start[end]:
            end += 1
        turns.append((begin, end))
    return turns


def reference_of(spec: str) -> tuple[Any, float]:
    """The starting model of an agent that `oreo train` made, and its β; no model where that is not known."""
    from oreo.files import read_json
    from oreo.models.loading import load_policy

    try:
        config = read_json(Path(spec).expanduser() / "config.json")
        beta, start = float(config["beta"]), config["model"]
    except (DataError, KeyError, TypeError, ValueError):
        return None, 0.0
    if "method" not in config or not isinstance(start, str):
        return None, 0.0
    try:
        return load_policy(start)[0], beta
    except (DataError, UsageError) as error:
        print(f"no implicit advantages: the starting model {start} cannot be loaded ({error})")
        return None, 0.0
