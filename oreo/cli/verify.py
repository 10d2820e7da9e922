"""`oreo buffer verify`: play stored actions again, and say what is not as it is stored."""

from __future__ import annotations

import contextlib
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.cli.options import Json, Where, Workers, existing_buffer, key_values
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.cli.playing import stdout_kept
from oreo.errors import UsageError
from oreo.progress import Progress
from oreo.text import one_line

if TYPE_CHECKING:
    from oreo.rollouts.verify import Difference

_SHOWN = 20
"""Episodes that do not reproduce, in the report for people."""


def verify(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    repair: Annotated[
        Path | None,
        typer.Option(
            help="A new buffer for the episodes as they were played: with the environment's observations, rewards, "
            "commands and outcome."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="A new file for the verdicts, a JSON line each.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the --repair or --report of an interrupted run.")
    ] = False,
    where: Where = None,
    env: Annotated[
        str | None, typer.Option("--env", help="Play here, whatever is stored: an id or path/to/file.py:Class.")
    ] = None,
    env_arg: Annotated[
        list[str] | None,
        typer.Option("--env-arg", metavar="KEY=VALUE", help="In place of what is stored (repeatable)."),
    ] = None,
    workers: Workers = 1,
    json: Json = False,
) -> None:
    """Play stored actions again, and say which episodes come out as they are stored.

    Observations, rewards, commands and the ending are compared word for word, and the first difference is told; the
    outcome is compared with the claimed one. Solutions in mathematics are graded again. Exit code 1 where an episode
    does not come out as it is stored, and nothing is repaired.

    \b
    Example:
      oreo buffer verify runs/kitchen
      oreo buffer verify runs/imported --repair runs/played
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts import verdicts as ledgers
    from oreo.rollouts.verify_workers import verifiers

    if repair is not None and report is not None:
        raise UsageError("give one of --repair and --report: episodes of --repair have their verdict in extra.verified")
    if resume and repair is None and report is None:
        raise UsageError("--resume goes on with the --repair or --report of a run; name it")
    source = TrajectoryBuffer(existing_buffer(buffer), create=False).where(where or "").fixed()
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress("playing again", len(source)))
        stack.enter_context(on_interrupt(lambda: _stopped(progress, repair or report)))
        stack.enter_context(stdout_kept())
        verifier = verifiers(env, key_values(env_arg, "--env-arg"), workers)
        stack.enter_context(verifier)
        ledger = ledgers.Ledger()
        if repair is not None:
            ledger = stack.enter_context(ledgers.repaired(repair, source, resume=resume))
        elif report is not None:
            ledger = stack.enter_context(ledgers.report(report, source, resume=resume))
        told = ledgers.verify_all(source, verifier, ledger, lambda verdicts: progress.to(len(verdicts)))
    result = {"buffer": str(source.path), **ledgers.summary(told)}
    if repair is not None:
        result["repaired"] = str(repair)
    others = {number: verdict for number, verdict in told.items() if not verdict["reproduces"]}
    if json:
        print_json({**result, "not_reproduced": [{"episode": number, **one} for number, one in others.items()]})
    else:
        print_pairs(result)
        for number in sorted(others, key=lambda number: (_is_cut_alone(others[number]), number))[:_SHOWN]:
            print(one_line(f"episode {number}{_told(others[number])}"))
        if len(others) > _SHOWN:
            print(f"… and {len(others) - _SHOWN} others, which --json and --report name")
    if others and repair is None:
        raise typer.Exit(1)


def _is_cut_alone(verdict: dict[str, Any]) -> bool:
    """Whether all that differs is that a recording kept a part of texts: of such there may be thousands."""
    return not verdict["error"] and not verdict["beyond_cut_texts"]


def _told(verdict: dict[str, Any]) -> str:
    if verdict["error"]:
        return f": {verdict['error']}"
    from oreo.rollouts.verify import Difference

    return f", {told_difference(Difference(**(verdict['beyond_cut_texts'] or verdict['difference'])))}"


def told_difference(first: Difference) -> str:
    """Where it is, and both sides, shortened."""
    stored, played = (_short(side) for side in (first.stored, first.played))
    return f"step {first.step}: {first.what} is stored as {stored} and was {played}"


def _short(value: Any) -> str:
    text = json_module.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _stopped(progress: Progress, kept: Path | None) -> str:
    if kept is None:
        return f"stopped at {progress.done} of {progress.total}; --report FILE keeps the verdicts, for --resume"
    return f"stopped; {progress.done} of {progress.total} are kept in {kept}; the same command with --resume goes on"
