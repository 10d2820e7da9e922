"""One episode that an agent and a person may both act in, and that can be set back to any of its steps.

An episode is set back by playing it again: the game is reset as it was and its actions are taken once more. Where the
world answers otherwise this time, that is said, and what it says now counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oreo.agents.agent import Agent, Decision, decision_of
from oreo.errors import EngineError, OreoError, UsageError
from oreo.eval.terminal.live.messages import Job
from oreo.eval.terminal.replay import outcome_of
from oreo.rollouts.playing import Playing
from oreo.rollouts.settings import Rollout
from oreo.rollouts.verify import is_cut, reset_options
from oreo.trajectory import Step, Trajectory

if TYPE_CHECKING:
    import gymnasium as gym

    from oreo.eval.terminal.live.turn_reading import TurnRead

AGENT, PERSON = "agent", "person"
_HELPED = " with a person"


@dataclass(frozen=True)
class _Actors:
    """Who an episode is stored as the one of."""

    name: str
    checkpoint: str
    tokenizer_digest: str

    def act(self, episodes: Any) -> list[Decision]:
        raise AssertionError("an episode that is over is not acted in")


class Session:
    """An environment, perhaps an agent, and the episode under way."""

    def __init__(self, job: Job, say: Callable[[str], None] = lambda text: None) -> None:
        """Make environment and agent.

        Args:
            job: what to play.
            say: told what is being loaded.

        Raises:
            OreoError: there is no such environment, agent or game, or they cannot be made.
        """
        from oreo.data.records import checked_record, from_record

        self.job = job
        self.stored: Trajectory | None = None if job.stored is None else from_record(checked_record(job.stored))
        self.agent: Agent | None = None
        self.worlds: list[Any] = []
        """The world at each position, None where it cannot be shown."""
        self.differs: int | None = None
        """The first step that was answered otherwise than before, when it was set back last."""
        self._playing: Playing | None = None
        self.again = 0
        """Steps that were taken again."""
        self._of_stored = 0
        """Steps that are those of the stored episode."""
        self._episode = job.episode
        say(f"making {job.env}")
        self._rollout, self._env, self._game = self._prepared()
        if job.agent is not None:
            from oreo.agents import load_agent
            from oreo.agents.settings import configure

            say(f"loading {job.agent}")
            self.agent = load_agent(job.agent, configure(None, job.config))

    def _prepared(self) -> tuple[Rollout, gym.Env[str, str], str]:
        """What is played, an environment of it, and the game's name."""
        from oreo.envs.text_env import step_limit

        job = self.job
        if self.stored is None:
            rollout = Rollout(job.env, job.env_kwargs, job.seed, max_steps=job.max_steps, step_timeout=job.step_timeout)
            return rollout, rollout.make(), self._planned(job.episode)
        kwargs = {name: value for name, value in self.stored.env_kwargs.items() if name != "max_steps"}
        stored_limit: Any = self.stored.env_kwargs.get("max_steps")
        limit = job.max_steps or stored_limit
        rollout = Rollout(job.env, kwargs | job.env_kwargs, max_steps=limit, step_timeout=job.step_timeout)
        env = rollout.make()
        most = step_limit(env)
        if most is not None and len(self.stored) > most:  # recorded by somebody with another limit
            env.close()
            rollout = replace(rollout, max_steps=len(self.stored))
            env = rollout.make()
        options = reset_options(env, self.stored.game)
        return rollout, env, self.stored.game if options else ""

    def _planned(self, episode: int) -> str:
        """The game of an episode, "" where the environment draws it from its seed."""
        from oreo.eval.evaluate import plan_games

        job = self.job
        chosen = None if job.game is None else [job.game]
        games = plan_games(
            job.env, episode + 1, games=chosen, seed=job.seed, max_steps=job.max_steps, env_kwargs=job.env_kwargs
        ).games
        return games[episode % len(games)] if games else ""

    # What can be asked for.

    def begin(self, steps: Sequence[Step] = (), episode: int | None = None) -> None:
        """Reset, and take these steps again.

        Args:
            steps: those of the episode so far, or of one that was stored.
            episode: which of the games that the seed draws; None: the one of before.

        Raises:
            OreoError: the environment failed, or cannot be played so far.
        """
        if self._playing is not None and self._playing.failure is not None:  # what broke is not used again
            self._env = self._rollout.make()
        if episode is not None and episode != self._episode:
            self._episode, self._game = episode, self._planned(episode)
        playing = self._reset()
        dialect = "" if self.stored is None else self.stored.dialect
        if dialect and playing.episode.info.get("dialect", dialect) != dialect:  # the games speak another one by now
            self._env.close()
            self._rollout = replace(self._rollout, env_kwargs={**self._rollout.env_kwargs, "dialect": dialect})
            self._env = self._rollout.make()
            playing = self._reset()
        self._playing, self.worlds, self.differs, self.again = playing, [], None, len(steps)
        self._of_stored = 0 if self.stored is None else _alike(self.stored.steps, steps)
        self._check()
        self.worlds.append(self._world())
        for number, step in enumerate(steps, 1):
            if self.playing.over:
                raise UsageError(f"the world is over after {number - 1} steps this time, and not after {len(steps)}")
            if not is_cut(step.observation, self.playing.episode.observation) and self.differs is None:
                self.differs = number
            self._take(self._decision_of(step))

    def agent_step(self) -> None:
        """Let the agent take a step.

        Raises:
            UsageError: there is no agent.
            OreoError: agent or environment failed.
        """
        from oreo.agents.decisions import decide

        if self.agent is None:
            raise UsageError("nobody is there to go on: name an agent (--agent)")
        self._refuse_end()
        (decision,) = decide(self.agent, [self.playing.episode])
        self._take(decision)

    def person_step(self, action: str) -> None:
        """Take a step that a person chose. Raises OreoError where the environment failed."""
        self._refuse_end()
        self._take(Decision(action, actor=PERSON))

    def read_turns(self) -> list[TurnRead]:
        """The turns so far, token by token. Raises as `oreo.eval.terminal.live.turn_reading.read_turns`."""
        from oreo.eval.terminal.live.turn_reading import read_turns

        if self.agent is None or self.job.agent is None:
            raise UsageError("name an agent whose models are to read the turns (--agent)")
        digest = self.stored.tokenizer if self.stored is not None else self._actors().tokenizer_digest
        episode = self.playing.episode
        return read_turns(self.agent, self.job.agent, episode.steps, episode.observation, digest)

    @property
    def playing(self) -> Playing:
        """The episode under way."""
        assert self._playing is not None, "begin() comes first"
        return self._playing

    def trajectory(self) -> Trajectory:
        """The episode as it is stored, once it is over. Where a person acted in it, each turn says whose it was."""
        steps = self.playing.episode.steps
        by_person = [step.actor == PERSON for step in steps]
        if any(by_person) and not all(by_person):
            steps[:] = [replace(step, actor=step.actor or AGENT) for step in steps]
        return self.playing.trajectory(self._actors())

    @property
    def name(self) -> str:
        """Who has acted; at first, who is going to."""
        acted = self._actors().name
        return acted or (PERSON if self.agent is None else self.agent.name)

    @property
    def outcome(self) -> str:
        """How it ended, empty while it goes on."""
        return outcome_of(self.trajectory()) if self.playing.over else ""

    def close(self) -> None:
        self._env.close()

    # How.

    def _reset(self) -> Playing:
        playing = Playing.of(self._rollout, self._episode, self._env, self._game)
        if self.stored is not None and self.stored.seed is not None:
            playing.seed = self.stored.seed
        playing.reset()
        return playing

    def _take(self, decision: Decision) -> None:
        self.playing.step(decision)
        self._check()
        self.worlds.append(self._world())

    def _check(self) -> None:
        if self.playing.failure is not None:
            raise self.playing.failure

    def _refuse_end(self) -> None:
        if self.playing.over:
            raise UsageError("the episode is over; go back a step to go on otherwise")

    def _world(self) -> Any:
        state = getattr(self._env.unwrapped, "state", None)
        if not callable(state):
            return None
        try:
            return state()
        except OreoError:  # an engine that cannot say
            return None
        except Exception as error:
            raise EngineError(f"{self.job.env}: state() failed: {type(error).__name__}: {error}") from error

    def _actors(self) -> _Actors:
        steps = self.playing.episode.steps
        old, new = steps[: self._of_stored], steps[self._of_stored :]
        agents = [
            who
            for who, part in ((self._stored_actors(), old), (_actors_of(self.agent), new))
            if who is not None and any(step.actor != PERSON for step in part)
        ]
        name = ", then ".join(dict.fromkeys(who.name.removesuffix(_HELPED) for who in agents))
        if any(step.actor == PERSON for step in steps):
            name = f"{name}{_HELPED}" if name else PERSON
        last = agents[-1] if agents else _Actors("", "", "")
        return replace(last, name=name)

    def _stored_actors(self) -> _Actors | None:
        if self.stored is None:
            return None
        return _Actors(self.stored.agent, self.stored.checkpoint, self.stored.tokenizer)

    def _decision_of(self, step: Step) -> Decision:
        digest = getattr(self.agent, "tokenizer_digest", None)
        of_another = self.stored is not None and digest is not None and digest != self.stored.tokenizer
        # An episode names one tokenizer.
        return decision_of(step, token_ids=None) if of_another else decision_of(step)


def _actors_of(agent: Agent | None) -> _Actors | None:
    if agent is None:
        return None
    return _Actors(agent.name, agent.checkpoint, str(getattr(agent, "tokenizer_digest", "")))


def _alike(stored: Sequence[Step], steps: Sequence[Step]) -> int:
    """How many of the first steps are the same actions."""
    pairs = zip(stored, steps, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0].text == pair[1].text, pairs))
