"""The queries of a grammar, `holds(a:agent, o:object) & …`, as functions of the world, the state and what is bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oreo.envs.alfworld.engines.grammar import QueryAtom
from oreo.envs.alfworld.engines.pddl import Fact
from oreo.envs.alfworld.engines.relations import Rows, holds_test, matching_rows
from oreo.envs.alfworld.engines.rules import PREDICATES
from oreo.envs.alfworld.engines.world import State, World
from oreo.envs.alfworld.errors import UnknownGameLogic

Bound = dict[str, str]
"""variable -> id"""
Ask = Callable[[World, State, Bound], bool]
AskAll = Callable[[World, State, Bound], list[Bound]]
Types = dict[str, str]
"""variable -> type, of the variables that are bound."""


def ask_whether(query: tuple[QueryAtom, ...], types: Types) -> Ask:
    """A test whether a query has an answer."""
    if not all(variable in types for _, variables in query for variable, _ in variables):
        ask = ask_all(query, types)
        return lambda world, state, bound: bool(ask(world, state, bound))
    checks = []
    for name, variables in query:
        negated, predicate = known_atom(name, variables, types)
        if negated or len(variables) > 1:
            ask = ask_all(query, types)
            return lambda world, state, bound: bool(ask(world, state, bound))
        checks.append((holds_test(predicate), variables[0][0]))
    if len(checks) == 1:
        holds, name = checks[0]
        return lambda world, state, bound: holds(world, state, (bound[name],))
    return lambda world, state, bound: all([holds(world, state, (bound[name],)) for holds, name in checks])


def ask_all(query: tuple[QueryAtom, ...], types: Types) -> AskAll:
    """All answers to a query, in the original's order: atom after atom, the facts of each sorted.

    Different variables stand for different things.
    """
    if not query:
        return lambda world, state, bound: [bound]
    steps: list[_Step] = []
    types = dict(types)
    for name, variables in query:
        negated, predicate = known_atom(name, variables, types)
        names = tuple(variable for variable, _ in variables)
        kinds = [*types.values(), *(kind for variable, kind in dict(variables).items() if variable not in types)]
        # Where all variables have types of their own, different ones cannot stand for the same thing.
        plain = len(set(names)) == len(names) and len(set(kinds)) == len(kinds)
        steps.append(_Step(_denied_rows(predicate) if negated else matching_rows(predicate), names, plain))
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


def known_atom(name: str, variables: tuple[tuple[str, str], ...], types: Types) -> tuple[bool, str]:
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


def _denied_rows(predicate: str) -> Rows:
    """`not_p` holds of what an action made false. It is not the opposite of `p`."""

    def rows(world: World, state: State, pattern: tuple[str | None, ...]) -> list[Fact]:
        arguments = [fact[1:] for fact in state.negated if fact[0] == predicate]
        return sorted(
            row
            for row in arguments
            if all(want is None or want == have for want, have in zip(pattern, row, strict=True))
        )

    return rows
