"""`oreo buffer import`, `export` and `formats`: other people's trajectories, in and out."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.cli.options import Json, Where, existing_buffer
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.cli.playing import stdout_kept
from oreo.cli.verify import told_difference
from oreo.errors import UsageError
from oreo.progress import Progress
from oreo.text import one_line

if TYPE_CHECKING:
    from oreo.rollouts.verify import Difference

_NAMED = 5
"""Of each list, in the report that people read; --json has all."""
_PLAYED = 3
"""Episodes that are played again after an import, to see whether recordings of this kind are word for word."""


def import_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files, or folders of formats that are folders.")
    ],
    into: Annotated[Path, typer.Option(help="The buffer; made where there is none.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="Insist on a format: see `oreo buffer formats`, or path/to/file.py:NAME. Default: by looking."
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option(help="The environment the episodes are from. Default: found by what they say.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where games are looked for: the folder of ALFWorld's, or a pack (default: ALFWORLD_DATA); with --env "
            "math a source of problems, such as gsm8k:PATH.",
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--action-pattern",
            metavar="REGEX",
            help='How an action is found in a turn: the last match, its first group or all of it. Default: "Action: …" '
            "or <action>…</action>; else all of the turn.",
        ),
    ] = None,
    thoughts: Annotated[bool, typer.Option(help="Keep whole turns, or their actions alone.")] = True,
    won: Annotated[
        bool | None,
        typer.Option(
            "--won/--lost", help="How episodes ended whose file does not say it, where playing them does not either."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that acted: a folder, tiny, … Tokens that a file has of its turns (verifiers, ATIF) are "
            "then stored as the turns' own, where they are of its tokenizer; else they stay in extra.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out what cannot be read, and name it.")] = False,
    json: Json = False,
) -> None:
    """Take in trajectories of other formats.

    All is read and checked before the first episode is stored. Run again, the same command stores what is missing: an
    episode that is there already is known by the digest of its row.

    \b
    Example:
      oreo buffer import alfworld_sft.json --into runs/eto
    """
    from oreo.data.interchange.importing import import_files
    from oreo.data.interchange.spec import Reading
    from oreo.envs.matching import matcher

    for file in files:
        if not file.exists():
            raise UsageError(f"{file}: there is no such file")
    reading = Reading(pattern=_compiled(pattern), thoughts=thoughts, **_tokens(tokenizer))
    match = matcher(env or "", data)
    with (
        Progress("importing") as progress,
        on_interrupt(lambda: f"stopped; the same command goes on, and stores nothing twice ({into})"),
    ):
        report = import_files(
            files,
            into,
            format=format,
            reading=reading,
            match=match,
            won=won,
            skip=skip,
            seen=lambda what, done: progress.to(done, note=what),
        )
    result = {"buffer": str(into), **asdict(report)}
    difference = _difference(into, report.stored) if report.matched else None
    if json:
        return print_json({**result, "first_difference": None if difference is None else vars(difference)})
    _print_report(result)
    if difference is not None:
        print(
            f"What was recorded is not word for word what the game says: {told_difference(difference)}. An agent that "
            f"is trained on it reads other texts when it plays; to store the game's: oreo buffer verify {into} "
            f"--repair {into}-played"
        )


def _difference(into: Path, stored: int) -> Difference | None:
    """What differs first, in some of the episodes that were stored last, when they are played again."""
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.verify import Verifier

    buffer = TrajectoryBuffer(into, create=False)
    with stdout_kept(), Verifier() as verifier:
        for number in range(len(buffer) - min(stored, _PLAYED), len(buffer)):
            episode = buffer[number]
            difference = verifier.verify(episode)[0].difference if episode.game else None
            if difference is not None and difference.what == "observation":
                return difference
    return None


def _print_report(result: dict[str, Any]) -> None:
    lists = {name: result.pop(name) for name in ("ambiguous", "unmatched", "unread")}
    counted = {name: value for name, value in result.items() if value not in ({}, [])}
    print_pairs({name: ", ".join(value) if isinstance(value, list) else value for name, value in counted.items()})
    for name, items in lists.items():
        if items:
            more = f", here the first {_NAMED}" if len(items) > _NAMED else ""
            print(f"{name} ({len(items)}{more})")
            for item in items[:_NAMED]:
                facts = "; ".join(", ".join(value) if isinstance(value, list) else str(value) for value in _facts(item))
                where = f"{item['file']}, line {item['line']}"
                print(f"  {one_line(f'{where}: {facts:.300}')}")


def _facts(item: dict[str, Any]) -> list[Any]:
    return [value for name, value in item.items() if name not in ("file", "line") and value]


def _tokens(model: str | None) -> dict[str, Any]:
    if model is None:
        return {}
    from oreo.agents.completer import load_tokenizer
    from oreo.encoding.sampled_tokens import sampled_tokens
    from oreo.encoding.token_digest import token_digest

    tokenizer = load_tokenizer(model, trust_remote_code=False)
    return {"sampled": partial(sampled_tokens, tokenizer), "tokenizer": token_digest(tokenizer)}


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise UsageError(f"--action-pattern {pattern!r} is no regular expression: {error}") from None


def export_command(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    file: Annotated[Path, typer.Argument(help="A new file; a new folder for formats that are folders.")],
    format: Annotated[str, typer.Option(help="See `oreo buffer formats`, or path/to/file.py:NAME.")],
    where: Where = None,
    json: Json = False,
) -> None:
    """Write a buffer's episodes in another format, and say what that format cannot hold.

    \b
    Example:
      oreo buffer export runs/kitchen kitchen.json --format sharegpt
      oreo buffer export runs/kitchen won.jsonl --format messages --where "won and steps < 20"
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.interchange.exporting import export

    source = TrajectoryBuffer(existing_buffer(buffer), create=False).where(where or "").fixed()
    with (
        Progress("exporting", len(source)) as progress,
        on_interrupt(lambda: f"stopped; {file} was not written"),
    ):
        report = export(source, file, format, seen=progress.to)
    result = {"file": str(file), "format": format, **asdict(report)}
    print_json(result) if json else print_pairs({name: value for name, value in result.items() if value != {}})


def formats(json: Json = False) -> None:
    """The formats that `import` reads and `export` writes.

    \b
    Example:
      oreo buffer formats
    """
    from oreo.data.interchange.registry import find, names

    described = {}
    for name in names():
        record = find(name)
        ways = [way for way, function in (("read", record.read), ("written", record.write or record.save)) if function]
        described[name] = {"about": record.about, "is": ways}
    if json:
        return print_json(described)
    print_pairs({name: f"{entry['about']} ({', '.join(entry['is'])})" for name, entry in described.items()})
