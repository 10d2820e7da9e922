"""Generated games: what a name promises, what a game holds, and what alfworld makes of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.data import games
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import (
    REALISTIC,
    game_by_name,
    generate_game,
    is_generated,
    parse_name,
    write_game,
    write_games,
)
from oreo.envs.alfworld.generation.houses import draw_game
from oreo.envs.alfworld.generation.problem import encode
from oreo.envs.alfworld.generation.settings import KINDS, TASK_MIXES, GeneratorSettings
from oreo.errors import DataError, UsageError

sizes = st.one_of(st.none(), st.integers(3, 30))
plain_settings = st.builds(
    GeneratorSettings,
    seed=st.integers(0, 2**40),
    index=st.integers(0, 2**40),
    heldout=st.booleans(),
    dialect=st.sampled_from(["put", "move"]),
    task_types=st.lists(st.sampled_from(TASK_TYPES), min_size=1, unique=True).map(tuple),
    max_receptacles=sizes,
    max_objects=sizes,
)
PLANS = [*package_data.ROOMS, *(f"FloorPlan{first + i}" for first in package_data.ROOMS.values() for i in range(1, 31))]


def some(items: Sequence[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.lists(st.sampled_from(items), min_size=1, max_size=6))


all_settings = st.builds(
    lambda settings, **narrowed: replace(settings, **narrowed),
    plain_settings,
    floor_plans=some([*PLANS, 12, "212", "kitchen", "floorplan301"]),
    objects=some(KINDS),
    distractors=st.one_of(st.none(), st.just(1), st.just(0)),
    expert_steps=st.one_of(st.none(), st.tuples(st.integers(1, 9), st.integers(9, 40))),
    task_mix=st.sampled_from(TASK_MIXES),
)


def facts(game: Game, predicate: str) -> list[tuple[str, ...]]:
    init = game.pddl_problem.partition("(:init")[2].partition("(:goal")[0]
    return [tuple(match.split()) for match in re.findall(rf"\({predicate} ([^()]*)\)", init)]


def kinds(game: Game, predicate: str) -> dict[str, str]:
    """Id → kind, from objectType or receptacleType."""
    return {name: kind.removesuffix("Type") for name, kind in facts(game, predicate)}


# Names and reproducibility.


@given(all_settings)
def test_a_name_says_every_setting(settings: GeneratorSettings) -> None:
    assert parse_name(str(settings)) == settings
    assert is_generated(str(settings))


@settings(max_examples=30, deadline=None)
@given(plain_settings)
def test_a_game_is_rebuilt_from_its_name_byte_for_byte(settings: GeneratorSettings) -> None:
    game = draw_game(settings)
    assert draw_game(parse_name(game.name)) == game


def test_confirmed_games_are_rebuilt_from_their_names_too() -> None:
    for index in range(5):
        game = generate_game(index, seed=3, heldout=True, dialect="move", task_types=TASK_TYPES[3:1:-1], max_objects=5)
        assert game_by_name(game.name) == game


def test_the_series_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from oreo.envs.alfworld.generation.generator import generate_game; "
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


def test_the_realistic_series_never_changes_unnoticed() -> None:
    """As above: what a game with `mix=real` holds is said by its name too."""
    problems = "".join(generate_game(index, **REALISTIC).pddl_problem for index in range(20))
    assert hashlib.sha256(problems.encode()).hexdigest()[:16] == "c59aaaf65c439f01"


def test_the_names_of_games_without_narrowing_are_as_they_always_were() -> None:
    assert str(GeneratorSettings(index=7)) == "generated/0/7/put-8-14"
    assert str(GeneratorSettings(1, 2, True, "move", TASK_TYPES[:1], None, 9)) == (
        "generated_unseen/1/2/move-all-9-pick_and_place_simple"
    )


def test_equal_settings_are_one_game_however_they_are_put() -> None:
    names = {
        str(GeneratorSettings(floor_plans=plans, objects=objects))
        for plans in (["FloorPlan12", "Bathroom"], ("bathroom", 12), ["12", "BATHROOM", 12, 403])
        for objects in ("Mug", ["mug"], ("MUG", "mug"))
    }
    assert names == {"generated/0/0/put-8-14-plans=Bathroom+12-objects=Mug"}


def test_the_order_in_which_task_types_are_named_does_not_matter() -> None:
    assert generate_game(1, task_types=TASK_TYPES[:3]) == generate_game(1, task_types=TASK_TYPES[2::-1])
    assert generate_game(1, task_types=TASK_TYPES) == generate_game(1)


@pytest.mark.parametrize(
    "name",
    ["", "generated", "generated/0/1", "generated/0/1/put-8", "generated/-1/0/put-8-14", "generated/0/01/put-8-14",
     "generated/0/1/put-8-14-plans=", "generated/0/1/put-8-14-plans=FloorPlan1", "generated/0/1/put-8-14-steps=5",
     "generated/0/1/put-8-14-seed=1", "generated/0/1/put-8-14-mix=even", "generated/0/1/put-8-14-distractors=4=4",
     "generated/0/1/put-8-14-objects=Mug-plans=1", "elsewhere/0/1/put-8-14",
     "generated/0/1/shove-8-14", "generated/0/1/put-8-14-pick_up", "generated/0/1/put-2-14",
     "json_2.1.1/train/a/b/game.tw-pddl"],
)  # fmt: skip
def test_a_wrong_name_is_told_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="is no generated game") as caught:
        game_by_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"max_receptacles": 2}, {"max_objects": 0}, {"max_objects": 3.5}, {"seed": -1}, {"seed": True}, {"dialect": "get"},
     {"task_types": []}, {"task_types": ["pick"]}, {"task_types": "pick_and_place"}, {"heldout": "yes"},
     {"floor_plans": []}, {"floor_plans": "FloorPlan99"}, {"floor_plans": True}, {"objects": "Mugg"}, {"objects": ()},
     {"objects": "Fridge"}, {"distractors": -1}, {"distractors": 13}, {"expert_steps": 10}, {"expert_steps": (9, 3)},
     {"expert_steps": (0, 3)}, {"task_mix": "odd"}, {"distractor": 3},
     # Settings that are well put and cannot be met.
     {"floor_plans": "FloorPlan9"}, {"floor_plans": "FloorPlan1", "heldout": True},
     {"floor_plans": [401, 1], "task_types": "look_at_obj_in_light"}, {"objects": ["Mug", "Towel"]},
     {"objects": "Pillow", "task_types": "pick_heat_then_place_in_recep"},
     {"objects": "Mug", "floor_plans": "Bathroom"},
     {"task_types": ["pick_heat_then_place_in_recep", "pick_and_place_simple"], "floor_plans": "Bedroom"},
     {"expert_steps": (1, 1), "task_types": "pick_and_place_simple"}],
)  # fmt: skip
def test_wrong_settings_are_told_in_one_line(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        generate_game(0, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# What is in a game.


@settings(max_examples=60, deadline=None)
@given(plain_settings)
def test_a_house_holds_what_its_task_needs_within_its_limits(settings: GeneratorSettings) -> None:
    game = draw_game(settings)
    things, furniture = kinds(game, "objectType"), kinds(game, "receptacleType")
    places = dict(facts(game, "inReceptacle"))
    assert len(furniture) <= (settings.max_receptacles or 99)
    assert len(things) <= (settings.max_objects or 999)
    assert set(places) == set(things) and set(places.values()) <= set(furniture)
    spots = [spot for _, spot in facts(game, "receptacleAtLocation")] + [spot for _, spot in facts(game, "atLocation")]
    if not settings.unlimited:
        assert len(spots) == len(set(spots)) == len(furniture) + 1
    assert spots[-1] not in spots[:-1]

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
    training = {draw_game(GeneratorSettings(index=index)).floor_plan for index in range(400)}
    heldout = {draw_game(GeneratorSettings(index=index, heldout=True)).floor_plan for index in range(400)}
    assert len(training) > 80 and len(heldout) == 24
    assert not training & heldout


def test_task_types_come_up_evenly_and_only_where_alfred_poses_them() -> None:
    drawn = [draw_game(GeneratorSettings(index=index)) for index in range(600)]
    counts = Counter(game.task_type for game in drawn)
    assert all(70 < counts[task_type] < 130 for task_type in TASK_TYPES)
    for game in drawn:
        assert package_data.floor_plan(game.floor_plan).room in package_data.rooms_for(game.task_type)
    assert {game.task_type for game in (generate_game(i, task_types="look_at_obj_in_light") for i in range(3))} == {
        "look_at_obj_in_light"
    }


@pytest.mark.parametrize("heldout", [False, True])
def test_without_limits_a_house_has_all_the_furniture_of_its_floor_plan(heldout: bool) -> None:
    for index in range(6):
        game = generate_game(index, max_receptacles=None, max_objects=None, heldout=heldout)
        listed = {encode(receptacle.id) for receptacle in package_data.floor_plan(game.floor_plan).receptacles}
        assert listed <= set(kinds(game, "receptacleType"))
        assert len(kinds(game, "objectType")) >= 10


def test_the_furniture_of_every_floor_plan_is_as_in_the_real_rooms_and_only_what_has_its_place_opens() -> None:
    game = generate_game(0, floor_plans="FloorPlan1", **REALISTIC)
    furniture = kinds(game, "receptacleType")
    assert Counter(furniture.values())["Cabinet"] == 9 and Counter(furniture.values())["Drawer"] == 9
    opens = Counter(furniture[name] for (name,) in facts(game, "openable"))
    assert opens == {"Cabinet": 8, "Drawer": 8, "Fridge": 1, "Microwave": 1}


def test_the_real_mix_of_task_types_is_that_of_the_train_split() -> None:
    counts = Counter(draw_game(GeneratorSettings(index=index, task_mix="real")).task_type for index in range(1500))
    for task_type, real in zip(TASK_TYPES, (790, 308, 650, 459, 533, 813), strict=True):
        assert counts[task_type] / 1500 == pytest.approx(real / 3553, abs=0.035)


# What one can ask for.

LIMITS = [{}, {"max_receptacles": None, "max_objects": None}]


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
@pytest.mark.parametrize(
    ("plans", "heldout"), [(["FloorPlan12"], False), (["Kitchen"], True), ([301, "Bathroom"], False)]
)
def test_games_are_in_the_floor_plans_asked_for(plans: list[object], heldout: bool, limits: dict[str, object]) -> None:
    asked = GeneratorSettings(floor_plans=plans).floor_plans or ()  # type: ignore[arg-type]
    for index in range(6):
        plan = generate_game(index, floor_plans=plans, heldout=heldout, **limits).floor_plan
        assert plan in asked or package_data.floor_plan(plan).room in asked
        assert plan in package_data.floor_plans(package_data.floor_plan(plan).room, heldout)


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
def test_tasks_are_about_the_objects_asked_for(limits: dict[str, object]) -> None:
    games_ = [generate_game(index, objects=["mug", "Pillow"], **limits) for index in range(12)]
    assert {game.params["object_target"] for game in games_} == {"Mug", "Pillow"}


@pytest.mark.parametrize("limits", [{"max_objects": 20}, *LIMITS[1:]], ids=["small", "unlimited"])
@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 10**6), distractors=st.integers(0, 18))
def test_there_are_exactly_as_many_distractors_as_asked_for(
    limits: dict[str, Any], index: int, distractors: int
) -> None:
    game = draw_game(GeneratorSettings(index=index, distractors=distractors, **limits))
    things = list(kinds(game, "objectType").values())
    needed = {game.params["object_target"], game.params["toggle_target"]}
    assert sum(kind not in needed for kind in things) == distractors
    assert things.count(str(game.params["object_target"])) == 1 + (game.task_type == "pick_two_obj_and_place")


def explorer_steps(game: Game) -> int:
    simulator = Simulator()
    explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
    steps = 0
    while not simulator.won:
        action = explorer.act()
        explorer.observe(action, simulator.step(action))
        steps += 1
    return steps


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
@pytest.mark.parametrize("span", [(4, 5), (12, 20)])
def test_the_explorer_needs_as_many_steps_as_asked_for(span: tuple[int, int], limits: dict[str, object]) -> None:
    for index in range(4):
        game = generate_game(index, expert_steps=span, **limits)
        assert span[0] <= explorer_steps(game) <= span[1]
        assert game_by_name(game.name) == game


def test_a_task_type_that_never_takes_so_long_gives_way_to_another() -> None:
    game = generate_game(0, expert_steps=(4, 4), task_types=["pick_and_place_simple", "pick_heat_then_place_in_recep"])
    assert game.task_type == "pick_and_place_simple" and explorer_steps(game) == 4


def test_settings_that_cannot_be_met_are_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FloorPlan9 is a floor plan held out: ask for heldout=True"):
        write_games(2, tmp_path, floor_plans=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_every_real_task_sentence_comes_up(task_type: str) -> None:
    sentences = set()
    for index in range(40):
        game = draw_game(GeneratorSettings(index=index, task_types=(task_type,)))
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
    with pytest.raises(UsageError, match="did you mean 'max_objects'"):
        write_games(1, tmp_path, max_object=3)
    with pytest.raises(UsageError, match="first=… says where"):
        write_games(1, tmp_path, index=3)
    with pytest.raises(UsageError, match="movable"):
        write_games(1, tmp_path / "movable")
    with pytest.raises(UsageError, match="is no generated game"):
        write_game(Game("json_2.1.1/train/x/y/game.tw-pddl", "", "", ""), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_games(1, tmp_path / "file")


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
