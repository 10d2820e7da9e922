"""Does a tiny language model learn in somebody else's environment? Blackjack of gymnasium, by its id alone.

    python benchmarks/adapter_learning.py
    python benchmarks/adapter_learning.py --episodes 500 --held-out 500

1. The random agent plays `gymnasium:Blackjack-v1` into a buffer.
2. The tiny LM of the package learns from its wins (rejection sampling: SFT on what was won).
3. That model plays, and OREO learns from all it played, lost games too.
The models choose among the two commands there are. All then play the same hands, sampled at 0.5. Every step is an
`oreo` command, in a folder of its own.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.table import Table

import oreo
from oreo.agents import AgentConfig, load_agent
from oreo.cli import main as oreo_command
from oreo.cli.output import result_console
from oreo.eval.evaluate import Evaluation
from oreo.eval.statistics import percent

ENV = "gymnasium:Blackjack-v1"
TEMPERATURE = 0.5
UPDATES = "--batch-size 8 --epochs 12 --lr 1e-3"
"""Of SFT: the settings for small models make a few dozen updates of so few tokens, and tiny has never read of cards."""


def run(line: str) -> None:
    """Run an `oreo` command in this process; where it fails, so does this script."""
    try:
        oreo_command(line.split())
    except SystemExit as stop:
        if stop.code:
            raise


def train(folder: Path, episodes: int, seed: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    collect = f"collect --env {ENV} --episodes {episodes} --seed {seed} --max-steps 10"
    run(f"{collect} --agent random --into {folder}/random")
    run(f"train {folder}/random --method rejection --model tiny --output {folder}/sft {UPDATES}")
    run(f"{collect} --agent {folder}/sft --choose admissible --temperature 1 --into {folder}/own")
    run(f"train {folder}/own --method oreo --model {folder}/sft --output {folder}/oreo")


def play(agent: str, episodes: int, seed: int) -> Evaluation:
    config = AgentConfig() if agent == "random" else AgentConfig(choose="admissible", temperature=TEMPERATURE)
    return oreo.evaluate(ENV, load_agent(agent, config), episodes=episodes, seed=seed + 1_000, max_steps=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=600, help="played by each of the two who collect")
    parser.add_argument("--held-out", type=int, default=1_000, help="hands to evaluate on")
    parser.add_argument("--folder", type=Path, default=Path("runs/adapter-learning"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train(args.folder, args.episodes, args.seed)
    table = Table("agent", "won", "95 % interval", title=f"{ENV}, {args.held_out} hands")
    agents = {"random": "random", "SFT on random wins": f"{args.folder}/sft", "then OREO": f"{args.folder}/oreo"}
    for name, agent in agents.items():
        overall = play(agent, args.held_out, args.seed).overall
        interval = f"{percent(overall.low)} – {percent(overall.high)}"
        table.add_row(name, percent(overall.success), interval)
    result_console().print(table)


if __name__ == "__main__":
    main()
