"""`oreo buffer`: look after trajectory buffers."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli import interchange
from oreo.cli.options import Data, Json, existing_buffer
from oreo.cli.output import on_interrupt, print_json, print_pairs, show_help
from oreo.errors import UsageError
from oreo.progress import Progress

buffer_app = typer.Typer(help="Look after trajectory buffers.", invoke_without_command=True, callback=show_help)
buffer_app.command("import")(interchange.import_command)
buffer_app.command("export")(interchange.export_command)
buffer_app.command("formats")(interchange.formats)


@buffer_app.command()
def info(buffer: Annotated[Path, typer.Argument(help="The buffer.")], json: Json = False) -> None:
    """What a buffer holds.

    \b
    Example:
      oreo buffer info runs/kitchen
    """
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        facts = stored.info()
    if json:
        return print_json(facts)
    # Nothing is said of what no episode has: a dialect in mathematics, a grade in ALFWorld.
    print_pairs({name: fact for name, fact in facts.items() if not isinstance(fact, dict) or set(fact) - {""}})


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
            print(line)
        print_pairs({**result, "damaged": len(lines)})
    if kept:
        raise typer.Exit(1)


@buffer_app.command()
def translate(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    to: Annotated[str, typer.Option(help="put or move.")],
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
    from oreo.envs.alfworld.dialects import translate as translated
    from oreo.envs.alfworld.game import check_dialect

    check_dialect(to)
    if os.path.lexists(into):
        raise UsageError(f"{into} is there already; give --into a new name")
    with TrajectoryBuffer(existing_buffer(buffer), create=False) as source, TrajectoryBuffer(into) as target:
        with (
            Progress("translating", len(source)) as seen,
            on_interrupt(
                lambda: f"stopped; {into} holds {seen.done} of {seen.total} episodes; remove it and start again"
            ),
        ):
            for number, episode in enumerate(source, start=1):
                # Going from "move" to "put" wants the game itself; the other way the text is enough.
                game = _game(episode.game, data) if to == "put" and episode.dialect == "move" else None
                target.append(translated(episode, to, game))
                seen.to(number)
    result = {"buffer": str(into), "episodes": seen.done, "dialect": to}
    print_json(result) if json else print_pairs(result)


def _game(name: str, data: Path | None) -> Any:
    from oreo.envs.alfworld.data.games import find_data, load_game
    from oreo.envs.alfworld.generation.generator import game_by_name, is_generated

    return game_by_name(name) if is_generated(name) else load_game(find_data(data, label="--data"), name)
