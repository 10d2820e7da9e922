"""Learning mathematics: what each method makes of the same solutions, and what searching by value adds, at equal cost.

    python benchmarks/math_learning.py
    python benchmarks/math_learning.py --plot math_learning.svg
    python benchmarks/math_learning.py --seeds 1 --episodes 1000 --games 100 --widths 1 2 3

First as in benchmarks/learning.py, whose options and table it has: for each seed the tiny language model for
mathematics writes --episodes solutions of generated problems for training, four of each, all methods learn from these
(SFT from the worked solutions) and solve the same held-out problems. No calculation of one of these, taken as a whole,
occurs in training.

Then the token-level OREO model searches for solutions of the first --searched problems:

    beam      B beams, B next steps of each, the B best of B² by value (arXiv 2412.16145, section 4.4)
    best      N solutions, the best by value
    vote      N solutions, the most frequent answer

For every B of --widths, N is as many solutions as cost the same number of sampled tokens: those that beam search with B
beams took on these problems, divided by those that one solution takes. Tokens a problem are counted in all three.

All is kept under --into, and the same command goes on from there. results.json has the first table, searches.json the
second.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import learning
from learning import Plan, Played
from rich.table import Table

from oreo.agents import load_agent
from oreo.agents.message_search import SEARCHES
from oreo.cli.output import result_console
from oreo.errors import UsageError
from oreo.eval.evaluate import SuccessRate
from oreo.eval.plots import check_plot, success_over_tokens
from oreo.eval.statistics import crossed_bootstrap, percent
from oreo.experiments.quickstart import MATH, TEMPERATURE
from oreo.files import read_json, write_json
from oreo.progress import Episodes, reported

SEARCHED = "oreo"
"""The recipe whose model searches."""
# Rates of rejection sampling, OREO, DPO and KTO were chosen on the validation games (`--sweep lr`): at ALFWorld's rate
# OREO learnt nothing, at 3e-5 and above KTO unlearnt to solve.
MAIN = learning.main_recipes(
    sft={"method": "sft", "epochs": 4, "batch_size": 64, "lr": 1e-3},
    rejection={"method": "rejection", **MATH.full.rejection},
    dpo={"method": "dpo", "epochs": 2, "batch_size": 64, "lr": 3e-5, "beta": 0.1},
    kto={"method": "kto", "epochs": 2, "batch_size": 64, "lr": 1e-5, "beta": 0.1},
    oreo={"method": "oreo", **MATH.full.oreo},
    response={"lr": 5e-4},
)
SWEEPS = {
    "lr": [
        *(MAIN["rejection"].vary(f"lr_{lr:g}", lr=lr) for lr in (1e-3, 3e-3)),
        *(MAIN["oreo"].vary(f"lr_{lr:g}", lr=lr) for lr in (5e-4, 1.5e-3)),
        *(MAIN["dpo"].vary(f"lr_{lr:g}", lr=lr) for lr in (1e-5, 1e-4)),
        *(MAIN["kto"].vary(f"lr_{lr:g}", lr=lr) for lr in (3e-5, 1e-4, 3e-4)),
        *(MAIN["oreo_response"].vary(f"lr_{lr:g}", lr=lr) for lr in (1e-4, 1.5e-3)),
    ],
}


@dataclass(frozen=True)
class Search:
    """A way to search, and how far."""

    kind: str
    """One of `SEARCHES`."""
    width: int
    """The B of beam search: its own, or of the one whose cost it has."""

    @property
    def name(self) -> str:
        return f"{SEARCHED}_{self.kind}" + ("" if self.kind == "beam" else "_as_beam") + f"_{self.width}"


@dataclass(frozen=True)
class Cost:
    """What a search of one seed took."""

    tokens: int
    """Sampled, in all."""
    problems: int
    """That these were sampled for."""
    samples: int
    """B, or N."""

    @property
    def tokens_each(self) -> float:
        return self.tokens / self.problems


def folder_of(search: Search, seed: int, plan: Plan) -> Path:
    return plan.into / f"seed{seed}" / "searches" / search.name


def play(search: Search, samples: int, seed: int, plan: Plan) -> Cost:
    """Solve what is missing; what all took so far."""
    folder = folder_of(search, seed, plan)
    missing = learning.not_played(folder / "episodes", "test", plan)
    file = folder / "cost.json"
    cost = Cost(**read_json(file)) if file.is_file() else Cost(0, 0, samples)
    if not missing:
        return cost
    model = str(learning.checkpoint(plan.main[SEARCHED], seed, plan))
    # As many samples as the problems before had: more of them may have changed the mean that N was reckoned by.
    agent: Any = load_agent(model, temperature=TEMPERATURE, choose=search.kind, k=cost.samples)
    with Episodes(f"seed {seed}: {search.name}, {cost.samples} samples", len(missing)) as seen:
        for first in range(0, len(missing), BATCH):
            # Noted batch by batch: what an interruption leaves uncounted is a batch at most.
            batch, tokens_before = missing[first : first + BATCH], agent.tokens
            learning.play_held_out(folder / "episodes", agent, batch, seen, seed, "test", plan)
            cost = Cost(cost.tokens + agent.tokens - tokens_before, cost.problems + len(batch), cost.samples)
            write_json(file, dataclasses.asdict(cost))
    return cost


BATCH = 50
"""Problems at a time: with seven beams, 2,450 rows."""


def search(plan: Plan, widths: list[int]) -> dict[int, dict[Search, Cost]]:
    """Every search, of each seed: beam search first, then the others at its cost."""
    costs: dict[int, dict[Search, Cost]] = {}
    for seed in range(plan.seeds) if plan.only_seeds is None else plan.only_seeds:
        of_seed = costs[seed] = {}
        one = play(Search("vote", 1), 1, seed, plan)  # one solution, whatever is done with it
        for width in widths:
            beam = of_seed[Search("beam", width)] = play(Search("beam", width), width, seed, plan)
            for kind in SEARCHES[1:]:
                samples = max(1, round(beam.tokens_each / one.tokens_each))
                of_seed[Search(kind, width)] = play(Search(kind, width), samples, seed, plan)
    return costs


def played(search: Search, seeds: list[int], plan: Plan) -> Played:
    played: Played = {}
    for seed in seeds:
        episodes = learning.read_held_out(folder_of(search, seed, plan) / "episodes", "test", plan)
        assert episodes is not None, "all were played before"
        played[seed] = episodes
    return played


def figures(costs: dict[int, dict[Search, Cost]], plan: Plan) -> list[dict[str, Any]]:
    """A row for each search: success with its interval, cost, and by how much beam search of that cost is better."""
    seeds, rows = list(costs), []
    beam: Played = {}
    for search in next(iter(costs.values())):  # each beam search before those of its cost
        episodes = played(search, seeds, plan)
        success, low, high = crossed_bootstrap(learning.wins(episodes))
        of_seeds = [costs[seed][search] for seed in seeds]
        row = {
            "search": search.kind,
            "as_beam": search.width,
            "samples": {seed: cost.samples for seed, cost in zip(seeds, of_seeds, strict=True)},
            "tokens": sum(cost.tokens_each for cost in of_seeds) / len(seeds),
            "success": success,
            "low": low,
            "high": high,
            "by_seed": {seed: sum(won) / len(won) for seed, won in zip(seeds, learning.wins(episodes), strict=True)},
            "episodes": len(seeds) * plan.games,
            "mean_steps": sum(len(episode) for of_seed in episodes.values() for episode in of_seed)
            / (len(seeds) * plan.games),
        }
        if search.kind == "beam":
            beam = episodes
        else:
            row["beam_against_it"] = learning.compare(episodes, beam)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]], plan: Plan) -> Table:
    drawn = Table(
        title=f"OREO searching for a solution of {plan.games} held-out problems, {len(rows[0]['by_seed'])} seeds, "
        f"sampled at {TEMPERATURE}"
    )
    for column in ("B", "search", "samples", "tokens a problem", "success", "95 % interval", "beam search above it"):
        drawn.add_column(column, justify="left" if column == "search" else "right", no_wrap=True)
    for row in rows:
        beam = row["search"] == "beam"
        samples = sorted(set(row["samples"].values()))
        drawn.add_row(
            str(row["as_beam"]) if beam else "",
            row["search"],
            " to ".join(map(str, dict.fromkeys((samples[0], samples[-1])))),
            f"{row['tokens']:.0f}",
            percent(row["success"]),
            f"{100 * row['low']:.1f} – {percent(row['high'])}",
            "" if beam else learning.points(row["beam_against_it"]),
        )
    return drawn


def draw(rows: list[dict[str, Any]], plot: Path, plan: Plan) -> None:
    titles = {"beam": "beam search by value", "best": "best of N by value", "vote": "majority vote of N"}
    curves: dict[str, dict[float, SuccessRate]] = {title: {} for title in titles.values()}
    for row in rows:
        won, episodes = round(row["success"] * row["episodes"]), row["episodes"]
        outcome = SuccessRate(row["success"], row["low"], row["high"], episodes, won, row["mean_steps"], row["success"])
        curves[titles[row["search"]]][row["tokens"]] = outcome
    success_over_tokens(curves, plot, f"OREO on {plan.games} held-out problems, {len(rows[0]['by_seed'])} seeds")


def maths(**amounts: Any) -> Plan:
    """The plan of this benchmark."""
    return Plan(MATH, MAIN, SWEEPS, MATH.chooser.settings, (0, 1, 2, 3, 4), **amounts)


def main() -> None:
    parser, whole = learning.options(__doc__, maths, into="runs/math_learning")
    parser.add_argument("--widths", nargs="+", type=int, metavar="B", default=list(range(1, 8)), help="of beam search")
    parser.add_argument("--searched", type=int, default=200, help="held-out problems that searches are compared on")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="success over tokens, as .png or .svg")
    args = vars(parser.parse_args())
    widths, searched, plot = sorted(set(args.pop("widths"))), args.pop("searched"), args.pop("plot")
    plan = dataclasses.replace(whole, **args)
    with reported(f"stopped; what was done is in {plan.into}, and the same command goes on from there"):
        if widths[0] < 1 or not 1 <= searched <= plan.games:
            raise UsageError(f"--widths are at least 1, and --searched from 1 to the {plan.games} of --games")
        if plot is not None:
            check_plot(plot)
        learning.run(plan)
        if plan.sweep or SEARCHED not in (plan.only or plan.main):
            return
        plan = dataclasses.replace(plan, games=searched)
        rows = figures(search(plan, widths), plan)
        write_json(plan.into / "searches.json", {"problems": searched, "rows": rows})
        result_console().print(table(rows, plan))
        if plot is not None:
            draw(rows, plot, plan)


if __name__ == "__main__":
    main()
