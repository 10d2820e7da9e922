"""Reading .twl2 grammars: the quirks of TextWorld's parser, compared with that parser itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.grammar import (
    Answers,
    Expression,
    Literal,
    RuleName,
    parse_grammar,
    parse_query,
    parse_symbols,
)
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.errors import UnknownExpression
from oreo.envs.alfworld.game import Game
from oreo.errors import DataError

from .kitchens import changed, game

NAME = Expression(((("o", "name"),),))


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("You see.", (Literal("You see."),)),
        ("the {o.name}.", (Literal("the "), NAME, Literal("."))),
        ("{o}#rule(o)#", (NAME, RuleName("rule(o)"))),
        ("[{o.name | holds(a:agent, o:object)}]", (Answers(NAME, parse_query("holds(a:agent,o:object)"), True),)),
        ("\n  begins with blanks", (Literal("begins with blanks"),)),
        ("ends; here", (Literal("ends"),)),
        ("ends ] here", (Literal("ends "),)),
        ('"quoted"text', (Literal("quoted"), Literal("text"))),
        ("", ()),
    ],
)
def test_texts_are_read_as_textworld_reads_them(text: str, symbols: tuple[object, ...]) -> None:
    assert parse_symbols(text) == symbols


@settings(deadline=None, max_examples=60)
@given(st.text("ab ;\"'<>[]#|.,\n", max_size=12))
def test_odd_texts_are_read_as_textworld_reads_them(text: str) -> None:
    textgen = pytest.importorskip("textworld.envs.pddl.textgen")
    try:
        theirs = textgen._parse_and_convert(text, rule_name="symbols")
    except Exception:  # it may fail where we stop reading; such a game does not exist for it
        return
    ours = parse_symbols(text)
    literals = [symbol.text for symbol in ours if isinstance(symbol, Literal)]
    assert "".join(literals) == "".join(str(symbol) for symbol in theirs if type(symbol).__name__ == "TerminalSymbol")
    rules = [symbol.name for symbol in ours if isinstance(symbol, RuleName)]
    assert rules == [symbol.symbol for symbol in theirs if type(symbol).__name__ == "NonterminalSymbol"]


@pytest.mark.parametrize("text", ["{o.name.upper()}", "{__import__('os')}", "{o[0]}", "{len(o)}"])
def test_expressions_are_never_executed(text: str) -> None:
    try:
        symbols = parse_symbols(text)
    except UnknownExpression:
        return
    assert not any(isinstance(symbol, Expression) for symbol in symbols)


def test_a_later_rule_replaces_an_earlier_one() -> None:
    block = 'grammar :: """ {"x": [{"rhs": "%s"}]} """;\n'
    assert parse_grammar(block % "one" + block % "two").productions("x")[0].symbols == (Literal("two"),)


@pytest.mark.parametrize("text", ["grammar", 'grammar :: """{""";', "action a { template :: look; }", "action a {"])
def test_malformed_grammars_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_grammar(text)


@pytest.mark.parametrize(
    "malformed",
    [
        changed(grammar=('"intro": [', '"intro": [,')),
        replace(game(), grammar="action x {"),
    ],
)
def test_a_game_with_a_malformed_grammar_is_refused_in_one_line(malformed: Game) -> None:
    with pytest.raises(DataError) as refusal:
        Simulator().reset(malformed)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("brackets", [900, 50_000])
@pytest.mark.parametrize("rule", ['"x": {}, ', '"x": [{{"rhs": {}}}], ', '"x": [{{"rhs": "", "condition": {}}}], '])
def test_rules_nested_too_deeply_are_refused_in_one_line(rule: str, brackets: int) -> None:
    rule = rule.format("[" * brackets + "]" * brackets)
    with pytest.raises(DataError, match="malformed grammar") as refusal:
        Simulator().reset(changed(grammar=('"intro": [', f'{rule}"intro": [')))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize("rules", ["[]", "3", '"x"', "null", '{"x": ' + "1" * 5000 + "}", '{"x": [1]}', '{"x": 1e}'])
def test_rules_that_are_no_json_object_of_lists_are_refused_in_one_line(rules: str) -> None:
    with pytest.raises(DataError, match="malformed grammar") as refusal:
        parse_grammar(f'grammar :: """{rules}""";')
    assert "\n" not in str(refusal.value)
