"""Which environment an episode is from that was recorded elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from oreo.envs.matching import check_env, matcher
from oreo.errors import DataError, UsageError
from oreo.trajectory import Step, Trajectory

EPISODE = Trajectory("", (Step("You see a box.", "open box"),), "", True, False, True, game="box 3")


def test_an_environment_is_named_as_everywhere_and_a_misspelled_one_refused() -> None:
    assert check_env("alfworld") == "oreo/ALFWorld-v0" and check_env("tau2/airline") == "tau2/airline"
    with pytest.raises(UsageError, match=r"no environment 'alfwrld': .*did you mean 'alfworld'"):
        check_env("alfwrld")


def test_what_no_environment_knows_stays_as_it_is() -> None:
    assert matcher()(EPISODE, True).trajectory == EPISODE
    result = matcher("tau2/airline")(EPISODE, True)
    assert result.trajectory.env_id == "tau2/airline" and not result.found and result.trajectory.game == "box 3"


def test_an_environment_of_ones_own_finds_its_games(tmp_path: Path) -> None:
    file = tmp_path / "boxes.py"
    file.write_text(
        """
from dataclasses import replace
import oreo.envs
from oreo.matching import Matched

class Boxes(oreo.envs.TextEnv):
    def start(self, rng): return "You see a box."
    def act(self, text): return "", 1.0, True

    @staticmethod
    def matcher(data):
        return lambda trajectory, known: Matched(replace(trajectory, game=trajectory.game.upper()), known, found=True)
"""
    )
    result = matcher(f"{file}:Boxes")(EPISODE, True)
    assert result.found and result.trajectory.game == "BOX 3" and result.trajectory.env_id == f"{file}:Boxes"


def test_data_of_one_environment_names_it_where_none_is_said(tmp_path: Path) -> None:
    problems = tmp_path / "test.jsonl"
    problems.write_text('{"question": "What is two plus two, Ann?", "answer": "It is 4.\\n#### 4"}\n')
    with pytest.raises(UsageError, match=r"--data gsm8k:.* holds games of --env math; say that, too"):
        matcher(data=f"gsm8k:{problems}")
    solution = Trajectory("", (Step("What is two plus two, Ann?", "#### 4"),), "", True, False, True)
    assert matcher("math", f"gsm8k:{problems}")(solution, True).found
    with pytest.raises(DataError, match="nowhere"):
        matcher(data=tmp_path / "nowhere")
