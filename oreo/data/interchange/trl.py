"""The types of data that TRL's trainers take: conversations, pairs, KTO's labels, stepwise labels. Written only.

`trl-preference` pairs a won with a lost episode of each game, as DPO does here (oreo.data.selection.pairs, at most 5 of
a game); until it knows the pairs, it keeps what is to be written in a temporary file. `trl-stepwise` is for one message
in several steps, as in mathematics: a step is labelled true where what came of it paid (its return to go is above 0).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.chat import alternating, write_messages
from oreo.data.interchange.conversations import put_together
from oreo.data.interchange.spec import Format, Misfit
from oreo.data.selection import Episode, pairs
from oreo.trajectory import Trajectory

_PAIRS_PER_GAME = 5
"""What the paper takes of a game (arXiv 2412.16145, appendix A.1)."""
_OF_MESSAGES = ("role", "content", "tool_calls", "tool_call_id", "name")
_TOLD = ("steps.observation", "steps.action", "steps.turn")


def _messages(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Up to the last turn, as what is learnt from has to end with one."""
    messages = write_messages(put_together(replace(trajectory, final_observation=""))[0])
    return [{name: value for name, value in message.items() if name in _OF_MESSAGES} for message in messages]


def _conversations(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        tools = {"tools": trajectory.extra["tools"]} if trajectory.extra.get("tools") else {}
        yield {"messages": _messages(trajectory), **tools}


def _labelled(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        messages = _messages(trajectory)
        first = alternating(messages, _named(trajectory))
        yield {"prompt": messages[:first], "completion": messages[first:], "label": trajectory.won}


def _pairs(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    episodes, places = [], []
    with tempfile.TemporaryFile() as file:
        for trajectory in trajectories:
            if trajectory.steps:
                episodes.append(Episode.of(trajectory))
                places.append(file.tell())
                file.write(json.dumps([_named(trajectory), _messages(trajectory)]).encode() + b"\n")

        def kept(number: int) -> Any:
            file.seek(places[number])
            return json.loads(file.readline())

        for won, lost in pairs(episodes, seed=0, pairs_per_game=_PAIRS_PER_GAME):
            (name, better), (_, worse) = kept(won), kept(lost)
            first = alternating(better, name)
            if better[:first] != worse[:first]:
                raise Misfit(f"{name}: its won and its lost episode do not begin alike")
            yield {"prompt": better[:first], "chosen": better[first:], "rejected": worse[first:]}


def _stepwise(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        steps = trajectory.steps
        if not steps or any(step.observation for step in steps[1:]):
            raise Misfit(f"{_named(trajectory)} is no message in several steps, which stepwise labels are for")
        labels = [value > 0 for value in trajectory.returns_to_go]
        yield {"prompt": steps[0].observation, "completions": [step.text for step in steps], "labels": labels}


def _named(trajectory: Trajectory) -> str:
    return f"an episode of {trajectory.game or trajectory.task or trajectory.env_id!r:.80}"


_FORMATS = (
    ("trl-sft", "TRL's conversations for SFT: messages, tools", _conversations, _TOLD),
    ("trl-kto", "TRL's unpaired preferences for KTO: prompt, completion, label", _labelled, (*_TOLD, "won")),
    (
        "trl-preference",
        "TRL's preferences for DPO, pairs of one game: prompt, chosen, rejected",
        _pairs,
        (*_TOLD, "won"),
    ),
    ("trl-stepwise", "TRL's stepwise supervision: prompt, completions, labels", _stepwise, _TOLD),
)
FORMATS = tuple(
    Format(name=name, about=about, fits=lambda row: False, write=write, holds=holds)
    for name, about, write, holds in _FORMATS
)
