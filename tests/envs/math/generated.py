"""Settings of generated problems to draw from, for the tests of the generator and its stories."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from oreo.envs.math.generator import GeneratorSettings, check_settings
from oreo.envs.math.problems import SPLITS, Problem

ANNOTATION = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")

numbers = st.integers(0, 2**31)
splits = st.sampled_from(SPLITS)


@st.composite
def generator_settings(draw: st.DrawFn) -> GeneratorSettings:
    """Any settings with which something can be told."""
    return check_settings(
        {
            "seed": draw(st.integers(0, 3)),
            "steps": tuple(draw(st.sets(st.integers(1, 6), min_size=1))),
            "largest": draw(st.integers(20, 500)),
            "digits": draw(st.integers(3, 6)),
            "operations": draw(st.sampled_from(["+-*/", "+", "+-", "+-*", "*/+"])),
            "distractors": draw(st.integers(0, 3)),
        }
    )


def lines(problem: Problem) -> list[str]:
    return problem.solution.split("\n")
