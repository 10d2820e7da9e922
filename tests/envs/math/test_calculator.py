"""Exact arithmetic on text."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oreo.envs.math.calculator import MAX_DEPTH, MAX_DIGITS, MAX_LENGTH, calculate, format_value
from oreo.errors import UsageError

CALCULATED = [
    ("48/2", "24"),
    ("48/2=", "24"),
    ("16-3-4", "9"),
    (".5*80", "40"),
    ("20%*50", "10"),
    ("1/3*9", "3"),
    ("2^10", "1024"),
    ("2**10", "1024"),
    ("2^3^2", "512"),
    ("-2^2", "-4"),
    ("(-2)^2", "4"),
    ("2^-2", "0.25"),
    ("2*-3", "-6"),
    ("--5", "5"),
    ("-48+21+(-3)", "-30"),
    ("(1+2)*(3+4)", "21"),
    ("27(1/3)", "9"),
    ("2(3)(4)", "24"),
    ("[1+2]*3", "9"),
    ("1,234+1", "1235"),
    ("$1,000.50 x 2", "2001"),
    ("5 × 3 ÷ 2", "7.5"),
    ("7 − 2", "5"),
    ("7//2", "3"),
    ("-7//2", "-4"),
    ("1.5e3+1", "1501"),
    ("5.", "5"),
    ("0.1+0.2", "0.3"),
    ("(0-1)^999999999999", "-1"),
    ("1^10^200", "1"),
]


@pytest.mark.parametrize(("text", "value"), CALCULATED)
def test_arithmetic_is_exact(text: str, value: str) -> None:
    assert format_value(calculate(text)) == value


WRONG = [
    ("", "its end where a number was expected"),
    ("3+", "its end where a number was expected"),
    ("(1+2", "a bracket is not closed"),
    ("1+2)", "')' where an operator was expected"),
    ("2 3", "'3' where an operator was expected"),
    ("five", "'five' is not arithmetic"),
    ("__import__('os')", "is not arithmetic"),
    ("1,23", "',23' is not arithmetic"),
    ("1/0", "division by zero"),
    ("1//0", "division by zero"),
    ("0^-1", "division by zero"),
    ("4^.5", "the exponent 0.5 is no whole number"),
    ("9^9^9", f"more than {MAX_DIGITS} digits"),
    ("10^10^10^10", f"more than {MAX_DIGITS} digits"),
    ("2^-99999999999", f"more than {MAX_DIGITS} digits"),
    ("1e99999999999999", f"more than {MAX_DIGITS} digits"),
    ("*".join(["1e99"] * 9), f"more than {MAX_DIGITS} digits"),
    ("9" * (MAX_DIGITS + 1), f"more than {MAX_DIGITS} digits"),
    ("(" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} brackets"),
    ("2^" * MAX_LENGTH, f"at most {MAX_LENGTH:,} are calculated"),
    ("-" * MAX_LENGTH, f"more than {MAX_DEPTH} brackets"),
    ("2^" * (MAX_DEPTH + 1) + "2", f"more than {MAX_DEPTH} brackets"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_what_cannot_be_calculated_is_said_in_a_short_line(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        calculate(text)
    message = str(caught.value)
    assert reason in message
    assert len(message) < 220 and "\n" not in message


FORMATTED = [
    (Fraction(24), "24"),
    (Fraction(-1, 2), "-0.5"),
    (Fraction(245, 4), "61.25"),
    (Fraction(1, 1024), "0.0009765625"),
    (Fraction(1, 3), "0.333333"),
    (Fraction(-2, 3), "-0.666667"),
    (Fraction(100, 3), "33.3333"),
    (Fraction(100_000, 3), "33333.33"),
    (Fraction(10**9, 7), "142857142.86"),
    (Fraction(1, 30_000), "0.0000333333"),
    (Fraction(1, 3 * 10**10), "3.33333e-11"),
    (Fraction(1, 10**20), "1e-20"),
]


@pytest.mark.parametrize(("value", "text"), FORMATTED)
def test_a_value_is_written_in_one_way(value: Fraction, text: str) -> None:
    assert format_value(value) == text


@given(st.fractions(max_denominator=10**15))
def test_a_formatted_value_is_read_back_as_near_as_it_says(value: Fraction) -> None:
    again = calculate(format_value(value))
    if 10**12 % value.denominator == 0:
        assert again == value
    else:
        assert abs(again - value) <= max(abs(value) * Fraction(1, 10**5), 0)


def expressions() -> st.SearchStrategy[tuple[str, Fraction]]:
    """(text, value), the value by Python's own fractions, every operation in brackets."""
    numbers = st.decimals(0, 1000, places=2).map(lambda number: (f"{number:,}", Fraction(number)))

    def larger(inner: st.SearchStrategy[tuple[str, Fraction]]) -> st.SearchStrategy[tuple[str, Fraction]]:
        def joined(one: tuple[str, Fraction], sign: str, other: tuple[str, Fraction]) -> tuple[str, Fraction]:
            a, b = one[1], other[1]
            assume(sign != "/" or b != 0)
            value = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[sign]()
            return f"({one[0]} {sign} {other[0]})", value

        return st.builds(joined, inner, st.sampled_from("+-*/"), inner)

    return st.recursive(numbers, larger, max_leaves=12)


@given(expressions())
def test_the_calculator_agrees_with_fractions(expression: tuple[str, Fraction]) -> None:
    text, value = expression
    assert calculate(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), max_size=8), st.integers(0, 99))
def test_operators_bind_as_in_python(rest: list[tuple[str, int]], first: int) -> None:
    text = str(first) + "".join(f"{sign}{number}" for sign, number in rest)
    exact = "".join(f"{sign}Fraction({number})" for sign, number in rest)
    assert calculate(text) == eval(f"Fraction({first}){exact}")


@given(st.text(alphabet="0123456789.,()+-*/^%$eEx ", max_size=60) | st.text(max_size=200))
def test_any_text_is_calculated_or_refused(text: str) -> None:
    try:
        value = calculate(text)
    except UsageError:
        pass
    else:
        assert value.numerator.bit_length() < 4 * MAX_DIGITS
        format_value(value)
