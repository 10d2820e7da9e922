"""Is a model the same in acting and in training? `oreo check-model MODEL`.

It plays a few episodes, sampling as it does when it collects: turn by turn, with a cache. Each turn it has sampled is
then scored as training does, in several ways, and has to be as likely as it was. What does not fit together (template,
padding, positions, cache, window) is so found before a training run is built on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from oreo.encoding.turn_format import Encoded, TurnFormat, tail
from oreo.errors import DataError, OreoError
from oreo.trajectory import Trajectory

_CONTEXT_OF_LONGEST = 0.6
"""Share of the longest episode that a short window holds, so that old turns leave."""


@dataclass(frozen=True)
class Way:
    """One way of acting and scoring, and how far they are apart."""

    name: str
    turns: int
    mean: float
    """|sampled − scored| in nats, a turn."""
    largest: float


@dataclass(frozen=True)
class ModelCheck:
    """What was found of a model."""

    model: str
    episodes: int
    turns: int
    ways: tuple[Way, ...]
    left_out: dict[str, str]
    """Ways that could not be tried, and why."""
    drifted: int
    """Turns whose text is other tokens than were sampled."""
    cut: int
    """Turns that were ended for their length."""
    tolerance: float
    """Nats."""

    @property
    def agrees(self) -> bool:
        """Whether all ways come to the same."""
        return all(way.mean <= self.tolerance for way in self.ways)


def check_model(
    model: str,
    *,
    env: str = "oreo/ALFWorld-v0",
    env_kwargs: Mapping[str, Any] | None = None,
    episodes: int = 8,
    max_steps: int = 12,
    seed: int = 0,
    tolerance: float | None = None,
    on_way: Callable[[str], object] = lambda name: None,
    **loading: Any,
) -> ModelCheck:
    """Let a model play, and score what it said.

    Args:
        model: a folder, a name on the Hub, "tiny" or "tiny-math".
        env, env_kwargs, episodes, max_steps, seed: what it plays.
        tolerance: nats that a turn may be off on average; None: as of training's self-check.
        on_way: called with the name of each way before it is tried.
        loading: fields of `AgentConfig` that say how it is loaded and told: dtype, device, trust_remote_code,
            instruction, max_new_tokens.

    Raises:
        DataError: no such model; one that said nothing that can be compared.
    """
    from oreo.models.loading import load_policy
    from oreo.models.packing import prepare
    from oreo.models.scorers import Policy
    from oreo.training.batches import collate
    from oreo.training.self_check import TOLERANCE, compare

    def play(**settings: Any) -> list[Trajectory]:
        return _play(model, env, dict(env_kwargs or {}), episodes, max_steps, seed, {**loading, **settings})

    on_way("acting")
    played = play()
    names = ("dtype", "device", "trust_remote_code")
    policy, tokenizer = load_policy(model, **{name: loading[name] for name in names if name in loading})
    policy.eval()
    turn_format = TurnFormat.from_tokenizer(tokenizer, loading.get("instruction"))
    scorer, pad = Policy(policy), int(tokenizer.pad_token_id or tokenizer.eos_token_id or 0)

    def alone(pieces: Sequence[Encoded]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(
            [_scored(scorer, collate([piece], pad))[0] for piece in pieces], batch_first=True
        )

    def padded(pieces: Sequence[Encoded]) -> Tensor:
        # Beside a longer one, so that there is padding.
        longest = max((piece for pieces in every for piece in pieces), key=len)
        return _scored(scorer, collate([*pieces, longest], pad))[: len(pieces)]

    def packed(pieces: Sequence[Encoded]) -> Tensor:
        return _scored(scorer, collate([*every[0], *pieces], pad, packed=True))[len(every[0]) :]

    every = [turn_format.split(episode, None) for episode in played if episode.steps]
    ways: list[Way] = []
    left_out: dict[str, str] = {}

    def compared(name: str, episodes: list[Trajectory], score: Callable[[Sequence[Encoded]], Tensor]) -> None:
        on_way(name)
        result = compare(episodes, turn_format, score)
        if result is None:
            left_out[name] = "nothing was said that can be compared"
        else:
            ways.append(Way(name, result.turns, result.mean, result.largest))

    compared("alone", played, alone)
    compared("padded", played, padded)
    window = int(_CONTEXT_OF_LONGEST * max((len(piece) for pieces in every for piece in pieces), default=0))
    window += int(loading.get("max_new_tokens") or 0)
    on_way("short window")
    try:
        windowed = play(context=window)
    except OreoError as error:
        left_out["short window"] = " ".join(str(error).split())
        windowed = []
    if any(step.context_start for episode in windowed for step in episode.steps):
        compared(f"window of {window} tokens", windowed, alone)
    else:
        left_out.setdefault("short window", "no episode was long enough for old turns to leave")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ready = prepare([policy])
    if ready:
        compared("packed", played, packed)
    else:
        left_out["packed"] = str(caught[-1].message) if caught else "this model takes no packed rows"
    if not ways:
        raise DataError(f"{model} said nothing in {len(played)} episodes that can be compared")
    steps = [step for episode in played for step in episode.steps]
    return ModelCheck(
        model=model,
        episodes=len(played),
        turns=len(steps),
        ways=tuple(ways),
        left_out=left_out,
        drifted=sum(_drifted(turn_format, episode) for episode in played),
        cut=sum(step.cut for step in steps),
        tolerance=TOLERANCE if tolerance is None else tolerance,
    )


def _play(
    model: str, env: str, env_kwargs: dict[str, Any], episodes: int, max_steps: int, seed: int, settings: dict[str, Any]
) -> list[Trajectory]:
    from oreo.agents.loading import load_agent
    from oreo.rollouts.loop import rollout

    agent = load_agent(model, temperature=1.0, **settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="an episode is longer than a context")  # as it is meant to be
        warnings.filterwarnings("ignore", message="a task and an observation alone")
        options: dict[str, Any] = dict(episodes=episodes, batch_size=episodes, seed=seed, max_steps=max_steps)
        return rollout(env, agent=agent, env_kwargs=env_kwargs, **options)


def _scored(scorer: Any, batch: Any) -> Tensor:
    """[B, T] log-probabilities of a batch's action tokens."""
    batch = batch.to(next(scorer.parameters()).device)
    with torch.no_grad():
        log_probs: Tensor = scorer(batch.input_ids, batch.action_mask, kl=False, packing=batch.packing)[0]
    return log_probs


def _drifted(turn_format: TurnFormat, episode: Trajectory) -> int:
    """Turns whose text, tokenised where it stands, is not what was sampled."""
    count, preceding = 0, ""
    observations = [*(step.observation for step in episode.steps[1:]), episode.final_observation]
    for step, after in zip(episode.steps, observations, strict=True):
        text = turn_format.turn(step.text, continues_message=True, preceding=preceding)
        count += step.token_ids is not None and list(step.token_ids) != text
        preceding = tail(step, after)
    return count
