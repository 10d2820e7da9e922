"""`oreo games`: make ALFWorld games, and look after them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.help import Commands
from oreo.cli.options import Data, Json, Seed
from oreo.cli.output import on_interrupt, print_json, print_pairs, result_console, show_help
from oreo.errors import UsageError
from oreo.progress import Progress

games_app = Commands(help="Make ALFWorld games, look after them.", invoke_without_command=True, callback=show_help)


@games_app.command()
def generate(
    output: Annotated[Path, typer.Option(help="Folder that becomes an ALFWORLD_DATA.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    seed: Seed = 0,
    dialect: Annotated[str, typer.Option(metavar="put|move", help="What the games are to say.")] = "put",
    heldout: Annotated[
        bool, typer.Option("--heldout", help="On floor plans kept apart, as split valid_unseen.")
    ] = False,
    realistic: Annotated[
        bool, typer.Option("--realistic", help="Houses, tasks and their mix as in ALFWorld's train split.")
    ] = False,
    task_type: Annotated[list[str] | None, typer.Option(help="Only this type (repeatable).")] = None,
    floor_plan: Annotated[
        list[str] | None, typer.Option(help="Only this one (FloorPlan12) or this room (Kitchen; repeatable).")
    ] = None,
    object_: Annotated[
        list[str] | None, typer.Option("--object", help="Only tasks about this kind (Mug; repeatable).")
    ] = None,
    distractors: Annotated[int | None, typer.Option(help="Exactly how many objects the task does not need.")] = None,
    expert_steps: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Only games that the explorer wins in LOW to HIGH steps.", metavar="LOW HIGH"),
    ] = None,
    max_receptacles: Annotated[
        int | None, typer.Option(help="Size of the houses.", show_default="8; no limit with --realistic")
    ] = None,
    max_objects: Annotated[
        int | None, typer.Option(help="Objects in them.", show_default="14; no limit with --realistic")
    ] = None,
    json: Json = False,
) -> None:
    """Write generated games as game.tw-pddl files that alfworld itself plays, too.

    \b
    Example:
      oreo games generate --count 20 --output runs/games && ALFWORLD_DATA=runs/games oreo games info
    """
    from oreo.envs.alfworld.generation.generator import REALISTIC, write_games

    if output.exists() and not (output / "logic").is_dir() and (output.is_file() or any(output.iterdir())):
        raise UsageError(
            f"{output} holds something else; give a new --output, or one that games were written to before"
        )
    narrowing = {
        "task_types": task_type or None,
        "floor_plans": floor_plan or None,
        "objects": object_ or None,
        "distractors": distractors,
        "expert_steps": expert_steps,
        "max_receptacles": max_receptacles,
        "max_objects": max_objects,
    }
    settings = (REALISTIC if realistic else {}) | {
        name: value for name, value in narrowing.items() if value is not None
    }
    with (
        Progress("writing", count) as seen,
        on_interrupt(lambda: f"stopped; {seen.done} games are kept in {output}; the same command goes on"),
    ):
        write_games(
            count,
            output,
            seed=seed,
            heldout=heldout,
            dialect=dialect,
            progress=lambda done, total: seen.to(done),
            **settings,
        )
    result = {"folder": str(output), "games": count, "split": "valid_unseen" if heldout else "train"}
    print_json(result) if json else print_pairs(result)


@games_app.command("pack")
def games_pack(
    output: Annotated[Path, typer.Option(help="The file to write; a pack that is there is replaced.")],
    data: Data = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split (repeatable).")] = None,
    json: Json = False,
) -> None:
    """Put all games of a data folder into one indexed file.

    It opens in milliseconds and serves wherever the folder does: ALFWORLD_DATA=FILE, --env-arg data=FILE.

    \b
    Example:
      oreo games pack --data ~/.cache/alfworld --output alfworld.pack && ALFWORLD_DATA=alfworld.pack oreo games info
    """
    from oreo.envs.alfworld.data.games import find_data, pack_games

    place = find_data(data, label="--data")
    with Progress("packing") as seen, on_interrupt(lambda: f"stopped; {output} is as it was before"):
        games = pack_games(place, output, split or None, progress=lambda done, total: seen.to(done, total=total))
    result = {"pack": str(output), "games": games, "bytes": output.stat().st_size}
    print_json(result) if json else print_pairs(result)


@games_app.command("info")
def games_info(data: Data = None, json: Json = False) -> None:
    """The games of a data folder or a pack: how many of each task type, their dialect and version.

    \b
    Example:
      oreo games info --data ~/.cache/alfworld
    """
    from oreo.envs.alfworld.data.games import find_data
    from oreo.envs.alfworld.data.summary import render, summarize

    summary = summarize(find_data(data, label="--data"))
    print_json(summary) if json else result_console().print(render(summary))
