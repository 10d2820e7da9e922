"""Looking after what is on disk (buffers, games) and what is installed (environments)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli.options import Json, Seed, existing_buffer
from oreo.cli.output import Progress, kept, print_json, print_pairs, result_console, show_help
from oreo.errors import UsageError

buffer_app = typer.Typer(help="Look after trajectory buffers.", invoke_without_command=True, callback=show_help)
games_app = typer.Typer(help="Make ALFWorld games, look after them.", invoke_without_command=True, callback=show_help)


@buffer_app.command()
def info(buffer: Annotated[Path, typer.Argument(help="The buffer.")], json: Json = False) -> None:
    """What a buffer holds.

    \b
    Example:
      oreo buffer info runs/kitchen
    """
    from oreo.buffer import TrajectoryBuffer

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        facts = stored.info()
    print_json(facts) if json else print_pairs(facts)


@buffer_app.command()
def translate(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    to: Annotated[str, typer.Option(help="put or move.")],
    into: Annotated[Path, typer.Option(help="A new buffer for the translated episodes.")],
    data: Annotated[Path | None, typer.Option(help="Where the real games are; default: ALFWORLD_DATA.")] = None,
    json: Json = False,
) -> None:
    """Say ALFWorld's episodes in its other dialect.

    "put X in/on Y" (data before alfworld 0.4) or "move X to Y", actions and observations, without loss. Episodes that
    speak the dialect already are copied as they are.

    \b
    Example:
      oreo buffer translate runs/kitchen --to move --into runs/kitchen-move
    """
    from oreo.buffer import TrajectoryBuffer
    from oreo.envs.alfworld.dialects import check_dialect
    from oreo.envs.alfworld.dialects import translate as translated

    check_dialect(to)
    if into.exists():
        raise UsageError(f"{into} is there already; give --into a new name")
    with TrajectoryBuffer(existing_buffer(buffer), create=False) as source, TrajectoryBuffer(into) as target:
        with (
            Progress("translating", len(source)) as seen,
            kept(lambda: f"stopped; {into} holds {seen.done} of {seen.total} episodes; remove it and start again"),
        ):
            for number, episode in enumerate(source, start=1):
                # Going from "move" to "put" wants the game itself; the other way the text is enough.
                game = _game(episode.game, data) if to == "put" and episode.dialect == "move" else None
                target.append(translated(episode, to, game))
                seen.to(number)
    result = {"buffer": str(into), "episodes": seen.done, "dialect": to}
    print_json(result) if json else print_pairs(result)


def _game(name: str, data: Path | None) -> Any:
    from oreo.envs.alfworld.games import data_folder, load_game
    from oreo.envs.alfworld.generator import game_by_name, is_generated

    return game_by_name(name) if is_generated(name) else load_game(data_folder(data), name)


@games_app.command()
def generate(
    output: Annotated[Path, typer.Option(help="Folder that becomes an ALFWORLD_DATA.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    seed: Seed = 0,
    dialect: Annotated[str, typer.Option(help="put or move.")] = "put",
    heldout: Annotated[
        bool, typer.Option("--heldout", help="On floor plans kept apart, as split valid_unseen.")
    ] = False,
    task_type: Annotated[list[str] | None, typer.Option(help="Only this type (repeatable).")] = None,
    max_receptacles: Annotated[int, typer.Option(help="Size of the houses.")] = 8,
    max_objects: Annotated[int, typer.Option(help="Kinds of objects in them.")] = 14,
    json: Json = False,
) -> None:
    """Write generated games as game.tw-pddl files that alfworld itself plays, too.

    \b
    Example:
      oreo games generate --count 20 --output runs/games && ALFWORLD_DATA=runs/games oreo games info
    """
    from oreo.envs.alfworld.generator import write_games

    if output.exists() and not (output / "logic").is_dir() and (output.is_file() or any(output.iterdir())):
        raise UsageError(
            f"{output} holds something else; give a new --output, or one that games were written to before"
        )
    with (
        Progress("writing", count) as seen,
        kept(lambda: f"stopped; {seen.done} games are kept in {output}; the same command goes on"),
    ):
        write_games(
            count,
            output,
            seed=seed,
            heldout=heldout,
            dialect=dialect,
            task_types=task_type or None,
            max_receptacles=max_receptacles,
            max_objects=max_objects,
            progress=lambda done, total: seen.to(done),
        )
    result = {"folder": str(output), "games": count, "split": "valid_unseen" if heldout else "train"}
    print_json(result) if json else print_pairs(result)


@games_app.command("info")
def games_info(
    data: Annotated[Path | None, typer.Option(help="The folder of games; default: ALFWORLD_DATA.")] = None,
    json: Json = False,
) -> None:
    """The games of a data folder, by split, task type and dialect.

    \b
    Example:
      oreo games info --data ~/.cache/alfworld
    """
    from rich.table import Table

    from oreo.envs.alfworld.games import SPLITS, data_folder, open_split

    folder = data_folder(data)
    splits = [split for split in SPLITS if (folder / "json_2.1.1" / split).is_dir()]
    entries = {split: open_split(folder, split) for split in splits}
    counts = {split: dict(Counter(entry.task_type for entry in entries[split])) for split in splits}
    dialects = {split: dict(Counter(entry.dialect for entry in entries[split])) for split in splits}
    if json:
        print_json({"folder": str(folder), "games": counts, "dialects": dialects})
        return
    table = Table(title=str(folder), title_justify="left")
    table.add_column("task type")
    for split in splits:
        table.add_column(split, justify="right")
    for kind in sorted({kind for split in splits for kind in counts[split]}):
        table.add_row(kind, *(str(counts[split].get(kind, 0)) for split in splits))
    table.add_section()
    table.add_row("all", *(str(len(entries[split])) for split in splits))
    table.add_row("dialect", *("/".join(sorted(dialects[split])) for split in splits))
    result_console().print(table)


def envs(json: Json = False) -> None:
    """The environments that are installed.

    \b
    Example:
      oreo envs
    """
    from oreo.envs.registry import BUILT_IN, entry_points, load_class

    offered = {**BUILT_IN, **entry_points()}
    described: dict[str, Any] = {}
    for name in sorted(offered):
        documented = (load_class(offered[name]).__doc__ or "").strip()
        described[name] = documented.partition("\n")[0]
    print_json(described) if json else print_pairs(described)
