"""Read the PDDL that ALFWorld games are written in: nested lists, the actions of a domain, a problem.

Only what those games use. Case and comments do not matter in PDDL, so everything comes out in lower case.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache

from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.errors import DataError

Tree = str | list["Tree"]
Fact = tuple[str, ...]

_COMMENT = re.compile(r";[^\n]*")
_SECTION = re.compile(r"\(\s*:([a-z-]+)")
_TABLE = "(cancontain "
MOST_NESTED = 100
"""Brackets that may stand within one another; in the published games they are 10 at most."""
_HEAD = re.compile(r"\s*\(\s*define\s*\(\s*problem\s+[^\s()]+\s*\)\s*")


@dataclass(frozen=True)
class Problem:
    """A problem as it stands: what there is, what holds at first, and what is wanted."""

    types: dict[str, str]
    """The type of every declared object."""
    facts: dict[str, Set[Fact]]
    """The initial facts: arguments by predicate. Some sets are shared with other problems."""
    goal: Tree


def parse_problem(text: str) -> Problem:
    """Read a problem. Raises DataError where it is malformed."""
    text = _clean(text)
    sections = _sections(text)
    if "objects" not in sections or "init" not in sections or "goal" not in sections:
        raise DataError("malformed PDDL problem: it needs the sections :objects, :init and :goal")
    for name in sections.keys() - {"domain", "objects", "init", "goal", "requirements", "metric"}:
        raise UnknownGameLogic(f"section :{name} of the PDDL problem")
    types = typed_list(sections["objects"].split())
    facts = _facts(sections["init"])
    goal = parse_nested(sections["goal"])
    if len(goal) != 1:
        raise DataError("malformed PDDL problem: :goal holds more or less than one formula")
    return Problem(types, facts, goal[0])


def action_digests(domain: str) -> dict[str, str]:
    """Return for every action of a domain 16 hex digits that do not depend on comments, case or layout.

    What else the domain may hold is checked: types without a hierarchy, no constants, no derived predicates.
    """
    trees = parse_nested(_clean(domain))
    if len(trees) != 1 or not isinstance(trees[0], list) or trees[0][:1] != ["define"]:
        raise DataError("malformed PDDL domain: expected one (define …)")
    digests: dict[str, str] = {}
    for part in trees[0][1:]:
        keyword = part[0] if isinstance(part, list) and part else part
        if keyword == ":action" and len(part) > 1 and isinstance(part[1], str):
            digests[part[1]] = hashlib.sha256(repr(part).encode()).hexdigest()[:16]
        elif keyword == ":types" and "-" in part:
            raise UnknownGameLogic("a hierarchy of types in the PDDL domain")
        elif keyword not in ("domain", ":requirements", ":types", ":predicates", ":functions"):
            raise UnknownGameLogic(f"{keyword} in the PDDL domain")
    return digests


def parse_nested(text: str) -> list[Tree]:
    """Read `(a (b c)) d` as [["a", ["b", "c"]], "d"]; `text` without comments, in lower case."""
    tokens = iter(text.replace("(", " ( ").replace(")", " ) ").replace("?", " ?").split())
    trees: list[Tree] = []
    for token in tokens:
        if token == ")":
            raise DataError("malformed PDDL: a closing bracket too many")
        trees.append(_nested(tokens) if token == "(" else token)
    return trees


def typed_list(tokens: list[str]) -> dict[str, str]:
    """Read `a b - t c` as {"a": "t", "b": "t", "c": "object"}."""
    if "(" in (letters := "".join(tokens)) or ")" in letters:
        raise DataError("malformed PDDL: a bracket in a list of names with types")
    if len(tokens) % 3 == 0 and set(tokens[1::3]) == {"-"} and "-" not in tokens[0::3]:  # each with a type of its own
        return dict(zip(tokens[0::3], tokens[2::3], strict=True))
    types: dict[str, str] = {}
    names: list[str] = []
    words = iter(tokens)
    for word in words:
        if word != "-":
            names.append(word)
            continue
        kind = next(words, "-")
        if kind == "-":
            raise DataError("malformed PDDL: a type is missing after '-'")
        types.update(dict.fromkeys(names, kind))
        names.clear()
    return types | dict.fromkeys(names, "object")


def _nested(tokens: Iterator[str]) -> list[Tree]:
    """The list whose opening bracket has just been read."""
    stack: list[list[Tree]] = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
            if len(stack) > MOST_NESTED:
                raise DataError(f"malformed PDDL: brackets are nested more than {MOST_NESTED} deep")
        elif token != ")":
            stack[-1].append(token)
        elif len(stack) == 1:
            return stack[0]
        else:
            done = stack.pop()
            stack[-1].append(done)
    raise DataError("malformed PDDL: a closing bracket is missing")


def _clean(text: str) -> str:
    if not text.isascii():
        raise UnknownGameLogic("a character outside ASCII in the PDDL")
    return (_COMMENT.sub("", text) if ";" in text else text).lower()


def _sections(text: str) -> dict[str, str]:
    """The text inside each `(:name …)` of a problem. Sections are never nested in one another."""
    head = _HEAD.match(text)
    openings = list(_SECTION.finditer(text))
    if head is None or not openings or head.end() != openings[0].start():
        raise DataError("malformed PDDL problem: expected (define (problem NAME) (:domain NAME) …)")
    sections: dict[str, str] = {}
    ends = [opening.start() for opening in openings[1:]] + [len(text)]
    for opening, end in zip(openings, ends, strict=True):
        body = text[opening.end() : end].rstrip()
        if opening is openings[-1]:
            if not body.endswith(")"):
                raise DataError("malformed PDDL problem: a closing bracket is missing")
            body = body[:-1].rstrip()
        if not body.endswith(")") or opening[1] in sections:
            raise DataError(f"malformed PDDL problem: section :{opening[1]} does not end, or stands there twice")
        sections[opening[1]] = body[:-1]
    return sections


def _facts(text: str) -> dict[str, Set[Fact]]:
    """The facts of an :init section; only plain ones, which is all that the games have."""
    before, table, after = _split_table(text)
    facts: dict[str, Set[Fact]] = dict(_plain_facts(before + after))
    for predicate, rows in _shared_facts(table).items():
        facts[predicate] = facts[predicate] | rows if predicate in facts else rows
    return facts


def _split_table(text: str) -> tuple[str, str, str]:
    """An :init section before, in and after its table of what can be put where: half of all facts in a real game."""
    start, end = text.find(_TABLE), text.find(")", text.rfind(_TABLE)) + 1
    before = text[:start].rstrip()
    if start < 0 or not end or (before and not before.endswith(")")):  # none, or it begins inside a fact
        return text, "", ""
    return before, text[start:end], text[end:]


@lru_cache(maxsize=512)
def _shared_facts(text: str) -> dict[str, frozenset[Fact]]:
    """The 3,553 training games have some hundred such tables between them, so each is read once."""
    return {predicate: frozenset(rows) for predicate, rows in _plain_facts(text).items()}


def _plain_facts(text: str) -> dict[str, set[Fact]]:
    *pieces, trailing = text.split(")")
    if trailing.strip():
        raise DataError(f"malformed PDDL problem: {trailing.strip()[:40]!r} in :init")
    facts: dict[str, set[Fact]] = {}
    for piece in pieces:
        words = piece.split() or [""]
        if words[0] == "(":
            words[:2] = ["".join(words[:2])]
        rows = facts.get(words[0])
        if rows is None:
            head = words[0]
            if head in ("(not", "(=", "(and"):  # the original may know what to do with it
                raise UnknownGameLogic(f"{piece.strip()[:60]!r} in :init of the PDDL problem")
            if len(head) < 2 or head[0] != "(" or "(" in head[1:]:
                raise DataError(f"malformed PDDL problem: {piece.strip()[:60]!r} in :init is no plain fact")
            rows = facts[head] = set()
        rows.add(tuple(words[1:]))
    return {head[1:]: rows for head, rows in facts.items()}
