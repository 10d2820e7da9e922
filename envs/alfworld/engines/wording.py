"""Turn a game's grammar into functions that write: for every action its command and its feedback, and the intro.

Which variables are bound is known beforehand (the parameters of the action), so every rule is compiled once for each
set of bound variables it is used with, and anything that cannot be written is found while loading, not in play.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from oreo.envs.alfworld.engines.grammar import (
    Answers,
    Expression,
    Grammar,
    Literal,
    Production,
    RuleName,
    Symbol,
    parse_grammar,
    parse_symbols,
)
from oreo.envs.alfworld.engines.queries import Ask, Bound, Types, ask_all, ask_whether, known_atom
from oreo.envs.alfworld.engines.relations import matching_rows
from oreo.envs.alfworld.engines.rules import ACTIONS
from oreo.envs.alfworld.engines.world import State, World
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.errors import DataError

Write = Callable[[World, State, Bound], str]


@dataclass(frozen=True)
class Wording:
    """All a game says."""

    intro: Write
    commands: dict[str, Write]
    """The text of a command, by action."""
    feedback: dict[str, Write]
    """What the game answers, by action; to be asked after the state has changed."""


_TASK = re.compile(r'"task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*("(?:[^"\\\n]|\\.)*")\s*\}')
_TASK_SLOT = "the task goes here"
MOST_NESTED = 40
"""How many rules may stand within one another; in the published games they are 4 at most."""


def read_wording(grammar: str, actions: frozenset[str]) -> tuple[Wording, str]:
    """The wording of a grammar and its task sentence, to be put where `TASK` stands.

    Games differ in the task sentence only; with the sentence taken out, the rest is read once and remembered.
    """
    match = _TASK.search(grammar)
    if match is None:
        return _compiled(grammar, actions), ""
    try:
        sentence = json.loads(match[1])
    except ValueError as error:
        raise DataError(f"malformed grammar: its task sentence is no JSON ({error})") from None
    symbols = parse_symbols(sentence)
    if len(symbols) > 1 or not all(isinstance(symbol, Literal) for symbol in symbols):
        return _compiled(grammar, actions), ""
    task = symbols[0].text if symbols and isinstance(symbols[0], Literal) else ""
    return _compiled(f'{grammar[: match.start(1)]}"{_TASK_SLOT}"{grammar[match.end(1) :]}', actions), task


@lru_cache(maxsize=16)
def _compiled(grammar: str, actions: frozenset[str]) -> Wording:
    compiler = _Compiler(parse_grammar(grammar))
    commands, feedback = {}, {}
    skeletons: dict[str, str] = {}
    for name in sorted(actions):
        words = compiler.grammar.actions.get(name)
        if words is None:
            raise UnknownGameLogic(f"a grammar without the action {name!r}")
        types = ACTIONS[name].parameters
        mentioned = _mentioned(words.template)
        if ACTIONS[name].telling - mentioned:
            raise UnknownGameLogic(f"the template of {name!r}: commands for different things would read the same")
        skeleton = _skeleton(words.template, types)
        if skeleton in skeletons:
            raise UnknownGameLogic(f"templates of {name!r} and {skeletons[skeleton]!r} that read the same")
        skeletons[skeleton] = name
        # A command is written once for a game, wherever the agent goes from.
        commands[name] = compiler.symbols(
            words.template, {name: kind for name, kind in types.items() if name != "lstart"}
        )
        feedback[name] = compiler.symbols(words.feedback, types)
    return Wording(compiler.rule("intro", {}), commands, feedback)


def _mentioned(symbols: tuple[Symbol, ...]) -> set[str]:
    mentioned: set[str] = set()
    for symbol in symbols:
        inner = symbol.symbol if isinstance(symbol, Answers) else symbol
        if isinstance(inner, Expression):
            mentioned |= {term[0] for terms in inner.alternatives for term in terms if isinstance(term, tuple)}
    return mentioned


def _skeleton(symbols: tuple[Symbol, ...], types: Types) -> str:
    """Return the text of a template with types in the place of names."""
    parts = []
    for symbol in symbols:
        variables = _mentioned((symbol,))
        parts.append(
            symbol.text if isinstance(symbol, Literal) else str(sorted(types.get(name, "?") for name in variables))
        )
    return "".join(parts)


class _Compiler:
    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._rules: dict[tuple[str, frozenset[tuple[str, str]]], Write] = {}
        self._open: set[str] = set()

    def rule(self, name: str, types: Types) -> Write:
        """A function that writes `#name#` where the variables in `types` are bound."""
        key = (name, frozenset(types.items()))
        if key not in self._rules:
            if len(self._open) >= MOST_NESTED:
                raise UnknownGameLogic(f"rules of the grammar that use each other {MOST_NESTED} deep")
            if name in self._open:
                raise UnknownGameLogic(f"the rule #{name}# of the grammar, which uses itself")
            self._open.add(name)
            self._rules[key] = self._rule(self.grammar.productions(name), types, name)
            self._open.discard(name)
        return self._rules[key]

    def _rule(self, productions: list[Production], types: Types, name: str) -> Write:
        """The first production whose condition has an answer. What stands after one without condition is never used."""
        cases: list[tuple[Ask, Write]] = []
        for production in productions:
            write = self.symbols(production.symbols, types)
            if not production.condition:
                if not cases:
                    return write
                last = write
                break
            cases.append((ask_whether(production.condition, types), write))
        else:
            raise UnknownGameLogic(f"the rule #{name}# of the grammar, which may have no case that holds")

        def choose(world: World, state: State, bound: Bound) -> str:
            for ask, write in cases:
                if ask(world, state, bound):
                    return write(world, state, bound)
            return last(world, state, bound)

        return choose

    def symbols(self, symbols: tuple[Symbol, ...], types: Types) -> Write:
        writers = [self.symbol(symbol, types) for symbol in symbols]
        if len(writers) == 1:
            return writers[0]
        return lambda world, state, bound: "".join([write(world, state, bound) for write in writers])

    def symbol(self, symbol: Symbol, types: Types) -> Write:
        if isinstance(symbol, Literal):
            text = symbol.text
            if text == _TASK_SLOT:
                return lambda world, state, bound: world.task
            return lambda world, state, bound: text
        if isinstance(symbol, RuleName):
            return self.rule(symbol.name, types)
        if isinstance(symbol, Expression):
            return _expression(symbol, types)
        return self._answers(symbol, types)

    def _answers(self, symbol: Answers, types: Types) -> Write:
        ask = ask_all(symbol.query, types)
        inner_types = types | {variable: kind for _, variables in symbol.query for variable, kind in variables}
        write = self.symbol(symbol.symbol, inner_types)
        if not symbol.listed:
            return lambda world, state, bound: "".join(
                [write(world, state, answer) for answer in ask(world, state, bound)]
            )
        empty, separator, last = (self.rule(f"list_{name}", types) for name in ("empty", "separator", "last_separator"))
        write_all = _plain_list(symbol, types)

        def enumerate_answers(world: World, state: State, bound: Bound) -> str:
            if write_all is not None:
                items = write_all(world, state, bound)
            else:
                items = [write(world, state, answer) for answer in ask(world, state, bound)]
            if len(items) < 2:
                return items[0] if items else empty(world, state, bound)
            head = separator(world, state, bound).join(items[:-1])
            return f"{head}{last(world, state, bound)}{items[-1]}"

        return enumerate_answers


def _plain_list(symbol: Answers, types: Types) -> Callable[[World, State, Bound], list[str]] | None:
    """A shortcut for the lists of "a NAME" that make up most of the text, say of what is in a receptacle."""
    if not isinstance(symbol.symbol, Expression) or len(symbol.query) != 1:
        return None
    (name, variables) = symbol.query[0]
    new = [variable for variable, _ in variables if variable not in types]
    kinds = {kind for variable, kind in variables if variable in new}
    if len(new) != 1 or kinds & set(types.values()) or name.startswith("not_"):
        return None
    if symbol.symbol.alternatives != (((new[0], "indefinite"), " ", (new[0], "name")),):
        return None
    rows = matching_rows(known_atom(name, variables, types)[1])
    names = [variable for variable, _ in variables]
    place = names.index(new[0])

    def write_all(world: World, state: State, bound: Bound) -> list[str]:
        called = world.names
        answers = rows(world, state, tuple([bound.get(name) for name in names]))
        return ["a " + called[row[place]] for row in answers]

    return write_all


def _expression(expression: Expression, types: Types) -> Write:
    alternatives = [_sum(terms, types) for terms in expression.alternatives]
    if len(alternatives) == 1:
        return alternatives[0]

    def first_that_says_something(world: World, state: State, bound: Bound) -> str:
        for write in alternatives:
            if text := write(world, state, bound):
                return text
        return text

    return first_that_says_something


def _sum(terms: tuple[str | tuple[str, str], ...], types: Types) -> Write:
    writers = [_term(term, types) for term in terms]
    if len(writers) == 1:
        return writers[0]
    match terms:
        case ((_, "indefinite"), str(blank), (variable, "name")):  # the one in every list, so worth its own line
            return lambda world, state, bound: f"a{blank}{world.names[bound[variable]]}"
    return lambda world, state, bound: "".join([write(world, state, bound) for write in writers])


def _term(term: str | tuple[str, str], types: Types) -> Write:
    if isinstance(term, str):
        return lambda world, state, bound: term
    variable, attribute = term
    if variable not in types:
        raise UnknownGameLogic(f"the variable {variable!r} in the grammar, where it stands for nothing")
    if attribute == "name":
        return lambda world, state, bound: world.names[bound[variable]]
    if attribute == "id":
        return lambda world, state, bound: bound[variable]
    article = {"indefinite": "a", "definite": "the"}[attribute]
    return lambda world, state, bound: article
