"""`pytest --all`: the tests that take a sample of the real games take all of them. So does OREO_ALL_GAMES=1.

`pytest --slow`: also the few cases marked `slow`, whose law a quicker case shows as well.

With `-n`, all tests of a file run in one process, and the files that take longest begin first.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

# Test processes share the cores (-n 2): with a thread per core in each, torch's threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test downloads. Read when huggingface_hub is imported, so it is set before any test is.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

LONGEST = (
    "oreo/training/test_devices.py",
    "oreo/experiments/test_iterate.py",
    "test_benchmarks.py",
    "oreo/training/test_exactness.py",
    "oreo/rollouts/test_ray_cluster.py",
    "oreo/training/test_trainer.py",
    "oreo/cli/test_commands.py",
    "oreo/cli/test_collect.py",
    "oreo/cli/test_ctrl_c.py",
    "test_docs.py",
    "agents/test_served.py",
    "agents/test_vllm.py",
    "agents/test_language_model.py",
    "envs/math/test_pool.py",
    "envs/math/test_grading.py",
    "envs/checking/test_run.py",
    "envs/alfworld/engines/test_textworld_worker.py",
    "oreo/rollouts/test_collect.py",
)
"""Files of ten seconds and more: begun last, one of them would keep a process busy while others have nothing to do."""
TESTS = Path(__file__).parent
assert all((TESTS / name).is_file() for name in LONGEST), "a file of LONGEST has another name now"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file to a process: a Ray, a server or a pair of ranks is started once for the tests that share it."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # it would begin with the files of most tests, not with the longest
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(os.path.relpath(item.path, TESTS), len(places)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run over all real games instead of a sample (hours)")
    parser.addoption("--slow", action="store_true", help="run the cases marked slow too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs with --slow alone; a quicker case shows the same law")
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
