"""Evaluation on the guessing game and on generated ALFWorld games, with the real agents."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import oreo
from oreo.agents.agent import Decision
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import UsageError
from oreo.eval.evaluate import evaluate, plan_games, render, summarise
from oreo.eval.statistics import wilson_interval
from oreo.eval.terminal.replay import outcome_of
from oreo.trajectory import Step, Trajectory

GUESS = f"{Path(__file__).resolve().parent.parent.parent / 'examples' / 'guess.py'}:Guess"
LISTED = """
from oreo.envs import TextEnv

class Listed(TextEnv):
    games = ["a", "b", "c", "d", "e"]

    def start(self, rng, game=None):
        self.game = game or "none"
        return f"game {self.game}"

    def act(self, text):
        return "done", float(self.game in "ab"), True

    def info(self):
        return {"game": self.game, "task_type": "early" if self.game in "abc" else "late"}

    def expert_action(self):
        return "end"
"""


@pytest.fixture
def listed(tmp_path) -> str:
    (tmp_path / "listed.py").write_text(LISTED)
    return f"{tmp_path / 'listed.py'}:Listed"


def episode(won: bool, task_type: str = "", steps: int = 1) -> Trajectory:
    taken = (Step("o", "a"),) * (steps - 1) + (Step("o", "a", reward=float(won)),)
    return Trajectory("env", taken, "end", True, False, won, task_type=task_type)


def test_success_is_counted_overall_and_by_task_type() -> None:
    played = [episode(True, "heat", 3), episode(False, "heat", 5), episode(True, "cool", 1), episode(True, "cool", 7)]
    evaluation = summarise(played)
    assert list(evaluation.by_task_type) == ["cool", "heat"]
    assert evaluation.overall.success == 0.75
    assert (evaluation.overall.low, evaluation.overall.high) == wilson_interval(3, 4)
    assert evaluation.by_task_type["heat"].success == 0.5
    assert evaluation.overall.mean_steps == 4.0
    assert evaluation.overall.mean_return == 0.75


def test_how_episodes_were_graded_is_stored_counted_and_shown(tmp_path) -> None:
    class Guesses:
        """Answers the first problem as it should, the second wrongly, the third never."""

        name, checkpoint = "guesses", ""

        def act(self, episodes: Any) -> list[Decision]:
            return [Decision(self.says(episode)) for episode in episodes]

        def says(self, episode: Any) -> str:
            number = int(episode.info["game"].rsplit("/", 1)[1])
            return (episode.env.unwrapped.expert_action(), "#### 123456789", "Well.")[number]

    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        evaluation = evaluate("math", Guesses(), env_kwargs={"limit": 3}, max_steps=8, into=buffer)
        counts = {name: entry["episodes"] for name, entry in buffer.info()["by_grade"].items()}
    assert evaluation.grades == counts == {"correct": 1, "no_answer": 1, "wrong": 1}
    assert evaluation.to_dict()["grades"] == evaluation.grades
    console = Console(width=80, record=True, file=open("/dev/null", "w"))
    console.print(render(evaluation))
    assert "grades: correct 1, no_answer 1, wrong 1" in console.export_text()
    (wrong,) = TrajectoryBuffer(tmp_path / "buffer").where(grade="wrong")
    assert outcome_of(wrong) == "lost: wrong"


def test_nothing_cannot_be_evaluated() -> None:
    with pytest.raises(UsageError, match="no episodes"):
        summarise([])


def test_an_evaluation_is_plain_json() -> None:
    evaluation = evaluate(GUESS, "expert", episodes=5, seed=1)
    content = json.loads(json.dumps(evaluation.to_dict()))
    assert content["success"] == evaluation.overall.success
    assert content["protocol"]["max_steps"] == 10
    assert len(evaluation.trajectories) == content["episodes"] == 5


def test_every_listed_game_is_played_once(listed: str) -> None:
    evaluation = evaluate(listed, "expert")
    assert [t.game for t in evaluation.trajectories] == ["a", "b", "c", "d", "e"]
    assert evaluation.by_task_type["early"].won == 2 and evaluation.by_task_type["late"].won == 0
    assert evaluation.protocol["games"] == 5


def test_fewer_episodes_than_games_are_drawn_from_the_seed_without_repetition(listed: str) -> None:
    chosen = [plan_games(listed, 3, seed=seed).games for seed in range(20)]
    assert all(games is not None and len(set(games)) == 3 for games in chosen)
    assert len({tuple(games or ()) for games in chosen}) > 5
    assert plan_games(listed, 3, seed=4) == plan_games(listed, 3, seed=4)


def test_more_episodes_than_games_go_round_again(listed: str) -> None:
    games = plan_games(listed, 10, seed=0).games
    assert games is not None and sorted(games) == sorted("abcde" * 2)


def test_without_a_list_the_environment_draws() -> None:
    plan = plan_games(GUESS, None)
    assert (plan.games, plan.episodes, plan.max_steps) == (None, 200, 10)


def test_the_table_names_the_protocol_and_fits_80_columns() -> None:
    kinds = ["pick_clean_then_place_in_recep", "look_at_obj_in_light"]
    played = [
        replace(episode(True, kind), agent="lm(temperature=0.0)", env_kwargs={"split": "valid_seen"}) for kind in kinds
    ] * 100
    console = Console(width=80, color_system=None, record=True, file=open("/dev/null", "w"))
    console.print(render(summarise(played, {"seed": 0, "max_steps": 50})))
    text = console.export_text()
    assert "lm(temperature=0.0) · env split=valid_seen, at most 50 steps, seed 0" in text
    assert re.search(
        r"^pick_clean_then_place_in_recep +100/100 +100.0 % +96.3 – 100.0 % +1.0 +1.00$", text, re.MULTILINE
    )
    assert max(map(len, text.splitlines())) <= 80


def test_the_expert_wins_generated_games_at_top_level_too() -> None:
    evaluation = oreo.evaluate("alfworld", "expert", episodes=6, env_kwargs={"split": "generated_unseen"})
    assert evaluation.overall.success == 1.0
    assert evaluation.protocol["dialect"] == "put" and evaluation.protocol["max_steps"] == 50
    assert sum(outcome.episodes for outcome in evaluation.by_task_type.values()) == 6


def test_a_printed_evaluation_is_its_table_and_what_others_wrote_is_text_in_it() -> None:
    names = {"agent": "[bold]lm[/nope]\x1b[2J", "task_type": "[link=http://a.b]pick\x9b\u202e[/]", "grade": "[/b]\x07"}
    episode = Trajectory("env\r\n", (Step("a", "b"),), "end", True, False, True, {"data": "\x1b]0;x\x07"}, **names)
    table = str(summarise([episode]))
    assert table == "\n".join(
        [
            "[bold]lm[/nope] · env data=",
            "",
            "task type                  won  success   95 % interval  steps  return",
            "──────────────────────────────────────────────────────────────────────",
            "[link=http://a.b]pick�[/]  1/1  100.0 %  20.7 – 100.0 %    1.0    0.00",
            "",
            "all                        1/1  100.0 %  20.7 – 100.0 %    1.0    0.00",
            "",
            "grades: [/b]� 1",
        ]
    )
