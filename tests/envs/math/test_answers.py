"""Where the final answer is, and what number a plain one is."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.math.answers import MAX_DIGITS, canonical, final_answer, last_number, plain_number
from oreo.errors import UsageError

FOUND = [
    (r"so it is \boxed{24}.", "24"),
    (r"\boxed{\frac{1}{2}} and then \boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\fbox{7}", "7"),
    (r"thus $\boxed 5$ apples", "5"),
    (r"\boxed{x = \boxed{5}}", "5"),
    (r"\boxed{1} or rather \boxed{2", "1"),
    (r"}}{{ \boxed{3}", "3"),
    (r"\boxed{}", ""),
    (r"\boxed{a\\{b}c}", r"a\\{b}c"),
    ("#### 72", "72"),
    ("She has 5.\n#### 1,200 \nThat is all.", "1,200"),
    ("#### 72 #### 73", "73"),
    (r"#### \boxed{18}", "18"),
    (r"\boxed{3} #### 4", "4"),
    (r"#### 4 \boxed{3", r"4 \boxed{3"),
    ("####", ""),
    ("##### A heading", None),
    ("### 72", None),
    (r"\boxed{12", None),
    ("The answer is 72.", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "answer"), FOUND)
def test_the_answer_that_begins_last_is_found(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


def test_a_pattern_of_ones_own_finds_its_first_group_or_all_of_it() -> None:
    text = "Answer: 5. No: Answer: 72."
    assert final_answer(text, r"Answer: (\d+)") == "72"
    assert final_answer(text, r"\d+") == "72"
    assert final_answer(text, r"(x)?\d+") == ""
    assert final_answer(text, "nothing of it") is None
    with pytest.raises(UsageError, match="is not a regular expression"):
        final_answer(text, "(")


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"((a+)+)+b"])
def test_a_pattern_that_explodes_is_stopped(pattern: str) -> None:
    began = time.process_time()
    with pytest.raises(TimeoutError):
        final_answer("a" * 5000 + "!", pattern)
    assert time.process_time() - began < 60


@pytest.mark.parametrize(
    "text", ["\\boxed{" * 150_000, "{" * 1_000_000 + "\\boxed{1}", "#### " * 200_000, "\\boxed  " * 99]
)
def test_a_megabyte_of_marks_is_read_in_a_moment(text: str) -> None:
    began = time.process_time()
    final_answer(text)
    assert time.process_time() - began < 60


NUMBERS = [
    ("72", 72),
    ("72.", 72),
    ("007", 7),
    ("1,234.50", Fraction(2469, 2)),
    ("1{,}234", 1234),
    (r"10\,000", 10000),
    (r"10,\!000", 10000),
    ("10\u202f000", 10000),
    (".5", Fraction(1, 2)),
    ("-3", -3),
    ("−3", -3),
    ("+3", 3),
    ("-$3", -3),
    ("$-3.50", Fraction(-7, 2)),
    (r"\$18.00", 18),
    ("$18$", 18),
    (r"$\$18$", 18),
    ("200$", 200),
    ("€ 5", 5),
    (r"\(5\)", 5),
    ("**72**", 72),
    (r"\text{72}", 72),
    ("1/2", Fraction(1, 2)),
    ("-1 / 2", Fraction(-1, 2)),
    (r"\frac{3}{4}", Fraction(3, 4)),
    (r"-\dfrac{3}{4}", Fraction(-3, 4)),
    (r"\frac{-3}{4}", Fraction(-3, 4)),
    (r"\frac34", Fraction(3, 4)),
    ("2 1/2", Fraction(5, 2)),
    (r"2\frac{1}{2}", Fraction(5, 2)),
    ("-2 1/2", Fraction(-5, 2)),
    ("2½", Fraction(5, 2)),
    (r"0.\overline{3}", Fraction(1, 3)),
    (r"1.2\overline{34}", Fraction(1222, 990)),
    ("1.5e3", 1500),
    ("1e-3", Fraction(1, 1000)),
    (r"1.5 \times 10^{3}", 1500),
    ("5 x 10^-2", Fraction(1, 20)),
    ("18 apples", 18),
    ("5 cm", 5),
    ("5cm", 5),
    (r"5\text{ cm}^2", 5),
    ("12 square feet", 12),
    (r"90^\circ", 90),
    ("10 miles per hour", 10),
    ("6 p.m.", 6),
    ("16 years old.", 16),
    ("18,", 18),
    ("18;", 18),
    ("1 000 000", 1000000),
    (r"1\ 000\ 000", 1000000),
    ("12 345.5 km", Fraction(24691, 2)),
    ("2/3 of a cup", Fraction(2, 3)),
    ("2/3 of the class", Fraction(2, 3)),
    ("$5/hour", 5),
    ("4 B.C.", 4),
    ("zero", 0),
    ("Seven", 7),
    (r"\text{twelve}", 12),
    ("twenty", 20),
    ("twenty-five", 25),
    ("ninety nine", 99),
    ("thirty minutes", 30),
]


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_a_plain_number_is_read_exactly(text: str, value: Fraction | int) -> None:
    number = plain_number(text)
    assert number is not None
    assert number.value == value


def test_percent_signs_and_scale_words_are_kept_apart_from_the_number() -> None:
    for text, scale in (("25%", Fraction(1, 100)), (r"25\%", Fraction(1, 100)), ("25 percent", Fraction(1, 100))):
        number = plain_number(text)
        assert number is not None and (number.value, number.scale) == (25, scale)
    number = plain_number("$5 million")
    assert number is not None and (number.value, number.scale, number.unit) == (5, 10**6, "dollar")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 cm", "5 centimeters"),
        ("$5", "5 dollars"),
        ("5 ft²", "5 square feet"),
        ("5 ft^2", "5 feet squared"),
        ("5 m/s^2", "5 meters per second squared"),
        ("5 mph", "5 miles an hour"),
        ("$5 per hour", "5 dollars/hour"),
        (r"20^\circ\text{C}", "20 degrees Celsius"),
        ("8 a.m.", "8 AM"),
        ("£5", "5 GBP"),
    ],
)
def test_a_unit_has_one_name(one: str, other: str) -> None:
    first, second = plain_number(one), plain_number(other)
    assert first is not None and second is not None
    assert first.unit == second.unit != ""


NO_NUMBERS = (
    "",
    "-",
    "x",
    "5x",
    "2xy",
    "5abc",
    "1,23",
    "12,345,67",
    "1, 2",
    "1.2.3",
    "5!",
    "5-3",
    "5 or 6",
    "5 or more",
    "5 and",
    "5 sin x",
    "1/0",
    r"\frac{1}{0}",
    "--5",
    r"\sqrt{4}",
    "2^3",
    "(1,2)",
    "5:30",
    "fives",
    "twenty twenty",
    "seven samurai",
    "seven hundred",
    "one half",
    "3 halves",
    "3 thirds",
    "3 tenths",
    "3 hundredths",
    "18 dozen",
    "18 hundred",
    "18 point five",
    "18 divided by two",
    "18 doubled",
    "18 clips doubled",
    "18 below zero",
    "18 degrees below zero",
    "18 miles or more",
    "1/2 of x",
    "2/3 of a",
    "5/x",
    "$5/x",
    "5 m/x",
    "1 00",
    "1 0000",
    "1e999999999",
    "1e-999999999",
    r"10^{10^{10}}",
    "9" * (MAX_DIGITS + 1),
    "1/" + "9" * (MAX_DIGITS + 1),
)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert plain_number(text) is None


@given(
    st.fractions(max_denominator=10**6), st.sampled_from(["{}", "${}$", "{} apples", r"\text{{{}}}", "**{}**", "{}."])
)
def test_a_fraction_that_is_written_down_is_read_back(value: Fraction, frame: str) -> None:
    number = plain_number(frame.format(value))
    assert number is not None and number.value == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_decimal_with_commas_is_read_back(value: Fraction) -> None:
    number = plain_number(f"{value:,}")
    assert number is not None and number.value == Fraction(value)


@given(st.text(alphabet="0123456789.,-+/e^{}%$ \\frac×10xcm", max_size=80) | st.text())
def test_nothing_that_is_read_raises_or_grows(text: str) -> None:
    number = plain_number(text)
    final_answer(text)
    assert number is None or number.value.numerator.bit_length() < 4 * 2 * MAX_DIGITS


@pytest.mark.parametrize(
    "same",
    [
        ("24", "24.0", "$24", r"\frac{48}{2}", "24 clips", r"\$24.00", " 24. ", "twenty-four", "2400%"),
        ("1,200", "1200", "1 200", "1.2 thousand", "$1.2e3$"),
        ("1/2", "0.5", r"\frac12", "50%"),
        ("Tuesday", r"\text{tuesday}.", "TUESDAY"),
        ("(A)", "A", "(a)", "A."),
        ("(1, 2]", r"\left(1,2\right]"),
        ("8 am", "8 A.M."),
        ("8 pm",),
        ("x",),
        ("X",),
        ("7",),
        ("",),
    ],
)
def test_votes_for_plainly_the_same_answer_are_for_one_text(same: tuple[str, ...]) -> None:
    assert len(set(map(canonical, same))) == 1
    others = {canonical(other) for other in ("24", "1200", "1/2", "Tuesday", "A", "(1,2]", "8 am", "x", "8 pm", "X")}
    others |= {canonical("7"), canonical("")}
    assert len(others) == 12 and canonical(same[0]) in others


FRAMES = ["{}", "${}$", r"\${}", "{} apples", r"\text{{{}}}", "**{}**", "{}."]


@given(st.fractions(), st.fractions(), st.sampled_from(FRAMES), st.sampled_from(FRAMES))
def test_two_numbers_get_one_vote_when_they_are_equal(one: Fraction, other: Fraction, frame: str, second: str) -> None:
    assert canonical(frame.format(one)) == canonical(second.format(one))
    assert (canonical(frame.format(one)) == canonical(second.format(other))) == (one == other)
    latex = rf"\frac{{{one.numerator * 3}}}{{{one.denominator * 3}}}"
    assert canonical(latex) == canonical(str(one))


@given(st.text(alphabet="0123456789.,-+/e^{}%$ \\\\frac×10xcmAB()seven") | st.text())
def test_every_text_has_a_canonical_one_whatever_space_precedes_it(text: str) -> None:
    assert canonical(text) == canonical(f" {text}")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 72.", "72"),
        ("10-5", "5"),
        ("= -5", "-5"),
        ("(-3)", "-3"),
        ("she has $1,234.50 left.", "$1,234.50"),
        ("3/4 of it", "3/4"),
        ("about 20%", "20%"),
        (r"\frac{3}{4}$.", r"\frac{3}{4}"),
        (r"1{,}000 or 1\,500", "1500"),
        ("７２", "72"),
        ("-.5", "-.5"),
        ("12,34", "34"),
        ("6*2=12", "12"),
        ("x2 and H2O", None),
        ("none", None),
        ("", None),
    ],
)
def test_the_last_number_of_a_text_is_found(text: str, number: str | None) -> None:
    assert last_number(text) == number


@given(st.text(), st.integers(-(10**9), 10**9))
def test_a_number_that_ends_a_text_is_the_last_one(text: str, number: int) -> None:
    assert last_number(f"{text} so it is {number}.") == str(number)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?R)",
        "a(?R)?b",
        "(?:a|(?R))*",
        "(?0)",
        "(a(?1)?b)",
        "(?-1)(a)",
        "(?P<n>a(?&n)?)",
        "(?P<n>a(?P>n)?)",
        "(a{1000000}){1000000}",
        "(?:(?:a{1,100}){100}){2}",
        "(" * 50_000 + "a" + ")" * 50_000,
        "a{99999999999}",
        "[a-z",
    ],
)
def test_a_pattern_whose_memory_nothing_limits_is_refused_at_once(pattern: str) -> None:
    began = time.process_time()  # the machine may be busy with other tests
    with pytest.raises(UsageError, match="pattern"):
        final_answer("aaab" * 50, pattern)
    assert time.process_time() - began < 60


def test_flags_and_groups_of_other_kinds_stay_patterns() -> None:
    for pattern in (
        "(?i)ANSWER is (.+)",
        r"answer \(?1?\)?is (.+)",
        "(?P<a>answer) is (?>.{1,20})",
        "(?=answer)answer is (.+)",
    ):
        assert final_answer("the answer is 5", pattern)
