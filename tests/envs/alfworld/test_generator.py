"""Generated games: what a name promises, what a game holds, and what alfworld makes of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import games, layouts
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generator import game_by_name, generate_game, is_generated, parse_name, write_game, write_games
from oreo.envs.alfworld.houses import draw_game
from oreo.envs.alfworld.knobs import Knobs
from oreo.errors import DataError, UsageError

sizes = st.one_of(st.none(), st.integers(3, 30))
all_knobs = st.builds(
    Knobs,
    seed=st.integers(0, 2**40),
    index=st.integers(0, 2**40),
    heldout=st.booleans(),
    dialect=st.sampled_from(["put", "move"]),
    task_types=st.lists(st.sampled_from(TASK_TYPES), min_size=1, unique=True).map(tuple),
    max_receptacles=sizes,
    max_objects=sizes,
)


def facts(game: Game, predicate: str) -> list[tuple[str, ...]]:
    init = game.pddl_problem.partition("(:init")[2].partition("(:goal")[0]
    return [tuple(match.split()) for match in re.findall(rf"\({predicate} ([^()]*)\)", init)]


def kinds(game: Game, predicate: str) -> dict[str, str]:
    """Id → kind, from objectType or receptacleType."""
    return {name: kind.removesuffix("Type") for name, kind in facts(game, predicate)}


# Names and reproducibility.


@given(all_knobs)
def test_a_name_says_every_knob(knobs: Knobs) -> None:
    assert parse_name(str(knobs)) == knobs
    assert is_generated(str(knobs))


@settings(max_examples=30, deadline=None)
@given(all_knobs)
def test_a_game_is_rebuilt_from_its_name_byte_for_byte(knobs: Knobs) -> None:
    game = draw_game(knobs)
    assert draw_game(parse_name(game.name)) == game


def test_confirmed_games_are_rebuilt_from_their_names_too() -> None:
    for index in range(5):
        game = generate_game(index, seed=3, heldout=True, dialect="move", task_types=TASK_TYPES[3:1:-1], max_objects=5)
        assert game_by_name(game.name) == game


def test_the_series_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from oreo.envs.alfworld.generator import generate_game; "
        "print(hashlib.sha256(''.join(repr(generate_game(i)) for i in range(12)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": s},
        ).stdout
        for s in ("1", "2")
    }
    assert len(digests) == 1


def test_the_series_never_changes_unnoticed() -> None:
    """A failure means that generated games of the same name differ from earlier releases: say so in the changelog."""
    problems = "".join(generate_game(index).pddl_problem for index in range(20))
    assert hashlib.sha256(problems.encode()).hexdigest()[:16] == "d02d1b9e002e0d4e"


def test_the_order_in_which_task_types_are_named_does_not_matter() -> None:
    assert generate_game(1, task_types=TASK_TYPES[:3]) == generate_game(1, task_types=TASK_TYPES[2::-1])
    assert generate_game(1, task_types=TASK_TYPES) == generate_game(1)


@pytest.mark.parametrize(
    "name",
    ["", "generated", "generated/0/1", "generated/0/1/put-8", "generated/-1/0/put-8-14", "generated/0/01/put-8-14",
     "elsewhere/0/1/put-8-14", "generated/0/1/shove-8-14", "generated/0/1/put-8-14-pick_up", "generated/0/1/put-2-14",
     "json_2.1.1/train/a/b/game.tw-pddl"],
)  # fmt: skip
def test_a_wrong_name_is_told_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="is no generated game") as caught:
        game_by_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "knobs",
    [{"max_receptacles": 2}, {"max_objects": 0}, {"max_objects": 3.5}, {"seed": -1}, {"seed": True}, {"dialect": "get"},
     {"task_types": []}, {"task_types": ["pick"]}, {"task_types": "pick_and_place"}, {"heldout": "yes"}],
)  # fmt: skip
def test_wrong_knobs_are_told_in_one_line(knobs: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        generate_game(0, **knobs)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# What is in a game.


@settings(max_examples=60, deadline=None)
@given(all_knobs)
def test_a_house_holds_what_its_task_needs_within_its_limits(knobs: Knobs) -> None:
    game = draw_game(knobs)
    things, furniture = kinds(game, "objectType"), kinds(game, "receptacleType")
    places = dict(facts(game, "inReceptacle"))
    assert len(furniture) <= (knobs.max_receptacles or 99)
    assert len(things) <= (knobs.max_objects or 999)
    assert set(places) == set(things) and set(places.values()) <= set(furniture)
    spots = [spot for _, spot in facts(game, "receptacleAtLocation")] + [spot for _, spot in facts(game, "atLocation")]
    assert len(spots) == len(set(spots)) == len(furniture) + 1

    wanted = [name for name, kind in things.items() if kind == game.params["object_target"]]
    assert len(wanted) >= (2 if game.task_type == "pick_two_obj_and_place" else 1)
    if game.task_type == "look_at_obj_in_light":
        assert [(lamp,) for lamp, kind in things.items() if kind == "DeskLamp"] == facts(game, "toggleable")
    else:
        target = game.params["parent_target"]
        assert target in furniture.values()
        assert all(furniture[places[name]] != target for name in wanted)
        assert (f"{target}Type", f"{game.params['object_target']}Type") in facts(game, "canContain")
    for word, ability, appliance in (
        ("clean", "cleanable", "SinkBasin"),
        ("heat", "heatable", "Microwave"),
        ("cool", "coolable", "Fridge"),
    ):
        if f"pick_{word}_" in game.task_type:
            assert appliance in furniture.values() and {(name,) for name in wanted} <= set(facts(game, ability))


def test_training_and_held_out_games_share_no_floor_plan() -> None:
    training = {draw_game(Knobs(index=index)).floor_plan for index in range(400)}
    heldout = {draw_game(Knobs(index=index, heldout=True)).floor_plan for index in range(400)}
    assert len(training) > 80 and len(heldout) == 24
    assert not training & heldout


def test_task_types_come_up_evenly_and_only_where_alfred_poses_them() -> None:
    drawn = [draw_game(Knobs(index=index)) for index in range(600)]
    counts = Counter(game.task_type for game in drawn)
    assert all(70 < counts[task_type] < 130 for task_type in TASK_TYPES)
    for game in drawn:
        assert layouts.floor_plan(game.floor_plan).room in layouts.rooms_for(game.task_type)
    assert {game.task_type for game in (generate_game(i, task_types="look_at_obj_in_light") for i in range(3))} == {
        "look_at_obj_in_light"
    }


def test_without_limits_a_house_has_all_the_furniture_of_its_floor_plan() -> None:
    game = generate_game(4, max_receptacles=None, max_objects=None)
    assert len(kinds(game, "receptacleType")) == len(layouts.floor_plan(game.floor_plan).receptacles)
    assert len(kinds(game, "objectType")) > 14


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_every_real_task_sentence_comes_up(task_type: str) -> None:
    sentences = set()
    for index in range(40):
        game = draw_game(Knobs(index=index, task_types=(task_type,)))
        sentences.add(re.sub(rf"\b{str(game.params['object_target']).lower()}\b", "X", game.task).split(" X")[0])
        assert game.dialect == "put" and game.task.endswith(".")
    assert len(sentences) == 2


# On disk.


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


def test_wrong_calls_of_write_games_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="count=0"):
        write_games(0, tmp_path)
    with pytest.raises(UsageError, match="movable"):
        write_games(1, tmp_path / "movable")
    with pytest.raises(UsageError, match="is no generated game"):
        write_game(Game("json_2.1.1/train/x/y/game.tw-pddl", "", "", ""), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_games(1, tmp_path / "file")


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
    played = subprocess.run(
        [sys.executable, "-c", _PLAY, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"ALFWORLD_DATA": str(tmp_path)},
    )
    assert played.returncode == 0, played.stderr[-2000:]
    assert json.loads(played.stdout) == {str(path): True for path in paths}
