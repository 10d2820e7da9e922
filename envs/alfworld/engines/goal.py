"""Turn the goal of a PDDL problem into a test of the state, whatever it says: exists, forall, and, or, not, imply, =.

Values for the variables of an `exists` are looked up in the facts rather than tried one by one, in an order that is
chosen when the game is loaded, and what cannot change is decided then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from oreo.envs.alfworld.engines.pddl import Fact, Tree, typed_list
from oreo.envs.alfworld.engines.relations import holds_test, matching_rows
from oreo.envs.alfworld.engines.rules import CHANGING, PREDICATES
from oreo.envs.alfworld.engines.world import State, World
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.errors import DataError

Bound = dict[str, str]
Test = Callable[[State, Bound], bool]
Values = Callable[[State, Bound], Iterable[str]]


@dataclass(frozen=True)
class Goal:
    holds: Callable[[State], bool]
    changed_by: frozenset[str]
    """The predicates it depends on."""


def compile_goal(tree: Tree, world: World) -> Goal:
    """Raises DataError for a malformed goal, UnknownGameLogic for one about things the simulator does not have."""
    test = _compile(tree, {}, world)
    return Goal(lambda state: test(state, {}), frozenset(_predicates(tree)) & CHANGING)


def _predicates(tree: Tree) -> Iterable[str]:
    if isinstance(tree, list) and tree:
        if isinstance(tree[0], str):
            yield tree[0]
        for part in tree:
            yield from _predicates(part)


def _compile(tree: Tree, types: dict[str, str], world: World) -> Test:
    """`types`: the variables that are bound here."""
    if not isinstance(tree, list) or not all(isinstance(part, str) for part in tree[:1]):
        raise DataError(f"malformed PDDL goal: {repr(tree)[:80]} is no formula")
    if not tree:
        return lambda state, bound: True
    word, parts = str(tree[0]), tree[1:]
    if word in ("exists", "forall"):
        if len(parts) != 2 or not isinstance(parts[0], list):
            raise DataError(f"malformed PDDL goal: ({word} …) needs a list of variables and one formula")
        new = typed_list([str(name) for name in parts[0]])
        if word == "exists":
            return _exists(new, parts[1], types, world)
        counterexample = _exists(new, ["not", parts[1]], types, world)
        return lambda state, bound: not counterexample(state, bound)
    if word in ("and", "or", "not", "imply"):
        tests = [_compile(part, types, world) for part in parts]
        if word == "and":
            return lambda state, bound: all([test(state, bound) for test in tests])
        if word == "or":
            return lambda state, bound: any([test(state, bound) for test in tests])
        if len(tests) != (1 if word == "not" else 2):
            raise DataError(f"malformed PDDL goal: ({word} …) has {len(tests)} parts")
        if word == "not":
            return lambda state, bound: not tests[0](state, bound)
        return lambda state, bound: not tests[0](state, bound) or tests[1](state, bound)
    return _atom(word, parts, types, world)


def _atom(predicate: str, parts: list[Tree], types: dict[str, str], world: World) -> Test:
    names = [str(part) for part in parts]
    for name in names:
        if name not in (types if name.startswith("?") else world.types):
            raise DataError(f"malformed PDDL goal: ({predicate} {' '.join(names)}) has the undeclared {name!r}")
    if predicate != "=" and len(PREDICATES.get(predicate, ())) != len(names):
        raise UnknownGameLogic(f"({predicate} {' '.join(names)}) in the PDDL goal")
    if predicate == "=":
        first, second = names
        return lambda state, bound: bound.get(first, first) == bound.get(second, second)
    holds = holds_test(predicate)
    return lambda state, bound: holds(world, state, tuple([bound.get(name, name) for name in names]))


@dataclass(frozen=True)
class _Conjunct:
    tree: Tree
    variables: frozenset[str]
    fact: tuple[str, tuple[str, ...]] | None
    """(predicate, arguments) where it is a plain fact."""


def _exists(new: dict[str, str], body: Tree, types: dict[str, str], world: World) -> Test:
    """Bind one variable after the other, and check every conjunct of `body` as soon as all its variables are bound."""
    new = dict(new)
    conjuncts = list(_conjuncts(body, new, types))
    inner = types | new
    bound = set(types)
    steps: list[tuple[str, Values, list[Test]]] = []
    candidates: dict[str, list[str]] = {}
    for name, kind in new.items():
        candidates[name], conjuncts = _candidates(name, kind, conjuncts, world)
    first = [_compile(conjunct.tree, types, world) for conjunct in conjuncts if not conjunct.variables & new.keys()]
    waiting = [conjunct for conjunct in conjuncts if conjunct.variables & new.keys()]
    while names := [name for name in new if name not in bound]:
        sources = {name: _source(name, waiting, bound) for name in names}
        name = min(names, key=lambda name: min(len(candidates[name]), 2 if sources[name] else 999))
        source = sources[name] if len(candidates[name]) > 2 else None
        bound.add(name)
        ready = [conjunct for conjunct in waiting if conjunct.variables & inner.keys() <= bound]
        waiting = [conjunct for conjunct in waiting if conjunct not in ready]
        tests = [
            _compile(conjunct.tree, inner, world) for conjunct in ready if conjunct.fact != source or source is None
        ]
        steps.append((name, _values(name, source, candidates[name], world), tests))

    def search(state: State, bound: Bound, depth: int) -> bool:
        if depth == len(steps):
            return True
        name, values, tests = steps[depth]
        for value in values(state, bound):
            bound[name] = value
            for test in tests:
                if not test(state, bound):
                    break
            else:
                if search(state, bound, depth + 1):
                    return True
        bound.pop(name, None)
        return False

    return lambda state, bound: all([test(state, bound) for test in first]) and search(state, dict(bound), 0)


def _conjuncts(tree: Tree, new: dict[str, str], types: dict[str, str]) -> Iterable[_Conjunct]:
    """The parts of nested `and`s; an `exists` among them is opened too where its variables have names of their own."""
    if isinstance(tree, list) and tree[:1] == ["and"]:
        for part in tree[1:]:
            yield from _conjuncts(part, new, types)
        return
    if isinstance(tree, list) and tree[:1] == ["exists"] and len(tree) == 3 and isinstance(tree[1], list):
        more = typed_list([str(name) for name in tree[1]])
        if not more.keys() & (new.keys() | types.keys()):
            new.update(more)
            yield from _conjuncts(tree[2], new, types)
            return
    fact = None
    if isinstance(tree, list) and all(isinstance(part, str) for part in tree):
        predicate, *arguments = [str(part) for part in tree] or [""]
        if predicate != "=" and len(PREDICATES.get(predicate, ())) == len(arguments):
            fact = (predicate, tuple(arguments))
    yield _Conjunct(tree, frozenset(_variables(tree)), fact)


def _variables(tree: Tree) -> Iterable[str]:
    if isinstance(tree, str):
        if tree.startswith("?"):
            yield tree
    else:
        for part in tree:
            yield from _variables(part)


def _candidates(name: str, kind: str, conjuncts: list[_Conjunct], world: World) -> tuple[list[str], list[_Conjunct]]:
    """Return what a variable can stand for by its type and by fixed facts, and the conjuncts still to be checked."""
    candidates: list[str] | None = None
    unchecked = []
    for conjunct in conjuncts:
        if conjunct.fact is None or conjunct.variables != {name} or conjunct.fact[0] in CHANGING:
            unchecked.append(conjunct)
            continue
        predicate, arguments = conjunct.fact
        places = [place for place, argument in enumerate(arguments) if argument == name]
        rows: Iterable[Fact] = world.facts.get(predicate, ())
        for place, argument in enumerate(arguments):
            if argument != name:
                rows = [row for row in rows if row[place] == argument]
        if len(places) > 1:
            rows = [row for row in rows if len({row[place] for place in places}) == 1]
        allowed = {row[places[0]] for row in rows}
        candidates = sorted(allowed) if candidates is None else [thing for thing in candidates if thing in allowed]
    things = world.types if candidates is None else candidates
    # In PDDL everything is an object.
    return [thing for thing in things if kind == "object" or world.types[thing] == kind], unchecked


def _source(name: str, conjuncts: list[_Conjunct], bound: set[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return a fact in which the variable stands once and everything else is bound."""
    for conjunct in conjuncts:
        if conjunct.fact is not None and conjunct.variables - {name} <= bound and conjunct.fact[1].count(name) == 1:
            return conjunct.fact
    return None


def _values(name: str, source: tuple[str, tuple[str, ...]] | None, candidates: list[str], world: World) -> Values:
    if source is None:
        return lambda state, bound: candidates
    predicate, names = source
    rows, place, allowed = matching_rows(predicate), names.index(name), frozenset(candidates)

    def look_up(state: State, bound: Bound) -> Iterable[str]:
        pattern = tuple([None if word == name else bound.get(word, word) for word in names])
        return [row[place] for row in rows(world, state, pattern) if row[place] in allowed]

    return look_up
