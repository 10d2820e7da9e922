"""What one moment of an episode looks like: on a terminal (`render`) and where there is none (`lines`). Pure functions.

The driver in player.py owns the terminal; watch.py (live) and replay.py (stored) make the moments.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from oreo.trajectory import Step

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CHART_ROWS = 3
_MOST_CANDIDATES = 6
_SMALLEST_SPAN = 0.1
"""Values that differ by less are drawn nearly level: otherwise noise in the third digit would look like a mountain."""


@dataclass(frozen=True)
class View:
    """An episode up to some moment."""

    env_id: str
    agent: str
    observation: str
    """What the environment said last."""
    task: str = ""
    task_type: str = ""
    game: str = ""
    steps: tuple[Step, ...] = ()
    """The steps taken so far, the newest last."""
    length: int | None = None
    """How many steps there are or may be, where that is known."""
    outcome: str = ""
    """How it ended, empty while it goes on."""
    hint: str = ""
    """Which keys do what, for the last line."""


def value_of(step: Step) -> float | None:
    """V of the state the step was chosen in, else of the candidate that was taken."""
    if step.value is not None:
        return step.value
    return next((candidate.value for candidate in step.candidates if candidate.text == step.text), None)


def clean(text: str) -> str:
    """Without control characters (an environment must not steer the terminal) and without empty lines."""
    kept = "".join(char if char in "\n" or unicodedata.category(char)[0] != "C" else " " for char in text)
    return "\n".join(line.rstrip() for line in kept.splitlines() if line.strip())


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def crop(text: str, width: int) -> str:
    """At most `width` cells, with an ellipsis in the middle: the ends of names and commands tell most."""
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, (width - 1) // 2)
    tail = text
    while cell_len(tail) > width - 1 - cell_len(head):
        tail = tail[max(1, (cell_len(tail) - width) // 2) :]
    return f"{head}…{tail}"


# The terminal.


def render(view: View, *, width: int = 80, height: int = 24) -> RenderableType:
    """The whole screen, `height` lines at most and filled: task, transcript, candidates, value line, status."""
    head = _head(view, width)
    foot: list[RenderableType] = [*_candidates(view, width), *_values(view, width), _status(view, width)]
    # The transcript takes what the others leave.
    console = Console(width=width, height=height, color_system=None)
    taken = len(console.render_lines(Group(*head, *foot), pad=False))
    return Group(*head, *_transcript(view, width, max(3, height - taken)), *foot)


def _head(view: View, width: int) -> list[RenderableType]:
    where = crop(" · ".join(one_line(part) for part in (view.env_id, view.task_type) if part), width)
    room = width - cell_len(where) - 3
    game = f" · {crop(one_line(view.game), room)}" if view.game and room > 10 else ""
    task = Text(crop(one_line(view.task), 2 * width - 10), style="bold")
    return [*([task] if view.task else []), Text(where + game, style="dim"), Rule(style="dim")]


def _transcript(view: View, width: int, height: int) -> list[Text]:
    """The newest `height` lines of what was done and said, padded to that height."""
    lines = _wrapped(_first_observation(view), width, height // 2, style="")
    for number, step in enumerate(view.steps, 1):
        newest = number == len(view.steps)
        lines += _action(number, step, width, newest)
        answer = view.observation if newest else view.steps[number].observation
        lines += _wrapped(answer, width - 4, max(4, height // 2), style="" if newest else "dim", indent=4)
    lines = lines[-height:]
    return lines + [Text("")] * (height - len(lines))


def _first_observation(view: View) -> str:
    return view.steps[0].observation if view.steps else view.observation


def _action(number: int, step: Step, width: int, newest: bool) -> list[Text]:
    lines = []
    if step.turn is not None and one_line(step.turn) != one_line(step.action):
        lines += _wrapped(step.turn, width - 4, 3, style="italic dim", indent=4)
    line = Text(f"{number:>3} ", style="dim")
    line.append("> ", style="bold cyan")
    line.append(crop(one_line(step.action), width - 24) or "(nothing)", style="bold cyan" if newest else "cyan")
    for note, style in _notes(step):
        line.append(f"  {note}", style=style)
    return [*lines, line]


def _notes(step: Step) -> Iterator[tuple[str, str]]:
    if step.action_valid is False:
        yield "refused", "red"
    if not step.imitate:
        yield "noise", "yellow"
    if step.context_start:
        yield f"told from step {step.context_start + 1}", "dim"
    if step.reward:
        yield f"reward {step.reward:+g}", "bold green" if step.reward > 0 else "bold red"


def _wrapped(text: str, width: int, most: int, *, style: str, indent: int = 0) -> list[Text]:
    """Wrapped to `width`; of more than `most` lines the first ones, and an ellipsis."""
    console = Console(width=width, color_system=None)
    lines = list(Text(clean(text), style=style).wrap(console, width))
    if len(lines) > most:
        lines = lines[: max(1, most)]
        lines[-1].truncate(width - 2)
        lines[-1].append(" …")
    for line in lines:
        line.pad_left(indent)
    return lines


def _candidates(view: View, width: int) -> list[RenderableType]:
    """What the agent considered at the newest step, best first; as many lines at every step, so that nothing jumps."""
    most = min(_MOST_CANDIDATES, max((len(step.candidates) for step in view.steps), default=0))
    if not most:
        return []
    step = view.steps[-1]
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, width=width - 26)
    table.add_column(justify="right", no_wrap=True, width=8)
    table.add_column(justify="right", no_wrap=True, width=12)
    shown = _ranked(step)[:most]
    for text, value, log_prob, taken in shown:
        mark, style = ("▸", "bold cyan") if taken else (" ", "")
        row = Text(f"{mark} {crop(text, width - 28)}", style=style)
        table.add_row(row, _number("V", value), _number("log p", log_prob))
    for _ in range(most - len(shown)):
        table.add_row("", "", "")
    return [_heading(f"considered at step {len(view.steps)}", width), table]


def _ranked(step: Step) -> list[tuple[str, float | None, float | None, bool]]:
    """(text, value, log-probability, taken) of each candidate, by value where known, then by likelihood."""
    rows: list[tuple[str, float | None, float | None, bool]] = []
    for candidate in step.candidates:
        taken = candidate.text == step.text and not any(row[3] for row in rows)
        rows.append((one_line(candidate.text), candidate.value, candidate.log_prob, taken))
    return sorted(rows, key=lambda row: (row[1] is not None, row[1] or 0.0, row[2] or 0.0, row[3]), reverse=True)


def _number(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {value:.2f}"


def _heading(text: str, width: int) -> Rule:
    return Rule(Text(crop(text, width - 4), style="dim"), style="dim", align="left")


def _values(view: View, width: int) -> list[RenderableType]:
    values = [value_of(step) for step in view.steps]
    known = [value for value in values if value is not None]
    if not known:
        return []
    low, high = _span(known)
    columns = width - 8
    cell = max(1, min(3, columns // max(view.length or 0, len(values), 1)))
    rows = chart([value for value in values for _ in range(cell)][-columns:], low, high, _CHART_ROWS)
    labels = [f"{high:6.2f} ", " " * 7, f"{low:6.2f} "]
    now = f", now {values[-1]:.2f}" if values[-1] is not None else ""
    chart_lines: list[RenderableType] = [
        Text.assemble((label, "dim"), (row, "green")) for label, row in zip(labels, rows, strict=True)
    ]
    return [_heading(f"value of each state{now}", width), *chart_lines]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    missing = max(0.0, _SMALLEST_SPAN - (high - low)) / 2
    return low - missing, high + missing


def chart(values: Sequence[float | None], low: float, high: float, rows: int) -> list[str]:
    """A bar chart in block characters, top row first; None leaves a gap, `low` still shows one eighth of a cell."""
    steps = rows * (len(_BLOCKS) - 1)
    heights = [
        0 if value is None else 1 + round((min(max(value, low), high) - low) / (high - low) * (steps - 1))
        for value in values
    ]
    bases = [row * 8 for row in reversed(range(rows))]
    return ["".join(_BLOCKS[min(8, max(0, height - base))] for height in heights) for base in bases]


def sparkline(values: Sequence[float | None]) -> str:
    """One line of block characters, a cell per value, between the smallest and the largest."""
    known = [value for value in values if value is not None]
    return chart(values, *_span(known), rows=1)[0] if known else ""


def _status(view: View, width: int) -> RenderableType:
    style = {"": "", "won": "bold green"}.get(view.outcome, "bold yellow")
    left = Text(progress(view), style=style)
    left.append(f"  {one_line(view.agent)}", style="dim")
    left.truncate(max(10, width - len(view.hint) - 2), overflow="ellipsis")
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(left, Text(view.hint, style="dim"))
    return Group(Rule(style="dim"), Padding(table, 0))


def progress(view: View) -> str:
    """`step 3 of 50`, and how it ended."""
    of = f" of {view.length}" if view.length is not None else ""
    return f"step {len(view.steps)}{of}" + (f", {view.outcome}" if view.outcome else "")


# No terminal.


def lines(view: View, *, after: int = -1) -> list[str]:
    """What is new in `view` since one with `after` steps was printed (-1: nothing was). Never wrapped or cropped."""
    new = []
    if after < 0:
        parts = {"env": view.env_id, "game": view.game, "agent": view.agent, "task": view.task}
        new += [f"{name}: {one_line(text)}" for name, text in parts.items() if text]
        new += _indented(_first_observation(view))
    for number, step in enumerate(view.steps, 1):
        if number <= after:
            continue
        new += _step_lines(number, step)
        new += _indented(view.observation if number == len(view.steps) else view.steps[number].observation)
    if view.outcome:
        values = sparkline([value_of(step) for step in view.steps])
        new += [f"values: {values}"] if values else []
        reward = sum(step.reward for step in view.steps)
        new.append(f"{view.outcome} after {len(view.steps)} steps, return {reward:g}")
    return new


def _step_lines(number: int, step: Step) -> list[str]:
    new = []
    if step.turn is not None and one_line(step.turn) != one_line(step.action):
        new.append(f"{number:>3}   {one_line(step.turn)}")
    notes = [note for note, _ in _notes(step)]
    value = value_of(step)
    notes += [] if value is None else [f"V {value:.2f}"]
    new.append(f"{number:>3} > {one_line(step.action)}" + (f"   ({', '.join(notes)})" if notes else ""))
    for text, value, log_prob, taken in _ranked(step):
        figures = ", ".join(figure for figure in (_number("V", value), _number("log p", log_prob)) if figure)
        new.append(f"      {'*' if taken else '-'} {text}" + (f"   ({figures})" if figures else ""))
    return new


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in clean(text).splitlines()]
