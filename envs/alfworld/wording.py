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

from oreo.envs.alfworld.grammar import (
    Answers,
    Expression,
    Grammar,
    Literal,
    Production,
    QueryAtom,
    RuleName,
    Symbol,
    parse_grammar,
    parse_symbols,
)
from oreo.envs.alfworld.pddl import Fact
from oreo.envs.alfworld.rules import ACTIONS, PREDICATES
from oreo.envs.alfworld.unknown import UnknownGameLogic
from oreo.envs.alfworld.world import Rows, State, World, holds_test, matching_rows

Bound = dict[str, str]
"""variable -> id"""
Write = Callable[[World, State, Bound], str]
Ask = Callable[[World, State, Bound], bool]
AskAll = Callable[[World, State, Bound], list[Bound]]
Types = dict[str, str]
"""variable -> type, of the variables that are bound."""


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


def read_wording(grammar: str, actions: frozenset[str]) -> tuple[Wording, str]:
    """The wording of a grammar and its task sentence, to be put where `TASK` stands.

    Games differ in the task sentence only; with the sentence taken out, the rest is read once and remembered.
    """
    found = _TASK.search(grammar)
    if found is None:
        return _compiled(grammar, actions), ""
    symbols = parse_symbols(json.loads(found[1]))
    if len(symbols) > 1 or not all(isinstance(symbol, Literal) for symbol in symbols):
        return _compiled(grammar, actions), ""
    task = symbols[0].text if symbols and isinstance(symbols[0], Literal) else ""
    return _compiled(f'{grammar[: found.start(1)]}"{_TASK_SLOT}"{grammar[found.end(1) :]}', actions), task


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
    """The text of a template with types in the place of names."""
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
            cases.append((_ask(production.condition, types), write))
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
        ask = _ask_all(symbol.query, types)
        inner_types = types | {variable: kind for _, variables in symbol.query for variable, kind in variables}
        write = self.symbol(symbol.symbol, inner_types)
        if not symbol.listed:
            return lambda world, state, bound: "".join([write(world, state, each) for each in ask(world, state, bound)])
        empty, separator, last = (self.rule(f"list_{name}", types) for name in ("empty", "separator", "last_separator"))
        write_all = _plain_list(symbol, types)

        def enumerate_answers(world: World, state: State, bound: Bound) -> str:
            if write_all is not None:
                items = write_all(world, state, bound)
            else:
                items = [write(world, state, each) for each in ask(world, state, bound)]
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
    rows = matching_rows(_known_atom(name, variables, types)[1])
    names = [variable for variable, _ in variables]
    place = names.index(new[0])

    def write_all(world: World, state: State, bound: Bound) -> list[str]:
        called = world.names
        found = rows(world, state, tuple([bound.get(name) for name in names]))
        return ["a " + called[row[place]] for row in found]

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


def _ask(query: tuple[QueryAtom, ...], types: Types) -> Ask:
    """A test whether a query has an answer."""
    if not all(variable in types for _, variables in query for variable, _ in variables):
        ask = _ask_all(query, types)
        return lambda world, state, bound: bool(ask(world, state, bound))
    checks = []
    for name, variables in query:
        negated, predicate = _known_atom(name, variables, types)
        if negated or len(variables) > 1:
            ask = _ask_all(query, types)
            return lambda world, state, bound: bool(ask(world, state, bound))
        checks.append((holds_test(predicate), variables[0][0]))
    if len(checks) == 1:
        holds, name = checks[0]
        return lambda world, state, bound: holds(world, state, (bound[name],))
    return lambda world, state, bound: all([holds(world, state, (bound[name],)) for holds, name in checks])


def _ask_all(query: tuple[QueryAtom, ...], types: Types) -> AskAll:
    """All answers to a query, in the original's order: atom after atom, the facts of each sorted.

    Different variables stand for different things.
    """
    if not query:
        return lambda world, state, bound: [bound]
    steps: list[_Step] = []
    types = dict(types)
    for name, variables in query:
        negated, predicate = _known_atom(name, variables, types)
        names = tuple(variable for variable, _ in variables)
        kinds = [*types.values(), *(kind for variable, kind in dict(variables).items() if variable not in types)]
        # Where all variables have types of their own, different ones cannot stand for the same thing.
        plain = len(set(names)) == len(names) and len(set(kinds)) == len(kinds)
        steps.append(_Step(_negated_rows(predicate) if negated else matching_rows(predicate), names, plain))
        types.update(variables)

    def find(world: World, state: State, bound: Bound) -> list[Bound]:
        answers = [bound]
        for step in steps:
            answers = [longer for answer in answers for longer in step.extend(world, state, answer)]
        return answers

    return steps[0].extend if len(steps) == 1 else find


@dataclass(frozen=True)
class _Step:
    """One atom of a query."""

    rows: Rows
    names: tuple[str, ...]
    plain: bool

    def extend(self, world: World, state: State, bound: Bound) -> list[Bound]:
        """The ways to bind the atom's variables so that it holds."""
        names = self.names
        rows = self.rows(world, state, tuple([bound.get(name) for name in names]))
        if self.plain and len(names) == 2:
            first, second = names
            return [{**bound, first: row[0], second: row[1]} for row in rows]
        longer = [{**bound, **dict(zip(names, row, strict=True))} for row in rows]
        if self.plain:
            return longer
        return [
            answer
            for answer, row in zip(longer, rows, strict=True)
            if all(answer[name] == value for name, value in zip(names, row, strict=True))
            and len(set(answer.values())) == len(answer)
        ]


def _known_atom(name: str, variables: tuple[tuple[str, str], ...], types: Types) -> tuple[bool, str]:
    """(negated, predicate), checked against the domain and what is bound."""
    predicate = name.removeprefix("not_")
    if PREDICATES.get(predicate) != tuple(kind for _, kind in variables):
        raise UnknownGameLogic(f"{name}({', '.join(':'.join(pair) for pair in variables)}) in a query of the grammar")
    if predicate in ("ison", "checked"):  # what the original shows of these differs from what its planner knows
        raise UnknownGameLogic(f"the predicate {predicate!r} in a query of the grammar")
    for variable, kind in variables:
        if types.get(variable, kind) != kind:
            raise UnknownGameLogic(
                f"{variable}:{kind} in a query of the grammar, where {variable} is a {types[variable]}"
            )
    return name != predicate, predicate


def _negated_rows(predicate: str) -> Rows:
    """`not_p` holds of what an action made false. It is not the opposite of `p`."""

    def rows(world: World, state: State, pattern: tuple[str | None, ...]) -> list[Fact]:
        found = [fact[1:] for fact in state.negated if fact[0] == predicate]
        return sorted(
            row for row in found if all(want is None or want == have for want, have in zip(pattern, row, strict=True))
        )

    return rows
