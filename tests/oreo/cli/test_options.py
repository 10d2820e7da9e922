"""How options of the command line become settings of an agent."""

from __future__ import annotations

from typing import Any

import pytest

from oreo.agents import AgentConfig
from oreo.agents.registry import CHOICES
from oreo.cli import options
from oreo.errors import UsageError


def test_only_what_was_said_is_set() -> None:
    assert options.agent_settings(None, temperature=None, top_p=None, choose=None, best_of=None) == {}
    assert options.agent_config(["max_new_tokens=9"], temperature=0.0) == AgentConfig(temperature=0.0, max_new_tokens=9)


def test_best_of_is_short_for_a_way_to_choose_and_its_k() -> None:
    assert options.agent_settings(None, best_of=5) == {"choose": "best-of", "k": 5}
    assert options.agent_settings(None, best_of=5, choose="best-of") == {"choose": "best-of", "k": 5}


@pytest.mark.parametrize(
    ("extra", "named", "said"),
    [
        ([], {"best_of": 5, "choose": "plan"}, "--best-of 5 is short for .*; with --choose plan leave it out"),
        ([], {"best_of": 5, "k": 3}, "with --k 3 leave it out"),
        (["temperature=1"], {"temperature": 0.5}, "give --temperature"),
        (["max_new_tokns=9"], {}, "did you mean 'max_new_tokens'"),
        (["search=beam"], {}, "--choose beam"),
        (["best_of=4"], {}, "--best-of 4"),
        (["lookahead=2"], {}, "--choose plan --depth 2"),
        (["choose=text"], {}, None),
    ],
)
def test_what_is_said_twice_or_otherwise_is_refused_in_one_line(
    extra: list[str], named: dict[str, Any], said: str | None
) -> None:
    with pytest.raises(UsageError, match=said) as failure:
        options.agent_config(extra, **named)
    assert "\n" not in str(failure.value)


def test_the_help_names_every_way_to_choose_of_the_registry() -> None:
    (option,) = options.Choose.__metadata__  # type: ignore[attr-defined]
    assert option.metavar == "|".join(CHOICES)
    assert all(f"{word}: {entry.help}" in option.help for word, entry in CHOICES.items())
