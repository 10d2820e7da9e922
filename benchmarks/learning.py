"""Learning: what each method makes of the very same episodes, on generated games in floor plans it never saw.

    python benchmarks/learning.py
    python benchmarks/learning.py --seeds 2 --episodes 1000 --games 200 --only start rejection oreo
    python benchmarks/learning.py --seeds 1 --sweep beta alpha

For each seed the tiny language model plays --episodes episodes at temperature 1, four of each game, in the floor plans
for training. Then each method learns from these, with batches of 64 and at most 20 steps an episode:

    start                        the tiny model as it is; it was trained by SFT on noisy expert play, and each of the
                                 others begins with it
    sft                          imitates the expert (the explorer) in the same games, an episode of each
    rejection                    imitates the won episodes
    dpo, kto                     preferences: within a game, at large
    oreo, oreo_step, oreo_response    the three levels of OREO

All then play the same held-out games, greedily and sampled at 0.5; token-level OREO also the best of 5 sampled turns
by its value. Imitating
all stored episodes is left out: it would learn to be the start model.

Intervals are over training seeds and games, both drawn anew (`crossed_bootstrap`). The difference is to the row named
beside it, on the same games, with the same kind of interval. p is McNemar's, exact, over all pairs of (seed, game); it
takes these for independent, which they are not quite, as each game is played once for each seed. Where it and the
interval disagree, trust the interval.

--sweep trains variants (SWEEPS below) and lets them play other games of the held-out floor plans, the validation
games. Settings of all methods are to be chosen by these and never by the test games.

The default takes about two and a half hours of one core, --sweep all about five more for each seed (for which
--seeds 1 may do). With OMP_NUM_THREADS=1, two processes share the work by --only-seeds.

All is kept under --into. Call it again and it goes on: training from its last checkpoint, games where they are
missing. results.json has the figures of all that is complete, the settings and versions, and for OREO the value on its
own sampled test games: calibration, AUC of V(s_t) for final success and mean square of the soft Bellman residual, by
step.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from oreo.agents import load_agent
from oreo.agents.agent import Agent
from oreo.cli.output import result_console
from oreo.errors import UsageError
from oreo.eval import diagnostics
from oreo.eval.evaluate import describe, summarise
from oreo.eval.statistics import crossed_bootstrap, mcnemar_exact, percent
from oreo.experiments.quickstart import ALFWORLD, TEMPERATURE, World
from oreo.experiments.resumable import claim, stored, without_candidates
from oreo.files import read_json, write_json
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest
from oreo.progress import Episodes, Updates, reported
from oreo.rollouts.collect import play_into
from oreo.rollouts.settings import Rollout
from oreo.training.trainer import train
from oreo.trajectory import Trajectory

PER_GAME = 4
"""Episodes of each game in the data: pairs need several."""
Row = tuple[str, str]
"""Recipe, decoding."""
GAMES = {"test": 10_000, "validation": 20_000}
"""Seeds of the held-out games. Those of the data are 0, 1, …; the quickstart's settings were chosen on seed 0."""

# Settings for a model of 0.85 million parameters, which takes far higher rates than those of the paper's billions.
REJECTION: dict[str, Any] = {"method": "rejection", **ALFWORLD.full.rejection}
OREO: dict[str, Any] = {"method": "oreo", **ALFWORLD.full.oreo}
PAPER: dict[str, Any] = {
    name: value for name, value in OREO.items() if name not in ("value_lambda", "policy_lambda", "alpha")
}
# Rejection's, but twice the passes: there is one expert episode for four sampled ones, of which two or three were won.
SFT: dict[str, Any] = {"method": "sft", "epochs": 4, "batch_size": 64, "lr": 1e-3}
# Preferences weigh whole episodes, by log-ratios summed over all their tokens, so a step of a given rate moves more
# than a step of imitation does. The paper divides imitation's rate by 40 (DPO) and 400 (KTO); here the validation games
# were for a hundredth (at a tenth DPO unlearnt to play) and a tenth.
DPO: dict[str, Any] = {"method": "dpo", "epochs": 2, "batch_size": 64, "lr": 1e-5, "beta": 0.1}
KTO: dict[str, Any] = {"method": "kto", "epochs": 2, "batch_size": 64, "lr": 1e-4, "beta": 0.1}


@dataclass(frozen=True)
class Recipe:
    """What is trained, or a variant of it."""

    name: str
    """In the table, of its folder, and for --only."""
    settings: dict[str, Any]
    """Of `oreo.train`; empty: nothing is trained."""
    against: str
    """The recipe it is compared with."""
    expert: bool = False
    """Whether it learns from the expert, an episode of each game, in place of the sampled episodes."""
    share: float = 1.0
    """Episodes it learns from, as a multiple of --episodes."""
    chooses: bool = False
    """Whether it also plays guided by its value model."""

    def vary(self, name: str, *, share: float = 1.0, **settings: Any) -> Recipe:
        """The same but for these settings, and compared with what it was."""
        merged = {**self.settings, **settings}
        return dataclasses.replace(
            self, name=f"{self.name}_{name}", settings=merged, against=self.name, share=share, chooses=False
        )


@dataclass(frozen=True)
class Plan:
    """What is compared, and how much of it."""

    world: World
    main: dict[str, Recipe]
    sweeps: dict[str, list[Recipe]]
    """Variants of the main recipes."""
    chooser: dict[str, Any]
    """Of `load_agent`, beside the temperature: how value guides the recipes that let it."""
    shown_steps: tuple[int, ...]
    """Where the value is described."""
    into: Path
    seeds: int
    episodes: int
    games: int
    only: list[str] | None = None
    only_seeds: list[int] | None = None
    sweep: list[str] | None = None

    @property
    def recipes(self) -> dict[str, Recipe]:
        return self.main | {recipe.name: recipe for sweep in self.sweeps.values() for recipe in sweep}

    @property
    def decodings(self) -> dict[str, dict[str, Any]]:
        """Of `load_agent`, by name; the last is for recipes that choose."""
        chosen = {"temperature": TEMPERATURE, **self.chooser}
        return {"greedy": {"temperature": 0.0}, "sampled": {"temperature": TEMPERATURE}, self.choice: chosen}

    @property
    def choice(self) -> str:
        return f"{self.chooser['choose'].replace('-', '_')}_{self.chooser['k']}"

    def decodings_of(self, recipe: Recipe, games: str) -> list[str]:
        """Choosing belongs to the main table; sweeps compare what all have."""
        return list(self.decodings)[: 3 if recipe.chooses and games == "test" else 2]

    @property
    def expected(self) -> list[tuple[Row, Row]]:
        """The paper's order, the better one second."""
        pairs = []
        for worse, better in (("sft", "rejection"), ("rejection", "oreo")):
            pairs += [((worse, decoding), (better, decoding)) for decoding in ("greedy", "sampled")]
        return pairs + [(("oreo", decoding), ("oreo", self.choice)) for decoding in ("greedy", "sampled")]


def main_recipes(
    *,
    sft: dict[str, Any],
    rejection: dict[str, Any],
    dpo: dict[str, Any],
    kto: dict[str, Any],
    oreo: dict[str, Any],
    response: dict[str, Any],
    paper: dict[str, Any] | None = None,
) -> dict[str, Recipe]:
    """The rows of the main table, by the settings of each; `paper`: OREO with the paper's λ and α, if it has others."""
    recipes = (
        Recipe("start", {}, "rejection"),
        Recipe("sft", sft, "rejection", expert=True),
        Recipe("rejection", rejection, "rejection"),
        Recipe("dpo", dpo, "rejection"),
        Recipe("kto", kto, "rejection"),
        Recipe("oreo", oreo, "rejection", chooses=True),
        *([] if paper is None else [Recipe("oreo_paper", paper, "rejection", chooses=True)]),
        Recipe("oreo_step", {**(paper or oreo), "level": "step"}, "rejection"),
        Recipe("oreo_response", {**(paper or oreo), "level": "response", **response}, "rejection"),
    )
    return {recipe.name: recipe for recipe in recipes}


# A response's one residual sums the log-ratios of all tokens: with OREO's rate it fell below the start, and with a
# third of it.
MAIN = main_recipes(sft=SFT, rejection=REJECTION, dpo=DPO, kto=KTO, oreo=OREO, paper=PAPER, response={"lr": 1e-4})
_PAPER, _REJECTION = MAIN["oreo_paper"], MAIN["rejection"]
_ACCEPTED = _REJECTION.vary("refused_left_out", imitate_refused=False)
MAIN[_ACCEPTED.name] = _ACCEPTED
SWEEPS = {
    # More episodes, each seen as often: more updates too.
    "data": [recipe.vary(f"data_x{share:g}", share=share) for recipe in (_PAPER, _REJECTION) for share in (0.25, 4.0)],
    # As many updates, of fewer episodes seen more often (warm-up of the value included), or of more seen once.
    "passes": [
        _PAPER.vary("quarter_8_passes", share=0.25, epochs=8, value_warmup_epochs=4),
        _PAPER.vary("half_4_passes", share=0.5, epochs=4, value_warmup_epochs=2),
        _PAPER.vary("x1.5_1_pass", share=1.5, epochs=1, value_warmup_epochs=1),
        _PAPER.vary("x3_no_warmup", share=3.0, epochs=1, value_warmup_epochs=0),
    ],
    "beta": [_PAPER.vary(f"beta_{beta:g}", beta=beta) for beta in (0.01, 0.1, 0.3)],
    "alpha": [_PAPER.vary(f"alpha_{alpha:g}", alpha=alpha) for alpha in (0.0, 0.1)],
    # A target mixed at turn ends has less noise, and then a smaller weight of the KL may do.
    "lambda": [
        *(
            _PAPER.vary(f"lambda_{lambda_:g}_alpha_{alpha:g}", value_lambda=lambda_, policy_lambda=lambda_, alpha=alpha)
            for lambda_ in (0.5, 0.7, 0.9)
            for alpha in (0.01, 0.003)
        ),
        _PAPER.vary("value_lambda_0.7", value_lambda=0.7),
        _PAPER.vary("policy_lambda_0.7", policy_lambda=0.7),
    ],
    # What the field would try beside it. Imitation by weight takes rejection's rate, whole episodes preferences' ones.
    "methods": [
        _ACCEPTED,
        *(_REJECTION.vary(f"rwr_beta_{beta:g}", method="rwr", beta=beta) for beta in (0.2, 0.5)),
        *(
            _REJECTION.vary(f"{method}_beta_{beta:g}", method=method, beta=beta, value_lr=1e-3, value_warmup_epochs=1)
            for method in ("awr", "iql")
            for beta in (0.1, 0.3)
        ),
        *(_REJECTION.vary(f"grpo_lr_{lr:g}", method="grpo", lr=lr) for lr in (1e-4, 1e-3)),
        *(
            _REJECTION.vary(f"{method}_lr_{lr:g}", method=method, lr=lr)
            for method in ("oapl", "tbrm")
            for lr in (1e-5, 1e-4)
        ),
    ],
    "lr": [
        *(_PAPER.vary(f"lr_{lr:g}", lr=lr) for lr in (5e-4, 1e-3, 3e-3)),
        *(_PAPER.vary(f"value_lr_{lr:g}", value_lr=lr) for lr in (3e-4, 3e-3)),
    ],
    # Log-ratios of a step or an episode are sums over tokens, as with preferences: less may be more.
    "levels": [
        *(MAIN["oreo_step"].vary(f"lr_{lr:g}", lr=lr) for lr in (5e-4, 1e-4)),
        *(MAIN["oreo_response"].vary(f"lr_{lr:g}", lr=lr) for lr in (1.5e-3, 5e-4, 3e-5)),
    ],
    "baselines": [
        *(MAIN["sft"].vary(f"lr_{lr:g}", lr=lr) for lr in (1e-4, 3e-4)),
        *(_REJECTION.vary(f"lr_{lr:g}", lr=lr) for lr in (5e-4, 2e-3)),
        *(MAIN["dpo"].vary(f"lr_{lr:g}", lr=lr) for lr in (3e-6, 1e-4)),
        *(MAIN["kto"].vary(f"lr_{lr:g}", lr=lr) for lr in (3e-5, 3e-4)),
    ],
}
Played = dict[int, list[Trajectory]]
"""Episodes in the order of the games, of each training seed that has them all."""


# Collecting, training, playing.


def games_of(recipe: Recipe, plan: Plan) -> int:
    """Games that the recipe's data is of."""
    return math.ceil(recipe.share * plan.episodes / PER_GAME)


def collect(recipe: Recipe, seed: int, plan: Plan) -> None:
    """Play what is missing of the recipe's data. Samples of a game are kept apart, since their seeds are equal."""
    games = games_of(recipe, plan)
    for folder, sample in data_folders(recipe, seed, plan):
        episodes = stored(folder, seed=seed, episodes=games)
        missing = [index for index in range(games) if index not in episodes]
        if not missing:
            continue
        agent = load_agent("expert") if recipe.expert else load_agent(plan.world.model, temperature=1.0)
        with Episodes(f"seed {seed}: collecting {folder.name}", len(missing)) as seen:
            world = plan.world
            games_to_play = Rollout(
                world.env, world.train, seed, batch_size=256, max_steps=world.max_steps, sample=sample
            )
            play_into(folder, games_to_play, agent, missing, on_episode=seen)


def data_folders(recipe: Recipe, seed: int, plan: Plan) -> list[tuple[Path, int]]:
    """Each with the number of the sample in it."""
    data = plan.into / f"seed{seed}" / "data"
    if recipe.expert:
        return [(data / "expert", 0)]
    return [(data / f"sample{sample}", sample) for sample in range(PER_GAME)]


def data_of(recipe: Recipe, seed: int, plan: Plan) -> Iterator[Trajectory]:
    """In an order that does not depend on when what was collected."""
    for folder, _ in data_folders(recipe, seed, plan):
        episodes = stored(folder, seed=seed, episodes=games_of(recipe, plan))
        yield from (episodes[index] for index in sorted(episodes))


def checkpoint(recipe: Recipe, seed: int, plan: Plan) -> Path | str:
    return plan.into / f"seed{seed}" / "models" / recipe.name if recipe.settings else plan.world.model


def learn(recipe: Recipe, seed: int, plan: Plan) -> None:
    folder = Path(checkpoint(recipe, seed, plan))
    if not (folder / "policy" / "config.json").is_file():
        collect(recipe, seed, plan)
    with Updates(f"seed {seed}: training {recipe.name}") as seen:
        train(
            data_of(recipe, seed, plan),  # not read where training is finished
            model=plan.world.model,
            output=folder,
            resume=(folder / "config.json").is_file(),
            on_step=seen,
            seed=seed,
            save_every=50,
            **recipe.settings,
        )


def episodes_folder(row: Row, seed: int, games: str, plan: Plan) -> Path:
    return plan.into / f"seed{seed}" / games / "_".join(row)


def play_missing(recipe: Recipe, decoding: str, seed: int, games: str, plan: Plan) -> None:
    """Held-out games. All recipes of a seed have the same random numbers, those of another seed have others."""
    folder = episodes_folder((recipe.name, decoding), seed, games, plan)
    if missing := not_played(folder, games, plan):
        agent = load_agent(str(checkpoint(recipe, seed, plan)), **plan.decodings[decoding])
        with Episodes(f"seed {seed}: {recipe.name}, {decoding}", len(missing)) as seen:
            play_held_out(folder, agent, missing, seen, seed, games, plan)


def not_played(folder: Path, games: str, plan: Plan) -> list[int]:
    """The held-out games that are not in a folder."""
    episodes = stored(folder, seed=GAMES[games], episodes=plan.games)
    return [index for index in range(plan.games) if index not in episodes]


def play_held_out(
    folder: Path, agent: Agent, indices: Sequence[int], seen: Episodes, seed: int, games: str, plan: Plan
) -> None:
    """Into a folder."""
    world = plan.world
    held_out = Rollout(world.env, world.held_out, GAMES[games], batch_size=100, max_steps=world.max_steps, sample=seed)
    play_into(folder, held_out, agent, indices, on_episode=seen)


def read_held_out(folder: Path, games: str, plan: Plan) -> list[Trajectory] | None:
    """All held-out games, in their order; None where some are missing."""
    episodes = stored(folder, seed=GAMES[games], episodes=plan.games)
    return [without_candidates(episodes[index]) for index in range(plan.games)] if len(episodes) == plan.games else None


# What came out.


def read_played(row: Row, games: str, plan: Plan) -> Played:
    played: Played = {}
    for seed in seeds_in(plan.into):
        episodes = read_held_out(episodes_folder(row, seed, games, plan), games, plan)
        if episodes is not None:
            played[seed] = episodes
    return played


def seeds_in(folder: Path) -> list[int]:
    """Training seeds that something is there of, also from calls with more of them."""
    return sorted(int(path.name.removeprefix("seed")) for path in folder.glob("seed*"))


def wins(played: Played) -> list[list[bool]]:
    return [[episode.won for episode in episodes] for episodes in played.values()]


def compare(first: Played, second: Played) -> dict[str, Any]:
    """By how much the second wins more, over the seeds that both have."""
    pairs = [(first[seed], second[seed]) for seed in first if seed in second]
    won = [[(one.won, other.won) for one, other in zip(*pair, strict=True)] for pair in pairs]
    assert all(one.game == other.game for pair in pairs for one, other in zip(*pair, strict=True))
    difference, low, high = crossed_bootstrap([[other - one for one, other in games] for games in won])
    flat = [pair for games in won for pair in games]
    p = mcnemar_exact([one for one, _ in flat], [other for _, other in flat])
    return {"difference": difference, "low": low, "high": high, "p": p, "seeds": len(pairs)}


def comparable(first: Row, second: Row, rows: dict[Row, Played]) -> bool:
    return first != second and not rows.get(first, {}).keys().isdisjoint(rows.get(second, {}))


def figures(row: Row, rows: dict[Row, Played], plan: Plan) -> dict[str, Any]:
    """A row of results.json."""
    recipe, played = plan.recipes[row[0]], rows[row]
    success, low, high = crossed_bootstrap(wins(played))
    steps = [len(episode) for episodes in played.values() for episode in episodes]
    result: dict[str, Any] = {
        "recipe": recipe.name,
        "decoding": row[1],
        "agent": next(iter(played.values()))[0].agent,
        "checkpoints": {seed: episodes[0].checkpoint for seed, episodes in played.items()},
        "data": games_of(recipe, plan) * (1 if recipe.expert else PER_GAME) if recipe.settings else 0,
        "success": success,
        "low": low,
        "high": high,
        "by_seed": {seed: sum(won) / len(won) for seed, won in zip(played, wins(played), strict=True)},
        "episodes": len(steps),
        "mean_steps": sum(steps) / len(steps),
    }
    # Nothing else chooses; it is a way of sampling.
    reference = (recipe.against, "greedy" if row[1] == "greedy" else "sampled")
    if comparable(reference, row, rows):
        result["against"] = {"row": " ".join(reference), **compare(rows[reference], played)}
    return result


def value_figures(recipe: Recipe, seed: int, episodes: list[Trajectory], plan: Plan) -> dict[str, Any]:
    """Of one model, on its own episodes. Kept, since the models have to read them all."""
    file = plan.into / f"seed{seed}" / "value" / f"{recipe.name}.json"
    if file.is_file() and (before := read_json(file))["episodes"] == len(episodes):
        return before
    folder = Path(checkpoint(recipe, seed, plan))
    policy, tokenizer = load_policy(folder)
    beta = read_json(folder / "config.json")["beta"]
    value, won = diagnostics.stored_values(episodes), [episode.won for episode in episodes]
    by_models = diagnostics.soft_bellman_terms(
        episodes, policy, load_value(folder), load_policy(plan.world.model)[0], tokenizer, beta=beta
    )
    result = {
        "episodes": len(episodes),
        "calibration": asdict(diagnostics.calibration(value, won)),
        "states": diagnostics.states_by_step(value),
        "auc": diagnostics.auc_by_step(value, won),
        "residual": diagnostics.residual_by_step(*by_models),
    }
    write_json(file, result)
    return result


def trained_with(recipe: Recipe, seed: int, plan: Plan) -> dict[str, Any]:
    """Every setting, as the run itself noted it, with updates, versions and seconds."""
    folder = Path(checkpoint(recipe, seed, plan))
    log = (folder / "log.jsonl").read_text().splitlines()
    return {**read_json(folder / "config.json"), "seconds": round(sum(json.loads(line)["seconds"] for line in log), 1)}


def table(results: Sequence[dict[str, Any]], title: str) -> Table:
    drawn = Table(title=title)
    drawn.add_column("method", no_wrap=True)
    for column in ("data", "turns", "success", "95 % interval", "by seed", "points above", "", "p", "steps"):
        drawn.add_column(column, justify="left" if column in ("turns", "points above") else "right", no_wrap=True)
    for result in results:
        against = result.get("against")
        drawn.add_row(
            result["recipe"],
            str(result["data"] or ""),
            result["decoding"],
            percent(result["success"]),
            f"{100 * result['low']:.1f} – {percent(result['high'])}",
            " ".join(f"{100 * success:.1f}" for success in result["by_seed"].values()),
            against["row"] if against else "",
            points(against) if against else "",
            f"{against['p']:.2g}" if against else "",
            f"{result['mean_steps']:.1f}",
        )
    return drawn


def points(compared: dict[str, Any]) -> str:
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * compared[key] for key in ("difference", "low", "high")))


def order_table(expected: Sequence[dict[str, Any]]) -> Table:
    drawn = Table(title="The paper's order")
    for column in ("expected", "points", "p", "came out"):
        drawn.add_column(column, no_wrap=True)
    for pair in expected:
        order = f"{pair['better']} above {pair['worse']}"
        drawn.add_row(order, points(pair), f"{pair['p']:.2g}", pair["came_out"])
    return drawn


def value_table(values: dict[str, dict[int, dict[str, Any]]], steps: Sequence[int]) -> Table:
    drawn = Table(
        title="V on the agents' own sampled test games, means over seeds: expected calibration error, then at step t"
        "\nAUC of V(s_t) for final success | mean square of the soft Bellman residual"
        "\n(a constant V and an unmoved policy: 0.5 | at best success × failure)"
    )
    for column in ("method", "error", *(f"t = {step}" for step in steps)):
        drawn.add_column(column, no_wrap=True)
    for name, figures_of in values.items():
        by_seed = list(figures_of.values())
        cells = [
            f"{_mean([of_seed['auc'][step : step + 1] for of_seed in by_seed])}"
            f" | {_mean([of_seed['residual'][step : step + 1] for of_seed in by_seed])}"
            for step in steps
        ]
        drawn.add_row(name, _mean([[of_seed["calibration"]["error"]] for of_seed in by_seed]), *cells)
    return drawn


def _mean(columns: Sequence[Sequence[float | None]]) -> str:
    numbers = [number for column in columns for number in column if number is not None]
    return f"{sum(numbers) / len(numbers):.3f}" if numbers else "-"


# The whole.


def chosen(plan: Plan) -> list[Recipe]:
    """What is to be trained and played: the main recipes, or sweeps with what their variants are compared with."""
    if not plan.sweep:
        recipes = list(plan.main.values())
    else:
        names = list(plan.sweeps) if "all" in plan.sweep else plan.sweep
        variants = [recipe for name in names for recipe in plan.sweeps[name]]
        recipes = [plan.main[name] for name in dict.fromkeys(recipe.against for recipe in variants)] + variants
    return [recipe for recipe in recipes if plan.only is None or recipe.name in plan.only]


def rows_of(recipes: Sequence[Recipe], games: str, plan: Plan) -> dict[Row, Played]:
    """Those that are complete for a seed at least."""
    wanted = [(recipe.name, how) for recipe in recipes for how in plan.decodings_of(recipe, games)]
    rows = {row: read_played(row, games, plan) for row in wanted}
    return {row: played for row, played in rows.items() if played}


def run(plan: Plan) -> None:
    for name in ("seeds", "episodes", "games"):
        if getattr(plan, name) < 1:
            raise UsageError(f"--{name} {getattr(plan, name)}: expected 1 or more")
    working = range(plan.seeds) if plan.only_seeds is None else plan.only_seeds
    if beyond := [seed for seed in working if seed not in range(plan.seeds)]:
        raise UsageError(f"--only-seeds {beyond[0]}: expected one below --seeds {plan.seeds}")
    recipes, games = chosen(plan), "validation" if plan.sweep else "test"
    if not recipes:
        raise UsageError(f"--only {' '.join(plan.only)}: none of these is in --sweep {' '.join(plan.sweep or [])}")
    start = digest(load_policy(plan.world.model)[0])
    settings = {"start": start, "episodes": plan.episodes, "per_game": PER_GAME, **GAMES}
    claim(plan.into, "learning.json", settings, option="--into")
    for seed in working:
        for recipe in recipes:
            if recipe.settings:
                learn(recipe, seed, plan)
            for decoding in plan.decodings_of(recipe, games):
                play_missing(recipe, decoding, seed, games, plan)
    report(plan)


def report(plan: Plan) -> None:
    """results.json with all that is complete; tables of it."""
    test = rows_of(list(plan.main.values()), "test", plan)
    swept = rows_of(list(plan.recipes.values()), "validation", plan)
    results = {row: figures(row, test, plan) for row in test}
    sweeps = {
        name: {row: figures(row, swept, plan) for row in swept if row[0] in {recipe.name for recipe in variants}}
        for name, variants in plan.sweeps.items()
    }
    parents = {row: figures(row, swept, plan) for row in swept if row[0] in plan.main}
    expected = [
        {"worse": " ".join(worse), "better": " ".join(better), **compare(test[worse], test[better])}
        for worse, better in plan.expected
        if comparable(worse, better, test)
    ]
    for pair in expected:
        pair["came_out"] = "as expected" if pair["low"] > 0 else "the other way" if pair["high"] < 0 else "undecided"
    values = {
        name: {seed: value_figures(recipe, seed, episodes, plan) for seed, episodes in test[name, "sampled"].items()}
        for name, recipe in plan.main.items()
        if recipe.settings.get("method") == "oreo" and (name, "sampled") in test
    }
    protocols = {
        games: summarise(
            next(iter(next(iter(rows.values())).values())), {"max_steps": plan.world.max_steps, "seed": GAMES[games]}
        ).protocol
        for games, rows in (("test", test), ("validation", swept))
        if rows
    }
    trained: dict[str, set[int]] = {}
    for (name, _), played in [*test.items(), *swept.items()]:
        if plan.recipes[name].settings:
            trained.setdefault(name, set()).update(played)
    write_json(
        plan.into / "results.json",
        {
            "settings": {"games": plan.games, **read_json(plan.into / "learning.json")},
            "protocols": protocols,
            "training": {
                name: {seed: trained_with(plan.recipes[name], seed, plan) for seed in sorted(seeds)}
                for name, seeds in trained.items()
            },
            "test": list(results.values()),
            "expected": expected,
            "value": values,
            "validation": {"main": list(parents.values())} | {k: list(rows.values()) for k, rows in sweeps.items()},
        },
    )
    console = result_console()
    if results:
        console.print(table(list(results.values()), describe(protocols["test"])))
    if expected:
        console.print(order_table(expected))
    if values:
        console.print(value_table(values, plan.shown_steps))
    for name, swept_results in sweeps.items():
        compared = {plan.recipes[recipe].against for recipe, _ in swept_results}
        shown = [result for row, result in parents.items() if row[0] in compared] + list(swept_results.values())
        if swept_results:
            console.print(table(shown, f"Sweep: {name}. {describe(protocols['validation'])}"))


def options(about: str | None, plan: Callable[..., Plan], *, into: str) -> tuple[argparse.ArgumentParser, Plan]:
    """What the command line of a benchmark of learning may say, and the plan if it says nothing.

    Args:
        about: the benchmark's own docstring.
        plan: makes the plan, given how much of everything.
        into: the folder where none is named.
    """
    whole = plan(into=Path(into), seeds=3, episodes=4000, games=600)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=whole.seeds, help="how many: of data, training and sampling")
    parser.add_argument("--episodes", type=int, default=whole.episodes, help="of each method's data, four of each game")
    parser.add_argument("--games", type=int, default=whole.games, help="held-out games, the same ones for all")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[*whole.recipes], help="train and play just these")
    parser.add_argument("--only-seeds", nargs="+", type=int, metavar="SEED", help="of the seeds 0, 1, … just these")
    parser.add_argument(
        "--sweep", nargs="+", metavar="NAME", choices=[*whole.sweeps, "all"], help=f"{', '.join(whole.sweeps)}, all"
    )
    parser.add_argument("--into", type=Path, default=whole.into, help="folder for everything")
    return parser, whole


def alfworld(**amounts: Any) -> Plan:
    """The plan of this benchmark."""
    return Plan(ALFWORLD, MAIN, SWEEPS, ALFWORLD.chooser.settings, (0, 4, 8, 12, 16), **amounts)


def main() -> None:
    parser, whole = options(__doc__, alfworld, into="runs/learning")
    plan = dataclasses.replace(whole, **vars(parser.parse_args()))
    with reported(f"stopped; what was done is in {plan.into}, and the same command goes on from there"):
        run(plan)


if __name__ == "__main__":
    main()
