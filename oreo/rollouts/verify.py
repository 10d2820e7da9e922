"""Stored episodes, played again: does the environment answer to the stored actions as it is stored?

    with Verifier() as verifier:
        verdict, played = verifier.verify(episode)

The same game is set up, the same actions are taken, and what is said, paid and offered is compared word for word, from
the first observation to the ending. In mathematics the solution so is graded again. After the first difference the
actions are taken all the same, to see how the episode ends.

An environment is made by the id that is stored only where that is one of this package's or of an installed one:
`file.py:Class` would run what some data names. It has to be named by whoever asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from oreo.errors import OreoError, UsageError
from oreo.rollouts.failures import check_reset, check_step, describe_failure
from oreo.trajectory import Step, Trajectory

if TYPE_CHECKING:
    import gymnasium as gym

KINDS = ("observation", "admissible_commands", "action_valid", "reward", "ending", "won", "grade")
"""What may differ, in the order in which it is looked at after a step."""
_ENVIRONMENTS = 8
"""Made at a time: episodes of one buffer differ in few arguments."""
_MOST_CHARACTERS = 400
"""Of a text in a verdict."""


@dataclass(frozen=True)
class Difference:
    """The first one of an episode."""

    step: int
    """The step that it stands in, from 0: an observation is that before its action. The last observation and the
    ending count as of one more."""
    what: str
    """One of `KINDS`."""
    stored: Any
    played: Any


@dataclass(frozen=True)
class Verdict:
    """What came of an episode's actions."""

    claimed: bool
    """Whether it is stored as won."""
    won: bool | None
    """Whether it was; None: it could not be played."""
    difference: Difference | None = None
    beyond_cut_texts: Difference | None = None
    """The first one that is more than an observation of which a part is stored: recordings leave out greetings, say."""
    error: str = ""
    """Why it could not be played."""

    @property
    def reproduces(self) -> bool:
        """All is as stored."""
        return self.difference is None and not self.error

    @property
    def outcome_holds(self) -> bool:
        """It ends as it says it did."""
        return self.won is self.claimed

    def to_json(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "reproduces": self.reproduces,
            "outcome_holds": self.outcome_holds,
            "claimed": self.claimed,
            "won": self.won,
            "difference": _shown(self.difference),
            "beyond_cut_texts": _shown(self.beyond_cut_texts),
            "error": self.error,
        }


class Verifier:
    """Plays episodes again, in environments that it keeps."""

    def __init__(self, env: str | None = None, env_kwargs: Mapping[str, Any] | None = None) -> None:
        """Args:
        env: where to play, whatever is stored; anything `oreo.envs.make` takes.
        env_kwargs: to make it with, over those that are stored.
        """
        self.env, self.env_kwargs = env, dict(env_kwargs or {})
        self._made: dict[str, gym.Env[str, str]] = {}

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for env in self._made.values():
            with suppress(Exception):  # what goes wrong here costs no verdict
                env.close()
        self._made.clear()

    def verify(self, episode: Trajectory) -> tuple[Verdict, Trajectory | None]:
        """What comes of an episode's actions, and the episode as it was played; None: it could not be.

        Raises:
            UsageError: its environment has to be named.
        """
        spec = trusted_environment(episode, self.env)
        try:
            env = self._environment(spec, episode)
            observation, info = check_reset(env.reset(seed=_seed(episode), options=reset_options(env, episode.game)))
            played = _play(env, episode, observation, info)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # of an environment's author; it costs this episode and no other
            self._forget(spec, episode)  # what broke is not used again
            described = error if isinstance(error, OreoError) else describe_failure(error, "played again", spec, None)
            return Verdict(episode.won, None, error=str(described)), None
        first, beyond = None, None
        for difference in _differences(episode, played):
            first = first or difference
            if difference.what != "observation" or not is_cut(difference.stored, difference.played):
                beyond = difference
                break
        return Verdict(episode.won, played.won, first, beyond), played

    def verify_each(self, episodes: Iterable[Trajectory]) -> Iterator[tuple[Verdict, Trajectory | None]]:
        """`verify` of each, in order; oreo.rollouts.verify_workers has the same in several processes."""
        return map(self.verify, episodes)

    def _environment(self, spec: str, episode: Trajectory) -> gym.Env[str, str]:
        from oreo.envs import make
        from oreo.envs.text_env import step_limit

        kwargs = {**episode.env_kwargs, **self.env_kwargs}
        limit: Any = kwargs.pop("max_steps", None)
        key = self._key(spec, episode)
        if key not in self._made:
            if len(self._made) >= _ENVIRONMENTS:
                self._close(next(iter(self._made)))
            env = make(spec, max_steps=limit, **kwargs)
            if episode.dialect and getattr(env.unwrapped, "dialect", episode.dialect) is None:
                env.close()
                env = make(spec, max_steps=limit, **kwargs, dialect=episode.dialect)
            self._made[key] = env
        env = self._made[key]
        most = step_limit(env)
        if most is not None and len(episode) > most:  # recorded by somebody with another limit
            self._close(key)
            own = getattr(env.unwrapped, "dialect", None)
            dialect = {"dialect": own} if own else {}
            self._made[key] = env = make(spec, max_steps=len(episode), **{**kwargs, **dialect})
        return env

    def _key(self, spec: str, episode: Trajectory) -> str:
        return json.dumps([spec, {**episode.env_kwargs, **self.env_kwargs}, episode.dialect], sort_keys=True)

    def _forget(self, spec: str, episode: Trajectory) -> None:
        self._close(self._key(spec, episode))

    def _close(self, key: str) -> None:
        if (env := self._made.pop(key, None)) is not None:
            with suppress(Exception):
                env.close()


def _seed(episode: Trajectory) -> int | None:
    return episode.seed if episode.seed is not None and episode.seed >= 0 else None


def trusted_environment(episode: Trajectory, named: str | None = None) -> str:
    """The environment to play an episode again in: the one that is named, else its own.

    Raises:
        UsageError: its own is none of this package's or an installed one's, and none is named.
    """
    if named is not None:
        return named
    from oreo.envs.registry import SHORT_NAMES, names

    if SHORT_NAMES.get(episode.env_id, episode.env_id) not in names():
        raise UsageError(
            f"episodes of {episode.env_id!r} are played again in the environment that you name: say --env "
            f"{episode.env_id} if you trust it (it is run)"
        )
    return episode.env_id


def reset_options(env: gym.Env[str, str], game: str) -> dict[str, Any] | None:
    """The game by its name, where the environment takes one."""
    import inspect

    start = getattr(env.unwrapped, "start", None)
    takes_game = callable(start) and "game" in inspect.signature(start).parameters
    return {"game": game} if game and takes_game else None


def _play(env: gym.Env[str, str], episode: Trajectory, observation: str, info: dict[str, Any]) -> Trajectory:
    """The episode as the environment has it: cut off where it ends, or where the stored actions do."""
    steps: list[Step] = []
    terminated = truncated = False
    for step in episode.steps:
        commands = info.get("admissible_commands")
        seen = observation
        observation, reward, terminated, truncated, info = check_step(env.step(step.action))
        steps.append(
            replace(
                step,
                observation=seen,
                reward=reward,
                action_valid=info.get("action_valid"),
                admissible_commands=None if commands is None else tuple(commands),
            )
        )
        if terminated or truncated:
            break
    returned = sum(step.reward for step in steps)
    told = info.get("won")
    won = bool(terminated and returned > 0 if told is None else told)
    # A grade that the environment does not give is the recording's own, such as "out of steps".
    grade = str(info["grade"] or "") if "grade" in info else episode.grade if won is episode.won else ""
    return replace(
        episode,
        steps=tuple(steps),
        final_observation=observation,
        terminated=terminated,
        truncated=truncated or not terminated,
        won=won,
        task=str(info.get("task", episode.task)),
        task_type=str(info.get("task_type", episode.task_type)),
        game=str(info.get("game", episode.game)),
        dialect=str(info.get("dialect", episode.dialect)),
        grade=grade,
    )


def _shown(difference: Difference | None) -> dict[str, Any] | None:
    """In JSON types, long texts cut."""
    if difference is None:
        return None
    return {
        name: value[:_MOST_CHARACTERS] if isinstance(value, str) else value for name, value in vars(difference).items()
    }


def is_cut(stored: str, played: str) -> bool:
    """Whether a recording holds a text or a part of it.

    Recordings leave out greetings, join lines or drop the blank ones between them: white space tells nothing apart.
    """
    return " ".join(stored.split()) in " ".join(played.split())


def _differences(stored: Trajectory, played: Trajectory) -> Iterator[Difference]:
    """All there are, in order, as far as both go."""
    for number, (before, now) in enumerate(zip(stored.steps, played.steps, strict=False)):
        for what in ("observation", "admissible_commands", "action_valid", "reward"):
            one, other = getattr(before, what), getattr(now, what)
            recorded = what in ("observation", "reward") or one is not None
            if recorded and one != other:
                yield Difference(number, what, _plain(one), _plain(other))
    last = len(played)
    if len(played) < len(stored):
        yield Difference(last, "ending", f"{len(stored)} steps", f"{len(played)} steps")
        return
    ends: dict[str, tuple[Any, Any]] = {
        "observation": (stored.final_observation, played.final_observation),
        "ending": (_ending(stored), _ending(played)),
        "won": (stored.won, played.won),
        "grade": (stored.grade or played.grade, played.grade),
    }
    for what, (one, other) in ends.items():
        if one != other:
            yield Difference(last, what, one, other)


def _ending(episode: Trajectory) -> str:
    return "in the world" if episode.terminated else "cut off"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
