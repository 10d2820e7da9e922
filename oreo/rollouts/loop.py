"""The agent–environment loop, the only one: agents × environments → trajectories.

Many episodes advance side by side, so that a language model answers all of them in one pass; each has an environment
to itself, and environments are used again. Episode i is seeded by (seed, i) alone, so it does not matter how many
others share its batch (for language models: up to the rounding of their arithmetic).
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from oreo.errors import OreoError, UsageError
from oreo.plugins import exits_raised
from oreo.rollouts.branching import TRIES, Beginning, Branches
from oreo.rollouts.failures import describe_failure
from oreo.rollouts.playing import Playing
from oreo.rollouts.settings import Rollout

if TYPE_CHECKING:
    import gymnasium as gym

    from oreo.agents.agent import Agent, Decision
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.trajectory import Trajectory


def rollout(
    env: str | Callable[..., gym.Env[str, str]],
    *,
    agent: str | Agent,
    episodes: int | None = None,
    into: TrajectoryBuffer | None = None,
    seed: int = 0,
    batch_size: int = 32,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    games: Sequence[str] | None = None,
    step_timeout: float | None = None,
    on_episode: Callable[[Trajectory], object] | None = None,
) -> list[Trajectory]:
    """Let an agent play.

    Args:
        env: anything `oreo.envs.make` takes, or a callable that makes an environment.
        agent: an agent, or what `oreo.agents.load_agent` takes.
        episodes: how many; None: one for each game.
        into: each episode is in this buffer as soon as it has ended, whatever happens to the others.
        seed: of everything; episode i depends on (seed, i) only.
        batch_size: episodes under way at once.
        max_steps: episodes are truncated after this many, None: as the environment says.
        env_kwargs: for making the environment.
        games: episode i plays game i mod len(games). None: the environment's own list where it has one
            (`env.unwrapped.games`), else it chooses.
        step_timeout: seconds that the environment may take for a step or a reset; None: any.
        on_episode: called with each episode when it has ended.

    Returns:
        The episodes in the order of their index, which is not always the order in which they ended.

    Raises:
        EngineError: an environment broke; episodes that had ended are in `into`.
    """
    played = Rollout(env, env_kwargs or {}, seed, games, batch_size, max_steps, step_timeout=step_timeout)
    return play_in_order(played, agent, episodes=episodes, into=into, on_episode=on_episode)


def play_in_order(
    rollout: Rollout,
    agent: str | Agent,
    *,
    episodes: int | None = None,
    into: TrajectoryBuffer | None = None,
    on_episode: Callable[[Trajectory], object] | None = None,
    on_failure: Callable[[OreoError], object] | None = None,
) -> list[Trajectory]:
    """The first episodes of a rollout by their index; arguments as for `oreo.rollout` and `play`."""
    if isinstance(agent, str):
        from oreo.agents import load_agent

        agent = load_agent(agent)
    done: dict[int, Trajectory] = {}
    seeds_before = set() if into is None else {seed for (seed,) in into.columns("seed")}
    indices = None if episodes is None else range(_whole(episodes))
    with closing(play(rollout, agent, indices, on_failure=lambda _, error: _pass_on(error, on_failure))) as playing:
        for index, trajectory in playing:
            done[index] = trajectory
            if into is not None:
                into.append(trajectory)
            if on_episode is not None:
                on_episode(trajectory)
    repeated = 0 if into is None else _count_repeated(into, list(done.values()), seeds_before)
    if into is not None and repeated:
        warnings.warn(
            f"{repeated} of these {len(done)} episodes were in {into.path} already (the same environment, agent and "
            "seed), and are in it twice now; another seed plays other ones",
            stacklevel=3,
        )
    return [done[index] for index in sorted(done)]


_IDENTITY = ("env_id", "env_kwargs", "agent", "checkpoint", "seed", "game")
"""Columns by which two stored episodes are the same one."""


def _count_repeated(buffer: TrajectoryBuffer, new: list[Trajectory], seeds_before: set[int | None]) -> int:
    """How many of the episodes that a buffer has got were in it before. Of most buffers the seeds say that none was."""
    suspects = [_identity(trajectory) for trajectory in new if trajectory.seed in seeds_before]
    if not suspects:
        return 0
    before = Counter(buffer.columns(*_IDENTITY))
    before.subtract(map(_identity, new))
    return sum(before[identity] > 0 for identity in suspects)


def _identity(trajectory: Trajectory) -> tuple[Any, ...]:
    kwargs = json.dumps(trajectory.env_kwargs, ensure_ascii=False)
    return (trajectory.env_id, kwargs, *(getattr(trajectory, name) for name in _IDENTITY[2:]))


def _pass_on(error: OreoError, on_failure: Callable[[OreoError], object] | None) -> None:
    if on_failure is None:
        raise error
    on_failure(error)


def _whole(episodes: int) -> int:
    if episodes < 0:
        raise UsageError(f"episodes is 0 or more, got {episodes}")
    return episodes


def play(
    rollout: Rollout,
    agent: Agent,
    indices: Iterable[int] | None = None,
    *,
    beginnings: Callable[[int], Beginning] | None = None,
    on_steps: Callable[[int], object] | None = None,
    on_failure: Callable[[int, OreoError], object] | None = None,
) -> Generator[tuple[int, Trajectory], None, None]:
    """The loop: (index, episode) for each, as they end.

    Args:
        indices: the episodes to play, asked for one by one as there is room; None: one for each game.
        beginnings: what an episode begins with, by its index; None: as the rollout's `branching` says.
        on_steps: called after each step of all episodes under way, with their number.
        on_failure: called with the index of an episode that its environment's error has ended, and that error; None:
            the error is raised.
    """
    from oreo.agents.decisions import check_agent

    check_agent(agent, type(agent).__name__)
    free, live = [_make(rollout)], list[Playing]()
    try:
        games = _games(rollout, free[0])
        begins = Branches(rollout, agent).beginning if beginnings is None else beginnings
        coming = iter(_one_for_each(games) if indices is None else indices)
        while True:
            # 1) Begin episodes while there is room.
            while len(live) < rollout.batch_size and (index := next(coming, None)) is not None:
                env = free.pop() if free else _make(rollout)
                live.append(Playing.of(rollout, index, env, games[index % len(games)] if games else ""))
                live[-1].branch_off(partial(begins, index))
                if not live[-1].over:
                    live[-1].reset()
            if not live:
                return
            # 2) One step of all.
            acting = [playing for playing in live if not playing.over]
            decisions = _decisions(agent, acting)
            for playing, decision in zip(acting, decisions, strict=True):
                playing.step(decision)
            if on_steps is not None:
                on_steps(len(acting))
            # 3) See off those that are over. An environment that broke is not used again.
            over, live = (
                [playing for playing in live if playing.over],
                [playing for playing in live if not playing.over],
            )
            failed = [(playing.index, playing.failure) for playing in over if playing.failure is not None]
            free += [playing.episode.env for playing in over if playing.failure is None]
            for playing in over:
                if playing.failure is not None:
                    _close(playing.episode.env, rollout)
            yield from ((playing.index, playing.trajectory(agent)) for playing in over if playing.failure is None)
            for index, failure in failed:
                if on_failure is None:
                    raise failure
                on_failure(index, failure)
    finally:
        for env in [*free, *(playing.episode.env for playing in live)]:
            _close(env, rollout)


def _decisions(agent: Agent, acting: Sequence[Playing]) -> list[Decision]:
    """What is done next in each episode: what it begins with, then what the agent says, which in a branch differs."""
    from oreo.agents.decisions import decide

    decisions = [playing.beginning.given(len(playing.episode.steps)) for playing in acting]
    asked = [place for place, decision in enumerate(decisions) if decision is None]
    for _ in range(TRIES):
        if not asked:
            break
        for place, decision in zip(asked, decide(agent, [acting[place].episode for place in asked]), strict=True):
            decisions[place] = decision
        asked = [place for place in asked if _repeats(acting[place], decisions[place])]
    return [decision for decision in decisions if decision is not None]


def _repeats(playing: Playing, decision: Decision | None) -> bool:
    return decision is not None and playing.beginning.repeats(len(playing.episode.steps), decision)


def _make(rollout: Rollout) -> gym.Env[str, str]:
    try:
        with exits_raised():
            return rollout.make()
    except OreoError:
        raise
    except (Exception, SystemExit) as error:
        raise describe_failure(error, "while it was made", rollout.env_id, None) from error


def _close(env: gym.Env[str, str], rollout: Rollout) -> None:
    """What goes wrong here costs no episode."""
    try:
        with exits_raised():
            env.close()
    except (Exception, SystemExit) as error:
        warnings.warn(str(describe_failure(error, "while it was closed", rollout.env_id, env)), stacklevel=2)


def _games(rollout: Rollout, env: gym.Env[str, str]) -> Sequence[str] | None:
    games = getattr(env.unwrapped, "games", None) if rollout.games is None else rollout.games
    return games or None


def _one_for_each(games: Sequence[str] | None) -> Iterable[int]:
    if games is None:
        raise UsageError("say how many episodes: this environment has no list of games")
    return range(len(games))
