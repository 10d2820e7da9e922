"""What the checks have found, as a record, as text, and as a line that can be quoted."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

from oreo.field_docs import document_fields


@document_fields
@dataclass(frozen=True)
class Finding:
    """One thing that the environment does wrong."""

    check: str
    """The check that found it."""
    what: str
    """What is wrong, in one line."""
    steps: tuple[str, ...]
    """The fewest calls that show it, such as `reset(seed=0)` and `step('look')`."""
    fix: str
    """How to mend it."""


@document_fields
@dataclass(frozen=True)
class Report:
    """What became of all checks of one environment."""

    env: str
    """What was checked: an id, or file and class."""
    checks: tuple[str, ...]
    """Names of the checks that were run to their end."""
    findings: tuple[Finding, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    """Checks that were not run, or not to their end, with the reason."""
    measured: dict[str, Any] = field(default_factory=dict)
    """What is told without being right or wrong: steps a second, what the expert wins, resets played, …"""

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def line(self) -> str:
        """One line for a paper's appendix."""
        versions = f"oreo-agents {_version('oreo-agents')}, gymnasium {_version('gymnasium')}"
        verdict = "nothing found" if self.passed else f"{len(self.findings)} finding{'s' * (len(self.findings) > 1)}"
        told = [f"{len(self.checks)} checks ({', '.join(self.checks)})"]
        told += [f"{name} {value}" for name, value in self.measured.items()]
        return f"{self.env}: {verdict}; {'; '.join(told)}; {versions}, Python {platform.python_version()}"

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**asdict(self), "passed": self.passed, "line": self.line}

    def __str__(self) -> str:
        parts = []
        for finding in self.findings:
            parts.append(f"{finding.check}: {finding.what}")
            parts += [f"    {step}" for step in finding.steps]
            parts.append(f"    to mend it: {finding.fix}")
        parts += [f"not checked: {name} ({why})" for name, why in self.skipped.items()]
        return "\n".join([*parts, self.line])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
