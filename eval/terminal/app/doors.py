"""What the commands open: a list, stored episodes, or live ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from oreo.data.buffer import TrajectoryBuffer
from oreo.eval.terminal.app.list_screen import ListScreen
from oreo.eval.terminal.app.live_episode import LiveEpisode
from oreo.eval.terminal.app.program import run
from oreo.eval.terminal.app.reader_screen import ReaderScreen, stored_episode
from oreo.eval.terminal.app.run_screen import RunScreen
from oreo.eval.terminal.live.messages import Job
from oreo.eval.terminal.shelf import Shelf
from oreo.trajectory import Trajectory

JobOf = Callable[[Trajectory | None], Job]


def browse(
    buffer: TrajectoryBuffer,
    *,
    condition: str,
    job: JobOf,
    delay: float,
    follow: bool = False,
    cast: Path | None = None,
) -> None:
    """A buffer's episodes as a list; raises what `oreo.eval.terminal.app.program.run` does."""

    def episode(stored: Trajectory) -> LiveEpisode:
        return stored_episode(stored, job=job)

    run(ListScreen(buffer, condition=condition, episode=episode, delay=delay, follow=follow), cast)


def training(folder: Path) -> None:
    """The curves of a training run."""
    run(RunScreen(folder))


def replay(shelf: Shelf, place: int, *, job: JobOf, delay: float, playing: bool, cast: Path | None = None) -> None:
    """The stored episode at a place of a shelf, or the two of the same game there, in step."""
    episodes = [stored_episode(stored, job=job) for stored in shelf.trajectories(place)]
    run(ReaderScreen(episodes, shelf=shelf, place=place, playing=playing, delay=delay), cast)


def live(jobs: Sequence[Job], *, delay: float, playing: bool, person: bool = False, cast: Path | None = None) -> None:
    """One or two live episodes, whose actors are a process each."""

    def episode(job: Job) -> LiveEpisode:
        return LiveEpisode(job=lambda _: job)

    run(ReaderScreen([episode(job) for job in jobs], playing=playing, person=person, delay=delay), cast)
