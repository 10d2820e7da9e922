"""What runs in a grading process: math-verify, asked over standard input, one JSON line in, one out.

Its own time limits are alarms with a Python handler. They are off here: they fail outside the main thread, and no
Python handler runs while one giant power is being multiplied out. Instead the parent kills this process at the
deadline, and if there is no parent any more, the kernel does a little later. See pool.py for the parent's side.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import IO, Any

MEMORY = 1 << 30
"""Bytes of address space; math-verify and sympy take 0.1 GB."""
RETIRES_AT = 300 << 20
"""A process that has ever held so many bytes ends after its answer, which gives them back."""
RETIRES_AFTER = 2_000
"""Comparisons; sympy remembers much of each."""
ORPHAN_CHECK = 5_000
"""Milliseconds between two looks for the parent, while there is nothing to do."""
GRACE = 1.0
"""Seconds after the deadline until the kernel does what the parent should have done."""


def main() -> None:
    """Say `{}` when ready, or what package is missing; then answer `{"gold", "answer", "seconds"}` until the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it computes
    parent = os.getppid()
    _limit_memory()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parsers print at times
    try:
        equal("1", "\\frac{1}{2}")  # the slow imports, and the parser's tables
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    print("{}", file=answers, flush=True)
    requests = open(0, "rb", buffering=0, closefd=False)  # what a buffer held, poll would not see
    for _ in range(RETIRES_AFTER):
        line = _next_line(requests, parent)
        if not line:
            return
        request: dict[str, Any] = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + GRACE)
        verdict = equal(request["gold"], request["answer"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        retires = _memory_held() > RETIRES_AT
        print(json.dumps({"equal": verdict, "retires": retires}), file=answers, flush=True)
        if retires:
            return


def equal(gold: str, answer: str) -> bool:
    r"""Whether math-verify holds two answers in LaTeX to be equal. What it cannot read is equal to itself alone.

    Two kinds of its verdicts (version 0.9.0) are not taken over: it finds some infinite values equal to every number,
    9\infty^{9} to 72 and \pi\infty^{9} to 2\sqrt{2}; and the interval (1,2) equal to the set {1,2}.
    """
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import FiniteSet, Interval

    def parsed(text: str) -> list[Any]:
        # The whole text is one formula. Without first_match, a number inside an unreadable formula would count.
        formula = "$" + text.replace("$", " ").replace("\n", " ") + "$"
        config = [LatexExtractionConfig(boxed_match_priority=-1)]
        return list(parse(formula, config, extraction_mode="first_match", parsing_timeout=None))

    def some(expressions: list[Any], kind: type) -> bool:
        return any(isinstance(expression, kind) for expression in expressions)

    reference, given = parsed(gold), parsed(answer)
    if some(reference + given, FiniteSet) and some(reference + given, Interval):
        return False
    if any(map(_infinite, given)) and not any(map(_infinite, reference)):
        return False
    # 1 < x < 2 is the interval (1,2), but not the set {1,2}.
    relations = not some(reference, FiniteSet)
    return bool(verify(reference, given, allow_set_relation_comp=relations, timeout_seconds=None))


def _infinite(expression: Any) -> bool:
    """Whether infinity or something undefined is left when an expression of sympy is worked out. Sets may have it."""
    from sympy import Set, nan, oo, zoo

    if isinstance(expression, (str, Set)):
        return False
    try:
        return bool(expression.doit().has(oo, -oo, zoo, nan))
    except Exception:  # sympy cannot work it out: nor can math-verify, which then compares in writing
        return bool(expression.has(oo, -oo, zoo, nan))


def _next_line(requests: IO[bytes], parent: int) -> bytes:
    """The next request, nothing at the end or when the parent is gone.

    The end of the pipe may stay away when the parent dies: a process forked from it holds a copy.
    """
    waiting = select.poll()
    waiting.register(requests, select.POLLIN)
    while not waiting.poll(ORPHAN_CHECK):
        if os.getppid() != parent:
            return b""
    return requests.readline()


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # not on this system: the deadline alone is the limit


def _memory_held() -> int:
    """Bytes this process holds now; 0 where that is not told.

    (Not its peak, which on Linux begins with that of the process it was started from.)
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
