"""The environment on a real data folder: alfworld's selection of games, its first words, its expert, and no leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from helpers.shared_data import needs_games, unpack
from oreo.envs.alfworld.env import ALFWorldEnv

pytestmark = needs_games

VALID_SEEN = {
    "pick_and_place_simple": 35,
    "look_at_obj_in_light": 13,
    "pick_clean_then_place_in_recep": 27,
    "pick_heat_then_place_in_recep": 16,
    "pick_cool_then_place_in_recep": 25,
    "pick_two_obj_and_place": 24,
}

ALFWORLDS_OWN_SELECTION = """
import contextlib, json, os, sys
from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv
split = os.path.join(os.environ["ALFWORLD_DATA"], "json_2.1.1", "valid_seen")
config = {
    "env": {"goal_desc_human_anns_prob": 0, "task_types": [1, 2, 3, 4, 5, 6]},
    "dataset": {"eval_id_data_path": split, "num_eval_games": -1},
}
with contextlib.redirect_stdout(sys.stderr):
    games = AlfredTWEnv(config, train_eval="eval_in_distribution").game_files
print(json.dumps([os.path.relpath(game, os.environ["ALFWORLD_DATA"]) for game in games]))
"""


@pytest.fixture(scope="module", params=["put", "move"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("alfworld") / request.param, request.param, "--split", "valid_seen")


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("alfworld") / "put", "put", "--split", "valid_seen")


@pytest.fixture(scope="module")
def original(put: Path) -> Iterator[ALFWorldEnv]:
    env = ALFWorldEnv(split="valid_seen", engine="textworld", data=put)
    yield env
    env.close()


def test_gymnasiums_checker_accepts_it(data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("oreo/ALFWorld-v0", split="valid_seen", data=str(data)).unwrapped)


def test_its_games_are_those_that_alfworld_selects_sorted(put: Path) -> None:
    for dropped in (
        "pick_and_place_with_movable_recep-Mug-Pan-Desk-1",
        "pick_and_place_simple-AppleSliced-None-Desk-1",
    ):
        folder = put / "json_2.1.1" / "valid_seen" / dropped / "trial_1"
        folder.mkdir(parents=True)
        (folder / "game.tw-pddl").write_text('{"solvable": true}')
        (folder / "traj_data.json").write_text('{"task_type": "pick_and_place_simple"}')
    games = ALFWorldEnv(split="valid_seen", data=put).games
    assert games is not None and len(games) == 140 and games == sorted(games)
    done = subprocess.run(
        [sys.executable, "-c", ALFWORLDS_OWN_SELECTION],
        env=os.environ | {"ALFWORLD_DATA": str(put)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert games == sorted(json.loads(done.stdout))


def test_info_describes_every_game_of_the_split(data: Path) -> None:
    env = ALFWorldEnv(split="valid_seen", data=data)
    assert env.games is not None
    infos = [env.reset(options={"game": name})[1] for name in env.games]
    assert [info["game"] for info in infos] == env.games
    assert Counter(info["task_type"] for info in infos) == VALID_SEEN
    assert {info["dialect"] for info in infos} == {data.name}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_first_observation_is_the_originals_to_the_byte(original: ALFWorldEnv, put: Path, seed: int) -> None:
    observation, info = original.reset(seed=seed)
    assert observation.startswith("-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room.")
    assert (observation, info) == ALFWorldEnv(split="valid_seen", data=put).reset(seed=seed)


def test_the_data_can_be_played_in_the_other_dialect(data: Path) -> None:
    other = {"put": "move", "move": "put"}[data.name]
    assert ALFWorldEnv(split="valid_seen", data=data, dialect=data.name).reset(seed=1)[1]["dialect"] == data.name
    translated = ALFWorldEnv(split="valid_seen", data=data, dialect=other)
    dialects = [translated.reset(seed=1)[1]["dialect"]]
    while not translated.won:
        action = translated.expert_action()
        dialects.append(action.split()[0])
        assert translated.step(action)[4]["action_valid"]
    assert dialects[0] == other and other in dialects


def test_the_hand_coded_expert_wins_nearly_all_games(data: Path) -> None:
    """A sample; all 140 games in 50 steps: 132 won in the put dialect, 131 in the move dialect."""
    env = gym.make("oreo/ALFWorld-v0", split="valid_seen", data=str(data), expert="handcoded", max_episode_steps=150)
    lost = []
    for name in env.unwrapped.games[::10]:
        _, info = env.reset(seed=0, options={"game": name})
        done = False
        while not done:
            _, _, terminated, truncated, info = env.step(env.unwrapped.expert_action())
            done = terminated or truncated
        lost += [] if info["won"] else [name]
    assert len(lost) <= 1  # now and then it walks in circles


def test_the_hand_coded_expert_plays_alike_on_both_engines(original: ALFWorldEnv, put: Path) -> None:
    arguments: dict[str, Any] = {"split": "valid_seen", "data": put, "expert": "handcoded"}
    episodes = []
    for env in (ALFWorldEnv(**arguments, engine="textworld"), ALFWorldEnv(**arguments)):
        episode: list[Any] = [env.reset(seed=3)]
        while not env.won:
            episode.append((env.expert_action(), env.step(env.expert_action())))
        episodes.append(episode)
        env.close()
    assert episodes[0] == episodes[1]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_resets_of_the_original_engine_do_not_pile_up(original: ALFWorldEnv) -> None:
    def grown() -> tuple[int, int, int, float]:
        worker = original._engines["textworld"]._process.pid  # type: ignore[attr-defined]
        files = [len(os.listdir(f"/proc/{process}/fd")) for process in ("self", worker)]
        status = Path(f"/proc/{worker}/status").read_text()
        megabytes = int(status.partition("VmRSS:")[2].split()[0]) / 1024
        return (Path(f"/proc/{worker}/maps").read_text().count("downward"), *files, megabytes)

    assert original.games is not None
    for name in original.games[:6]:
        original.reset(options={"game": name})
    *before, megabytes = grown()
    for name in original.games[6:18]:
        original.reset(options={"game": name})
    *after, more = grown()
    assert before == after
    assert more - megabytes < 60  # each game that stayed would add some 6 MB, and a planner's library
