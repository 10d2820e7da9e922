"""Verdicts of math-verify, and the three kinds of them that are not taken over."""

from __future__ import annotations

import pytest

pytest.importorskip("math_verify")

from oreo.envs.killable import Worker  # noqa: E402
from oreo.envs.math.verifier import equal  # noqa: E402


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{1}{2}", "0.5"),
        (r"2\sqrt{2}", r"\sqrt{8}"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\{1,2\}", r"\{2,1\}"),
        ("(1,2)", "1 < x < 2"),
        ("i^2", "-1"),
        (r"\infty", r"\infty"),
        (r"\text{what nobody reads", r"\text{what nobody reads"),
    ],
)
def test_equal_mathematics_is_equal_from_either_side(gold: str, answer: str) -> None:
    assert equal(gold, answer) and equal(gold, gold) and equal(answer, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{1}{2}", "0.51"),
        ("x", "y"),
        ("72", r"9\infty^{9}"),
        (r"2\sqrt{2}", r"\pi\infty^{9}"),
        (r"\{1,2\}", "(1,2)"),
        ("(1,2)", r"\{1,2\}"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("0.0000001", "0.0000002"),
        ("72", r"\frac{72"),
    ],
)
def test_different_mathematics_is_different(gold: str, answer: str) -> None:
    assert not equal(gold, answer)


def test_the_process_answers_requests_and_retires_when_it_has_answered_enough() -> None:
    worker = Worker(
        "from oreo.envs.math import verifier\nverifier.RETIRES_AFTER, verifier.RETIRES_AT = 3, 1 << 40\nverifier.main()"
    )
    try:
        worker.start()
        for answer, verdict, retires in (("2", True, False), ("3", False, False), (r"\frac{4}{2}", True, True)):
            assert worker.ask({"gold": "2", "answer": answer}, 60) == {"equal": verdict, "retires": retires}
            assert worker.retires == retires
    finally:
        worker.kill()
