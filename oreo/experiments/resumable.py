"""Stages that are done once: a folder that belongs to one job, episodes that are played once, a training run.

`oreo quickstart`, `oreo iterate` and benchmarks are made of these. Each can be called again after an interruption of
any kind and goes on from what is on disk, to the same end. One process at a time may work in a buffer.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import UsageError
from oreo.files import HALF, read_json, write_json

if TYPE_CHECKING:
    from oreo.agents.agent import Agent
    from oreo.training.run_folder import TrainResult
    from oreo.training.trainer import OnStep
    from oreo.trajectory import Trajectory

Left = list[tuple[int, list[int]]]
"""Episodes to play: (sample, indices), as `oreo.rollouts.loop.play` takes them."""


def one_process(command: str, *, instead: str = "start it once") -> None:
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


def passes(episodes: int, per_game: int) -> list[int]:
    """How many episodes each pass over the same games has, with `per_game` passes: sample 0, 1, ….

    Where the episodes do not come out even, the last game has fewer.
    """
    counts = [(episodes + per_game - 1 - sample) // per_game for sample in range(per_game)]
    return [count for count in counts if count]


def still_to_play(into: Path, episodes: int, *, seed: int, per_game: int = 1) -> Left:
    """What the buffer `into` lacks of the first `episodes` of `seed`, `per_game` of each game.

    An episode is known by the seed of its environment, which follows from (seed, index). Samples of a game share it;
    they are played in order, so it is the last ones that are missing.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.loop import seeds

    there = Counter(number for number, _ in TrajectoryBuffer(into).stored_by())
    left = []
    for sample, count in enumerate(passes(episodes, per_game)):
        missing = []
        for index in range(count):
            number, _ = seeds(seed, index)
            if there[number]:
                there[number] -= 1
            else:
                missing.append(index)
        if missing:
            left.append((sample, missing))
    return left


def play_left(
    left: Left,
    into: Path,
    *,
    agent: str,
    agent_settings: dict[str, Any],
    on_episode: Callable[[bool], object],
    workers: int = 1,
    **playing: Any,
) -> None:
    """Play what is left into a buffer.

    Args:
        agent, agent_settings: what `oreo.agents.load_agent` takes.
        on_episode: called with whether it was won, for each that is stored.
        workers: processes that play side by side. (Where this process is killed, each of them still ends a step and
            stores an episode that ends with it: wait a moment before going on, or that one is played again.)
        playing: env, seed, games, batch_size, max_steps, env_kwargs of `oreo.rollouts.loop.play`.
    """
    from oreo.agents import load_agent
    from oreo.rollouts.collect import collect

    if not left:
        return
    if workers > 1:
        crowd: dict[str, Any] = {"into": into, "workers": workers, "on_episode": on_episode}
        for sample, indices in left:
            collect(
                agent=agent,
                agent_settings=agent_settings,
                episodes=len(indices),
                indices=indices,
                sample=sample,
                **crowd,
                **playing,
            )
        return
    player = load_agent(agent, **agent_settings)
    for sample, indices in left:
        play_into(
            into, agent=player, indices=indices, sample=sample, on_episode=lambda each: on_episode(each.won), **playing
        )


def play_into(
    folder: Path, env: str, agent: Agent, indices: Iterable[int], *, on_episode: Callable[[Trajectory], Any], **how: Any
) -> None:
    """Play these episodes; each is kept as it ends. `how`: further arguments of `oreo.rollouts.loop.play`."""
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.loop import play

    with TrajectoryBuffer(folder) as buffer, closing(play(env, agent=agent, indices=indices, **how)) as played:
        for _, episode in played:
            buffer.append(episode)
            on_episode(episode)


def stored(folder: Path, *, seed: int, episodes: int) -> dict[int, Trajectory]:
    """Those of the first `episodes` of a seed that are there, by index."""
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.rollouts.loop import seeds

    found = {each.seed: each for each in TrajectoryBuffer(folder)} if folder.is_dir() else {}
    by_index = {index: seeds(seed, index)[0] for index in range(episodes)}
    return {index: found[each] for index, each in by_index.items() if each in found}


def played(into: Path, episodes: int, *, seed: int) -> list[Trajectory]:
    """The first `episodes` of `seed` from a buffer that has them all, in the order of their index."""
    there = stored(into, seed=seed, episodes=episodes)
    return [there[index] for index in range(episodes)]


def in_order(buffer: Path) -> list[Trajectory]:
    """All episodes of a buffer by the seeds of their environments, without commands and candidates (they fill memory).

    A buffer has them as they ended, which is another order for each batch size, number of workers and interruption.
    Samples of one game have one seed and go by what happened in them: where that is equal, training sees no difference.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.selection import Episode

    episodes = map(light, TrajectoryBuffer(buffer, create=False))
    return sorted(episodes, key=lambda each: (each.seed or 0, Episode.of(each).key))


def light(trajectory: Trajectory) -> Trajectory:
    """Without commands and candidates: in many episodes they fill the memory."""
    steps = tuple(dataclasses.replace(step, admissible_commands=None, candidates=()) for step in trajectory.steps)
    return dataclasses.replace(trajectory, steps=steps)


def train_once(buffers: Sequence[Path], output: Path, *, on_step: OnStep | None, **settings: Any) -> TrainResult:
    """`oreo.train` on all episodes of these buffers; an interrupted run is resumed, a finished one only looked up.

    Which weights come out depends on what is in each buffer, and not on the order in which it got there.
    """
    from itertools import chain

    from oreo.training.trainer import train

    data = chain.from_iterable(map(in_order, buffers))  # read one after the other, and only where they are wanted
    resume = (output / "config.json").is_file()
    return train(data, output=output, resume=resume, on_step=on_step, **settings)
