"""A simulator in the kitchen, at the start of its game."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld.engines.simulator import Simulator

from .kitchens import game


@pytest.fixture
def kitchen() -> Simulator:
    simulator = Simulator()
    simulator.reset(game())
    return simulator
