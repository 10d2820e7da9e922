"""What can go wrong for a user, one class each:

OreoError
├── UsageError    (ValueError)         a wrong argument; the command line exits with 2
├── DataError     (ValueError)         stored data that is missing, malformed or does not fit; exits with 1
├── EngineError   (RuntimeError)       a game engine, an environment's code, or vLLM, that failed or died; exits with 1
│   └── ServerError                    a model server that did not answer (oreo.agents.server)
└── MissingExtra  (ImportError)        a feature whose packages are not installed; exits with 1

A message is one line: what is wrong, where, and what to do instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OreoError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class UsageError(OreoError, ValueError):
    """A wrong argument: the message names the value, what was expected and what to type instead."""

    exit_code = 2


class DataError(OreoError, ValueError):
    """Stored data that is missing, malformed, or does not fit what is asked of it."""


class EngineError(OreoError, RuntimeError):
    """A game engine, an environment's own code, or the engine that runs a model, failed or its process died."""


class MissingExtra(OreoError, ImportError):
    """A feature needs packages that are not installed; the message holds the install line."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`choose from a, b, c (did you mean 'b'?)`, for the end of an error message."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"choose from {', '.join(choices)}{hint}"
