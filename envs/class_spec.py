"""A gymnasium spec whose step limit is the environment class's own, so that it is said in one place."""

from __future__ import annotations

from gymnasium.envs.registration import EnvSpec

from oreo.plugins import load_object


class ClassSpec(EnvSpec):
    """Reads `max_episode_steps` from the class when it is asked for: the classes are not loaded with gymnasium."""

    @property
    def max_episode_steps(self) -> int | None:
        assert isinstance(self.entry_point, str)
        limit: int | None = load_object(self.entry_point).max_steps
        return limit

    @max_episode_steps.setter
    def max_episode_steps(self, value: int | None) -> None:
        assert value is None, "the class says it"  # EnvSpec's __init__ sets every field
