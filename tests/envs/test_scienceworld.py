"""ScienceWorld by its task's name is step by step what the library plays; without it or Java, one line says so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import oreo.envs
from helpers.resets import assert_fifty_resets_leave_nothing
from oreo.envs.checking.surroundings import children
from oreo.errors import MissingExtra, UsageError
from oreo.rollouts.loop import rollout

TASK = "find-non-living-thing"  # its gold paths are short


@pytest.fixture
def by_hand() -> Any:
    scienceworld = pytest.importorskip("scienceworld", reason="scienceworld is not installed")
    if shutil.which("java") is None:
        pytest.skip("ScienceWorld needs Java")
    env = scienceworld.ScienceWorldEnv("", envStepLimit=10**9)
    yield env
    env.close()


def test_the_gold_path_wins_and_pays_what_it_does_in_the_library_by_hand(by_hand: Any) -> None:
    env = oreo.envs.make(f"scienceworld:{TASK}", split="test")
    games = env.unwrapped.games  # type: ignore[attr-defined]
    played = rollout(f"scienceworld:{TASK}", agent="expert", games=[games[1], games[0]], env_kwargs={"split": "test"})
    episode = played[1]
    by_hand.load(TASK, int(games[0].rpartition("-")[2]), "", generateGoldPath=True)
    assert games == [f"{TASK}-{number}" for number in by_hand.get_variations_test()]
    text, info = by_hand.reset()
    assert episode.steps[0].observation == f"{by_hand.get_task_description()}\n\n{text}"
    score = 0
    for step in episode.steps:  # several gold paths lead there, and the library draws one of them
        assert step.admissible_commands  # whose wording differs between two processes
        text, _, done, info = by_hand.step(step.action)
        assert step.reward == pytest.approx((info["score"] - score) / 100)
        score = info["score"]
    assert episode.won and episode.episode_return == pytest.approx(1) and score == 100
    assert episode.final_observation == text
    env.close()


def test_a_random_episode_equals_the_librarys(by_hand: Any) -> None:
    (episode,) = rollout(f"scienceworld:{TASK}", agent="random", episodes=1, seed=3, max_steps=8)
    by_hand.load(TASK, int(episode.game.rpartition("-")[2]), "")
    text, info = by_hand.reset()
    score = info["score"]
    assert episode.steps[0].observation == f"{by_hand.get_task_description()}\n\n{text}"
    followers = [*(step.observation for step in episode.steps[1:]), episode.final_observation]
    for step, following in zip(episode.steps, followers, strict=True):
        text, _, done, info = by_hand.step(step.action)
        assert (following, step.reward) == (text, pytest.approx((info["score"] - score) / 100))
        score = info["score"]
    assert episode.terminated == (bool(done) or score >= 100)


def test_fifty_resets_take_no_more_memory_files_and_processes(by_hand: Any) -> None:
    env = oreo.envs.make(f"scienceworld:{TASK}", reuse=True)
    for seed in range(3):
        env.reset(seed=seed)
    processes = children()
    # Java lets its heap grow to a quarter of the machine before it tidies it up: by 0.6 GB here.
    assert_fifty_resets_leave_nothing(env, "look around", memory_limit=3e9)
    env.close()
    again = oreo.envs.make(f"scienceworld:{TASK}")
    for seed in range(3):
        again.reset(seed=seed)
    assert children() == processes  # each reset has ended the process of the one before, and its Java
    again.close()


def test_other_tasks_splits_and_games_are_refused(by_hand: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'boil'"):
        oreo.envs.make("scienceworld:boill")
    env = oreo.envs.make("scienceworld:boil")
    with pytest.raises(UsageError, match="expected boil-VARIATION"):
        env.reset(seed=0, options={"game": "melt-3"})
    env.close()


def test_an_unknown_split_is_refused_without_the_library() -> None:
    with pytest.raises(UsageError, match="unknown split 'valid'"):
        oreo.envs.make("scienceworld:boil", split="valid")


def test_without_java_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtra, match="needs Java"):
        oreo.envs.make("scienceworld:boil")


def test_without_the_library_the_install_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scienceworld.py").write_text("raise ImportError('No module named scienceworld')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(MissingExtra, match=r"No module named scienceworld.*oreo-agents\[scienceworld\]"):
        oreo.envs.make("scienceworld:melt")
