"""What one moment of an episode looks like: on a terminal (`render`) and where there is none (`lines`). Pure functions.

The driver in player.py owns the terminal; watch.py (live) and replay.py (stored) make the moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from oreo.eval.terminal.candidates import figure, figures, ranked
from oreo.eval.terminal.charts import chart, finite, label, span, sparkline
from oreo.text import clean, one_line
from oreo.trajectory import Step

_CHART_ROWS = 3
_MOST_CANDIDATES = 6
_LEAST_TRANSCRIPT = 3
"""Lines. Where the terminal is so low that less would be left, the chart goes first, then the candidates, the task."""
_FIGURES = (("V", 8, 24), ("log p", 12, 40), ("times", 4, 60))
"""Columns beside a candidate: name, cells, and how many cells a terminal needs to have for it."""
_NARROWEST_CHART = 20


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
    """How many steps there are or may be, None where nobody says."""
    outcome: str = ""
    """How it ended, empty while it goes on."""
    cut_off: bool = False
    """It ended by a limit on its steps, and not in the world itself."""
    hint: str = ""
    """Which keys do what, for the last line."""


def value_of(step: Step) -> float | None:
    """V of the state the step was chosen in, else of the candidate that was taken."""
    if step.value is not None:
        return step.value
    return next((candidate.value for candidate in step.candidates if candidate.text == step.text), None)


def crop(text: str, width: int) -> str:
    """Cut `text` to at most `width` cells, with an ellipsis in the middle: the ends of names and commands tell most."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    head = _fitting(text, (width - 1) // 2)
    tail = _fitting(reversed(text), width - 1 - cell_len(head))[::-1]
    while tail and cell_len(f"{head}…{tail}") > width:  # joined characters may be wider than one by one
        tail = tail[1:]
    return f"{head}…{tail}" if cell_len(f"{head}…{tail}") <= width else "…"


def _fitting(characters: Iterable[str], width: int) -> str:
    """Those of the first characters that have room in `width` cells together."""
    taken = 0

    def fits(character: str) -> bool:
        nonlocal taken
        taken += cell_len(character)
        return taken <= width

    return "".join(takewhile(fits, characters))


def paragraph(text: str) -> str:
    """Clean, without empty lines and blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in clean(text).splitlines() if line.strip())


# The terminal.


def render(view: View, *, width: int = 80, height: int = 24) -> RenderableType:
    """The whole screen, of `height` lines and `width` cells at most and filled.

    Task, transcript, candidates, value line, status. On a low terminal those that are missed least are left out.
    """
    head, foot, status = _head(view, width), [_candidates(view, width), _values(view, width)], _status(view, width)
    status = status[-height:]
    console = Console(width=width, height=height, color_system=None)

    def lines_of(parts: Sequence[RenderableType]) -> int:
        return len(console.render_lines(Group(*parts), pad=False)) if parts else 0

    def lines_free() -> int:
        return height - sum(map(lines_of, [head, *foot, status]))

    while foot and lines_free() < _LEAST_TRANSCRIPT:
        foot.pop()
    if lines_free() < _LEAST_TRANSCRIPT:
        head = []
    # The transcript takes what the others leave.
    return Group(*head, *_transcript(view, width, lines_free()), *(part for block in foot for part in block), *status)


def _head(view: View, width: int) -> list[RenderableType]:
    where = crop(" · ".join(one_line(part) for part in (view.env_id, view.task_type) if part), width)
    room = width - cell_len(where) - 3
    game = f" · {crop(one_line(view.game), room)}" if view.game and room > 10 else ""
    task = Text(crop(one_line(view.task), max(width, 2 * width - 10)), style="bold")
    return [*([task] if view.task else []), Text(where + game, style="dim"), Rule(style="dim")]


def _transcript(view: View, width: int, height: int) -> list[Text]:
    """The newest `height` lines of what was done and answered, padded to that height."""
    # Every step has a line at least, so that older ones than these are not seen.
    first = max(0, len(view.steps) - height)
    lines = [] if first else _wrapped(_first_observation(view), width, height // 2, style="")
    for number, step in enumerate(view.steps[first:], first + 1):
        newest = number == len(view.steps)
        lines += _action(number, step, width, newest)
        answer = view.observation if newest else view.steps[number].observation
        lines += _wrapped(answer, width, max(4, height // 2), style="" if newest else "dim", indent=4)
    lines = lines[max(0, len(lines) - height) :]
    return lines + [Text("")] * (height - len(lines))


def _first_observation(view: View) -> str:
    return view.steps[0].observation if view.steps else view.observation


def _action(number: int, step: Step, width: int, newest: bool) -> list[Text]:
    lines = []
    if step.turn is not None and one_line(step.turn) != one_line(step.action):
        lines += _wrapped(step.turn, width, 3, style="italic dim", indent=4)
    line = Text(f"{number:>3} ", style="dim")
    line.append("> ", style="bold cyan")
    room = max(width - 24, width // 2 - 3, 1)  # beside the number, and what is noted behind it
    line.append(crop(one_line(step.action) or "(nothing)", room), style="bold cyan" if newest else "cyan")
    for note, style in notes(step):
        line.append(f"  {note}", style=style)
    line.truncate(width)
    return [*lines, line]


def notes(step: Step) -> Iterator[tuple[str, str]]:
    if step.action_valid is False:
        yield "refused", "red"
    if step.actor == "person":
        yield "by a person", "magenta"
    if not step.imitate:
        yield "noise", "yellow"
    if step.context_start:
        yield f"told from step {step.context_start + 1}", "dim"
    if step.reward:
        yield f"reward {step.reward:+g}", "bold green" if step.reward > 0 else "bold red"


def _wrapped(text: str, width: int, most: int, *, style: str, indent: int = 0) -> list[Text]:
    """Lines of at most `width` cells, indented; of more than `most` the first ones, and an ellipsis."""
    indent = min(indent, width // 6)
    width, most = max(1, width - indent), max(1, most)
    enough = 20 * width * most  # characters: who answers with a book does not have all of it wrapped for each frame
    lines = list(Text(paragraph(text[:enough]), style=style).wrap(Console(width=width, color_system=None), width))
    if len(lines) > most or len(text) > enough:
        lines = lines[:most] or [Text("", style=style)]
        lines[-1].truncate(max(0, width - 2))
        lines[-1].append(" …")
    for line in lines:
        line.truncate(width)
        line.pad_left(indent)
    return lines


def _candidates(view: View, width: int) -> list[RenderableType]:
    """What the agent considered at the newest step, best first; as many lines at every step, so that nothing jumps."""
    most = min(_MOST_CANDIDATES, max((len(step.candidates) for step in view.steps), default=0))
    if not most:
        return []
    step = view.steps[-1]
    columns = [(name, cells) for name, cells, needed in _FIGURES if width >= needed]
    shown = ranked(step)[:most]
    # No wider than its text: a value that stands far from its candidate is read beside another one's.
    longest = max((cell_len(row.text) for row in shown), default=0) + 2
    room = max(1, min(longest, width - sum(cells + 2 for _, cells in columns)))
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, width=room)
    for _, cells in columns:
        table.add_column(justify="right", no_wrap=True, width=cells)
    for row in shown:
        mark, style = ("▸", "bold cyan") if row.taken else (" ", "")
        numbers = {"V": figure("V", row.value), "log p": figure("log p", row.log_prob)}
        numbers["times"] = f"×{row.count}" if row.count > 1 else ""
        text = Text(f"{mark} {crop(row.text, room - 2)}", style=style)
        table.add_row(text, *(numbers[name] for name, _ in columns))
    for _ in range(most - len(shown)):
        table.add_row()
    return [_heading(f"considered at step {len(view.steps)}", width), table]


def _heading(text: str, width: int) -> Rule:
    return Rule(Text(crop(text, width - 4), style="dim"), style="dim", align="left")


def _values(view: View, width: int) -> list[RenderableType]:
    values = [value_of(step) for step in view.steps]
    if not finite(values) or width < _NARROWEST_CHART:
        return []
    low, high = span(finite(values))
    columns = width - 8
    cell = max(1, min(3, columns // max(view.length or 0, len(values), 1)))
    rows = chart([value for value in values for _ in range(cell)][-columns:], low, high, _CHART_ROWS)
    labels = [label(high), " " * 7, label(low)]
    now = f", now {values[-1]:.2f}" if values[-1] is not None else ""
    chart_lines: list[RenderableType] = [
        Text.assemble((label, "dim"), (row, "green")) for label, row in zip(labels, rows, strict=True)
    ]
    return [_heading(f"value of each state{now}", width), *chart_lines]


def _status(view: View, width: int) -> list[RenderableType]:
    style = {"": "", "won": "bold green"}.get(view.outcome, "bold yellow")
    hint = view.hint if width >= cell_len(view.hint) + 12 else ""
    status = Text(progress(view), style=style)
    status.append(f"  {one_line(view.agent)}", style="dim")
    status.truncate(width - cell_len(hint) - 2 if hint else width, overflow="ellipsis")
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(status, Text(hint, style="dim"))
    return [Rule(style="dim"), table if hint else status]


def progress(view: View) -> str:
    """Say `step 3 of 50`, and how it ended."""
    of = f" of {view.length}" if view.length is not None else ""
    return f"step {len(view.steps)}{of}" + (f", {one_line(view.outcome)}" if view.outcome else "")


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
        new.append(f"{one_line(view.outcome)} after {len(view.steps)} steps, return {reward:g}")
    return new


def _step_lines(number: int, step: Step) -> list[str]:
    new = []
    if step.turn is not None and one_line(step.turn) != one_line(step.action):
        new.append(f"{number:>3}   {one_line(step.turn)}")
    said = [note for note, _ in notes(step)]
    value = value_of(step)
    said += [] if value is None else [f"V {value:.2f}"]
    new.append(f"{number:>3} > {one_line(step.action)}" + (f"   ({', '.join(said)})" if said else ""))
    for row in ranked(step):
        numbers = ", ".join(figures(row))
        new.append(f"      {'*' if row.taken else '-'} {row.text}" + (f"   ({numbers})" if numbers else ""))
    return new


def step_text(view: View, position: int) -> str:
    """One step as plain text: its action with what is known of it, and the answer; of 0 the first observation."""
    if not position:
        return paragraph(_first_observation(view))
    answer = view.observation if position == len(view.steps) else view.steps[position].observation
    return "\n".join([*_step_lines(position, view.steps[position - 1]), *_indented(answer)])


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in paragraph(text).splitlines()]
