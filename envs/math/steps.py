"""Where a step of a solution ends, and what the calculator is asked in it.

Three ways to cut a solution into steps: "line", "sentence" (the paper's, for MATH: line breaks and the periods that end
a sentence) and "solution", all of it. A step ends behind its stop string, and `split_steps` cuts a worked solution
where a model that stops at them would have ended its turns.

The calculator adds the stop strings `0=` … `9=`, `)=` and `%=`. Those end `<<48/2=`, and so ask for its value, but
neither `x = 5` nor `48/2 = 24`, where a space stands before the sign. (Each of the 27,998 annotations of GSM8K ends so;
of its 31,140 other equals signs a fifth do, as in `6*2=12`. There the turn ends early, nothing is said, and the step
goes on.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from oreo.envs.math.calculator import calculate, format_value
from oreo.errors import UsageError

STEPS = ("line", "sentence", "solution")
TOOLS = ("calculator",)
ENDS = {"line": ("\n",), "sentence": ("\n", ". ", ".$ "), "solution": ()}
ASKS = tuple(f"{before}=" for before in "0123456789)%")
ERROR = "error"
"""What the calculator says to what it cannot compute."""

_ANNOTATION = re.compile(r"<<[^<>]*>>")
_ASKED = re.compile(r"<<([^<>=\n]*)=\Z")
_ENDS_IN = re.compile(r"(?:(?<=\s)|\A)[-+(.$€£¥]*\d[\d.,)%]*(?:\s*[-+*/×÷^]\s*[-+(.$€£¥]*\d[\d.,)%]*)+\Z")
"""Two numbers or more with operators between them, at the end of a line."""
_VALUE = re.compile(r"[^<>\n]*>>")


def stops(step: str, tool: str | None) -> tuple[str, ...]:
    """Strings at which a turn ends while the message stays open."""
    return ENDS[step] + (ASKS if tool else ())


def without_annotations(text: str) -> str:
    """Return `48/2 = <<48/2=24>>24` as `48/2 = 24`."""
    return _ANNOTATION.sub("", text)


def stops_inside(message: str, tool: str | None) -> bool:
    """Return whether the message stops in the middle of a line, at an equals sign that is, or may be, the calculator's.

    An annotation that ends in another way, such as `<<48/2 =`, stops no agent; who stops there is answered, too.
    """
    return tool is not None and (message.endswith(ASKS) or _ASKED.search(message) is not None)


def separator(action: str, step: str) -> str:
    """Return what has to stand between an action and the next: nothing where the action ends in its own stop string.

    A turn ends with its stop string, but who handed it on may have cut it off, or the white space of it.
    """
    if not action or action.endswith(ENDS[step]):
        return ""
    return " " if step == "sentence" and action.endswith((".", ".$")) else "\n"


def reply(message: str, lines: bool = True) -> str:
    """Return what the calculator says to a message written up to here: `<<48/2=` gets `24>>`, a question a line.

    A line asks with `48/2 = ?`, `48/2 =`, `What is 48/2?` or `So in all 48/2 = ?`. Empty where nothing was asked.

    Args:
        lines: whether a turn ends with its line, so that a line can ask.
    """
    if asked := _ASKED.search(message):
        return f"{_value(asked[1])}>>"
    if lines and message.endswith("\n"):
        line = message[message.rfind("\n", 0, -1) + 1 : -1].strip()
        if line.endswith(("=", "?")) and (expression := _expression(line.removesuffix("?").rstrip())):
            return f"{_value(expression)}\n"
    return ""


def _expression(line: str) -> str:
    """The arithmetic whose value a line asks for: all before its equals sign, or the end of it; else nothing.

    48/2 and 48/0 ask, x and `So what` do not. What words come before has to have an operator: `Is it 5?` asks nothing.
    """
    before = line.removesuffix("=").rstrip()
    if before != line and before[:1] in tuple("0123456789.-+([$€£¥") and any(digit in before for digit in "0123456789"):
        return before
    match = _ENDS_IN.search(before)
    return match[0].strip() if match else ""


def _value(expression: str) -> str:
    try:
        return format_value(calculate(expression))
    except UsageError:
        return ERROR


def split_steps(solution: str, step: str, tool: str | None) -> list[str]:
    """A worked solution as turns, each with its stop string. What the calculator answers is no part of them.

    Empty lines go: at a line break a turn ends, so there is no turn to write them in.
    """
    text = "\n".join(line.rstrip() for line in solution.split("\n") if line.strip())
    turns: list[str] = []
    for turn in _cut(text, stops(step, tool)):
        if tool and turns and _ASKED.search(turns[-1]):
            turn = _VALUE.sub("", turn, count=1)
        # Behind an annotation that ends a line only the line break is left: it is a turn.
        if turn.strip() or (turns and turns[-1].endswith("=")):
            turns.append(turn)
    return turns


def _cut(text: str, at: Sequence[str]) -> list[str]:
    if not at:
        return [text] if text else []
    ends = [match.end() for match in re.finditer("|".join(map(re.escape, at)), text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]
