"""The process that the original engine lives in: TextWorld's PddlEnv with alfworld's names, answering over a pipe.

Not started by hand; see textworld_engine.py. It has a process of its own because it cannot share one: its planner is
a C++ library with global state that writes to stdout, its translator overwrites sys.argv, and its parsers are global.

TextWorld hands the expressions of a game's grammar to Python's `eval`. Our own reader takes its place here (see
grammar.py), so that no text of a game is run.

Messages are JSON behind a length of four bytes. Requests: {"do": "reset", "game": {…}}, {"do": "step", "command": …},
{"do": "facts"}. The end of the pipe, or the parent's death, ends the process.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import select
import struct
import sys
from typing import Any

from oreo.envs.alfworld.engines.grammar import parse_expression

LENGTH = struct.Struct("<I")
_LOOK_FOR_PARENT_EVERY = 5.0  # seconds; a forked sibling may hold our pipe open after the parent died
_GAMES_TO_REMEMBER = 4  # translations kept: the next reset of one of the last games skips the translator


def main() -> None:
    """Serve requests until the pipe closes. stdin and stdout become ours alone; whoever prints, prints to nowhere."""
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    parent = os.getppid()
    game = _PlayedGame(remember="--plain" not in sys.argv)
    while True:
        request = _read(requests, parent)
        try:
            answer = game.answer(request)
        except (Exception, SystemExit) as error:  # the translator leaves a malformed problem by sys.exit
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
        data = json.dumps(answer).encode()
        _write(answers, LENGTH.pack(len(data)) + data)


class _PlayedGame:
    """One PddlEnv for all games: each new one would load another copy of the planner and never unload it."""

    def __init__(self, remember: bool) -> None:
        _evaluate_names_only()
        if remember:
            _remember_translations()
            _remember_templates()
            _remember_queries()
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs.pddl.pddl import PddlEnv

        infos = textworld.EnvInfos(won=True, admissible_commands=True)
        self.engine = PddlEnv(infos)
        self.env = AlfredDemangler(self.engine)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "reset":
            self.env.load(request["game"])
            _check_expressions(self.engine._logic)
            return self._outcome(self.env.reset(), valid=True)
        if request["do"] == "step":
            state, _, _ = self.env.step(request["command"])
            return self._outcome(state, valid=state["_last_action"] is not None)
        facts = [self.engine._get_human_readable_fact(fact) for fact in self.engine.state["_facts"]]
        # Sorted, because TextWorld's order changes from process to process with Python's hash seed.
        return {"facts": sorted(" ".join([fact.name, *(name.strip() for name in fact.names)]) for fact in facts)}

    def _outcome(self, state: Any, valid: bool) -> dict[str, Any]:
        return {
            "feedback": state["feedback"],
            "won": bool(state["won"]),
            "valid": valid,
            "admissible_commands": list(state["admissible_commands"]),
        }


def _evaluate_names_only() -> None:
    """Put our reader of expressions in the place of TextWorld's `eval`, so that a game's text is never run."""
    from textworld.envs.pddl import textgen

    def derive(self: Any, context: dict[str, Any] | None = None) -> list[Any]:
        return [textgen.TerminalSymbol(_value_of(self.expression, (context or self.context)["variables"]))]

    textgen.EvalSymbol.derive = derive


def _value_of(expression: str, variables: dict[str, Any]) -> str:
    """The first alternative that says something, or the last."""
    text = ""
    for terms in parse_expression(expression).alternatives:
        unbound = [term[0] for term in terms if isinstance(term, tuple) and term[0] not in variables]
        if unbound:  # no ValueError, by which TextWorld means that a command is refused
            raise LookupError(f"{unbound[0]!r} in the expression {{{expression}}} of the grammar stands for nothing")
        text = "".join(
            term if isinstance(term, str) else str(getattr(variables[term[0]], term[1]) or "") for term in terms
        )
        if text:
            break
    return text


def _check_expressions(logic: Any) -> None:
    """Refuse a grammar with an unknown expression in any place before the first text is written."""
    from textworld.envs.pddl import textgen

    symbols = [symbol for rules in logic.grammar._rules.values() for rule in rules for symbol in rule.rhs]
    for action in logic.actions.values():
        for text in (action.template, action.feedback_rule):
            symbols += textgen._parse_and_convert(text, rule_name="symbols")
    while symbols:
        symbol = symbols.pop()
        if isinstance(symbol, textgen.EvalSymbol):
            parse_expression(symbol.expression)
        symbols += [inner for inner in vars(symbol).values() if isinstance(inner, textgen.Symbol)]


def _remember_translations() -> None:
    """Translate each game once, not four times (load and reset, plain and optimised).

    The optimised translation serves the planner expert only, which is not used here: it gets the plain one.
    """
    import fast_downward

    translate = fast_downward.pddl2sas

    @functools.lru_cache(maxsize=_GAMES_TO_REMEMBER)
    def remembered(domain: str, problem: str) -> Any:
        return translate(domain, problem)

    def pddl2sas(domain: str, problem: str, verbose: bool = False, optimize: bool = False) -> Any:
        return remembered(domain, problem)

    fast_downward.pddl2sas = pddl2sas


def _remember_templates() -> None:
    """Parse each grammar template once. The parse is copied on every use, since a derivation writes into it."""
    from textworld.envs.pddl import textgen

    parse = textgen._parse_and_convert

    @functools.lru_cache(maxsize=4096)
    def remembered(text: str, rule_name: str) -> Any:
        return parse(text, rule_name=rule_name)

    def parse_and_convert(text: str, rule_name: str, **_: Any) -> Any:
        return copy.deepcopy(remembered(text, rule_name))

    textgen._parse_and_convert = parse_and_convert


def _remember_queries() -> None:
    """Parse each query of the grammar once, and copy a derivation's context no deeper than it is written to."""
    from textworld.envs.pddl import textgen

    textgen.Rule.parse_conjunctive_query = functools.lru_cache(maxsize=4096)(textgen.Rule.parse_conjunctive_query)

    def copy_context(context: dict[str, Any]) -> dict[str, Any]:
        return context | {"variables": dict(context["variables"]), "mapping": dict(context["mapping"])}

    textgen.copy_context = copy_context


def _read(pipe: int, parent: int) -> Any:
    (length,) = LENGTH.unpack(_read_exactly(pipe, LENGTH.size, parent))
    return json.loads(_read_exactly(pipe, length, parent))


def _read_exactly(pipe: int, size: int, parent: int) -> bytes:
    parts = []
    while size:
        while not select.select([pipe], [], [], _LOOK_FOR_PARENT_EVERY)[0]:
            if os.getppid() != parent:
                os._exit(0)
        part = os.read(pipe, min(size, 1 << 20))
        if not part:
            os._exit(0)  # without the C++ library's exit handlers, which sometimes hang
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(pipe, view) :]
        except BrokenPipeError:
            os._exit(0)


if __name__ == "__main__":
    main()
