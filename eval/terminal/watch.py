"""See an agent play, live. It is the ordinary rollout of one episode, with an agent that shows what it is shown.

oreo watch --agent tiny --split generated_unseen
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rich.console

from oreo.console import Console
from oreo.envs.text_env import step_limit
from oreo.eval.evaluate import plan_games
from oreo.eval.terminal.player import Player
from oreo.eval.terminal.replay import view_at
from oreo.eval.terminal.screen import View
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.agents.agent import Agent, Decision, Episode

_HINT = "n step  space pause  q quit"


class Quit(BaseException):
    """The watcher pressed q. It is no `Exception`, as an interrupt is none: no agent has failed."""


class Watched:
    """An agent in front of an audience, which acts exactly as the one inside."""

    def __init__(self, agent: Agent, env: str, player: Player) -> None:
        self.agent = agent
        self.name = agent.name
        self.checkpoint = agent.checkpoint
        self._env = env
        self._player = player

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        self._player.show(self._view(episodes[0]))
        decisions = self.agent.act(episodes)
        if self._player.wait() == "quit":
            raise Quit
        return decisions

    def _view(self, episode: Episode) -> View:
        return View(
            env_id=self._env,
            agent=self.name,
            observation=episode.observation,
            task=str(episode.info.get("task", "")),
            task_type=str(episode.info.get("task_type", "")),
            game=str(episode.info.get("game", "")),
            steps=tuple(episode.steps),
            length=step_limit(episode.env),
            hint=_HINT,
        )


def watch(
    env: str,
    agent: Agent,
    *,
    game: str | None = None,
    seed: int = 0,
    delay: float = 0.5,
    paused: bool = False,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    console: rich.console.Console | None = None,
) -> Trajectory | None:
    """Let `agent` play one episode and show it.

    Args:
        env: as for `oreo.make`.
        agent: who plays.
        game: which game, where the environment has names for them; None: drawn from `seed`.
        seed: of the game and the episode; the same seed is the first episode of `oreo.eval.evaluate`, one episode long.
        delay: seconds between two steps.
        paused: wait for a key at every step.
        console: where; None: standard output.
    Returns:
        The episode, or None if the watcher left before its end.
    """
    from oreo.rollouts.loop import rollout

    chosen = None if game is None else [game]
    plan = plan_games(env, 1, games=chosen, seed=seed, max_steps=max_steps, env_kwargs=env_kwargs)
    with Player(console or Console(), delay=delay, paused=paused) as player:
        try:
            played = rollout(
                env,
                agent=Watched(agent, env, player),
                episodes=1,
                games=plan.games,
                seed=seed,
                batch_size=1,
                max_steps=max_steps,
                env_kwargs=env_kwargs,
            )
        except Quit:
            return None
        player.show(replace(view_at(played[0], len(played[0])), hint=""))
    return played[0]
