"""Inspect's logs, `.eval` files, read by the library itself (the extra `inspect`).

A sample is an episode: its messages, which are the last history where it was compacted. Its reward is the score, "C"
for 1, "P" for 0.5, "I" and "N" for 0, or a number; of several scorers the first. A sample with an error is no loss and
holds no episode; one that a limit ended is cut off.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oreo.data.interchange.chat import read_messages
from oreo.data.interchange.conversations import take_apart
from oreo.data.interchange.endings import ended
from oreo.data.interchange.sources import Row
from oreo.data.interchange.spec import (
    Format,
    Misfit,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    has,
    number,
)
from oreo.errors import DataError, MissingExtra

_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_NOT_READ = {"events", "attachments", "store", "events_data", "timelines"}
_OF_MESSAGES = ("id", "source", "model", "metadata")
"""Of a message, what is the library's own bookkeeping."""


def _opens(path: Path) -> bool:
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return bool({"header.json", "_journal/start.json"} & set(archive.namelist()))


def _rows(path: Path) -> Iterator[Row]:
    try:
        from inspect_ai.log import read_eval_log_samples
    except ImportError as error:
        raise MissingExtra(
            f"{path} is a log of Inspect, which its library reads: pip install 'oreo-agents[inspect]'"
        ) from error
    number = 0
    try:
        for sample in read_eval_log_samples(
            str(path), all_samples_required=False, resolve_attachments=True, format="eval", exclude_fields={"store"}
        ):
            number += 1
            yield Row(number, sample.model_dump(mode="json", exclude=_NOT_READ, exclude_none=True))
    except (ValueError, LookupError, OSError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        yield Row(number + 1, fault=f"the log cannot be read any further ({line:.200})")
    if not number:
        raise DataError(f"{path} has no sample")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    if row.get("error"):
        message = row["error"].get("message") if isinstance(row["error"], dict) else row["error"]
        return [SetAside(f"the sample ended by an error ({(str(message).splitlines() or ['no text'])[0]:.60})")]
    items = [_plain_message(item, at) for at, item in enumerate(field(row, "messages", list))]
    scores = checked(row.get("scores") or {}, "scores", dict)
    name = next(iter(scores), "")
    return ended(
        take_apart(read_messages(items, "messages"), reading),
        reading,
        _reward(scores[name], f"scores.{name}") if name else None,
        besides(row, "messages", *_NOT_READ),
        over=not row.get("limit"),
    )


def _plain_message(item: Any, at: int) -> dict[str, Any]:
    """A message as OpenAI has it: calls with name and arguments, reasoning beside the text."""
    if not isinstance(item, dict):
        raise Misfit(f"messages[{at}] is no object")
    message = {name: value for name, value in item.items() if name not in _OF_MESSAGES and name != "content"}
    content = item.get("content")
    if isinstance(content, list):
        reasons = [part for part in content if has(part, "reasoning")]
        content = [part for part in content if not has(part, "reasoning")]
        if reasons:
            message["reasoning_content"] = "\n".join(str(part["reasoning"]) for part in reasons)
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [
            {**call, "name": call["function"]}
            if isinstance(call, dict) and isinstance(call.get("function"), str)
            else call
            for call in calls
        ]
    return {**message, "content": content}


def _reward(score: Any, where: str) -> float:
    value = field(score, "value", object, where)
    if isinstance(value, str):
        if value.upper() not in _GRADES:
            raise Misfit(f"{where}.value is {value!r:.40}, expected a number or one of {', '.join(_GRADES)}")
        return _GRADES[value.upper()]
    return number(value, f"{where}.value")


FORMAT = Format(
    name="inspect",
    about="logs of Inspect, .eval: samples with messages and scores (needs oreo-agents[inspect])",
    fits=lambda row: False,
    read=_read,
    rows=_rows,
    opens=_opens,
)
