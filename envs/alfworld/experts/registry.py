"""Who answers `expert_action` of an ALFWorld environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.game import Game

if TYPE_CHECKING:
    from oreo.envs.alfworld.experts.explorer import Explorer

EXPERTS = ("explorer", "handcoded", "planner")


class Expert(Protocol):
    """What answers `expert_action`; it is shown every step, whoever chose the command."""

    @property
    def action(self) -> str: ...

    def observe(self, command: str, feedback: str, admissible: list[str], engine: Engine) -> None: ...

    def copy(self) -> Expert: ...


class _LazyExplorer:
    """The explorer is made, and reads what happened, only when it is asked: other agents need not pay for it."""

    def __init__(self, game: Game, observation: str, history: Sequence[tuple[str, str]] = ()) -> None:
        self._game = game
        self._observation = observation
        self._history = list(history)
        self._read = 0
        self._explorer: Explorer | None = None

    @property
    def action(self) -> str:
        if self._explorer is None:
            from oreo.envs.alfworld.experts.explorer import Explorer

            game = self._game
            self._explorer = Explorer(self._observation, game.task_type, game.params, game.dialect)
        for command, feedback in self._history[self._read :]:
            self._explorer.observe(command, feedback)
        self._read = len(self._history)
        return self._explorer.act()

    def observe(self, command: str, feedback: str, admissible: list[str], engine: Engine) -> None:
        self._history.append((command, feedback))

    def copy(self) -> _LazyExplorer:
        return _LazyExplorer(self._game, self._observation, self._history)


def new_expert(kind: str, game: Game, engine: Engine, observation: str, *, seed: int) -> Expert:
    """An expert for one episode.

    Args:
        kind: one of EXPERTS.
        engine: what plays the game.
        observation: the first of the episode.
        seed: of the expert's own choices.
    Raises:
        UsageError: an expert that needs another engine.
    """
    if kind == "planner":
        from oreo.envs.alfworld.experts.planner import Planner

        return Planner(engine)
    if kind == "handcoded":
        from oreo.envs.alfworld.experts.handcoded import HandCodedExpert

        return HandCodedExpert(game, observation, seed=seed)
    return _LazyExplorer(game, observation)
