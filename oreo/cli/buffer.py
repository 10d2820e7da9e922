"""`oreo buffer`: look after trajectory buffers."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli import buffer_copies, interchange
from oreo.cli.help import Commands
from oreo.cli.options import Data, Json, Where, existing_buffer
from oreo.cli.output import on_interrupt, print_json, print_pairs, show_help
from oreo.cli.verify import verify
from oreo.progress import Progress
from oreo.text import one_line

buffer_app = Commands(help="Look after trajectory buffers.", invoke_without_command=True, callback=show_help)
buffer_app.command("import")(interchange.import_command)
buffer_app.command("export")(interchange.export_command)
buffer_app.command("formats")(interchange.formats)
buffer_app.command("filter")(buffer_copies.filter_)
for command in (buffer_copies.merge, buffer_copies.split, buffer_copies.dedup, buffer_copies.sample):
    buffer_app.command()(command)
buffer_app.command()(verify)
_SHOWN = ("game", "task_type", "agent", "length", "episode_return", "won", "truncated", "grade")
"""Columns of an episode in `oreo buffer head`."""


@buffer_app.command()
def info(buffer: Annotated[Path, typer.Argument(help="The buffer.")], where: Where = None, json: Json = False) -> None:
    """What a buffer holds.

    \b
    Example:
      oreo buffer info runs/kitchen
      oreo buffer info runs/kitchen --where "wins(game) between 0.2 and 0.8"
    """
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        facts = stored.info() if where is None else stored.where(where).info()
    if json:
        return print_json(facts)
    # Nothing is said of what no episode has: a dialect in mathematics, a grade in ALFWorld.
    print_pairs({name: fact for name, fact in facts.items() if not isinstance(fact, dict) or set(fact) - {""}})


@buffer_app.command()
def head(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    number: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 10,
    where: Where = None,
    json: Json = False,
) -> None:
    """The first episodes of a buffer, a line each.

    \b
    Example:
      oreo buffer head runs/kitchen -n 3 --where "not won"
    """
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        meant = stored.where(where or "").numbered(*_SHOWN, "task")
        first = list(itertools.islice(meant, number))
    rows = [{"episode": place, **dict(zip((*_SHOWN, "task"), values, strict=True))} for place, values in first]
    if json:
        return print_json(rows)
    for row in rows:
        outcome = "won" if row["won"] else "truncated" if row["truncated"] else "lost"
        graded = f" ({row['grade']})" if row["grade"] and row["grade"] != "correct" else ""
        paid, steps = f"{row['episode_return']:.4g}", row["length"]
        name = row["game"] or row["task"]
        print(one_line(f"{row['episode']}  {outcome}{graded}  {steps} steps  reward {paid}  {row['agent']}  {name}"))


@buffer_app.command()
def check(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    repair: Annotated[bool, typer.Option("--repair", help="Move what is damaged into the folder damaged/.")] = False,
    json: Json = False,
) -> None:
    """Read all of a buffer, and name each shard or record that is not as it was written.

    --repair moves what is damaged into the folder damaged/ of the buffer, and keeps the rest; nothing is deleted, and
    what a newer oreo has written is left alone. Exit code 1 where something cannot be read and stays where it is.

    \b
    Example:
      oreo buffer check runs/kitchen --repair
    """
    from oreo.data import repair as repairing
    from oreo.data.buffer import TrajectoryBuffer

    stored = TrajectoryBuffer(existing_buffer(buffer), create=False)
    damage = (repairing.repair if repair else repairing.check)(stored)
    lines = [str(error) for errors in damage.values() for error in errors]
    kept = [path for path, errors in damage.items() if not repair or repairing.newer(errors)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would say the same
        episodes = sum(1 for _ in stored)
    result = {"buffer": str(stored.path), "episodes": episodes, "damaged": lines, "repaired": len(kept) < len(damage)}
    if json:
        print_json(result)
    else:
        for line in lines:
            print(one_line(line))
        print_pairs({**result, "damaged": len(lines)})
    if kept:
        raise typer.Exit(1)


@buffer_app.command()
def translate(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    to: Annotated[str, typer.Option(metavar="put|move", help="The dialect they are to be in.")],
    into: Annotated[Path, typer.Option(help="A new buffer for the translated episodes.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Say ALFWorld's episodes in its other dialect.

    "put X in/on Y" (data before alfworld 0.4) or "move X to Y", actions and observations, without loss. Episodes that
    speak the dialect already are copied as they are.

    \b
    Example:
      oreo buffer translate runs/kitchen --to move --into runs/kitchen-move
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.derived import came_from, new_buffer
    from oreo.envs.alfworld.dialects import translate as translated
    from oreo.envs.alfworld.game import check_dialect

    check_dialect(to)
    source = TrajectoryBuffer(existing_buffer(buffer), create=False).where().fixed()
    with (
        Progress("translating", len(source)) as seen,
        on_interrupt(lambda: f"stopped; {into} was not written, and {buffer} is as it was"),
        new_buffer(into) as target,
    ):
        for number, episode in enumerate(source):
            # Going from "move" to "put" wants the game itself; the other way the text is enough.
            game = _game(episode.game, data) if to == "put" and episode.dialect == "move" else None
            target.append(came_from(translated(episode, to, game), source.path, number))
            seen.to(number + 1)
    result = {"buffer": str(into), "episodes": seen.done, "dialect": to}
    print_json(result) if json else print_pairs(result)


def _game(name: str, data: Path | None) -> Any:
    from oreo.envs.alfworld.data.games import find_data, load_game
    from oreo.envs.alfworld.generation.generator import game_by_name, is_generated

    return game_by_name(name) if is_generated(name) else load_game(find_data(data, label="--data"), name)
