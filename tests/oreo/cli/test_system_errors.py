"""oreo.cli.system_errors: what the system refuses is one line that names the place and what to do."""

from __future__ import annotations

import errno
import os

import pytest

from oreo.cli.system_errors import of_system, short


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "make room"), (errno.EACCES, "permissions"), (errno.ENOTDIR, "give another name")],
)
def test_the_place_the_reason_and_what_to_do_are_said(number: int, remedy: str) -> None:
    line = of_system(OSError(number, os.strerror(number), "runs/kitchen"))
    assert line.startswith(f"runs/kitchen: {os.strerror(number)}; ") and remedy in line and "\n" not in line


def test_without_a_name_or_a_remedy_it_says_what_there_is() -> None:
    assert of_system(OSError(errno.EIO, "Input/output error")) == "standard output, or a file: Input/output error"
    assert of_system(OSError(errno.EIO, "Input/output error", b"by\xffte")).startswith("by")
    assert of_system(TimeoutError()) == "standard output, or a file: TimeoutError"


def test_a_long_name_loses_its_middle() -> None:
    assert short("kitchen") == "kitchen" and short("k" * 120) == "k" * 120
    cropped = short("begin" + "x" * 4000 + "end")
    assert len(cropped) == 121 and cropped.startswith("begin") and cropped.endswith("end") and "…" in cropped
