"""Stages that are done once: a folder that belongs to one job, episodes that are played once, a training run.

`oreo quickstart`, `oreo iterate` and benchmarks are made of these. Each can be called again after an interruption of
any kind and goes on from what is on disk, to the same end. One process at a time may work in a buffer.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError
from oreo.files import HALF, read_json, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from oreo.agents.settings import AgentConfig
    from oreo.rollouts.collect import Missing
    from oreo.rollouts.links import Player
    from oreo.rollouts.settings import Rollout
    from oreo.training.run_folder import TrainResult
    from oreo.training.trainer import OnStep
    from oreo.trajectory import Trajectory


def refuse_launcher(command: str, *, instead: str = "start it once") -> None:
    """Refuse to be one of several processes that a launcher started: each would play every episode.

    Args:
        command: what the user typed.
        instead: what to do.

    Raises:
        UsageError: there are others.
    """
    processes = int(os.environ.get("WORLD_SIZE") or 1)
    if processes > 1:
        raise UsageError(
            f"{command} was started in {processes} processes (WORLD_SIZE), and each would play every episode; "
            f"{instead}, without torchrun or accelerate launch (of all commands, only oreo train shares its work)"
        )


def claim(output: Path, marker: str, settings: dict[str, Any], *, option: str = "--output") -> None:
    """One folder, one job: remember its settings in the file `marker`, refuse a folder that is something else.

    Args:
        option: what the user named the folder by.

    Raises:
        UsageError: the folder holds other things, or the same job with other settings.
    """
    path = output / marker
    settings = json.loads(json.dumps(settings))
    if path.is_file():
        before = read_json(path)
        changed = [
            f"{name}: {before.get(name)!r} then, {settings.get(name)!r} now"
            for name in {**before, **settings}
            if before.get(name) != settings.get(name)
        ]
        if changed:
            raise UsageError(
                f"{output} was begun with other settings ({'; '.join(changed)}); give another {option}, or delete it"
            )
        return
    if output.exists() and (not output.is_dir() or any(not entry.name.startswith(HALF) for entry in output.iterdir())):
        raise UsageError(f"{output} is not empty; give another {option}")
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def episodes_per_pass(episodes: int, per_game: int) -> list[int]:
    """How many episodes each pass over the same games has, with `per_game` passes: sample 0, 1, ….

    Where the episodes do not come out even, the last game has fewer.
    """
    counts = [(episodes + per_game - 1 - sample) // per_game for sample in range(per_game)]
    return [count for count in counts if count]


def missing(stored: Iterable[int | None], episodes: int, *, seed: int, per_game: int = 1) -> Missing:
    """What is to be played of the first `episodes` of `seed`, `per_game` of each game, as (sample, indices).

    An episode is known by the seed of its environment, which follows from (seed, index). Samples of a game share it;
    what is stored are its first samples, since they are played one after the other.

    Args:
        stored: the environments' seeds of the episodes that are there.
    """
    from oreo.rollouts.settings import seeds

    unused = Counter(stored)
    lacking: list[tuple[int, list[int]]] = []
    for sample, count in enumerate(episodes_per_pass(episodes, per_game)):
        indices = []
        for index in range(count):
            env_seed, _ = seeds(seed, index)
            if unused[env_seed]:
                unused[env_seed] -= 1
            else:
                indices.append(index)
        if indices:
            lacking.append((sample, indices))
    return lacking


def count(lacking: Missing) -> int:
    """How many episodes that are."""
    return sum(len(indices) for _, indices in lacking)


def play_missing(
    lacking: Missing,
    rollout: Rollout,
    *,
    agent: str,
    agent_config: AgentConfig,
    into: Path,
    title: str,
    console: Console | None,
    workers: int = 1,
) -> None:
    """`collect`, with a title and a bar for who watches; no word where nothing is missing.

    Args:
        console: where the title goes; None: nobody watches.
    """
    from oreo.progress import Episodes
    from oreo.rollouts.callbacks import Callbacks
    from oreo.rollouts.collect import collect

    if not lacking:
        return
    playing: dict[str, Any] = {"agent": agent, "agent_config": agent_config, "into": into, "workers": workers}
    if console is None:
        collect(lacking, rollout, **playing)
        return
    console.print(title, markup=True, highlight=False)
    with Episodes("   episodes", count(lacking)) as progress:
        collect(lacking, rollout, callbacks=Callbacks(progress.count, progress.steps), **playing)


def stored_seeds(buffer: Path) -> list[int | None]:
    """The environments' seeds of all episodes of a buffer that belongs to one job."""
    from oreo.data.buffer import TrajectoryBuffer

    return [seed for seed, _ in TrajectoryBuffer(buffer).stored_by()]


def stored_seeds_of(buffer: Path, rollout: Rollout, player: Player, episodes: int) -> list[int]:
    """The same of a buffer that may hold anything: of the first `episodes` of a rollout that `player` has played.

    Others are those of another environment, other arguments or step limit, another agent, or other weights. An agent is
    known by its name, which has the settings that it says of itself. Where the rollout names its games, an episode of
    another of them is another episode, whatever its seed.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.settings import seeds

    games = rollout.games or ()
    game_of: dict[int, set[str]] = defaultdict(set)
    for index in range(episodes):
        game_of[seeds(rollout.seed, index)[0]].add(games[index % len(games)] if games else "")
    asked = (_same_env(rollout.env_id), json.loads(json.dumps(rollout.stored_kwargs)), player.agent, player.checkpoint)
    env_seeds = []
    columns = ("env_id", "env_kwargs", "agent", "checkpoint", "seed", "game")
    for env_id, env_kwargs, agent, checkpoint, env_seed, game in TrajectoryBuffer(buffer).columns(*columns):
        if env_seed not in game_of or (game in games and game not in game_of[env_seed]):
            continue
        if (_same_env(env_id), json.loads(env_kwargs), agent, checkpoint) == asked:
            env_seeds.append(env_seed)
    return env_seeds


def _same_env(env_id: str) -> str:
    """One spelling of an environment's name: the long one, or the whole path of its file."""
    from oreo.envs.registry import SHORT_NAMES

    file, colon, name = env_id.rpartition(":")
    if file.endswith(".py"):
        return f"{Path(file).expanduser().resolve()}:{name}"
    return SHORT_NAMES.get(env_id, env_id)


def refuse_stored(buffer: Path, rollout: Rollout, player: Player, episodes: int) -> None:
    """Refuse to keep episodes of an evaluation in a buffer that has some of them.

    Raises:
        UsageError: it has.
    """
    if already := len(stored_seeds_of(buffer, rollout, player, episodes)):
        raise UsageError(
            f"{buffer} has {already} of these {episodes} episodes already, by {player.agent} with seed {rollout.seed}; "
            "keep them in another buffer, or take another --seed"
        )


def missing_of_player(
    buffer: Path, rollout: Rollout, episodes: int, *, per_game: int = 1, resume: bool
) -> Callable[[Player], Missing]:
    """What `collect` asks when it is known who plays: the episodes that this player has not in the buffer yet.

    Args:
        resume: False refuses to go on where some are there: they would be the same ones again.
    """

    def narrow(player: Player) -> Missing:
        stored = stored_seeds_of(buffer, rollout, player, episodes)
        lacking = missing(stored, episodes, seed=rollout.seed, per_game=per_game)
        already = episodes - count(lacking)
        if already and not resume:
            raise UsageError(
                f"{buffer} has {already} of these {episodes} episodes already, by {player.agent} with seed "
                f"{rollout.seed}; --resume plays those that are missing, and another --seed other ones"
            )
        return lacking

    return narrow


def stored(folder: Path, *, seed: int, episodes: int) -> dict[int, Trajectory]:
    """Those of the first `episodes` of a seed that a folder has, by index."""
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.settings import seeds

    by_seed = {episode.seed: episode for episode in TrajectoryBuffer(folder)} if folder.is_dir() else {}
    env_seeds = {index: seeds(seed, index)[0] for index in range(episodes)}
    return {index: by_seed[env_seed] for index, env_seed in env_seeds.items() if env_seed in by_seed}


def played(into: Path, episodes: int, *, seed: int) -> list[Trajectory]:
    """The first `episodes` of `seed` from a buffer that has them all, in the order of their index."""
    by_index = stored(into, seed=seed, episodes=episodes)
    return [by_index[index] for index in range(episodes)]


def by_seed(buffer: Path) -> list[Trajectory]:
    """All episodes of a buffer by the seeds of their environments, without commands and candidates (they fill memory).

    A buffer has them as they ended, which is another order for each batch size, number of workers and interruption.
    Samples of one game have one seed and go by what happened in them: where that is equal, training sees no difference.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.selection import Episode

    episodes = map(without_candidates, TrajectoryBuffer(buffer, create=False))
    return sorted(episodes, key=lambda episode: (episode.seed or 0, Episode.of(episode).key))


def without_candidates(trajectory: Trajectory) -> Trajectory:
    """Without commands and candidates: in many episodes they fill the memory."""
    steps = tuple(dataclasses.replace(step, admissible_commands=None, candidates=()) for step in trajectory.steps)
    return dataclasses.replace(trajectory, steps=steps)


def train_once(buffers: Sequence[Path], output: Path, *, on_step: OnStep | None, **settings: Any) -> TrainResult:
    """`oreo.train` on all episodes of these buffers; an interrupted run is resumed, a finished one only looked up.

    Which weights come out depends on what is in each buffer, and not on the order in which it got there.
    """
    from itertools import chain

    from oreo.training.trainer import train

    data = chain.from_iterable(map(by_seed, buffers))  # read one after the other, and only where they are wanted
    resume = (output / "config.json").is_file()
    return train(data, output=output, resume=resume, on_step=on_step, **settings)
