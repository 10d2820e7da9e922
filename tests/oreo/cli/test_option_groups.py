"""oreo.cli.option_groups: a record of options is one parameter in Python and its fields on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from oreo.cli.option_groups import with_option_groups


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour", help="Which.")] = "red"
    layers: Annotated[int | None, typer.Option(help="How many.")] = None


@with_option_groups
def paint(
    *, wall: Annotated[str, typer.Argument()], fast: Annotated[bool, typer.Option("--fast")] = False, coat: Paint
) -> None:
    """Paint a wall."""
    print(wall, fast, coat)


app = typer.Typer(rich_markup_mode=None)
app.command()(paint)


def test_the_fields_are_options_and_the_command_gets_the_record() -> None:
    run = CliRunner().invoke(app, ["north", "--layers", "2", "--colour", "blue", "--fast"])
    assert (run.exit_code, run.output.strip()) == (0, "north True Paint(colour='blue', layers=2)")
    assert CliRunner().invoke(app, ["north"]).output.strip() == "north False Paint(colour='red', layers=None)"


def test_their_types_are_checked_and_their_help_is_shown() -> None:
    assert CliRunner().invoke(app, ["north", "--layers", "many"]).exit_code == 2
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "Paint a wall." in shown and "How many." in shown
    assert "--coat" not in shown, "the record itself is no option"
