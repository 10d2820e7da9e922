"""`pytest --all`: the tests that take a sample of the real games take all of them. So does OREO_ALL_GAMES=1."""

from __future__ import annotations

import os
import signal

import pytest

# Test processes share the cores (-n 2): with a thread per core in each, torch's threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test downloads. Read when huggingface_hub is imported, so it is set before any test is.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run over all real games instead of a sample (hours)")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests that press it would hang.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--all"):
        os.environ["OREO_ALL_GAMES"] = "1"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what tests counted (record_property) over all of them, and say it."""
    totals: dict[str, int] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            totals[name] = totals.get(name, 0) + value
    for name, total in totals.items():
        terminalreporter.write_line(f"{total:,} {name}")
