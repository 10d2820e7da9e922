"""Where problems come from, by name.

- "generated": made by our generator (generator.py), without end.
- "gsm8k:PATH", "math:PATH": as their authors publish them, a file, or a folder with a split in it (files.py).
- "jsonl:PATH": rows of any JSONL or Parquet file. question_field and answer_field say where they are ("question" and
  "answer"), solution_field, level_field and subject_field what else there is. An answer may be a worked solution that
  marks it.
- "hub:NAME" or "hub:NAME:CONFIG": a data set of the Hugging Face Hub, or a local folder that `datasets` reads. Without
  named fields its columns say whether it is read as GSM8K, as MATH or as "jsonl".
- "reasoning_gym:TASK": a task of reasoning-gym, with its own checker (reasoning.py).

A source holds what was asked for and nothing else: a problem of another split, subject or level, or one beyond the
limit, is refused by its name too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from oreo.envs.math import files
from oreo.envs.math.generator import Generated, as_range, check_settings
from oreo.envs.math.problems import SPLITS, Listed, Problem, Problems, by_content, chosen
from oreo.errors import DataError, MissingExtra, UsageError, did_you_mean

SOURCES = {
    "generated": "generated",
    "gsm8k": "gsm8k:PATH",
    "math": "math:PATH",
    "jsonl": "jsonl:PATH",
    "hub": "hub:NAME",
    "reasoning_gym": "reasoning_gym:TASK",
}


@dataclass(frozen=True)
class ProblemQuery:
    """What the environment was asked for."""

    source: str
    split: str | None
    levels: tuple[str, ...] | None
    subjects: tuple[str, ...] | None
    limit: int | None
    fields: dict[str, str]
    """question, answer, … -> the name of its field; those that were given."""
    settings: dict[str, Any]
    """All other arguments."""


def open_source(query: ProblemQuery) -> Problems:
    """The problems of a source.

    Raises:
        UsageError: a source, split, filter or argument that there is not.
        DataError: missing or malformed files.
        MissingExtra: the source needs a package that is not installed.
    """
    kind, colon, location = query.source.partition(":")
    if kind not in SOURCES or (SOURCES[kind] != kind) != bool(location) or (colon and not location):
        raise UsageError(f"unknown source {query.source!r}: {did_you_mean(query.source, SOURCES.values())}")
    if query.split is not None and query.split not in SPLITS and kind != "hub":
        raise UsageError(f"unknown split {query.split!r}: {did_you_mean(str(query.split), SPLITS)}")
    if query.fields and kind not in ("jsonl", "hub"):
        name = next(iter(query.fields))
        raise UsageError(f"{name}_field: source {query.source!r} has its own fields; name them with 'jsonl:PATH'")
    if kind == "generated":
        return _generated(query)
    if kind == "reasoning_gym":
        if query.levels or query.subjects:
            raise UsageError(f"levels, subjects: {query.source} has none; set what the task takes, such as min_terms=3")
        from oreo.envs.math.reasoning import open_task

        return open_task(location, query.split or "train", query.settings, query.limit)
    if query.settings:
        name = next(iter(query.settings))
        raise UsageError(
            f"unknown argument {name!r} of MathEnv for source {query.source!r}; see oreo.envs.math.sources"
        )
    if kind == "hub":
        problems = _hub(location, query.split or "train", tuple(sorted(query.fields.items())))
    else:
        fields = {"gsm8k": files.GSM8K, "math": files.MATH}.get(kind) or files.named(query.fields)
        problems = files.read(Path(location), query.split, fields, kind)
    return Listed(chosen(problems, query.source, query.levels, query.subjects, query.limit))


def _generated(query: ProblemQuery) -> Generated:
    settings = dict(query.settings)
    if "steps" in settings:
        settings["steps"] = as_range(settings["steps"])
    if query.subjects is not None:
        settings["subjects"] = query.subjects
    return Generated(query.split or "train", check_settings(settings, query.levels), query.levels, query.limit)


@lru_cache(maxsize=4)
def _hub(name: str, split: str, field_names: tuple[tuple[str, str], ...]) -> list[Problem]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(f"source='hub:{name}' needs datasets: pip install 'oreo-agents[datasets]'") from error
    path, _, config = name.partition(":")
    try:
        rows = datasets.load_dataset(path, config or None, split=split)
    except Exception as error:  # whatever the network, the Hub and its many formats come up with
        raise DataError(f"hub:{name}, split {split}: {' '.join(str(error).split())[:300]}") from error
    columns = set(rows.column_names)
    if field_names:
        fields = files.named(dict(field_names))
    elif {"problem", "solution"} <= columns:
        fields = files.MATH
    else:
        fields = files.named({})
    return by_content(
        files.problem(f"hub/{name}/{split}/{number}", row, fields, f"hub:{name}, row {number}")
        for number, row in enumerate(rows)
    )
