"""oreo.agents.turns: what a language model says, and what of it is an action."""

from __future__ import annotations

import numpy as np
import pytest

from oreo.agents.agent import Decision, Episode
from oreo.agents.turns import Turn, decision, different, observations_of, warn_of_cut_turns
from oreo.trajectory import Step


def test_a_turn_is_kept_only_where_it_says_more_than_its_action() -> None:
    assert decision("look", log_prob=-1.0) == Decision("look", log_prob=-1.0)
    assert decision("hm\nAction: look") == Decision("look", turn="hm\nAction: look")


def test_of_equal_texts_the_first_is_weighed() -> None:
    turns = [Turn([number], text, 0.0, 1) for number, text in enumerate("abacb")]
    assert different(turns) == [0, 1, 3] and different([]) == []


def test_the_present_observation_is_the_last() -> None:
    steps = [Step("first", "go"), Step("second", "look")]
    episode = Episode(key=1, rng=np.random.default_rng(0), env=None, observation="now", info={})  # type: ignore[arg-type]
    episode.steps.extend(steps)
    assert observations_of(episode) == ["first", "second", "now"]


def test_a_cut_turn_is_told_with_what_allows_longer_ones() -> None:
    with pytest.warns(UserWarning, match="max_new_tokens=7; for longer ones"):
        warn_of_cut_turns(7)
