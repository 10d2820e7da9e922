"""How the commands explain themselves: options in groups, in plain text."""

from __future__ import annotations

import re
from typing import Any

import typer.core

ENVIRONMENT, AGENT, DECODING, TRAINING = "Environment", "Agent", "Decoding", "Training"
"""Groups of options; an option names its own by `rich_help_panel`. (typer shows groups with rich's markup alone, which
costs `oreo --help` a third of its time.)"""


class _WholeSentence:
    """In a list of commands, the first sentence of each goes on in a second line, and is not cut."""

    def get_short_help_str(self, limit: int = 0) -> str:
        return str(super().get_short_help_str(limit=1000))  # type: ignore[misc]


class _Group(_WholeSentence, typer.core.TyperGroup):
    """Commands that belong together."""


class _Command(_WholeSentence, typer.core.TyperCommand):
    """A command whose `--help` shows options in the groups they name, and those of no group last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
                group = getattr(parameter, "rich_help_panel", None) or plain
                groups.setdefault(group, []).append(_in_one_style(*record))
        groups["Options"] = groups.pop("Options", [])
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


class Commands(typer.Typer):
    """Commands that belong together, each with `--help` as above."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=_Group, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Any:
        return super().command(name, cls=_Command, **settings)


def _in_one_style(names: str, text: str) -> tuple[str, str]:
    """An option as it is written here: <str> what may be repeated too, few choices without brackets, a default that is
    told in words without parentheses."""
    names = re.sub(r"<list\[(\w+)\]>", lambda kind: f"<{kind[1].lower()}>", names)
    names = re.sub(r"<(\w+) range>", r"<\1>", names)
    names = re.sub(r"<([^<>]*\|[^<>]*)>", r"\1", names)
    return names, re.sub(r"\[default: \((.*)\)(;.*)?\]$", r"[default: \1\2]", text)
