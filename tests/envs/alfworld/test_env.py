"""ALFWorld as a gymnasium environment, on generated games."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import oreo.envs
from oreo.envs.alfworld import env as env_module
from oreo.envs.alfworld.data.entry import Entry
from oreo.envs.alfworld.data.games import open_split
from oreo.envs.alfworld.env import ALFWorldEnv
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.experts.registry import EXPERTS
from oreo.envs.alfworld.game import TASK_TYPES, swap
from oreo.envs.alfworld.generation.generator import game_by_name, parse_name, write_games
from oreo.envs.alfworld.package_data import room_of
from oreo.errors import DataError, UsageError

SMALL: dict[str, Any] = {"max_receptacles": 6, "max_objects": 6}


def make(**kwargs: Any) -> gym.Env[str, str]:
    return gym.make("oreo/ALFWorld-v0", **(SMALL | kwargs))


def play(env: gym.Env[str, str], **reset: Any) -> list[Any]:
    """The expert's episode: everything that reset and step returned."""
    seen: list[Any] = [env.reset(**reset)]
    done = False
    while not done:
        seen.append(env.step(env.unwrapped.expert_action()))
        done = seen[-1][2] or seen[-1][3]
    return seen


def reset_elsewhere(env: gym.Env[str, str]) -> tuple[Any, Any]:
    return env.reset(seed=11), env.step("look")


@pytest.mark.parametrize("split", ["generated", "generated_unseen"])
def test_gymnasiums_checker_accepts_it(split: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(split=split).unwrapped)


def test_it_is_the_same_environment_by_either_door() -> None:
    for env in (make(), oreo.envs.make("alfworld", **SMALL), oreo.envs.make("oreo/ALFWorld-v0", **SMALL)):
        observation, info = env.reset(seed=5)
        assert observation.startswith("-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room.")
        assert observation.endswith(f"Your task is to: {info['task']}")
        assert list(info) == ["task", "task_type", "game", "dialect", "admissible_commands", "action_valid", "won"]


def test_same_seed_same_games_and_without_a_seed_the_next_ones() -> None:
    one, other = make(), make()
    games = [one.reset(seed=3)[1]["game"], *(one.reset()[1]["game"] for _ in range(3))]
    assert games == [other.reset(seed=3)[1]["game"], *(other.reset()[1]["game"] for _ in range(3))]
    assert len(set(games)) == 4


def test_the_expert_wins_and_is_paid_once() -> None:
    episode = play(make(), seed=1)
    assert [step[1] for step in episode[1:]] == [0.0] * (len(episode) - 2) + [1.0]
    *_, (_, _, terminated, truncated, info) = episode
    assert terminated and not truncated and info["won"]


def test_a_refused_action_changes_nothing_and_costs_a_step() -> None:
    env = make(max_episode_steps=3)
    before = env.reset(seed=0)[1]["admissible_commands"]
    for truncates in (False, False, True):
        observation, reward, terminated, truncated, info = env.step("dance")
        assert (observation, reward, terminated, truncated) == ("Nothing happens.", 0.0, False, truncates)
        assert not info["action_valid"] and info["admissible_commands"] == before


@pytest.mark.parametrize(("made", "steps"), [({}, 50), ({"max_episode_steps": 7}, 7)])
def test_fifty_steps_unless_told_otherwise(made: dict[str, Any], steps: int) -> None:
    env = make(**made)
    env.reset(seed=0)
    assert [env.step("look")[3] for _ in range(steps)] == [False] * (steps - 1) + [True]


def test_max_steps_of_oreos_own_door() -> None:
    env = oreo.envs.make("alfworld", max_steps=2, **SMALL)
    env.reset(seed=0)
    assert [env.step("look")[3] for _ in range(2)] == [False, True]


def test_a_game_is_played_again_by_its_name_in_any_split() -> None:
    first = play(make(), seed=8)
    name = first[0][1]["game"]
    for env in (make(), make(split="generated_unseen"), ALFWorldEnv(max_receptacles=20)):
        assert play(env, seed=99, options={"game": name}) == first


def test_the_generators_settings_pass_through() -> None:
    info = make(dialect="move", task_types="look_at_obj_in_light").reset(seed=2)[1]
    assert info["dialect"] == "move" and info["task_type"] == "look_at_obj_in_light"
    assert "help" in info["admissible_commands"]


@pytest.mark.parametrize("expert", EXPERTS)
def test_all_experts_win_and_repeat_themselves_under_a_seed(expert: str) -> None:
    env = make(expert=expert)
    first = play(env, seed=4)
    assert first[-1][4]["won"] and play(env, seed=4) == first


@pytest.mark.parametrize("expert", EXPERTS)
def test_experts_follow_what_others_did(expert: str) -> None:
    env = make(expert=expert)
    _, info = env.reset(seed=6)
    for turn in range(8):
        info = env.step(info["admissible_commands"][turn % 3])[4]
    done = info["won"]
    while not done:
        _, _, terminated, truncated, info = env.step(env.unwrapped.expert_action())
        done = terminated or truncated
    assert info["won"]


def test_it_pickles_before_and_after_a_reset_into_a_process_that_plays_the_same() -> None:
    env = make().unwrapped
    with get_context("spawn").Pool(1) as pool:
        fresh = pool.apply(reset_elsewhere, (env,))
        assert fresh == reset_elsewhere(env)
        assert pool.apply(reset_elsewhere, (env,)) == fresh


def test_a_pickle_keeps_the_randomness_and_wants_a_reset() -> None:
    env = make().unwrapped
    env.reset(seed=1)
    copy = pickle.loads(pickle.dumps(env))
    for ask in (lambda: copy.step("look"), copy.expert_action, copy.state):
        with pytest.raises(UsageError, match=r"call reset\(\) first"):
            ask()
    assert copy.reset() == env.reset()


@pytest.mark.parametrize("expert", EXPERTS)
def test_a_snapshot_takes_back_whatever_was_done(expert: str) -> None:
    env = make(expert=expert, render_mode="ansi").unwrapped
    env.reset(seed=3)
    for _ in range(3):
        env.step(env.expert_action())
    snapshot, state, text = env.snapshot(), env.state(), env.render()
    futures = []
    for _ in range(2):
        future = []
        while not env.won:
            future.append(env.step(env.expert_action()))
        futures.append(future)
        env.restore(snapshot)
        assert env.state() == state and env.render() == text and not env.won
    assert futures[0] == futures[1] and futures[0][-1][4]["won"]
    env.reset(seed=3)
    with pytest.raises(UsageError, match="earlier episode"):
        env.restore(snapshot)


def test_the_original_engine_plays_the_same_games_in_the_same_words_but_has_no_snapshots() -> None:
    env = make(engine="textworld").unwrapped
    assert play(env, seed=1) == play(make(), seed=1)
    with pytest.raises(UsageError, match="needs engine='simulator'"):
        env.snapshot()
    assert len(pickle.dumps(env)) < 10_000
    env.close()


def test_a_game_the_simulator_does_not_know_is_played_on_the_original_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from oreo.envs.alfworld.engines.simulator import Simulator

    usual = make().reset(seed=2)
    refused = usual[1]["game"]
    know = Simulator.reset

    def reset(self: Simulator, game: Any) -> str:
        if game.name == refused:
            raise UnknownGameLogic("the action 'dance' of the PDDL domain")
        return know(self, game)

    env = make()
    with monkeypatch.context() as patch:
        patch.setattr(Simulator, "reset", reset)
        # The generator plays on the simulator too: name the game it made before.
        patch.setattr(env_module.ALFWorldEnv, "_draw", lambda *_: GAMES[refused])
        with pytest.warns(UserWarning, match="does not know the action 'dance' of the PDDL domain: .* original engine"):
            assert env.reset(seed=2) == usual
    env.close()


GAMES: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _remember_generated_games(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = ALFWorldEnv._draw

    def remembering(self: ALFWorldEnv, rng: Any) -> Any:
        game = draw(self, rng)
        GAMES[game.name] = game
        return game

    monkeypatch.setattr(ALFWorldEnv, "_draw", remembering)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"split": "valid_sen"}, "unknown split 'valid_sen': choose from train, valid_seen"),
        ({"engine": "textwrld"}, "did you mean 'textworld'"),
        ({"engine": None}, "unknown engine None"),
        ({"dialect": "push"}, "unknown dialect 'push': choose from put, move"),
        ({"expert": "hancoded"}, "did you mean 'handcoded'"),
        ({"task_types": ["pick_two"]}, "unknown task type 'pick_two'"),
        ({"floor_plans": "Kichen"}, "unknown floor plan 'Kichen': choose from Kitchen, LivingRoom"),
        ({"objects": [3]}, "objects: 3 is no kind of object"),
        ({"goals": "humans"}, "unknown goals 'humans': choose from templated, human (did you mean 'human'?)"),
        ({"goals": "human"}, "goals='human': nobody wrote about generated games; choose from train"),
        ({"max_receptacle": 3}, "did you mean 'max_receptacles'"),
        ({"splitt": "train"}, "did you mean 'split'"),
        ({"max_objects": -1}, "max_objects=-1"),
    ],
)
def test_a_wrong_argument_is_answered_with_one_line(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        gym.make("oreo/ALFWorld-v0", **arguments)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_real_splits_want_data_and_no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    with pytest.raises(DataError, match="ALFWORLD_DATA: .* holds no ALFWorld games"):
        ALFWorldEnv(split="train")
    with pytest.raises(UsageError, match="max_objects: for generated games only"):
        ALFWorldEnv(split="train", max_objects=5)


GOALS = ["Put it down", "Would you put it down?", 'Put "it" [down]', "  "]
SAID = ["Put it down.", "Would you put it down?", "Put 'it' (down)."]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Four games in a folder, each with what people wrote about it."""
    for path in write_games(4, tmp_path, max_receptacles=4, max_objects=4):
        file = path.parent / "traj_data.json"
        annotations = {"anns": [{"task_desc": f"{goal}"} for goal in GOALS]}
        file.write_text(json.dumps(json.loads(file.read_text()) | {"turk_annotations": annotations}))
    return tmp_path


def test_human_goals_stand_where_the_templated_ones_do_and_a_seed_draws_them(written: Path) -> None:
    env, templated = ALFWorldEnv(split="train", data=written, goals="human"), ALFWorldEnv(split="train", data=written)
    seen = set()
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        usual, before = templated.reset(seed=seed)
        assert info["game"] == before["game"] and info["task"] in SAID
        assert observation == usual.replace(before["task"], info["task"])
        assert env.reset(seed=seed) == (observation, info)
        assert env.reset(seed=seed, options={"game": info["game"]}) == (observation, info)
        seen.add((info["game"], info["task"]))
    assert len(seen) > 8


@pytest.mark.parametrize("expert", EXPERTS)
def test_experts_win_whatever_words_the_task_is_in(written: Path, expert: str) -> None:
    env = ALFWorldEnv(split="train", data=written, goals="human", expert=expert)
    assert env.games is not None
    for name in env.games:
        episode = play(env, seed=0, options={"game": name})
        assert episode[-1][4]["won"] and episode[-1][4]["task"] in SAID


def test_a_goal_can_be_named_and_one_that_is_not_there_is_refused(written: Path) -> None:
    env = ALFWorldEnv(split="train", data=written, goals="human")
    assert env.games is not None
    for number, sentence in enumerate(SAID):
        assert env.reset(options={"game": env.games[0], "goal": number})[1]["task"] == sentence
    with pytest.raises(UsageError, match="no goal 3: those of .* are numbered 0 to 2"):
        env.reset(options={"game": env.games[0], "goal": 3})
    with pytest.raises(UsageError, match="nobody wrote about this game"):
        env.reset(options={"game": make().reset(seed=0)[1]["game"]})


def test_a_split_with_games_that_nobody_wrote_about_is_refused_before_the_first_game(written: Path) -> None:
    (path,) = write_games(1, written, seed=5, max_receptacles=4, max_objects=4)
    with pytest.raises(UsageError, match="nobody wrote about 1 of the 5 games, such as .*; play them with") as caught:
        ALFWorldEnv(split="train", data=written, goals="human")
    assert path.relative_to(written).as_posix() in str(caught.value)


def test_real_games_are_chosen_by_room_and_by_object(written: Path) -> None:
    games = {entry.name: entry for entry in open_split(written, "train")}
    for entry in games.values():
        number = int(entry.floor_plan.removeprefix("FloorPlan"))
        env = ALFWorldEnv(split="train", data=written, floor_plans=number, objects=entry.object.lower())
        assert env.games is not None and entry.name in env.games
        assert {games[name].object for name in env.games} == {entry.object}
    rooms = [ALFWorldEnv(split="train", data=written, floor_plans=[room]).games for room in _rooms(games.values())]
    assert sorted(name for names in rooms for name in names or []) == sorted(games)
    combinations = {(entry.task_type, entry.object) for entry in games.values()}
    kind, thing = next(
        (kind, thing) for kind in TASK_TYPES for _, thing in combinations if (kind, thing) not in combinations
    )
    with pytest.raises(DataError, match=f"none of its 4 games is of type {kind} and about {thing}$"):
        ALFWorldEnv(split="train", data=written, task_types=kind, objects=thing)


def _rooms(entries: Iterable[Entry]) -> set[str]:
    return {room_of(entry.floor_plan) for entry in entries}


def test_generated_games_are_chosen_by_room_and_by_object() -> None:
    env = make(floor_plans="Kitchen", objects="Mug")
    for seed in range(5):
        name = env.reset(seed=seed)[1]["game"]
        game = game_by_name(name)
        assert room_of(game.floor_plan) == "Kitchen" and game.params["object_target"] == "Mug"


def test_realistic_games_are_those_of_the_generator() -> None:
    env = ALFWorldEnv(realistic=True, expert_steps=[5, 30])
    game = game_by_name(env.reset(seed=2)[1]["game"])
    settings = parse_name(game.name)
    assert (settings.unlimited, settings.task_mix, settings.expert_steps) == (True, "real", (5, 30))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"floor_plans": 9}, "FloorPlan9 is a floor plan held out"),
        ({"floor_plans": "Bathroom", "objects": "Mug"}, "there is no task for"),
        ({"split": "train", "realistic": True}, "realistic: for generated games only, and split 'train' is real data"),
    ],
)
def test_settings_that_nothing_fulfils_are_told_before_the_first_game(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ALFWorldEnv(**asked)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"game": "generated/0/nonsense"}, "is no generated game"),
        ({"game": 3}, "name of a game, got 3"),
        ({"gmae": "x"}, "unknown reset option 'gmae': choose from game, goal .did you mean 'game'"),
        ({"goal": 0}, "the reset option goal=0 needs goals='human'"),
    ],
)
def test_a_wrong_reset_option_is_answered_with_one_line(options: dict[str, Any], says: str) -> None:
    env = make().unwrapped
    env.reset(seed=0)
    with pytest.raises(UsageError, match=says):
        env.reset(options=options)
    with pytest.raises(UsageError, match="call reset"):
        env.step("look")


def test_a_named_game_is_played_in_the_dialect_asked_for() -> None:
    move = make(dialect="move")
    first, info = move.reset(seed=0)
    put, observation = make(dialect="put").reset(options={"game": info["game"]})
    assert observation["dialect"] == "put" and observation["game"] == info["game"].replace("/move-", "/put-")
    assert put == first  # nothing is put down in it
    assert make().reset(options={"game": info["game"]})[1]["dialect"] == "move"


@pytest.mark.parametrize(("dialect", "other"), [("put", "move"), ("move", "put")])
def test_an_agent_that_speaks_the_other_dialect_is_told_at_once(dialect: str, other: str) -> None:
    env = make(dialect=dialect).unwrapped
    env.reset(seed=0)
    while not (placing := [command for command in env.info()["admissible_commands"] if command.startswith(dialect)]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            env.step("put mug 77 in/on shelf 99" if other == "put" else "move mug 77 to shelf 99")  # refused in both
            env.step(env.expert_action())
    with pytest.warns(UserWarning, match=f"make the environment with dialect='{other}'") as told:
        for _ in range(3):
            assert env.step(swap(placing[0]))[4]["action_valid"] is False
    assert len({str(warning.message) for warning in told}) == 1  # so that Python shows it once


def test_an_action_that_is_no_string_is_refused() -> None:
    env = make().unwrapped
    env.reset(seed=0)
    with pytest.raises(UsageError, match="an action of ALFWorldEnv is a str, got int: 3"):
        env.step(3)


def test_vector_environments_of_gymnasium_hold_it() -> None:
    envs = gym.make_vec("oreo/ALFWorld-v0", num_envs=3, vectorization_mode="sync", **SMALL)
    observations, info = envs.reset(seed=1)
    assert len(observations) == 3 and len(info["task"]) == 3
    envs.step(["look"] * 3)
    envs.close()


@pytest.mark.parametrize("snapshot", [5, None, (), (1, 2, 3, 4, 5), "x"])
def test_what_is_no_snapshot_is_refused(snapshot: Any) -> None:
    env = ALFWorldEnv()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="takes what snapshot"):
        env.restore(snapshot)


@pytest.mark.parametrize(
    "settings",
    [
        {"except_task_types": ["pick_two_obj_and_place", "look_at_obj_in_light"]},
        {"split": "generated_without_pick_two_obj_and_place", "except_task_types": "look_at_obj_in_light"},
    ],
)
def test_task_types_that_are_held_out_are_never_played(settings: dict[str, Any]) -> None:
    env = ALFWorldEnv(**settings)
    played = {env.reset(seed=seed)[1]["task_type"] for seed in range(40)}
    assert played == set(TASK_TYPES) - {"pick_two_obj_and_place", "look_at_obj_in_light"}


def test_a_task_type_alone_is_a_split_of_its_own() -> None:
    env = ALFWorldEnv(split="generated_unseen_only_look_at_obj_in_light")
    assert {env.reset(seed=seed)[1]["task_type"] for seed in range(10)} == {"look_at_obj_in_light"}
    with pytest.raises(UsageError, match="no task type is left"):
        ALFWorldEnv(split="generated_only_look_at_obj_in_light", task_types="pick_two_obj_and_place")
