"""A small language that says which episodes are meant: `won and steps < 20 and task_type == "look_at_obj_in_light"`.

    condition  = condition or condition | condition and condition | not condition | ( condition ) | test
    test       = FLAG | known(WORD) | VALUE COMPARISON literal | VALUE between number and number
               | VALUE in [literal, …] | TEXT ~ "what it contains"
    VALUE      = WORD | wins(WORD) | episodes(WORD)
    COMPARISON = == | != | < | <= | > | >=

Words are in `oreo.data.filter_words`; `not` binds before `and`, and that before `or`. What is not known of an episode
(a seed that nobody stored) passes no test but `not known(…)`; tests on it fail whichever way they are put.

Text is parsed here, token by token, and becomes a tree of plain records; nothing is evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oreo.data.filter_words import GROUPS, WORDS, Value
from oreo.errors import UsageError, did_you_mean

Test = Callable[[Mapping[Value, Any]], bool]
"""Of the values of an episode."""

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_JOINTS = ("and", "or", "not", "in", "between", "true", "false", "known")
_MOST_CHARACTERS = 1 << 16
_MOST_NESTED = 50
"""Brackets and `not`s inside of each other; more are no person's writing, and would end in Python's own limit."""
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>==|!=|<=|>=|[<>~()\[\],])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Condition:
    """What episodes are to be like; made by `parse` and `equal_to`."""

    text: str
    """As it was written."""
    values: tuple[Value, ...]
    """What has to be known of an episode."""
    test: Test
    """Whether an episode with these values is meant."""

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


def parse(text: str) -> Condition:
    """A condition from its text.

    Raises:
        UsageError: it is none; says at which column, and what was expected there.
    """
    if not isinstance(text, str):
        raise UsageError(f"a condition is a text such as 'won and steps < 20', got {text!r:.80}")
    if len(text) > _MOST_CHARACTERS:
        raise UsageError(f"a condition has at most {_MOST_CHARACTERS} characters, got {len(text)}")
    parser = _Parser(text)
    test = parser.condition()
    parser.expect_end()
    return Condition(text, tuple(dict.fromkeys(parser.values)), test)


def equal_to(wanted: Mapping[str, Any]) -> Condition:
    """The condition that words have these values; None asks for nothing.

    Raises:
        UsageError: no such word.
    """
    wanted = {name: value for name, value in wanted.items() if value is not None}
    for name in wanted:
        if name not in WORDS:
            raise UsageError(f"there is no word {name!r} to choose episodes by: {did_you_mean(name, WORDS)}")
    expected = {Value(name): value for name, value in wanted.items()}
    text = " and ".join(f"{name} == {value!r}" for name, value in wanted.items())
    return Condition(text, tuple(expected), lambda row: all(row[value] == told for value, told in expected.items()))


@dataclass(frozen=True)
class _Token:
    kind: str
    """number, text, name, sign or end."""
    text: str
    at: int
    """Where it begins, from 0."""


class _Parser:
    """One pass over the tokens; a method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.place = 0
        self.nested = 0
        self.values: list[Value] = []

    def _tokens(self) -> Iterator[_Token]:
        at = 0
        while True:
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self._unreadable(len(self.text) - len(self.text[at:].lstrip()))
            kind = str(match.lastgroup)
            yield _Token(kind, match.group(kind), match.start(kind))
            if kind == "end":
                return
            at = match.end()

    def _unreadable(self, at: int) -> UsageError:
        character = self.text[at]
        if character in "\"'":
            return self.error(at, f"this text has no closing {character}")
        if character == "=":
            return self.error(at, "equality is written ==")
        if character in "&|!":
            return self.error(at, "expected and, or, not")
        if character.isdigit() or character in "-.":
            return self.error(at, "expected a number such as 20 or -0.5")
        return self.error(at, f"{character!r} has no meaning in a condition")

    def error(self, at: int, message: str) -> UsageError:
        """What is wrong, the column (from 1), and the text around it."""
        start, stop = max(0, at - 30), at + 30
        shown = f"{'…' * (start > 0)}{self.text[start:at]}⟨here⟩{self.text[at:stop]}{'…' * (stop < len(self.text))}"
        return UsageError(f"condition, column {at + 1}: {message} ({shown})")

    # Tokens.

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def takes(self, *texts: str) -> bool:
        """Whether the next token is one of these words or signs, which is then taken."""
        if self.next.kind in ("name", "sign") and self.next.text in texts:
            self.place += 1
            return True
        return False

    def expect(self, sign: str, why: str) -> None:
        if not self.takes(sign):
            raise self.error(self.next.at, f"expected {sign} {why}")

    def expect_end(self) -> None:
        if self.next.kind != "end":
            hint = ""
            if self.next.kind == "name":
                hint = f"; {did_you_mean(self.next.text, ('and', 'or'))}"
            raise self.error(self.next.at, f"expected and, or, or the end{hint}")

    # The grammar.

    def condition(self) -> Test:
        tests = [self._all()]
        while self.takes("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self.takes("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        self.nested += 1
        if self.nested > _MOST_NESTED:
            raise self.error(self.next.at, f"more than {_MOST_NESTED} brackets and nots inside of each other")
        try:
            if self.takes("not"):
                test = self._one()
                return lambda row: not test(row)
            if self.takes("("):
                inner = self.condition()
                self.expect(")", "to close the bracket")
                return inner
            return self._test()
        finally:
            self.nested -= 1

    def _test(self) -> Test:
        if self.takes("known"):
            value = self._bracketed("known")
            return self._whether(value, lambda content: True)
        value = self._value()
        kind = value.kind
        token = self.next
        if self.takes("between"):
            if kind != "number":
                raise self.error(token.at, f"between is for numbers, and {value} is {_a(kind)}")
            low = self._literal(kind, value)
            self.expect("and", "between the two numbers")
            high = self._literal(kind, value)
            if low > high:
                raise self.error(token.at, f"nothing is between {low:g} and {high:g}: the smaller number comes first")
            return self._whether(value, lambda content: low <= content <= high)
        if self.takes("in"):
            choices = self._list(kind, value)
            return self._whether(value, lambda content: content in choices)
        if self.takes("~"):
            if kind != "text":
                raise self.error(token.at, f"~ is for texts, and {value} is {_a(kind)}")
            part = self._literal(kind, value)
            return self._whether(value, lambda content: part in content)
        if token.kind == "sign" and token.text in _COMPARISONS:
            self.take()
            if kind == "flag" and token.text not in ("==", "!="):
                raise self.error(token.at, f"{value} is true or false: write {value}, or not {value}")
            compare, literal = _COMPARISONS[token.text], self._literal(kind, value)
            return self._whether(value, lambda content: compare(content, literal))
        if kind == "flag":
            return self._whether(value, bool)
        if token.kind == "end" or token.text in ("and", "or", ")"):
            example = f"{value} {_EXAMPLES[kind]}"
            raise self.error(token.at, f"{value} is {_a(kind)}: expected a comparison, such as {example}")
        raise self.error(token.at, f"expected {', '.join(_COMPARISONS)}, in, {_MORE[kind]} after {value}")

    def _whether(self, value: Value, test: Callable[[Any], bool]) -> Test:
        self.values.append(value)
        return lambda row: row[value] is not None and test(row[value])

    def _value(self) -> Value:
        token = self.take()
        if token.kind != "name" or token.text in _JOINTS:
            raise self.error(token.at, f"expected one of {', '.join(WORDS)}, {'(WORD), '.join(GROUPS)}(WORD) or not")
        if token.text in GROUPS:
            return Value(self._bracketed(token.text).word, token.text)
        if token.text not in WORDS:
            raise self.error(token.at, f"unknown word {token.text!r}: {did_you_mean(token.text, [*WORDS, *GROUPS])}")
        return Value(token.text)

    def _bracketed(self, function: str) -> Value:
        self.expect("(", f"after {function}, such as {function}(game)")
        token = self.take()
        if token.kind != "name" or token.text not in WORDS:
            raise self.error(token.at, f"expected a word in {function}(…): {did_you_mean(token.text, WORDS)}")
        self.expect(")", "to close the bracket")
        return Value(token.text)

    def _list(self, kind: str, value: Value) -> list[Any]:
        self.expect("[", f"after in, such as {value} in {_LISTS[kind]}")
        choices = [self._literal(kind, value)]
        while self.takes(","):
            choices.append(self._literal(kind, value))
        self.expect("]", "to close the list")
        return choices

    def _literal(self, kind: str, value: Value) -> Any:
        """A value of this kind, as it was written."""
        token = self.take()
        if kind == "number" and token.kind == "number":
            return float(token.text) if set(token.text) & set(".eE") else _whole(token.text)
        if kind == "text" and token.kind == "text":
            return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), token.text[1:-1], flags=re.DOTALL)
        if kind == "flag" and token.text in ("true", "false"):
            return token.text == "true"
        raise self.error(token.at, f"expected {_a(kind)}{_EXPECTED[kind]}, since {value} is {_a(kind)}")


def _whole(text: str) -> int | float:
    return int(text) if len(text) < 400 else float(text)


def _a(kind: str) -> str:
    return {"number": "a number", "text": "a text", "flag": "true or false"}[kind]


_ESCAPES = {"n": "\n", "t": "\t"}
_EXAMPLES = {"number": "< 20", "text": '== "…"'}
_MORE = {"number": "or between", "text": "or ~", "flag": "and, or"}
_LISTS = {"number": "[1, 2]", "text": '["…", "…"]', "flag": "[true]"}
_EXPECTED = {"number": " such as 20 or 0.5", "text": ' in quotes, such as "…"', "flag": ""}
