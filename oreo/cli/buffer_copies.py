"""`oreo buffer filter | merge | split | dedup | sample`: new buffers from old ones, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.cli.options import Json, Seed, Where, existing_buffer
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.errors import UsageError
from oreo.progress import Progress

if TYPE_CHECKING:
    from oreo.data.views import BufferView

Source = Annotated[Path, typer.Argument(help="The buffer.")]
Into = Annotated[Path, typer.Option(help="A new buffer.")]


def filter_(buffer: Source, where: Where, into: Into, json: Json = False) -> None:
    """Copy the episodes that a condition means into a new buffer.

    \b
    Example:
      oreo buffer filter runs/kitchen --where "won and steps < 20" --into runs/kitchen-short
    """
    if not (where or "").strip():
        raise UsageError('--where is empty: say which episodes, such as --where "won and steps < 20"')
    _write(_view(buffer, where), {into: None}, json)


def merge(
    buffers: Annotated[list[Path], typer.Argument(metavar="BUFFER...", help="Two buffers or more.")],
    into: Into,
    where: Where = None,
    json: Json = False,
) -> None:
    """Copy the episodes of several buffers into a new one. Each still says where it came from.

    \b
    Example:
      oreo buffer merge runs/monday runs/tuesday --into runs/both
      oreo buffer info runs/both --where 'came_from == "runs/monday"'
    """
    from oreo.data.derived import copy, new_buffer

    if len(buffers) < 2:
        raise UsageError("give two buffers or more to merge; `oreo buffer filter` copies from one")
    for name, other in enumerate(buffers):
        if other.expanduser().resolve() in [one.expanduser().resolve() for one in buffers[:name]]:
            raise UsageError(f"{other} is given twice, and its episodes would be too")
    views = [_view(buffer, where).fixed() for buffer in buffers]
    with Progress("copying", sum(map(len, views))) as progress, on_interrupt(lambda: _nothing_written(into)):
        with new_buffer(into) as target:
            for view in views:
                copy(view, target, on_episode=lambda: progress.to(progress.done + 1))
            count = len(target)
    result = {"buffer": str(into), "episodes": count}
    result["from"] = {str(view.path): len(view) for view in views}
    print_json(result) if json else print_pairs(result)


def split(
    buffer: Source,
    into: Into,
    rest: Annotated[Path, typer.Option(help="A new buffer for the others.")],
    share: Annotated[
        float | None, typer.Option(help="Of the games, above 0 and below 1: all episodes of a game stay together.")
    ] = None,
    where: Where = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Copy a buffer's episodes into two new ones: a share of its games, or those that a condition means; and the rest.

    \b
    Example:
      oreo buffer split runs/kitchen --share 0.9 --into runs/train --rest runs/heldout
    """
    from oreo.data.derived import share_of_games

    if (share is None) == (where is None):
        raise UsageError("give one of --share, such as --share 0.9, and --where")
    if into.expanduser().resolve() == rest.expanduser().resolve():
        raise UsageError(f"--into and --rest are both {into}; give two names")
    source = _view(buffer, None).fixed()
    if share is not None:
        chosen = share_of_games(source, share, seed=seed)
    else:
        meant = {number for number, _ in _view(buffer, where).numbered("won")}
        chosen = {place for place, (number, _) in enumerate(source.numbered("won")) if number in meant}
    _write(source, {into: chosen.__contains__, rest: lambda number: number not in chosen}, json)


def dedup(buffer: Source, into: Into, where: Where = None, json: Json = False) -> None:
    """Copy each episode once: of those of a game in which the same was seen, said and paid, the first.

    \b
    Example:
      oreo buffer dedup runs/kitchen --into runs/kitchen-once
    """
    from oreo.data.derived import firsts

    source = _view(buffer, where).fixed()
    with Progress("comparing", len(source)) as progress, on_interrupt(lambda: _nothing_written(into)):
        kept = firsts(source, on_episode=lambda: progress.to(progress.done + 1))
    _write(source, {into: kept.__contains__}, json, left_out=len(source) - len(kept))


def sample(
    buffer: Source,
    into: Into,
    count: Annotated[int | None, typer.Option(min=1, help="How many in all.")] = None,
    per_game: Annotated[int | None, typer.Option(min=1, help="At most N of each game.")] = None,
    where: Where = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Copy some episodes, drawn without replacement, in the order in which they stand.

    \b
    Example:
      oreo buffer sample runs/kitchen --count 100 --into runs/kitchen-100
      oreo buffer sample runs/kitchen --per-game 2 --into runs/kitchen-2
    """
    from oreo.data.derived import drawn

    if count is None and per_game is None:
        raise UsageError("say how many: --count N, --per-game N, or both")
    source = _view(buffer, where).fixed()
    _write(source, {into: drawn(source, seed=seed, count=count, per_game=per_game).__contains__}, json)


def _view(buffer: Path, where: str | None) -> BufferView:
    from oreo.data.buffer import TrajectoryBuffer

    return TrajectoryBuffer(existing_buffer(buffer), create=False).where(where or "")


def _write(source: BufferView, targets: dict[Path, Callable[[int], bool] | None], json: bool, **facts: Any) -> None:
    """Copy episodes of a view into new buffers, and say how many; all are there in the end, or none."""
    import contextlib

    from oreo.data.derived import copy, new_buffer

    source, counts = source.fixed(), {}
    names = " and ".join(map(str, targets))
    with (
        Progress("copying", len(source) * len(targets)) as progress,
        on_interrupt(lambda: _nothing_written(names)),
        contextlib.ExitStack() as stack,
    ):
        opened = {path: stack.enter_context(new_buffer(path)) for path in targets}
        for path, chosen in targets.items():
            counts[str(path)] = copy(source, opened[path], chosen, on_episode=lambda: progress.to(progress.done + 1))
    result = {"buffer": str(source.path), "episodes": len(source), **facts, "into": counts}
    print_json(result) if json else print_pairs(result)


def _nothing_written(into: object) -> str:
    return f"stopped; {into} was not written, and the buffers it was to be made from are as they were"
