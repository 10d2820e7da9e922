"""The agent–environment loop, the only one: agents × environments → trajectories.

Many episodes advance side by side, so that a language model answers all of them in one pass; each has an environment
to itself, and environments are used again. Episode i is seeded by (seed, i) alone, so it does not matter how many
others share its batch (for language models: up to the rounding of their arithmetic).
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from oreo.errors import EngineError, OreoError, UsageError
from oreo.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from oreo.agents.agent import Agent, Decision, Episode
    from oreo.data.buffer import TrajectoryBuffer

_PACKAGES = (
    "oreo-agents",
    "alfworld",
    "textworld",
    "gymnasium",
    "math-verify",
    "reasoning-gym",
    "torch",
    "transformers",
)
"""Packages whose version may change what happens in an episode."""


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
        on_episode: called with each episode when it has ended.

    Returns:
        The episodes in the order of their index, which is not always the order in which they ended.

    Raises:
        EngineError: an environment broke; episodes that had ended are in `into`.
    """
    done: dict[int, Trajectory] = {}
    playing = play(
        env,
        agent=agent,
        episodes=episodes,
        seed=seed,
        batch_size=batch_size,
        max_steps=max_steps,
        env_kwargs=env_kwargs,
        games=games,
    )
    with closing(playing):
        for index, trajectory in playing:
            done[index] = trajectory
            if into is not None:
                into.append(trajectory)
            if on_episode is not None:
                on_episode(trajectory)
    return [done[index] for index in range(len(done))]


def play(
    env: str | Callable[..., gym.Env[str, str]],
    *,
    agent: str | Agent,
    episodes: int | None = None,
    indices: Iterable[int] | None = None,
    sample: int = 0,
    seed: int = 0,
    batch_size: int = 32,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    games: Sequence[str] | None = None,
) -> Generator[tuple[int, Trajectory], None, None]:
    """The loop of `rollout`, which see: (index, episode) for each, as they end.

    Args:
        indices: the episodes to play, instead of the first so many; asked for one by one as there is room.
        sample: 1, 2, …: the same games as 0, with other draws of the agent.
    """
    from oreo.agents import load_agent
    from oreo.agents.decisions import check_agent, decide

    if isinstance(agent, str):
        agent = load_agent(agent)
    check_agent(agent, type(agent).__name__)
    if batch_size < 1:
        raise UsageError(f"batch_size is at least 1, got {batch_size}")
    if seed < 0:
        raise UsageError(f"seed is 0 or more, got {seed}")
    maker = _Maker(env, dict(env_kwargs or {}), max_steps)
    free = [maker.make()]
    live: list[_Playing] = []
    try:
        games = _games(games, free[0])
        coming = iter(range(_count(episodes, games)) if indices is None else indices)
        while True:
            while len(live) < batch_size and (index := next(coming, None)) is not None:
                world = free.pop() if free else maker.make()
                live.append(
                    _start(world, maker.name, seed, index, sample, games[index % len(games)] if games else None)
                )
            if not live:
                return
            decisions = decide(agent, [each.episode for each in live])
            for each, decision in zip(live, decisions, strict=True):
                each.take(decision)
            over = [each for each in live if each.over]
            live = [each for each in live if not each.over]
            free += [each.episode.env for each in over]
            for each in over:
                yield each.index, each.trajectory(agent, maker)
    finally:
        for world in [*free, *(each.episode.env for each in live)]:
            world.close()


@dataclass
class _Maker:
    """Makes environments, and says afterwards which."""

    spec: str | Callable[..., gym.Env[str, str]]
    kwargs: dict[str, Any]
    max_steps: int | None

    def __post_init__(self) -> None:
        try:
            json.dumps(self.kwargs)
        except (TypeError, ValueError) as error:
            raise UsageError(f"env_kwargs are stored with each trajectory and have to be plain JSON: {error}") from None
        if self.max_steps is not None and self.max_steps < 1:
            raise UsageError(f"max_steps is at least 1, got {self.max_steps}")

    @property
    def name(self) -> str:
        if isinstance(self.spec, str):
            return self.spec
        return f"{self.spec.__module__}:{getattr(self.spec, '__qualname__', type(self.spec).__qualname__)}"

    @property
    def made_with(self) -> dict[str, Any]:
        return self.kwargs | ({} if self.max_steps is None else {"max_steps": self.max_steps})

    def make(self) -> gym.Env[str, str]:
        if isinstance(self.spec, str):
            from oreo.envs import make

            return make(self.spec, max_steps=self.max_steps, **self.kwargs)
        from oreo.envs.text_env import step_limit

        env = self.spec(**self.kwargs)
        steps = self.max_steps or (_own_limit(env) if step_limit(env) is None else None)
        return env if steps is None else gym.wrappers.TimeLimit(env, steps)


def _own_limit(env: gym.Env[str, str]) -> int | None:
    limit = getattr(env.unwrapped, "max_steps", None)
    return limit if isinstance(limit, int) else None


def _games(games: Sequence[str] | None, env: gym.Env[str, str]) -> Sequence[str] | None:
    if games is None:
        games = getattr(env.unwrapped, "games", None)
    elif not games:
        raise UsageError("the list of games is empty")
    return games or None


def _count(episodes: int | None, games: Sequence[str] | None) -> int:
    if episodes is None:
        if games is None:
            raise UsageError("say how many episodes: this environment has no list of games")
        return len(games)
    if episodes < 0:
        raise UsageError(f"episodes is 0 or more, got {episodes}")
    return episodes


def seeds(seed: int, index: int, sample: int = 0) -> tuple[int, np.random.Generator]:
    """What episode `index` is seeded with: a number for its environment, a generator for its agent.

    Args:
        sample: which of several episodes of the same game; they differ in the agent's draws.
    """
    for_env, for_agent = np.random.SeedSequence([seed, index]).spawn(2)
    if sample:
        for_agent = np.random.SeedSequence([seed, index, sample])
    return int(for_env.generate_state(1)[0]), np.random.default_rng(for_agent)


@dataclass
class _Playing:
    """An episode under way and what becomes of it."""

    index: int
    seed: int
    env_name: str
    episode: Episode
    game: str
    terminated: bool = False
    truncated: bool = False
    returned: float = field(default=0.0)

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated

    def take(self, decision: Decision) -> None:
        """One step."""
        episode = self.episode
        from oreo.envs.text_env import continues_message

        before, commands = episode.observation, episode.info.get("admissible_commands")
        said = decision.action if decision.turn is None else decision.turn
        on = continues_message(said, episode.info.get("stop", ()))
        with _Naming(self):
            observation, reward, terminated, truncated, info = episode.env.step(decision.action)
            _check_text(observation, self.env_name)
        episode.steps.append(
            Step(
                observation=before,
                action=decision.action,
                reward=float(reward),
                turn=decision.turn,
                action_valid=None if info.get("action_valid") is None else bool(info["action_valid"]),
                admissible_commands=None if commands is None else tuple(commands),
                log_prob=decision.log_prob,
                value=decision.value,
                candidates=decision.candidates,
                imitate=decision.imitate,
                context_start=decision.context_start,
                cut=decision.cut,
                continues_message=on,
            )
        )
        episode.observation, episode.info = observation, info
        self.terminated, self.truncated = bool(terminated), bool(truncated)
        self.returned += float(reward)

    def trajectory(self, agent: Agent, maker: _Maker) -> Trajectory:
        info = self.episode.info
        return Trajectory(
            env_id=maker.name,
            env_kwargs=maker.made_with,
            steps=tuple(self.episode.steps),
            final_observation=self.episode.observation,
            terminated=self.terminated,
            truncated=self.truncated,
            won=bool(info["won"]) if "won" in info else self.terminated and self.returned > 0,
            task=str(info.get("task", "")),
            task_type=str(info.get("task_type", "")),
            game=self.game,
            dialect=str(info.get("dialect", "")),
            grade=str(info.get("grade") or ""),
            seed=self.seed,
            agent=agent.name,
            checkpoint=agent.checkpoint,
            versions=dict(_versions()),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )


_keys = iter(range(sys.maxsize))


def _start(env: gym.Env[str, str], env_name: str, seed: int, index: int, sample: int, game: str | None) -> _Playing:
    from oreo.agents.agent import Episode

    env_seed, rng = seeds(seed, index, sample)
    episode = Episode(key=next(_keys), rng=rng, env=env, observation="", info={})
    playing = _Playing(index, env_seed, env_name, episode, game or "")
    with _Naming(playing):
        episode.observation, episode.info = env.reset(seed=env_seed, options={"game": game} if game else None)
        _check_text(episode.observation, env_name)
    playing.game = str(episode.info.get("game", playing.game))
    return playing


def _check_text(observation: Any, env_name: str) -> None:
    if not isinstance(observation, str):
        raise UsageError(f"an observation is a str, {env_name} gave a {type(observation).__name__}")


class _Naming:
    """Errors that come out of an environment say which episode they ended."""

    def __init__(self, playing: _Playing) -> None:
        self.playing = playing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception):
            return
        playing = self.playing
        game = f" ({playing.game})" if playing.game else ""
        where = f"episode {playing.index}{game}, step {len(playing.episode.steps)}"
        if isinstance(error, OreoError):
            raise type(error)(f"{where}: {error}") from error
        text = (str(error) or "no message").splitlines()[0]
        raise EngineError(f"{playing.env_name} failed in {where}: {type(error).__name__}: {text}") from error


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    from oreo import __version__

    found = {"oreo-agents": __version__}
    for package in _PACKAGES[1:]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found.items())
