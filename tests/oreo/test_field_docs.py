"""What help() shows of records: every field, with what stands below it in the source."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass

import pytest

import oreo
from oreo.agents.settings import AgentConfig
from oreo.eval.evaluate import Evaluation
from oreo.field_docs import document_fields, document_settings
from oreo.training.config import TrainConfig


@document_fields
@dataclass(frozen=True)
class Point:
    """A point."""

    x: float
    """Metres to the right,
    of the origin."""
    y: float = 0.5
    colour: str = "red"
    """What it looks like."""

    @property
    def norm(self) -> float:
        """No field."""
        return abs(self.x)


FIELDS = """Fields of Point:
    x: float
        Metres to the right,
        of the origin.
    y: float = 0.5
    colour: str = 'red'
        What it looks like."""


def test_a_record_tells_its_fields() -> None:
    assert inspect.getdoc(Point) == f"A point.\n\n{FIELDS}"


def test_a_function_tells_the_fields_that_it_takes() -> None:
    @document_settings(Point)
    def draw(**fields: object) -> None:
        """Draw a point.

        Args:
            fields: of a point.
        """

    assert inspect.getdoc(draw) == f"Draw a point.\n\nArgs:\n    fields: of a point.\n\n{FIELDS}"


def test_a_class_without_source_keeps_its_docstring() -> None:
    made = dataclasses.make_dataclass("Made", [("x", int)])
    made.__doc__ = "It is made."
    assert document_fields(made).__doc__ == "It is made."


@pytest.mark.parametrize("record", [oreo.Step, oreo.Trajectory, TrainConfig, AgentConfig, Evaluation])
def test_help_names_every_field(record: type) -> None:
    shown = inspect.getdoc(record) or ""
    assert all(f"    {field.name}: " in shown for field in dataclasses.fields(record))


def test_help_of_training_shows_every_setting_with_its_meaning() -> None:
    shown = inspect.getdoc(oreo.train) or ""
    assert all(f"    {field.name}: " in shown for field in dataclasses.fields(TrainConfig))
    assert "Weight β of the log-ratio" in shown and "UsageError: wrong options" in shown
