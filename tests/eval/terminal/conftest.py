"""A keyboard for tests of what is watched."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def keyboard(monkeypatch) -> Iterator[int]:
    """A pseudo-terminal as standard input; what is written to the number is typed."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are a Unix thing")
    typed, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed
    os.close(typed)
