"""ReAct text, as KnowAgent keeps its episodes (arXiv 2403.03101): `name`, `result`, and `traj`, one text.

What the agent says stands behind "> ", and what the environment answers below it. Lines that begin with "Think:" or
another word and a colon are thoughts, and what is answered to them is an empty line, or "OK.". A turn is its thoughts
and its action, which stands there behind "Action: ", for the agent that learns from it to be understood.

`result` is true, false for an episode that ran out of steps, and 0 for one that was cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from oreo.data.interchange.conversations import Conversation
from oreo.data.interchange.endings import ended
from oreo.data.interchange.eto import CUT_OFF, OUT_OF_STEPS
from oreo.data.interchange.spec import Format, Misfit, Reading, Result, besides, field, has
from oreo.trajectory import Step

_TURN = re.compile(r"^> ?", re.MULTILINE)
_THOUGHT = re.compile(r"[A-Za-z]\w*:")
_HEARD = ("", "ok", "ok.")
"""Answers to a thought."""


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    text, game, result = field(row, "traj", str), field(row, "name", str), field(row, "result", object)
    if not (isinstance(result, bool) or result == 0):
        raise Misfit(f"result is {result!r:.40}, expected true, false or 0")
    won = result is True
    first, *turns = _TURN.split(text)
    observation, thoughts, steps = first.strip(), [], []
    for turn in turns:
        utterance, _, answer = turn.partition("\n")
        utterance, answer = utterance.strip(), answer.strip()
        if _THOUGHT.match(utterance) and answer.lower() in _HEARD:
            thoughts.append(utterance)
            continue
        whole = "\n".join([*thoughts, f"Action: {utterance}"]) if thoughts and reading.thoughts else None
        steps.append(Step(observation, utterance, turn=whole))
        observation, thoughts = answer, []
    return ended(
        Conversation(tuple(steps), observation, {"last_thoughts": thoughts} if thoughts else {}),
        reading,
        float(won),
        besides(row, "name", "result", "traj"),
        game=game,
        grade="" if won else OUT_OF_STEPS if result is False else CUT_OFF,
    )


FORMAT = Format(
    name="react",
    about="ReAct text as KnowAgent keeps it: name, result (true, false, 0), traj with lines `> …`",
    fits=lambda row: has(row, "name", "result", "traj") and isinstance(row["traj"], str),
    read=_read,
    tells_actions=True,
)
