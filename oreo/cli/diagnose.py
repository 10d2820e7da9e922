"""`oreo diagnose`: is a trained value right, and does choosing by it pay?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import BatchSize, Device, EnvOptions, Json, Seed
from oreo.cli.output import on_interrupt, print_json, print_pairs, result_console
from oreo.cli.playing import stdout_kept
from oreo.progress import Progress

if TYPE_CHECKING:
    from oreo.eval.siblings import Estimate, Ranking
    from oreo.experiments.diagnose import ValueDiagnosis


@with_option_groups
def diagnose(
    *,
    checkpoint: Annotated[str, typer.Argument(help="A folder that `oreo train` wrote, with a policy and a value.")],
    world: EnvOptions,
    episodes: Annotated[int, typer.Option(min=1, help="That are played; in each one state is looked at.")] = 100,
    siblings: Annotated[int, typer.Option(min=2, help="Different turns in that state, at most.")] = 5,
    continuations: Annotated[
        int, typer.Option(min=2, help="How often each of them is played on, which is the truth it is compared with.")
    ] = 8,
    temperature: Annotated[float, typer.Option(min=0.01, help="At which the policy samples.")] = 1.0,
    seed: Seed = 0,
    batch_size: BatchSize = 64,
    device: Device = None,
    json: Json = False,
) -> None:
    """Is a value right: of states, and among the turns of one state?

    The policy plays. V of its states is compared with what came of them (calibration; AUC, how well won episodes are
    told from lost ones). In a state of each episode several turns are said, and each is played on by the policy from
    there: does V, or log π, prefer those that win, and what does choosing by it gain? The default plays about 4,000
    ends of episodes.

    \b
    Example:
      oreo diagnose checkpoints/kitchen --split generated_unseen
    """
    from oreo.eval.evaluate import plan_games
    from oreo.experiments.diagnose import diagnose_value, passes

    arguments = world.arguments()
    with stdout_kept():
        plan = plan_games(world.env, episodes, seed=seed, max_steps=world.max_steps, env_kwargs=arguments)
    with (
        Progress("playing", passes(siblings, continuations)) as progress,
        stdout_kept(),
        on_interrupt(
            lambda: f"stopped after {progress.done} of {passes(siblings, continuations)} passes over the games"
        ),
    ):
        result = diagnose_value(
            checkpoint,
            env=world.env,
            env_kwargs=arguments,
            episodes=plan.episodes,
            games=plan.games,
            siblings=siblings,
            continuations=continuations,
            temperature=temperature,
            max_steps=world.max_steps,
            batch_size=batch_size,
            seed=seed,
            device=device,
            on_pass=lambda done: progress.to(done),
        )
    if json:
        print_json(result.to_dict())
        return
    print_pairs(_in_words(result))
    if result.siblings.warning:
        result_console().print(f"\n{result.siblings.warning}", highlight=False)


def _in_words(result: ValueDiagnosis) -> dict[str, Any]:
    siblings = result.siblings
    early = [(step, result.auc_by_step[step]) for step in (0, 4, 16) if step < len(result.auc_by_step)]
    names = {"value": "by V", "log_prob": "by log π", "both": "by log π + V/β", "oracle": "by an oracle"}
    return {
        "checkpoint": result.checkpoint,
        "episodes": f"{result.episodes}, {100 * result.success:.1f} % won",
        "calibration error of V": f"{result.calibration.error:.3f}",
        "AUC of V": ", ".join(f"{'–' if auc is None else f'{auc:.2f}'} at step {step + 1}" for step, auc in early),
        **({} if result.residual is None else {"residual, mean square": f"{result.residual:.3f}"}),
        "siblings": f"{siblings.siblings} in {siblings.states} states, each played on {siblings.continuations} times",
        "correlation of V with success": "–" if siblings.correlation is None else f"{siblings.correlation:.2f}",
        **_ranked("accepted before refused", siblings.accepted),
        **_ranked("better before worse", siblings.better),
        **{f"points gained {names[name]}": _points(estimate) for name, estimate in siblings.gains.items()},
    }


def _ranked(name: str, ranking: Ranking) -> dict[str, str]:
    if ranking.by_value is None or ranking.by_log_prob is None:
        return {name: "no such pairs"}
    return {
        f"{name}, by V": f"{_percent(ranking.by_value)} of {ranking.pairs} pairs",
        f"{name}, by log π": f"{_percent(ranking.by_log_prob)}",
    }


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:.0f} % ({100 * estimate.low:.0f} – {100 * estimate.high:.0f})"


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"
