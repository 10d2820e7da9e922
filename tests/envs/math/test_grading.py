"""Right or wrong: pairs of answers as people and models write them, and answers written to do harm."""

from __future__ import annotations

import itertools
import math
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.math import grading, pool
from oreo.envs.math.grading import grade
from oreo.errors import MissingExtra, UsageError

BOMBS = {
    "a tower of powers": r"9^{9^{9^9}}",
    "a million digits": r"10^{10^{10}}",
    "a memory bomb": r"(10^{10^{8}})^{10^{3}}",
    "a factorial": r"(10^9)!",
    "an expansion": r"(x+y+z)^{100000}",
    "a sum without end": r"\sum_{k=1}^{10^9} \frac{1}{k^2+1}",
    "an integral": r"\int_0^1 x^{x^x} dx",
    "deep fractions": r"\frac{1}{" * 180 + "2" + "}" * 180,
    "open fractions": r"\frac{" * 300,
    "deep roots": r"\sqrt{" * 200 + "2" + "}" * 200,
    "brackets": "(" * 900 + "x" + ")" * 900,
    "braces by the megabyte": "{" * 500_000 + "}" * 500_000,
    "digits by the megabyte": "7" * 1_000_000,
    "a long sum": "+".join(["x"] * 900),
    "nulls": "\x00" * 100,
    "half a character": "\ud800",
    "characters that JSON writes long": "\U0001f600" * 1_990 + r"\pi",
}

# gold, answer. None of these takes a process.
EQUAL_AT_ONCE = [
    ("72", "72"),
    ("72", "72.00"),
    ("72", "$72"),
    ("72", "72 clips."),
    ("72", r"\text{72 clips}"),
    ("72", "x = 72"),
    ("72", "Total = $72"),
    ("72", "12*6"),
    ("72", "12*6 = 72"),
    ("72", "8 \\times 9"),
    ("72", r"\frac{144}{2}"),
    ("72", r"\frac{100+44}{2}"),
    ("1,200", "1200"),
    ("1200", "1,200 dollars"),
    ("0.5", "1/2"),
    ("0.5", r"\dfrac{1}{2}"),
    (r"\frac{1}{2}", r"\frac{2}{4}"),
    (r"-\frac{1}{3}", "-1/3"),
    ("3 1/2", r"\frac{7}{2}"),
    ("3.5", "3½"),
    ("50%", "0.5"),
    ("50%", "50"),
    ("50", "50%"),
    (r"50\%", "50 percent"),
    ("1/3", "0.333333"),
    ("2/3", "0.666667"),
    ("2/3", "0.666666"),
    ("1/3", r"0.\overline{3}"),
    ("0.33333333", "1/3"),
    ("5 million", "5,000,000"),
    ("-5", "−5"),
    ("5", "(5)"),
    ("5", "5 cm"),
    ("5 cm", "5"),
    ("5 cm", "5 centimeters"),
    ("1000", "10^3"),
    ("1500", r"1.5 \times 10^3"),
    ("5 cm", "50 mm"),
    ("5 cm", "0.05 m"),
    ("1 liter", "1000 cm^3"),
    ("36 km/h", "10 m/s"),
    ("60 mph", "60 miles per hour"),
    ("3 hours", "180 minutes"),
    (r"\$5", "500 cents"),
    ("$10 per hour", "$10"),
    ("20^\\circ", r"20^\circ\text{C}"),
    ("£5", "5 pounds"),
    ("18", "18,"),
    ("18", "18 one dollar bills"),
    ("3", "3 quarters"),
    ("1000000", "1 000 000"),
    ("1000000", r"1\ 000\ 000"),
    ("7", "seven"),
    ("seven", "7"),
    ("2/3", "2/3 of a cup"),
    ("120", "5!"),
    ("6", "|-6|"),
    ("6", "x = |3-9|"),
    ("5", "P(x) = 5"),
    ("5", "AB = 5"),
    ("5", "x_1 = 5"),
    ("5", "the value of x is = 5"),
    ("5", "x = y = 10/2"),
    ("33.33", "100/3 = 33.33"),
    ("72", r"12 \times 6 = 72"),
    ("8 am", "8 a.m."),
    ("8 am", "8:00 AM"),
    ("8", "8 pm"),
    ("3:15 p.m.", "3:15 pm"),
    ("3:15 p.m.", "3:15"),
    ("3:15 p.m.", "15:15"),
    (r"4\text{ B.C.}", "4 BC"),
    ("(a)", "(A)"),
    ("A", "(A) the sum x(a)"),
    ("D", "(D) A and B"),
    ("Monday", "monday"),
    ("YES", "yes"),
    ("yes", "Yes."),
    (r"\text{Tuesday}", "tuesday"),
    ("June 20", r"\text{June 20}"),
    ("twenty-five", "Twenty five"),
    ("(C)", "C"),
    ("A", r"\textbf{(A) } 12"),
    ("B", "b."),
    ("B", "B) the second"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
    (r"\sqrt{2}", r"$\sqrt{2}$"),
    # Digits and signs of other scripts and widths.
    ("6", "６"),
    ("6.5%", "６．５％"),
    ("1234", "１，２３４"),
    ("-5", "－５"),
    ("5", "（５）"),
    ("5", "＄５"),
    ("6", "𝟔"),
    ("23", "٢٣"),
    ("7", "७"),
    ("12", "３×４"),
    ("1000", "10³"),
    ("0.01", "10⁻²"),
    ("5/8", "⅝"),
    ("2 1/5", "2⅕"),
    ("3/4", "3⁄4"),
    ("２４", "24"),
    # What is counted, in brackets or not.
    ("5 (times)", "5"),
    ("5", "5 (times)"),
    ("5 times", "5"),
    ("5", "5 times a day"),
    ("5", "5 times as many"),
    ("123 (third graders)", "123"),
    ("123", "123 third graders"),
    ("40 (fifth grade students)", "40"),
    ("5(minutes)", "5"),
    ("5 (hours)", "300 minutes"),
    ("20 (%)", "20"),
    ("5 (square feet)", "5"),
    ("6 (six)", "6"),
    ("6", "six (6)"),
    ("50% (0.5)", "0.5"),
    ("1/2 (50%)", "0.5"),
    # Floats.
    ("3244047.0999999996", "3244047.10"),
    ("3244047.0999999996", "$3,244,047.1"),
    ("3244047.10", "3244047.0999999996"),
    ("80", "79.99999999999999"),
    ("79.99999999999999", "80"),
    ("79.99999999999999", "8*10"),
    ("64.8000000000001", "64.8"),
    ("0.30000000000000004", "0.3"),
    ("0.30000000000000004", r"\frac{3}{10}"),
    ("-0.30000000000000004", "-0.3"),
    ("73.19999999999999", "12*6.1"),
    ("73.19999999999999", "x = 73.2"),
    # x as a times sign.
    ("6", "2 x 3"),
    ("6", "x = 2 x 3"),
    ("6", "2x3 = 6"),
    ("6", "2 x 3 = 6"),
    ("1500", "1.5 x 10^3"),
    ("18", "(2+1) x (2+4)"),
]
DIFFERENT_AT_ONCE = [
    ("72", "73"),
    ("72", "-72"),
    ("72", "7.2"),
    ("72", "72 or 73"),
    ("72", "72, 73"),
    ("72", "72x"),
    ("72", "x = 73"),
    ("72", "6*6"),
    ("72", "seventy"),
    ("72", "7 2"),
    ("72", "10^10^10"),
    ("72", "1e999999999"),
    ("72", "9" * 5000),
    ("50", "0.5"),
    ("0.5%", "50%"),
    ("1/3", "0.33"),
    ("1/3", "0.333334"),
    ("0.25", "0.250001"),
    ("1234567/1000000", "1.23456"),
    ("5 cm", "5 m"),
    ("5 cm", "5 cm^2"),
    ("$5", "5 cents"),
    ("8 am", "8 pm"),
    ("10 AM", "10 PM"),
    (r"3:15\text{ p.m.}", r"3:15\text{ a.m.}"),
    ("3:15 pm", "3:16 pm"),
    ("8 pm", "8:30 pm"),
    (r"4\text{ B.C.}", r"4\text{ A.D.}"),
    *(
        ("5", unknown + "=5")
        for unknown in ("2x", "-x", "x+1", "x/2", "x^2", "100-x", "x(x-1)", "not x", "2", "6", "x% ")
    ),
    *(
        ("5", unknown + "= 5")
        for unknown in (
            "x y ",
            "xy",
            "sin x ",
            "two ",
            "x = 6",
            "x=6, y",
            "|x|",
            r"2\pi x",
            r"\sqrt x",
            r"2\theta",
            r"\frac{24}{3}",
        )
    ),
    ("5", "16/3 = 5"),
    ("3", "3 halves"),
    ("3", "3 tenths"),
    ("3", "3 thirds"),
    ("18", "18 dozen"),
    ("18", "18 hundred"),
    ("18", "18 divided by two"),
    ("18", "18 doubled"),
    ("18", "18 point five"),
    ("18", "18 below zero"),
    ("18", "18 clips or more"),
    ("18", "18!"),
    ("5 m/s", "5 km/h"),
    ("5 m/s", "5 cm/s"),
    ("25 mph", "25 km/h"),
    ("5 dollars per hour", "5 dollars per minute"),
    (r"20^\circ C", r"20^\circ F"),
    ("5 gallons", "5 liters"),
    ("5 acres", "5 hectares"),
    ("5 tons", "5 kg"),
    ("5 degrees", "5 radians"),
    ("$5", "£5"),
    ("A", "(A) or (B)"),
    ("A", "A. or B."),
    ("B", "(B) and (C)"),
    ("B", "(B)(C)"),
    ("B", "B. none, C. none"),
    ("C", "C. 12 D. 13"),
    ("x", "X"),
    ("a^2", "A^2"),
    ("2x+y", "2X+y"),
    ("yes", "no"),
    ("yes", "eys"),
    ("no", "on"),
    ("odd", "even"),
    ("Tuesday", "5"),
    ("A", "B"),
    ("(A)", "(B) 12"),
    ("14_5", "14_6"),
    # x as a variable.
    ("6", "y = 2x + 3"),
    ("6", "y=2x+3"),
    ("6", "f(x) = 2x + 3"),
    ("6", r"y = 2x \times 3"),
    ("6", r"y = 2x \cdot 3"),
    ("6", "2x+3"),
    ("-6", "2x-3"),
    ("6", "2x3"),
    ("6", "2X3"),
    ("6", "y = 2x3"),
    ("10", "5x 2"),
    ("10", "5 x2"),
    ("6", "2x(3)"),
    ("8", "2x^3"),
    ("6", "2x + 3 = 6"),
    ("24", "2x 3x 4"),
    # Not what is counted.
    ("5", "5 (x)"),
    ("5", "5(xy)"),
    ("5", "5 (sin x)"),
    ("5", "5 (thirds)"),
    ("5", "5 (half)"),
    ("5", "5 (squared)"),
    ("5", "5 (or 6)"),
    ("6", "6 (seven)"),
    ("5", "5 (6)"),
    ("5", "5 times x"),
    ("5", "5 times 3"),
    ("5", "5 times a"),
    ("5", "5 third"),
    ("1", "1 third of it"),
    # Not what floats do.
    ("1234567890123.45", "1234567890123.46"),
    ("3244047.0999999996", "3244047.2"),
    ("3244047.0999999996", "3244047.11"),
    ("0.30000000000000004", "0.31"),
    ("12345678901234567", "12345678901234568"),
    ("333.3333333333333", "333.33"),
    ("80", "79.999"),
    ("6", "７"),
    ("100", "10³"),
]
# These take mathematics.
EQUAL = [
    ("2", r"\sqrt{4}"),
    ("12", r"\sqrt{144} = 12"),
    ("30", r"m\angle A = 30^\circ"),
    ("6", r"\sum_{k=1}^{3} k"),
    (r"\frac{\pi}{2}", r"\frac\pi2"),
    (r"\frac{a}{b}", r"\frac ab"),
    (r"\emptyset", r"\varnothing"),
    ("-1", r"e^{i\pi}"),
    (r"e^{i\pi}", "-1"),
    (r"\cos 60^\circ", "1/2"),
    ("1/2", r"\cos 60^{\circ}"),
    (r"(-\infty,-2]\cup[2,\infty)", r"x\le-2 \text{ or } x\ge2"),
    (r"(-\infty,-2)\cup(\frac{1}{2},\infty)", r"x < -2 or x > \frac12"),
    (r"2\sqrt{2}", r"\sqrt{8}"),
    (r"\frac{\pi}{2}", r"\pi/2"),
    ("x^2+2x+1", "(x+1)^2"),
    ("p-q", "-q+p"),
    ("xy", "yx"),
    ("x=5", "5"),
    (r"\frac{1}{x}", "x^{-1}"),
    (r"\{1,2,3\}", r"\{3,1,2\}"),
    ("1,2,3", "3, 2, 1"),
    (r"5 \text{ or } 6", r"6 \text{ or } 5"),
    ("[0,1)", r"\left[0, 1\right)"),
    (r"(-\infty,1)\cup(2,\infty)", r"(2,\infty)\cup(-\infty,1)"),
    ("1<x<2", "(1,2)"),
    ("(1,2)", "1<x<2"),
    (r"x \ge 3", r"[3,\infty)"),
    ("3+2i", "2i+3"),
    ("14_5", "14_{5}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}"),
    (r"\frac{\sqrt{3}}{2}", "0.8660254"),
    (r"3\pi \text{ cm}", r"3\pi"),
    (r"\sin x", r"\sin(x)"),
    (r"\infty", r"+\infty"),
    (r"\frac{1}{2006!}", "1/2006!"),
    (r"\frac{1}{2006!}+\frac{1}{2007!}", r"\frac{2008}{2007!}"),
    (r"\frac{1}{2^{5000}}", "2^{-5000}"),
    (r"\frac{\pi}{1000000}", "0.00000314159"),
    (r"\sqrt{2}\sqrt{3}-\sqrt{6}", "0"),
    (r"\sqrt{2}", "1.414214"),
]
DIFFERENT = [
    ("1/2006!", "1/2004!"),
    (r"\frac{1}{2006!}", r"\frac{1}{2004!}"),
    (r"\frac{1}{2006!}", "0"),
    ("0", r"\frac{1}{2006!}"),
    ("10^{-400}", "10^{-500}"),
    ("e^{-1000}", "e^{-2000}"),
    (r"\frac{1}{2^{5000}}", r"\frac{1}{2^{5001}}"),
    (r"\frac{\pi}{1000000}", "0.000003"),
    (r"x+\frac{1}{2006!}", r"x+\frac{1}{2004!}"),
    (r"\frac{i}{2006!}", r"\frac{i}{2004!}"),
    (r"(0,1/2006!)", "(0,1/2004!)"),
    (r"\{1, 1/2006!\}", r"\{1, 1/2004!\}"),
    (r"\sqrt{2}+10^{-30}", r"\sqrt{2}"),
    ("2006!", "2004!"),
    ("2", r"\sqrt{5}"),
    ("1", r"e^{i\pi}"),
    (r"\sqrt{2}", r"\max(i, 3)"),
    ("j<3", "i<3"),
    (r"(-\infty,-2]\cup[2,\infty)", r"x<-2 \text{ or } x\ge2"),
    (r"(-\infty,-2]\cup[2,\infty)", r"x\le-2 \text{ or } y\ge2"),
    ("5", r"\foo( 5"),
    (r"2\sqrt{2}", r"\sqrt{9}"),
    (r"\pi", "3.14"),
    ("x^2+1", "x^2-1"),
    ("p-q", "q-p"),
    ("x=5", "y=5"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(3,4]", "(3,4)"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    (r"\{1,2\}", "(1,2)"),
    (r"\{1,2\}", "1<x<2"),
    ("(1,2)", r"\{1,2\}"),
    (r"\emptyset", "no solution"),
    ("3+2i", "3-2i"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
]
# Right for no question but their own; math-verify alone finds the first two equal to 72 or to 2\sqrt{2}.
EMPTY = [
    r"9\infty^{9}",
    r"\pi\infty^{9}",
    r"\infty",
    r"\pi\infty",
    r"\frac{5}{0}",
    r"\frac{0}{0}",
    r"\tan(\pi/2)",
    r"\log 0",
    "0^{-1}",
    r"0\cdot\infty",
]
EMPTY += [
    "x",
    "x=x",
    "1=1",
    r"\{\}",
    "()",
    r"\emptyset",
    r"\mathbb{R}",
    r"(-\infty,\infty)",
    r"\text{}",
    r"\,",
    "?",
    "0",
]


def boxed(answer: str) -> str:
    return f"Thus, we see, \\boxed{{{answer}}}."


@pytest.fixture()
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting one is an error."""
    pool.close()
    pool.verified.cache_clear()
    monkeypatch.setattr(pool, "WORKERS", 0)
    monkeypatch.setattr(pool._Pool, "worker", None)


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize(("gold", "answer"), EQUAL_AT_ONCE)
def test_numbers_and_words_that_are_equal_are_correct_at_once(gold: str, answer: str) -> None:
    assert grade(boxed(answer), gold).outcome == "correct"
    assert grade(f"#### {answer}", gold) == grading.Grade("correct", answer)


@pytest.mark.usefixtures("no_process")
@pytest.mark.parametrize(("gold", "answer"), DIFFERENT_AT_ONCE)
def test_numbers_and_words_that_differ_are_wrong_at_once(gold: str, answer: str) -> None:
    assert grade(boxed(answer), gold) == grading.Grade("wrong", answer)


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_mathematics_is_correct(gold: str, answer: str) -> None:
    assert grade(boxed(answer), gold, seconds=60).outcome == "correct"


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_mathematics_is_wrong(gold: str, answer: str) -> None:
    assert grade(boxed(answer), gold, seconds=60).outcome == "wrong"


@pytest.mark.parametrize("answer", EMPTY)
def test_an_answer_that_says_nothing_or_all_is_wrong(answer: str) -> None:
    for gold in ("72", r"2\sqrt{2}", "x+1", "(1,2]", r"\{1,2\}", "x=5", "yes"):
        assert grade(f"#### {answer}", gold, seconds=60).outcome == "wrong"


@pytest.mark.parametrize("gold", sorted({gold for gold, _ in EQUAL_AT_ONCE + EQUAL}))
def test_every_gold_answer_is_correct_by_itself(gold: str) -> None:
    assert grade(boxed(gold), gold).correct
    assert grade(boxed(gold), boxed(gold)).correct


@pytest.mark.parametrize("response", ["", "72", "The answer is 72.", r"\boxed{}", "####", r"\boxed{72"])
def test_a_response_that_marks_no_answer_has_none(response: str) -> None:
    assert grade(response, "72").outcome == "no_answer"


def test_a_pattern_says_where_the_answer_is() -> None:
    assert grade("Answer: 72!", "72", pattern=r"Answer: (\d+)").correct
    assert grade(r"Answer: 72 \boxed{5}", "5", pattern=r"Answer: (\d+)").outcome == "wrong"
    assert grade("a" * 5000 + "!", "72", pattern="(a|aa)+$").outcome == "timeout"
    with pytest.raises(UsageError, match="regular expression"):
        grade("72", "72", pattern="(")


@pytest.fixture()
def without_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    pool.verified.cache_clear()
    monkeypatch.setitem(sys.modules, "math_verify", None)


@pytest.mark.usefixtures("without_math_verify")
def test_without_math_verify_numbers_and_words_are_graded_and_formulas_name_the_extra() -> None:
    assert grade("#### 72", "72").correct
    assert grade("#### yes", "no").outcome == "wrong"
    assert grade(r"\boxed{\sqrt{2}}", r"\sqrt{2}").correct
    with pytest.raises(MissingExtra, match=r"pip install 'oreo-agents\[math\]'"):
        grade(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")


@pytest.mark.parametrize(("bomb", "gold"), zip(BOMBS, itertools.cycle(["72", r"\sqrt{2}"]), strict=False))
def test_a_bomb_ends_with_the_deadline(bomb: str, gold: str) -> None:
    assert grade(f"#### {BOMBS[bomb]}", gold, seconds=0.5).outcome in ("wrong", "timeout")


def test_after_a_bomb_the_next_answer_is_graded() -> None:
    for gold in ("72", r"\sqrt{2}"):
        assert grade(f"#### {BOMBS['a tower of powers']}", gold, seconds=0.5).outcome in ("wrong", "timeout")
        assert grade(boxed(r"\sqrt{18}"), r"3\sqrt{2}", seconds=60).correct


def test_a_gold_answer_that_is_a_bomb_is_a_timeout_and_no_more() -> None:
    assert grade(boxed("5"), BOMBS["a tower of powers"], seconds=0.5).outcome == "timeout"
    assert grade(boxed(BOMBS["a tower of powers"]), BOMBS["a tower of powers"]).outcome == "correct"


@pytest.mark.parametrize("seconds", [0, -1, 3601, 3e6, 1e9, float("inf"), float("nan"), True, "abc", None])
@pytest.mark.parametrize("answer", ["72", r"\sqrt{2}"])
def test_seconds_that_are_no_deadline_are_told_in_one_line(seconds: Any, answer: str) -> None:
    with pytest.raises(UsageError) as caught:
        grade(boxed(answer), "72", seconds=seconds)
    assert f"seconds={seconds!r}" in str(caught.value) and "\n" not in str(caught.value)


PIECES = [*r"{ } \ ^ _ $ ( ) [ ] , . - + = % & 0 1 9 x y".split(), " ", "\n"]
PIECES += [r"\frac{", r"\sqrt{", r"\boxed{", "#### ", r"\text{", r"\left(", r"\right)", r"\pi", r"\infty", r"\cup", "!"]
PIECES += [
    r"\int_0^1",
    r"\sum_{k=1}^{99}",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    r"\\",
    r"\%",
    "99999999",
    "^{9}",
    "e9",
]


@settings(max_examples=60, deadline=None)
@given(
    answer=st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30),
    gold=st.sampled_from(["72", r"2\sqrt{2}", r"\frac{\pi}{3}", r"(1,2]", "x+1", r"\{1,2\}"]),
)
def test_whatever_the_answer_is_it_is_graded(answer: str, gold: str) -> None:
    result: Any = grade(boxed(answer), gold, seconds=2.0)
    assert result.outcome in ("correct", "wrong", "no_answer", "timeout")
    assert (result.answer is None) == (result.outcome == "no_answer")


@given(st.text(), st.text())
def test_any_two_texts_are_compared_at_once_or_left_to_mathematics(gold: str, answer: str) -> None:
    assert grading._at_once(gold, answer) in (True, False, None)
    assert grading._at_once(gold, gold) is True


@given(st.fractions(max_denominator=1000), st.fractions(max_denominator=1000))
def test_numbers_are_equal_when_their_values_are(one: Fraction, other: Fraction) -> None:
    assert grade(f"#### {one}", str(other)).correct == (one == other)


UNITS = ("", "cm", "m", "km", "m^2", "hours", "minutes", "dollars", "cents", "m/s", "km/h", "am", "pm", "%", "million")


@given(st.data(), st.integers(-50, 50), st.integers(-50, 50))
def test_of_two_plain_numbers_it_does_not_matter_which_is_gold(data: st.DataObject, one: int, other: int) -> None:
    first, second = (f"{value} {data.draw(st.sampled_from(UNITS))}".strip() for value in (one, other))
    assert grade(boxed(first), second).outcome == grade(boxed(second), first).outcome


WORDS = "cm ft^2 feet squared square cubic per an / m/s^2 m²/kg ° C in of each mph $ degrees BC p.m. clips million %"


@settings(deadline=None)  # a few pairs, such as 6 feet p.m., take a process
@given(
    *(st.lists(st.sampled_from(WORDS.split()), max_size=6).map(" ".join) for _ in range(2)), st.sampled_from(["", "$"])
)
def test_whatever_units_stand_behind_two_numbers_there_is_a_verdict(one: str, other: str, sign: str) -> None:
    assert grade(f"#### {sign}5 {one}", f"6 {other}").outcome in ("correct", "wrong")
    assert grade(f"#### {sign}5 {one}", f"{sign}5 {one}").correct


KINDS = (
    ("cm", "miles"),
    ("hours", "weeks"),
    ("kg", "ounces"),
    ("cents", "dollars"),
    ("cm^2", "acres"),
    ("am",),
    ("pm",),
)


@given(st.data(), st.fractions(min_value=1))
def test_a_number_of_another_kind_of_unit_is_never_correct(data: st.DataObject, number: Fraction) -> None:
    kinds = data.draw(st.permutations(KINDS))[:2]
    unit, wrong = (data.draw(st.sampled_from(kind)) for kind in kinds)
    assert grade(boxed(f"{number} {wrong}"), f"{number} {unit}").outcome == "wrong"
    assert grade(boxed(f"{number} clips"), f"{number} {unit}").correct
    assert grade(boxed(f"{number}"), f"{number} {unit}").correct


@given(
    st.integers(1, 10**6), st.sampled_from(["halves", "thirds", "dozen", "hundred", "below zero", "doubled", "twenty"])
)
def test_a_word_that_changes_a_number_is_no_unit(number: int, word: str) -> None:
    assert grade(f"#### {number} {word}", str(number)).outcome == "wrong"


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from("ABCDEFGHIJ"), st.sampled_from(["({})", "{}. none", "{}) 12"]))
def test_a_choice_beside_another_is_wrong(one: str, other: str, form: str) -> None:
    both = f"{form.format(one)} {form.format(other)}"
    assert grade(f"#### {both}", one).correct == (one == other)


@given(st.sampled_from("abcxyzkn"), st.integers(2, 99))
def test_the_case_of_a_variable_counts(letter: str, number: int) -> None:
    for formula in ("{}", "{}^2", "{}+1", f"{number}{{}}", rf"\frac{{{{{number}}}}}{{{{{{}}}}}}"):
        assert grade(f"#### {formula.format(letter)}", formula.format(letter)).correct
        assert not grade(f"#### {formula.format(letter.upper())}", formula.format(letter)).correct


@given(st.integers(-(10**7), 10**7).filter(lambda cents: cents % 100), st.integers(1, 40))
def test_a_float_is_the_decimal_that_it_was_computed_for(cents: int, ulps: int) -> None:
    exact = Fraction(cents, 100)
    computed = float(exact)
    for _ in range(ulps):
        computed = math.nextafter(computed, math.inf)
    assert grade(f"#### {cents / 100:.2f}", repr(computed)).correct
    assert grade(f"#### {repr(computed)}", f"{cents / 100:.2f}").correct
    assert not grade(f"#### {(cents + 1) / 100:.2f}", repr(computed)).correct


@pytest.mark.parametrize(
    ("response", "gold", "outcome"),
    [
        ("So she sold 72 clips.", "72", "correct"),
        ("So she sold 72 clips, not 73.", "72", "wrong"),
        ("The answer is $1,250.00.", "1250", "correct"),
        ("It is \\boxed{72}. I checked it 3 times.", "72", "correct"),
        ("It is \\boxed{71}. (72 is too much.)", "72", "wrong"),
        ("That is \\frac{3}{4} of it", "0.75", "correct"),
        ("１０ - ３ = ７", "7", "correct"),
        ("no number at all", "72", "no_answer"),
    ],
)
def test_the_last_number_counts_where_it_is_asked_for_and_nothing_is_marked(
    response: str, gold: str, outcome: str
) -> None:
    assert grade(response, gold, extract="last number").outcome == outcome
    if "boxed" not in response:
        assert grade(response, gold).outcome == "no_answer"


def test_an_unknown_extract_or_two_rules_are_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="did you mean 'last number'"):
        grade("72", "72", extract="last numbr")
    with pytest.raises(UsageError, match="choose one"):
        grade("72", "72", extract="last number", pattern="(.+)")


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("7", "7 (halves)"),
        ("12", "12 (thirds)"),
        ("12", "12 (2nd graders)"),
        ("12", "12 (divided)"),
        ("12", "12 (x more)"),
        ("12", "12 (half marathons)"),
        ("9", "9 (5 gallon cans)"),
        ("9", "9 (0.5 liter bottles)"),
        ("3", "3 (half hours)"),
    ],
)
def test_what_a_gold_answer_counts_in_brackets_is_no_part_of_its_value(response: str, gold: str) -> None:
    assert grade(rf"\boxed{{{response}}}", gold).outcome == "correct"
    assert grade(rf"\boxed{{{response}0}}", gold).outcome == "wrong"
