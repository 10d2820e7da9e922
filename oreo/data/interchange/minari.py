"""Minari datasets of texts, a folder with `data` in it, read and written by the library (the extra `minari`).

Observations are one longer than actions: the last is the one after the last action. What an episode has besides stands
in its metadata: `oreo`, a JSON text. Turns, log-probabilities and commands have no place.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oreo.data.interchange.sources import Row
from oreo.data.interchange.spec import (
    Episode,
    Format,
    Misfit,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    number,
    plain,
)
from oreo.errors import DataError, MissingExtra
from oreo.trajectory import Step, Trajectory

_OWN = ("env_id", "game", "task", "task_type", "dialect", "grade", "agent", "checkpoint", "created")
_LONGEST = 1 << 20
"""Characters of a text, as the spaces of a dataset say."""
_MOST_METADATA = 60_000
"""Bytes; HDF5 takes 64 KiB."""


def _folder(path: Path) -> Path | None:
    """The folder of the data of a dataset."""
    return next((place for place in (path, path / "data") if (place / "metadata.json").is_file()), None)


def _library() -> Any:
    try:
        import minari.dataset.minari_storage
        from minari.data_collector import EpisodeBuffer
    except ImportError as error:
        raise MissingExtra("datasets of Minari need its library: pip install 'oreo-agents[minari]'") from error
    return minari.dataset.minari_storage.MinariStorage, EpisodeBuffer


def _rows(path: Path) -> Iterator[Row]:
    import gymnasium as gym

    storage_class, _ = _library()
    folder = _folder(path)
    if folder is None:
        raise DataError(f"{path} is no dataset of Minari: there is no metadata.json in it")
    done = 0
    try:
        storage = storage_class.read(folder)
        for name in ("observation_space", "action_space"):
            if not isinstance(getattr(storage, name), gym.spaces.Text):
                raise DataError(f"{path}: its {name} is {getattr(storage, name)}, and only texts are read")
        for done in range(storage.total_episodes):
            (episode,) = storage.get_episodes([done])
            (metadata,) = storage.get_episode_metadata([done])
            yield Row(done + 1, {**_listed(episode), "metadata": _listed(metadata)})
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AssertionError, UnicodeError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        yield Row(done + 1, fault=f"the dataset cannot be read any further ({line:.200})")
        return
    if not storage.total_episodes:
        raise DataError(f"{path} has no episode")


def _listed(value: Any) -> Any:
    """Arrays as lists."""
    if isinstance(value, dict):
        return {str(key): _listed(item) for key, item in value.items()}
    return plain(value.tolist()) if hasattr(value, "tolist") else plain(value)


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    seen, actions = _texts(row, "observations"), _texts(row, "actions")
    rewards = [number(reward, f"rewards[{at}]") for at, reward in enumerate(field(row, "rewards", list))]
    if not actions:
        return [SetAside("it has no action")]
    if len(seen) != len(actions) + 1 or len(rewards) != len(actions):
        raise Misfit(f"there are {len(seen)} observations, {len(actions)} actions and {len(rewards)} rewards")
    metadata = checked(row.get("metadata") or {}, "metadata", dict)
    told = _told(metadata.get("oreo"))
    terminated = any(field(row, "terminations", list))
    truncated = any(field(row, "truncations", list)) or not terminated
    won = told.get("won")
    seed = metadata.get("seed")
    steps = []
    for observation, text, reward in zip(seen, actions, rewards, strict=False):
        action, turn = reading.action_and_turn(text)
        steps.append(Step(observation, action, reward, turn=turn))
    values = {name: told[name] for name in _OWN if isinstance(told.get(name), str)}
    trajectory = Trajectory(
        **{"env_id": "", **values, **({"env_id": reading.env} if reading.env else {})},
        steps=tuple(steps),
        final_observation=seen[-1],
        terminated=terminated,
        truncated=truncated,
        won=won if isinstance(won, bool) else terminated and sum(rewards) > 0,
        seed=checked(seed, "metadata.seed", (int, type(None))),
        extra=besides({"infos": row.get("infos") or None})
        | besides(metadata, "oreo", "seed", "id", "total_steps", "options"),
    )
    return [Episode(trajectory)]


def _texts(row: Any, name: str) -> list[str]:
    return [str(checked(text, f"{name}[{at}]", str)) for at, text in enumerate(field(row, name, list))]


def _told(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _save(trajectories: Iterable[Trajectory], path: Path) -> None:
    import gymnasium as gym

    storage_class, episode_buffer = _library()
    text = gym.spaces.Text(_LONGEST, min_length=0, charset=string.printable)
    (path / "data").mkdir(parents=True)
    storage = storage_class.new(path / "data", observation_space=text, action_space=text, data_format="hdf5")
    storage.update_metadata({"dataset_id": "oreo/episodes-v0", "minari_version": _version()})
    told: list[dict[str, Any]] = []

    def episodes() -> Iterator[Any]:
        for at, trajectory in enumerate(trajectories):
            told.append(_metadata(trajectory, at))
            yield _buffer(episode_buffer, trajectory, at)

    storage.update_episodes(episodes())
    storage.update_episode_metadata(told)


def _buffer(episode_buffer: Any, trajectory: Trajectory, at: int) -> Any:
    steps = trajectory.steps
    if not steps:
        raise DataError(f"episode {at} has no step, and Minari holds none without")
    texts = [*(step.observation for step in steps), trajectory.final_observation, *(step.action for step in steps)]
    if any("\0" in text for text in texts):
        raise DataError(f"episode {at} has a NUL character in a text, which HDF5 cannot hold")
    last = [False] * (len(steps) - 1)
    return episode_buffer(
        id=at,
        seed=trajectory.seed,
        observations=texts[: len(steps) + 1],
        actions=texts[len(steps) + 1 :],
        rewards=[step.reward for step in steps],
        terminations=[*last, trajectory.terminated],
        truncations=[*last, trajectory.truncated],
    )


def _metadata(trajectory: Trajectory, at: int) -> dict[str, str]:
    told = json.dumps({"won": trajectory.won} | {name: getattr(trajectory, name) for name in _OWN})
    if len(told) > _MOST_METADATA:
        raise DataError(f"episode {at}: what it has besides its steps is too long for Minari's metadata")
    return {"oreo": told}


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("minari")


FORMAT = Format(
    name="minari",
    about="datasets of Minari with texts: observations, actions, rewards (needs oreo-agents[minari])",
    fits=lambda row: False,
    read=_read,
    rows=_rows,
    opens=lambda path: path.is_dir() and _folder(path) is not None,
    save=_save,
    holds=(
        *("steps.observation", "steps.action", "steps.reward", "final_observation", "terminated", "truncated", "won"),
        *("seed", *_OWN),
    ),
)
