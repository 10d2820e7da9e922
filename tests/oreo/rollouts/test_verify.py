"""Episodes played again: what is as stored reproduces, what was changed is found where it was changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.errors import UsageError
from oreo.rollouts.loop import rollout
from oreo.rollouts.verify import Difference, Verifier
from oreo.trajectory import Step, Trajectory

GUESS = f"{Path(__file__).parents[3] / 'examples' / 'guess.py'}:Guess"


@pytest.fixture(scope="module")
def kitchen() -> list[Trajectory]:
    return rollout("oreo/ALFWorld-v0", agent="random", episodes=2, seed=3, max_steps=6) + rollout(
        "oreo/ALFWorld-v0", agent="expert", episodes=3, seed=3, env_kwargs={"dialect": "move"}
    )


def test_what_was_played_here_reproduces_word_for_word(kitchen: list[Trajectory]) -> None:
    maths = rollout("oreo/Math-v0", agent="expert", episodes=3)
    with Verifier() as verifier:
        for episode in kitchen + maths:
            verdict, played = verifier.verify(episode)
            assert verdict.reproduces and verdict.outcome_holds and played == episode
    assert any(episode.won for episode in kitchen) and any(not episode.won for episode in kitchen)


def changed(episode: Trajectory, at: int, **fields: Any) -> Trajectory:
    steps = list(episode.steps)
    steps[at] = replace(steps[at], **fields)
    return replace(episode, steps=tuple(steps))


def test_each_kind_of_difference_is_found_where_it_is(kitchen: list[Trajectory]) -> None:
    episode = next(one for one in kitchen if one.won and len(one) > 2)
    last = len(episode)
    step = episode.steps[1]
    for wrong, difference in (
        (
            changed(episode, 0, observation="elsewhere"),
            Difference(0, "observation", "elsewhere", episode.steps[0].observation),
        ),
        (changed(episode, 1, reward=0.5), Difference(1, "reward", 0.5, 0.0)),
        (changed(episode, 1, action_valid=False), Difference(1, "action_valid", False, True)),
        (
            changed(episode, 1, admissible_commands=("fly",)),
            Difference(1, "admissible_commands", ["fly"], list(step.admissible_commands or ())),
        ),
        (replace(episode, final_observation="x"), Difference(last, "observation", "x", episode.final_observation)),
        (replace(episode, won=False), Difference(last, "won", False, True)),
        (replace(episode, terminated=False, truncated=True), Difference(last, "ending", "cut off", "in the world")),
        (
            replace(episode, steps=(*episode.steps, Step(episode.final_observation, "look"))),
            Difference(last, "ending", f"{last + 1} steps", f"{last} steps"),
        ),
    ):
        with Verifier() as verifier:
            verdict, played = verifier.verify(wrong)
        assert verdict.difference == difference
        assert verdict.outcome_holds == wrong.won and played is not None and played.won
        assert played == replace(episode, agent=wrong.agent)  # repaired


def test_texts_of_which_a_part_was_recorded_hide_no_other_difference(kitchen: list[Trajectory]) -> None:
    episode = next(one for one in kitchen if one.won and len(one) > 2)
    first = episode.steps[0].observation
    cut = changed(episode, 0, observation=first.partition("\n")[2])
    joined = changed(episode, 0, observation=" ".join(first.split()))  # blank lines left out, say
    half_price = Difference(1, "reward", 0.5, 0.0)
    for stored, beyond in ((cut, None), (joined, None), (changed(cut, 1, reward=0.5), half_price)):
        with Verifier() as verifier:
            verdict, _ = verifier.verify(stored)
        assert verdict.difference is not None and verdict.difference.what == "observation"
        assert not verdict.reproduces and verdict.beyond_cut_texts == beyond


def test_a_grade_of_the_recording_is_kept_where_the_environment_gives_none(kitchen: list[Trajectory]) -> None:
    graded = replace(kitchen[0], grade="out of steps")
    with Verifier() as verifier:
        verdict, played = verifier.verify(graded)
    assert verdict.reproduces and played is not None and played.grade == "out of steps"
    with Verifier() as verifier:
        verdict, played = verifier.verify(replace(graded, won=not graded.won))
    assert not verdict.reproduces and played is not None and not played.grade  # of an outcome that was another


def test_actions_that_do_not_win_are_no_win_whatever_is_claimed(kitchen: list[Trajectory]) -> None:
    won = next(one for one in kitchen if one.won)
    short = replace(won, steps=won.steps[:-1])
    with Verifier() as verifier:
        verdict, played = verifier.verify(short)
    assert (verdict.claimed, verdict.won, verdict.outcome_holds) == (True, False, False)
    assert played is not None and not played.won and played.truncated and not played.terminated
    assert played.final_observation == won.steps[-1].observation


def test_what_is_not_known_of_a_step_is_no_difference_and_is_filled_in(kitchen: list[Trajectory]) -> None:
    episode = next(one for one in kitchen if one.dialect == "move")
    bare = replace(
        episode,
        steps=tuple(replace(step, admissible_commands=None, action_valid=None) for step in episode.steps),
        env_kwargs={},  # that it is "move" is told by the episode alone
        seed=None,
    )
    with Verifier() as verifier:
        verdict, played = verifier.verify(bare)
    assert verdict.reproduces and played is not None and played.steps == episode.steps


def test_more_steps_than_the_environment_would_allow_are_played(kitchen: list[Trajectory]) -> None:
    episode = rollout("oreo/ALFWorld-v0", agent="random", episodes=1, seed=5, max_steps=60)[0]
    assert len(episode) == 60
    with Verifier() as verifier:
        assert verifier.verify(replace(episode, env_kwargs={}))[0].reproduces


def test_a_wrong_solution_is_graded_again() -> None:
    episode = rollout("oreo/Math-v0", agent="expert", episodes=1)[0]
    *_, last = episode.steps
    wrong = changed(replace(episode, won=True), len(episode) - 1, action="#### 123456789")
    with Verifier() as verifier:
        verdict, played = verifier.verify(wrong)
    assert verdict.difference == Difference(len(episode) - 1, "reward", last.reward, 0.0)
    assert not verdict.outcome_holds and played is not None and (played.won, played.grade) == (False, "wrong")


def test_a_game_that_is_not_there_costs_one_episode(kitchen: list[Trajectory]) -> None:
    with Verifier() as verifier:
        verdict, played = verifier.verify(replace(kitchen[0], game="generated/no such"))
        assert played is None and verdict.error and verdict.won is None and not verdict.reproduces
        assert verifier.verify(kitchen[0])[0].reproduces


def test_code_that_data_names_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise SystemExit('it was run')")
    episode = rollout(GUESS, agent="expert", episodes=1)[0]
    for spec in (f"{tmp_path / 'bad.py'}:Bad", "antigravity:Env", GUESS):
        with Verifier() as verifier, pytest.raises(UsageError, match="say --env"):
            verifier.verify(replace(episode, env_id=spec))
    with Verifier(GUESS) as verifier:
        assert verifier.verify(episode)[0].reproduces
