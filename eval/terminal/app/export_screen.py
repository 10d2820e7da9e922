"""Where an episode is to be written: a name whose ending is the format."""

from __future__ import annotations

import re
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from oreo.errors import OreoError
from oreo.eval.terminal.export import KINDS, export, free_name
from oreo.eval.terminal.screen import View
from oreo.trajectory import Trajectory


class ExportScreen(ModalScreen[None]):
    """Enter writes, Tab changes the format, Esc leaves."""

    BINDINGS = [("escape", "dismiss", "Leave"), ("tab", "kind", "Format")]

    def __init__(self, view: View, trajectory: Trajectory | None) -> None:
        super().__init__()
        self.view, self.trajectory = view, trajectory
        self.input = Input(str(free_name(Path(), "episode", KINDS[0])))
        self.result = Static("Enter writes it, Tab changes the format (text, JSON, SVG), Esc leaves.")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "write this episode to a file"
            yield self.input
            yield self.result

    def on_mount(self) -> None:
        self.input.focus()

    def action_kind(self) -> None:
        path = Path(self.input.value or "episode")
        ending = path.suffix.removeprefix(".")
        after = KINDS[(KINDS.index(ending) + 1) % len(KINDS)] if ending in KINDS else KINDS[0]
        self.input.value = str(free_name(path.parent, re.sub(r"-\d+$", "", path.stem), after))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        path = Path(event.value).expanduser()
        try:
            export(path, self.view, self.trajectory)
        except OreoError as error:
            self.result.update(str(error))
            return
        self.app.notify(f"{path} is written", markup=False)
        self.dismiss()

    def action_dismiss(self, result: None = None) -> None:
        self.dismiss()
