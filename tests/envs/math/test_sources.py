"""Which problems a source holds: filters, data sets of the Hub, missing packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from oreo.envs.math import sources
from oreo.envs.math.env import MathEnv
from oreo.errors import DataError, MissingExtra

from .rows import GSM8K, MATH, message, problems, won, write


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"levels": 2}, [1, 4]),
        ({"levels": ["Level 2", 3]}, [1, 2, 4, 5]),
        ({"subjects": "Algebra"}, [1, 3, 5]),
        ({"subjects": ["Algebra"], "levels": [2]}, [1]),
        ({"subjects": ["Algebra"], "limit": 2}, [1, 3]),
        ({"limit": 99}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_filters_keep_the_ids(tmp_path: Path, filters: dict[str, Any], names: list[int]) -> None:
    source = f"math:{write(tmp_path / 'train.jsonl', MATH)}"
    assert [problem.row_name for problem in problems(source, **filters)] == [f"math/train/{n}" for n in names]


@pytest.mark.parametrize(
    ("rows", "made"),
    [
        (GSM8K, {}),
        (MATH, {}),
        (
            [{"q": "1+1?", "a": "#### 2", "s": "Sum.\n#### 2"}],
            {f"{n}_field": n[0] for n in ("question", "answer", "solution")},
        ),
    ],
)
def test_a_data_set_is_read_by_its_columns_or_by_named_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], made: dict[str, str]
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path / "data" / "train.jsonl", rows)
    source = f"hub:{tmp_path}/data"
    listed = problems(source, **made)
    assert [problem.row_name for problem in listed] == [f"hub/{tmp_path}/data/train/{n}" for n in range(len(rows))]
    assert won(source, **made)
    (tmp_path / "empty").mkdir()
    assert "split train" in message(lambda: MathEnv(source=f"hub:{tmp_path}/empty"), DataError)


@pytest.mark.parametrize(
    ("source", "package", "extra"),
    [("hub:some/set", "datasets", "datasets"), ("reasoning_gym:x", "reasoning_gym", "math")],
)
def test_a_missing_package_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, source: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    sources._hub.cache_clear()
    assert f"pip install 'oreo-agents[{extra}]'" in message(lambda: MathEnv(source=source), MissingExtra)
