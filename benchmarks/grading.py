"""Gradings a second: plain numbers and words, LaTeX through the pool of processes, and math-verify called directly.

    python benchmarks/grading.py
    python benchmarks/grading.py --plain 100000 --latex 500 --threads 4

Every grading is of another pair, so that no verdict is remembered. Half of the answers are right. The processes are
warm; the table's last column says what the first grading costs. Direct calls have math-verify's own time limits off,
as the processes do, and so no limit at all.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from oreo.envs.math import pool, verifier
from oreo.envs.math.grading import grade

Pair = tuple[str, str]
"""Gold and answer."""


def plain(number: int) -> Pair:
    gold = number * 37 + 1000
    return str(gold), f"${gold + number % 2:,}.00"


def latex(number: int) -> Pair:
    return (
        (rf"{number + 2}\sqrt{{2}}", rf"\sqrt{{{2 * (number + 2) ** 2 + number % 2}}}"),
        (rf"({number},{number + 9}]", rf"\left({number}, {number + 9 + number % 2}\right]"),
        (rf"x^2-{(number + 1) ** 2}", rf"(x-{number + 1})(x+{number + 1 + number % 2})"),
        (rf"\frac{{\pi}}{{{number + 2}}}", rf"\pi/{number + 2 + number % 2}"),
    )[number // 2 % 4]


def graded(pair: Pair) -> bool:
    return grade(f"So we have \\boxed{{{pair[1]}}}.", pair[0], seconds=60).correct


def direct(pair: Pair) -> bool:
    return verifier.equal(*pair)


def rate(judge: Callable[[Pair], bool], pairs: Sequence[Pair], threads: int = 1) -> float:
    """Gradings a second; every second answer has to be right."""
    began = time.perf_counter()
    if threads == 1:
        right = [judge(pair) for pair in pairs]
    else:
        with ThreadPoolExecutor(threads) as executor:
            right = list(executor.map(judge, pairs))
    seconds = time.perf_counter() - began
    assert right == [number % 2 == 0 for number in range(len(pairs))], "graded wrongly"
    return len(pairs) / seconds


def first(judge: Callable[[Pair], bool]) -> float:
    """Seconds of the first grading, which is not repeated."""
    began = time.perf_counter()
    judge((r"\sqrt{3}", r"\frac{3}{\sqrt{3}}"))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", type=int, default=20_000, help="gradings of plain numbers (default 20,000)")
    parser.add_argument("--latex", type=int, default=200, help="gradings of LaTeX (default 200)")
    parser.add_argument("--threads", type=int, default=4, help="threads in the row with several (default 4)")
    args = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time limits are off

    numbers, formulas = (
        [kind(number) for number in range(count)] for kind, count in ((plain, args.plain), (latex, args.latex))
    )
    table = Table("grading", "a second", "first, s", title=f"{args.plain:,} numbers, {args.latex:,} formulas")
    table.add_row("plain numbers", f"{rate(graded, numbers):,.0f}", "")
    started = first(graded)
    table.add_row("LaTeX, through the pool", f"{rate(graded, formulas):,.1f}", f"{started:.2f}")
    pool.verified.cache_clear()
    threads = f"LaTeX, {args.threads} threads, {pool.WORKERS} processes"
    table.add_row(threads, f"{rate(graded, formulas, args.threads):,.1f}", "")
    started = first(direct)
    table.add_row("LaTeX, math-verify in this process", f"{rate(direct, formulas):,.1f}", f"{started:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
