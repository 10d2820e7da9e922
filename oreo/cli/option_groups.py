"""Options that belong together as one parameter of a command.

    @dataclass(frozen=True)
    class AgentOptions:
        k: Annotated[int | None, typer.Option(help="Candidates.")] = None

    @with_option_groups
    def watch(*, step: bool = False, playing: AgentOptions) -> None: ...

On the command line the fields are options (here --k, beside --step); the function gets the record.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: each parameter that is a dataclass stands for its fields, in its place.

    A field has an annotation of typer's and a default, as an option in a signature has.
    """
    annotations = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in annotations.items() if dataclasses.is_dataclass(kind)}
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options(groups[parameter.name])
        else:
            annotation = annotations[parameter.name]
            parameters.append(parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def called_by_typer(**arguments: Any) -> None:
        records = {name: group(**_taken(arguments, group)) for name, group in groups.items()}
        command(**arguments, **records)

    called_by_typer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called_by_typer.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called_by_typer


def _options(group: Any) -> list[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotations[field.name]
        )
        for field in dataclasses.fields(group)
    ]


def _taken(arguments: dict[str, Any], group: Any) -> dict[str, Any]:
    """The arguments of a group's fields, which are then no longer among the others."""
    return {field.name: arguments.pop(field.name) for field in dataclasses.fields(group)}
