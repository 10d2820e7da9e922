"""What follows from a trajectory's fields."""

from __future__ import annotations

from dataclasses import replace

from oreo.trajectory import Step, Trajectory

EPISODE = Trajectory("toy", (Step("o", "a", 1.0), Step("p", "b", -0.5, turn="Action: b")), "end", True, False, True)


def test_returns_to_go_are_sums_of_the_rewards_from_there_on() -> None:
    assert EPISODE.returns_to_go == [0.5, -0.5] and EPISODE.episode_return == 0.5 and len(EPISODE) == 2


def test_the_text_of_a_step_is_its_turn_where_that_says_more_than_the_action() -> None:
    assert [step.text for step in EPISODE.steps] == ["a", "Action: b"]


def test_equal_trajectories_are_one_in_a_set() -> None:
    with_kwargs = replace(EPISODE, env_kwargs={"x": [1]}, versions={"a": "1"})
    assert len({EPISODE, replace(EPISODE)}) == 1
    assert len({EPISODE, with_kwargs, replace(with_kwargs), replace(EPISODE, seed=1)}) == 3


def test_the_repr_says_how_it_ended() -> None:
    assert "won" in repr(EPISODE) and "lost" in repr(replace(EPISODE, won=False))
    assert "truncated" in repr(replace(EPISODE, won=False, terminated=False, truncated=True))
