"""Fields of records are documented by the strings below them; this puts these into docstrings, where help() looks."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

Record = TypeVar("Record", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


def document_fields(record: Record) -> Record:
    """Decorate a dataclass: its docstring gains its fields, with types, defaults and what stands below each.

    @document_fields
    @dataclass(frozen=True)
    class Step:
        ...
    """
    record.__doc__ = _joined(record.__doc__, _fields(record))
    return record


def document_settings(record: type) -> Callable[[Function], Function]:
    """Decorate a function that takes the fields of `record` as keyword arguments: its docstring gains them."""

    def decorate(function: Function) -> Function:
        function.__doc__ = _joined(function.__doc__, _fields(record))
        return function

    return decorate


def _joined(docstring: str | None, fields: str) -> str | None:
    """The two below each other; without docstrings (python -OO) or source there is nothing to add."""
    return f"{inspect.cleandoc(docstring)}\n\n{fields}" if docstring and fields else docstring


def _fields(record: type) -> str:
    meanings = _strings_below_fields(record)
    if not meanings:
        return ""
    lines = [f"Fields of {record.__name__}:"]
    for field in dataclasses.fields(record):
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        default = "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
        lines.append(f"    {field.name}: {kind}{default}")
        if field.name in meanings:
            lines.append(textwrap.indent(meanings[field.name], " " * 8))
    return "\n".join(lines)


def _strings_below_fields(record: type) -> dict[str, str]:
    try:
        source = inspect.getsource(sys.modules[record.__module__])
    except (OSError, TypeError, KeyError):  # typed at the prompt, or shipped without source
        return {}
    return _strings_by_class(source).get(record.__name__, {})


@lru_cache(maxsize=8)
def _strings_by_class(source: str) -> dict[str, dict[str, str]]:
    classes = [statement for statement in ast.parse(source).body if isinstance(statement, ast.ClassDef)]
    return {definition.name: dict(_strings(definition)) for definition in classes}


def _strings(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                if isinstance(following.value.value, str):
                    yield statement.target.id, inspect.cleandoc(following.value.value)
