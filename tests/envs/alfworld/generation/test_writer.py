"""Games on disk: as alfworld keeps its own, read back, and played by alfworld itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from oreo.envs.alfworld.data import games
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import generate_game, write_games
from oreo.envs.alfworld.generation.settings import REALISTIC
from oreo.envs.alfworld.generation.writer import write_game


def test_written_games_are_read_back_and_taken_up_where_they_were_left(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    paths = write_games(4, tmp_path, progress=lambda done, count: seen.append((done, count)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for index, path in enumerate(paths):
        made, read = generate_game(index), games.load_game(tmp_path, path.relative_to(tmp_path).as_posix())
        assert (read.pddl_problem, read.grammar, read.pddl_domain) == (
            made.pddl_problem,
            made.grammar,
            made.pddl_domain,
        )
        assert (read.params, read.task_type, read.floor_plan) == (made.params, made.task_type, made.floor_plan)
    before = [path.stat().st_mtime_ns for path in paths]
    more = write_games(6, tmp_path)
    assert more[:4] == paths
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert len(games.open_split(tmp_path, "train")) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json_2.1.1", "logic"]  # nothing half-written


def test_held_out_games_go_to_the_unseen_split(tmp_path: Path) -> None:
    game = generate_game(0, heldout=True, dialect="move")
    path = write_game(game, tmp_path)
    assert path == write_game(game, tmp_path)
    assert path.relative_to(tmp_path).parts[:2] == ("json_2.1.1", "valid_unseen")


def test_a_name_too_long_for_a_folder_is_cut_and_stays_one_of_its_own(tmp_path: Path) -> None:
    plans = [number for number in range(1, 31) if number not in (9, 10, 29, 3, 13, 23)]
    rooms = [*range(201, 205), *range(206, 210), *range(401, 403), *range(405, 413), *range(414, 423), *range(426, 431)]
    paths = [write_games(1, tmp_path, floor_plans=[*plans, *rooms[:end]])[0] for end in (-1, -2)]
    assert len({path.parent.name for path in paths}) == 2
    assert all(len(path.parent.name) <= 200 for path in paths)


_PLAY = """
import contextlib, json, random, sys
data = sys.argv[1]
with contextlib.redirect_stdout(sys.stderr):
    from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv
    random.seed(0)
    env = AlfredTWEnv({
        "env": {"goal_desc_human_anns_prob": 0, "task_types": [1, 2, 3, 4, 5, 6], "domain_randomization": False,
                "expert_type": "handcoded"},
        "dataset": {"data_path": f"{data}/json_2.1.1/train", "num_train_games": -1},
        "logic": {"domain": f"{data}/logic/alfred.pddl", "grammar": f"{data}/logic/alfred.twl2"},
        "general": {"training_method": "dagger"}, "dagger": {"training": {"max_nb_steps_per_episode": 100}},
    }, train_eval="train")
    count, won = env.num_games, {}
    env = env.init_env(batch_size=1)
    for _ in range(count):
        _, infos = env.reset()
        name, done = infos["extra.gamefile"][0], (False,)
        while not done[0]:
            _, _, done, infos = env.step([infos["extra.expert_plan"][0][0]])
        won[name] = bool(infos["won"][0])
print(json.dumps(won))
"""


def test_alfworlds_own_environment_and_expert_play_written_games_of_every_type_and_dialect(tmp_path: Path) -> None:
    paths = []
    for index, task_type in enumerate(TASK_TYPES):
        dialect = "put" if index % 2 else "move"
        paths += write_games(
            1, tmp_path, first=index, dialect=dialect, task_types=[task_type], max_receptacles=3, max_objects=4
        )
    # One as in the real data: spots are shared there, and not all drawers open.
    paths += write_games(1, tmp_path, floor_plans="FloorPlan401", distractors=8, **REALISTIC)
    played = subprocess.run(
        [sys.executable, "-c", _PLAY, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"ALFWORLD_DATA": str(tmp_path)},
    )
    assert played.returncode == 0, played.stderr[-2000:]
    assert json.loads(played.stdout) == {str(path): True for path in paths}
