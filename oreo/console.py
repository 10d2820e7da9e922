"""The console that everything of ours is printed on: what others wrote is text there, and never markup or a command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment
from rich.text import Text

from oreo.text import clean


class Console(rich.console.Console):
    """rich's console without markup, emoji codes and highlighting; control characters in what is drawn are removed.

    Strings are cleaned before they are laid out, so that their width is right, and all that is drawn once more behind
    it. Colours and cursor movements are rich's own.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **settings})

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(clean(text), **settings)

    def render(self, renderable: Any, options: rich.console.ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)
