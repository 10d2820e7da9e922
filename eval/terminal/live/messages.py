"""What crosses between the screen and the process that acts: jobs, steps and views, as JSON and back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from oreo.trajectory import Candidate, Step


@dataclass(frozen=True)
class Job:
    """What is to be played, and by whom."""

    env: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    max_steps: int | None = None
    seed: int = 0
    game: str | None = None
    agent: str | None = None
    """As `oreo.agents.load_agent` takes it; None: nobody but a person acts."""
    config: dict[str, Any] = field(default_factory=dict)
    """Fields of its `AgentConfig`."""
    step_timeout: float | None = None
    record: str | None = None
    """The buffer for episodes that end while they are played here."""
    stored: dict[str, Any] | None = None
    """The record of a stored episode that is gone on from (`oreo.data.records.to_record`)."""
    episode: int = 0
    """Which of the games that `seed` draws."""


def job_to_json(job: Job) -> dict[str, Any]:
    return dataclasses.asdict(job)


def step_to_json(step: Step) -> dict[str, Any]:
    return dataclasses.asdict(step)


def step_from_json(values: dict[str, Any]) -> Step:
    """The inverse of `step_to_json`."""
    commands, ids = values["admissible_commands"], values["token_ids"]
    sequences = {
        "admissible_commands": None if commands is None else tuple(commands),
        "token_ids": None if ids is None else tuple(ids),
        "candidates": tuple(Candidate(**candidate) for candidate in values["candidates"]),
    }
    return Step(**{**values, **sequences})


def line(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    return json.dumps(message, default=str).encode() + b"\n"
