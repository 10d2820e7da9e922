"""How often an agent succeeds, overall and by task type, with what a reader needs to do the same again.

    evaluation = oreo.evaluate("oreo/ALFWorld-v0", "tiny", episodes=200, env_kwargs={"split": "generated_unseen"})
    print(evaluation)  # the table that `oreo eval` prints; evaluation.overall.success, .low and .high are its figures

`evaluate` plays, `summarise` counts (also over stored trajectories), `render` draws. Nothing is rounded before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oreo.errors import EngineError, OreoError, UsageError
from oreo.eval.statistics import percent, wilson_interval
from oreo.field_docs import document_fields
from oreo.text import one_line
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oreo.agents.agent import Agent
    from oreo.data.buffer import TrajectoryBuffer

DEFAULT_EPISODES = 200
"""Where an environment has no list of games. The interval is then at most 7 points to either side."""
_TABLE_WIDTH = 160
"""Cells: no table is that wide, and the line about the protocol seldom."""


@document_fields
@dataclass(frozen=True)
class SuccessRate:
    """How often episodes were won, in how many steps and with what return."""

    success: float
    """Share of them that were won, 0 to 1."""
    low: float
    """Lower end of its 95 % Wilson interval."""
    high: float
    """Upper end."""
    episodes: int
    won: int
    mean_steps: float
    mean_return: float
    """Undiscounted."""


@document_fields
@dataclass(frozen=True)
class Evaluation:
    """The success of one agent under one protocol."""

    agent: str
    """Name and settings."""
    checkpoint: str
    """Digest of its weights, empty without any."""
    protocol: dict[str, Any]
    """Environment and its arguments, games, step limit, dialect, seed: what has to be equal for a fair comparison."""
    overall: SuccessRate
    by_task_type: dict[str, SuccessRate]
    """Sorted by name; empty where the environment names no task types."""
    grades: dict[str, int] = field(default_factory=dict)
    """How many episodes have each grade, sorted; empty where the environment gives none."""
    errors: int = 0
    """Episodes that an error of their environment ended: neither won nor lost, and in none of the figures above."""
    trajectories: tuple[Trajectory, ...] = field(default=(), repr=False, compare=False)
    """The episodes themselves, in order."""

    def __str__(self) -> str:
        """The table of `render`, as text."""
        from oreo.console import Console

        console = Console(width=_TABLE_WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
        with console.capture() as capture:
            console.print(self)
        return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))

    def __rich__(self) -> RenderableType:
        return render(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the episodes, in JSON types. `overall` stands at the top level: success, low, high, …"""
        return {
            "agent": self.agent,
            "checkpoint": self.checkpoint,
            **asdict(self.overall),
            "by_task_type": {name: asdict(rate) for name, rate in self.by_task_type.items()},
            "grades": self.grades,
            "errors": self.errors,
            "protocol": self.protocol,
        }


def evaluate(
    env: str,
    agent: str | Agent,
    *,
    episodes: int | None = None,
    games: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    max_steps: int | None = None,
    step_timeout: float | None = None,
    env_kwargs: dict[str, Any] | None = None,
    into: TrajectoryBuffer | None = None,
    on_episode: Callable[[Trajectory], None] | None = None,
    on_failure: Callable[[OreoError], object] | None = None,
) -> Evaluation:
    """Let `agent` play and count what it wins.

    Args:
        env: as for `oreo.make`.
        agent: an agent, or what `oreo.agents.load_agent` takes; a language model named so plays greedily.
        episodes: how many; None: every game once where the environment lists its games, else 200.
        games: play just these; None: `plan_games` decides.
        seed: of the draw of games and of all randomness in the episodes.
        batch_size: episodes under way at the same time; changes the speed, not the result.
        max_steps: as for `oreo.make`.
        step_timeout: seconds that the environment may take for a step or a reset; None: any.
        env_kwargs: arguments of the environment.
        into: keep the episodes here too.
        on_episode: called with each episode as it ends.
        on_failure: called with the error by which an environment has ended an episode; it is counted among `errors`,
            and no success rate has it. None: the error is raised.
    Raises:
        OreoError: whatever the environment, the agent or the buffer finds wrong.
    """
    from oreo.rollouts.loop import play_in_order
    from oreo.rollouts.settings import Rollout

    acting = _load(agent) if isinstance(agent, str) else agent
    plan = plan_games(env, episodes, games=games, seed=seed, max_steps=max_steps, env_kwargs=env_kwargs)
    played = play_in_order(
        Rollout(env, env_kwargs or {}, seed, plan.games, batch_size, max_steps, step_timeout=step_timeout),
        acting,
        episodes=plan.episodes,
        into=into,
        on_episode=on_episode,
        on_failure=on_failure,
    )
    if not played:
        raise EngineError(f"none of {plan.episodes} episodes ended without an error of the environment")
    settings = {"max_steps": plan.max_steps, "seed": seed}
    return replace(summarise(played, settings), errors=plan.episodes - len(played))


def _load(name: str) -> Agent:
    from oreo.agents.loading import acting, load_agent
    from oreo.agents.settings import AgentConfig

    return load_agent(name, acting(name, AgentConfig()))


@document_fields
@dataclass(frozen=True)
class GamePlan:
    """What an evaluation is going to play."""

    games: list[str] | None
    """Names in playing order, None where the environment draws them from the seed."""
    episodes: int
    max_steps: int | None
    """Steps an episode may take, None where nothing limits them."""


def plan_games(
    env: str,
    episodes: int | None,
    *,
    games: Sequence[str] | None = None,
    seed: int = 0,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
) -> GamePlan:
    """Decide which games an evaluation plays. Arguments as in `evaluate`.

    An environment may list its games (`games`, names for `reset(options={"game": …})`). Then all are played once, or
    the first `episodes` of an order that `seed` draws: in sorted order the first would be all of one task type. More
    episodes than games go round again. Without such a list the environment draws each game from the episode's seed.
    """
    import numpy as np

    from oreo.envs import make
    from oreo.envs.text_env import step_limit

    if episodes is not None and episodes < 1:
        raise UsageError(f"episodes={episodes}: expected 1 or more")
    opened = make(env, max_steps=max_steps, **(env_kwargs or {}))
    listed = getattr(opened.unwrapped, "games", None) if games is None else list(games)
    limit = step_limit(opened)
    opened.close()
    if listed is None:
        return GamePlan(None, DEFAULT_EPISODES if episodes is None else episodes, limit)
    if games is not None or episodes is None or episodes == len(listed):
        return GamePlan(listed, episodes or len(listed), limit)
    order = np.random.default_rng(seed).permutation(len(listed))
    return GamePlan([listed[order[i % len(listed)]] for i in range(episodes)], episodes, limit)


def summarise(trajectories: Sequence[Trajectory], settings: dict[str, Any] | None = None) -> Evaluation:
    """Count what was won. `settings` adds to the protocol what trajectories do not know."""
    if not trajectories:
        raise UsageError("nothing to evaluate: no episodes")
    kinds = sorted({trajectory.task_type for trajectory in trajectories} - {""})
    by_task_type = {kind: _success_rate([t for t in trajectories if t.task_type == kind]) for kind in kinds}
    first = trajectories[0]
    return Evaluation(
        agent=first.agent,
        checkpoint=first.checkpoint,
        protocol={
            "env": first.env_id,
            "env_kwargs": {key: value for key, value in first.env_kwargs.items() if key != "max_steps"},
            "dialect": "/".join(sorted({trajectory.dialect for trajectory in trajectories} - {""})),
            "games": len({trajectory.game for trajectory in trajectories} - {""}),
            **(settings or {}),
            "versions": first.versions,
        },
        overall=_success_rate(trajectories),
        by_task_type=by_task_type,
        grades=dict(sorted(Counter(trajectory.grade for trajectory in trajectories if trajectory.grade).items())),
        trajectories=tuple(trajectories),
    )


def _success_rate(trajectories: Sequence[Trajectory]) -> SuccessRate:
    n = len(trajectories)
    won = sum(trajectory.won for trajectory in trajectories)
    low, high = wilson_interval(won, n)
    steps = sum(len(trajectory) for trajectory in trajectories) / n
    returns = sum(trajectory.episode_return for trajectory in trajectories) / n
    return SuccessRate(won / n, low, high, n, won, steps, returns)


def render(evaluation: Evaluation) -> RenderableType:
    """Draw what `oreo eval` prints: agent and protocol, then a row per task type and one for all."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    # As narrow as can be: the longest of ALFWorld's task types has to fit into 80 columns.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("task type")
    for column in ("won", "success", "95 % interval", "steps", "return"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, rate in evaluation.by_task_type.items():
        table.add_row(Text(one_line(name)), *_figures(rate))  # a Text: a string could hold markup
    if evaluation.by_task_type:
        table.add_section()
    table.add_row("all", *_figures(evaluation.overall), style="bold")
    parts: list[RenderableType] = [Text(f"{one_line(evaluation.agent)} · {describe(evaluation.protocol)}\n"), table]
    if evaluation.grades:
        grades = ", ".join(f"{name} {count}" for name, count in evaluation.grades.items())
        parts.append(Text(f"\ngrades: {one_line(grades)}"))
    if evaluation.errors:
        parts.append(
            Text(f"\n{evaluation.errors} more episodes ended in an error of the environment; no figure has them")
        )
    return Group(*parts)


def describe(protocol: dict[str, Any]) -> str:
    """Say in one line: `oreo/ALFWorld-v0 split=valid_seen, put dialect, 140 games, at most 50 steps, seed 0`."""
    arguments = " ".join(f"{key}={value}" for key, value in protocol["env_kwargs"].items())
    parts = [f"{protocol['env']} {arguments}".strip()]
    if protocol["dialect"]:
        parts.append(f"{protocol['dialect']} dialect")
    if protocol["games"]:
        parts.append(f"{protocol['games']} games")
    if protocol.get("max_steps"):
        parts.append(f"at most {protocol['max_steps']} steps")
    if "seed" in protocol:
        parts.append(f"seed {protocol['seed']}")
    return one_line(", ".join(parts))


def _figures(rate: SuccessRate) -> tuple[str, ...]:
    return (
        f"{rate.won}/{rate.episodes}",
        percent(rate.success),
        f"{100 * rate.low:.1f} – {percent(rate.high)}",
        f"{rate.mean_steps:.1f}",
        f"{rate.mean_return:.2f}",
    )
