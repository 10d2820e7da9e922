"""The console: what others wrote is text, wherever it stands."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.columns import Columns
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from oreo.console import Console
from oreo.text import steers

MARKUP = "[bold]x[/] [/nope] [link=http://a.b]c[/link] :smile:"
HOSTILE = st.text(max_size=60) | st.text("\x1b]0;\x07[31m\x9b\x7f\x00\r\n\t\u202e\u200d\ufe0f[/b]漢a ", max_size=60)


def printed(*renderables: object, width: int = 200, **settings: object) -> str:
    console = Console(file=io.StringIO(), width=width, **settings)
    console.print(*renderables)
    return console.file.getvalue()  # type: ignore[attr-defined]


def tables(text: str) -> list[object]:
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    table.add_row(Text(text))
    return [text, table, Rule(text), Columns([text, text]), Text(text)]


def test_markup_and_emoji_codes_are_text() -> None:
    for renderable in tables(MARKUP)[:-1]:
        assert MARKUP in printed(renderable)


@given(HOSTILE)
def test_nothing_that_is_drawn_steers_the_terminal_or_is_wider_than_it(text: str) -> None:
    for renderable in tables(text):
        lines = printed(renderable, width=40).split("\n")
        assert not any(steers(character) for line in lines for character in line)
        assert max(map(cell_len, lines)) <= 40 or renderable == Text(text)


def test_colours_are_rich_s_own() -> None:
    coloured = printed(Text("\x1b[31mred", style="bold"), force_terminal=True, color_system="standard")
    assert coloured == "\x1b[1mred\x1b[0m\n"
