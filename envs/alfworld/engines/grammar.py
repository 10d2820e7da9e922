r"""Read the grammar of an ALFWorld game (TextWorld's .twl2): the template of every action, the rules of the feedback.

A right-hand side is a row of symbols:

    plain text          itself
    #rule#              what the rule of that name gives
    {expression}        a name, say `{o.name}` or `{o.indefinite + ' ' + o.name}`
    {symbol | query}    the symbol for every answer to a query such as `inreceptacle(o:object, r:receptacle)`
    [{symbol | query}]  the same as a list in English, by the rules list_separator, list_last_separator, list_empty

TextWorld reads these with a generated parser whose quirks are kept: blanks at the start of a text vanish, and a text
ends silently at a character that cannot be part of it, such as `;` or a bracket without its partner.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass

from oreo.envs.alfworld.errors import UnknownExpression, UnknownGameLogic
from oreo.errors import DataError

QueryAtom = tuple[str, tuple[tuple[str, str], ...]]
"""A predicate and its variables with their types."""


@dataclass(frozen=True)
class Literal:
    text: str


@dataclass(frozen=True)
class RuleName:
    name: str


@dataclass(frozen=True)
class Expression:
    """Alternatives (`or`), each a sum of quoted texts and (variable, attribute) pairs."""

    alternatives: tuple[tuple[str | tuple[str, str], ...], ...]


@dataclass(frozen=True)
class Answers:
    """The symbol once for every answer to the query; `listed`: joined as a list in English."""

    symbol: RuleName | Expression
    query: tuple[QueryAtom, ...]
    listed: bool


Symbol = Literal | RuleName | Expression | Answers


@dataclass(frozen=True)
class Production:
    condition: tuple[QueryAtom, ...]
    """The query that must have an answer; empty: none needed."""
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True)
class ActionWords:
    template: tuple[Symbol, ...]
    feedback: tuple[Symbol, ...]


@dataclass(frozen=True)
class Grammar:
    actions: dict[str, ActionWords]
    """By the action's name in lower case."""
    rules: dict[str, list[dict[str, object]]]
    """The rules as written; `productions` reads one. Many rules of the games are never used, and one is malformed."""

    def productions(self, rule: str) -> list[Production]:
        if not self.rules.get(rule):
            raise UnknownGameLogic(f"the rule #{rule}# that the grammar uses and does not have")
        return [
            Production(parse_query(str(entry.get("condition") or "")), parse_symbols(str(entry.get("rhs", ""))))
            for entry in self.rules[rule]
        ]


_BLANK = r"(?:\s|\#[^\n]*)*"
_PART = re.compile(
    rf'{_BLANK}(?:grammar\s*::\s*"""(?P<grammar>.*?)"""\s*;|action\s+(?P<action>[\w/-]+)\s*\{{)', re.DOTALL
)
_FIELD = re.compile(
    rf'{_BLANK}(?:(?P<field>template|feedback)\s*::\s*"(?P<text>[^"]*)"\s*;'
    r'|(?P<block>pddl|grammar)\s*::\s*"""(?P<code>.*?)"""\s*;|(?P<end>\}))',
    re.DOTALL,
)
_END = re.compile(rf"{_BLANK}\Z")


def parse_grammar(text: str) -> Grammar:
    """Read a whole .twl2 file. A rule given twice: the later one holds."""
    actions: dict[str, ActionWords] = {}
    rules: dict[str, list[dict[str, object]]] = {}
    position = 0
    while not _END.match(text, position):
        part = _PART.match(text, position)
        if part is None:
            raise DataError(f"malformed grammar: cannot read {text[position : position + 40].strip()!r}")
        position = part.end()
        if part["grammar"] is not None:
            rules.update(_load_rules(textwrap.dedent(part["grammar"])))
            continue
        fields: dict[str, str] = {}
        while True:
            field = _FIELD.match(text, position)
            if field is None:
                raise DataError(f"malformed grammar: action {part['action']} does not end")
            position = field.end()
            if field["end"]:
                break
            if field["field"]:
                fields[field["field"]] = field["text"]
            elif field["block"] == "grammar":
                lines = textwrap.dedent(field["code"]).split("\n")
                rules.update(_load_rules("\n".join(line for line in lines if not line.lstrip().startswith("#"))))
        if fields.keys() != {"template", "feedback"}:
            raise DataError(f"malformed grammar: action {part['action']} needs a template and a feedback")
        words = ActionWords(parse_symbols(fields["template"]), parse_symbols(fields["feedback"]))
        actions[part["action"].lower()] = words
    return Grammar(actions, rules)


_TEXT = r'[^;|"<>\[\]#{}]+'
_TAG = r"#([\w()/!<>\-\s,.]+)#"
_BRACES = rf"\{{(?:{_TAG}|([^|\[\]{{}}\n<>#]+?))(?:\s*\|\s*([^;|{{}}\n\[\]#]+))?\}}"
_SYMBOL = re.compile(
    rf'(?P<text>{_TEXT})|"(?P<quoted>[^;|"<>\[\]#{{}}]*)"|\[(?P<list>{_BRACES})\]|(?P<braces>{_BRACES})|{_TAG}'
)
_BRACES_ALONE = re.compile(_BRACES)


def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """Read a right-hand side, a template or a feedback."""
    text = text.lstrip()
    if "\t" in text or text.startswith("//"):
        raise UnknownGameLogic(f"tabs or comments inside the text {text[:60]!r}")
    symbols: list[Symbol] = []
    position = 0
    while match := _SYMBOL.match(text, position):
        position = match.end()
        if match["text"] is not None:
            symbols.append(Literal(match["text"]))
        elif match["quoted"] is not None:
            symbols.append(Literal(match["quoted"]))
        elif match["list"] is not None:
            symbols.append(_braces(match["list"], listed=True))
        elif match["braces"] is not None:
            symbols.append(_braces(match["braces"], listed=False))
        else:
            symbols.append(RuleName(match[0][1:-1]))
    return tuple(symbols)


def parse_query(text: str) -> tuple[QueryAtom, ...]:
    """Read `p(x:t) & q(x:t, y:u)`, predicates in the grammar's own case."""
    atoms: list[QueryAtom] = []
    for part in text.split("&") if text.strip() else ():
        match = re.fullmatch(r"\s*([\w-]+)\s*\(([^()]*)\)\s*", part)
        variables = (
            [re.fullmatch(r"\s*(\w+)\s*:\s*(\w+)\s*", word) for word in match[2].split(",")] if match else [None]
        )
        if match is None or not all(variables):
            raise UnknownGameLogic(f"the query {text.strip()[:80]!r} of the grammar")
        atoms.append((match[1], tuple((variable[1], variable[2]) for variable in variables if variable)))
    return tuple(atoms)


def _braces(text: str, *, listed: bool) -> Symbol:
    match = _BRACES_ALONE.fullmatch(text)
    assert match is not None, text
    symbol: RuleName | Expression = RuleName(match[1]) if match[1] is not None else parse_expression(match[2])
    if match[3] is None and not listed:
        return symbol
    return Answers(symbol, parse_query(match[3] or ""), listed)


_TERM = re.compile(r"([^\W\d]\w*)(?:\.(name|id|indefinite|definite))?|'([^'\\]*)'")
_SUM = re.compile(rf"\s*(?:{_TERM.pattern})(?:\s*\+\s*(?:{_TERM.pattern}))*\s*")


def parse_expression(text: str) -> Expression:
    """Read `o.indefinite + ' ' + o.name`, `r.name or r.id` or `o`: all that games write. TextWorld has `eval` do it.

    Raises:
        UnknownExpression: anything else, which no engine of this package evaluates.
    """
    alternatives = []
    for alternative in re.split(r"\s+or\s+", text.strip()):
        if not _SUM.fullmatch(alternative):
            raise UnknownExpression(text)
        terms = [(term[1], term[2] or "name") if term[1] else term[3] for term in _TERM.finditer(alternative)]
        alternatives.append(tuple(terms))
    return Expression(tuple(alternatives))


def _load_rules(text: str) -> dict[str, list[dict[str, object]]]:
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"malformed grammar: its rules are no JSON ({error})") from None
    if not isinstance(rules, dict):
        raise DataError(f"malformed grammar: its rules are no JSON object but {type(rules).__name__}")
    for name, entries in rules.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "rhs" in entry for entry in entries):
            raise DataError(f"malformed grammar: rule {name!r} is no list of right-hand sides")
        if any(isinstance(entry.get(part), list | dict) for entry in entries for part in ("rhs", "condition")):
            raise DataError(f"malformed grammar: rule {name!r} has a right-hand side or a condition that is no text")
    return rules
