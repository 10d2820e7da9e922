"""An episode that was recorded elsewhere finds its game: by path, else by its beginning and what its actions did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import oreo.envs
from oreo.envs.alfworld.dialects import translate
from oreo.envs.alfworld.generation.generator import game_by_name
from oreo.envs.alfworld.matching import matcher
from oreo.envs.matching import matcher as any_matcher
from oreo.envs.text_env import ask_expert
from oreo.errors import DataError
from oreo.matching import Matched
from oreo.trajectory import Step, Trajectory

SPLIT = "json_2.1.1/train"


def add(data: Path, seed: int, trial: str) -> str:
    """Put a generated game into a data folder as a real one, and return its name."""
    env = oreo.envs.make("alfworld", split="generated")
    _, info = env.reset(seed=seed)
    game = game_by_name(info["game"])
    name = f"{SPLIT}/{game.task_type}-Thing-None-Place-{seed}/{trial}/game.tw-pddl"
    folder = (data / name).parent
    folder.mkdir(parents=True)
    content = {"pddl_domain": game.pddl_domain, "grammar": game.grammar, "pddl_problem": game.pddl_problem}
    (data / name).write_text(json.dumps(content | {"solvable": True}))
    described = {"task_type": game.task_type, "pddl_params": game.params, "scene": {"floor_plan": game.floor_plan}}
    (folder / "traj_data.json").write_text(json.dumps(described | {"turk_annotations": {"anns": []}}))
    return name


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three games, of which two are the same world under two names."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for seed, trial in ((1, "trial_T1"), (2, "trial_T1"), (2, "trial_T2")):
            add(folder, seed, trial)
        yield folder


def games(data: Path) -> list[str]:
    return sorted(str(path.relative_to(data)) for path in data.rglob("game.tw-pddl"))


def played(data: Path, name: str) -> Trajectory:
    """The expert's episode of a game."""
    env = oreo.envs.make("alfworld", split="train", data=str(data))
    observation, _ = env.reset(seed=0, options={"game": name})
    steps, over = [], False
    while not over:
        action = ask_expert(env)
        after, reward, terminated, truncated, _ = env.step(action)
        steps.append(Step(observation, action, float(reward)))
        observation, over = after, terminated or truncated
    return Trajectory("", tuple(steps), observation, terminated, truncated, terminated)


def matched(data: Path | None, trajectory: Trajectory, outcome_known: bool = True) -> Matched:
    result = matcher(data)(trajectory, outcome_known)
    assert result is not None
    return result


@pytest.mark.parametrize("path", ["/home/them/alfworld/{}", "{}", "C:\\data\\{}"])
def test_the_last_folders_of_a_path_name_the_game(path: str, data: Path) -> None:
    name = games(data)[0]
    given = path.format(name.replace("/", "\\") if "\\" in path else name)
    result = matched(data, replace(played(data, name), game=given))
    told = result.trajectory
    assert result.found and told.game == name and told.env_kwargs == {"split": "train"}
    assert (told.task_type, told.dialect) == (name.split("/")[2].split("-")[0], "put") and told.task


@pytest.mark.parametrize("welcome", [True, False])
def test_without_a_path_first_observation_and_task_tell(welcome: bool, data: Path) -> None:
    name = games(data)[0]
    episode = played(data, name)
    if not welcome:  # as agents' prompts have it, in other white space
        first = episode.steps[0].observation.partition("\n\n")[2].replace("\n\n", "\n")
        episode = replace(episode, steps=(replace(episode.steps[0], observation=first), *episode.steps[1:]))
    assert matched(data, episode).trajectory.game == name


def test_two_games_that_fit_are_named_and_none_is_taken(data: Path) -> None:
    _, one, other = games(data)
    result = matched(data, played(data, one))
    assert not result.found and set(result.games) == {one, other} and result.trajectory.game == ""
    assert result.trajectory.task and result.trajectory.dialect in ("put", "")


def test_of_games_that_begin_alike_the_one_is_taken_in_which_all_is_as_recorded(data: Path, tmp_path: Path) -> None:
    _, name, twin = games(data)
    content = json.loads((data / twin).read_text())
    episode = played(data, name)
    # In the twin nothing lies anywhere, which nobody sees at the beginning.
    objects = [line for line in content["pddl_problem"].splitlines() if "inReceptacle" in line]
    assert objects
    copy = tmp_path / "data"
    for place in (name, twin):
        (copy / place).parent.mkdir(parents=True)
        (copy / place).write_text((data / place).read_text())
        (copy / place).with_name("traj_data.json").write_text((data / place).with_name("traj_data.json").read_text())
    changed = {
        **content,
        "pddl_problem": "\n".join(line for line in content["pddl_problem"].splitlines() if line not in objects),
    }
    (copy / twin).write_text(json.dumps(changed))
    assert matched(copy, episode).trajectory.game == name


def test_a_game_that_is_not_there_keeps_its_name_and_is_not_found(data: Path) -> None:
    path = "json_2.1.1/valid_seen/pick_and_place_simple-Mug-None-Desk-9/trial_T9/game.tw-pddl"
    result = matched(data, replace(played(data, games(data)[0]), game=f"/x/{path}"))
    assert not result.found and not result.games and result.trajectory.game == path
    assert result.trajectory.task_type == "pick_and_place_simple"


def test_without_data_what_the_episode_says_itself_is_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    episode = played(data, games(data)[0])
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    result = matched(None, episode)
    assert not result.found and result.trajectory.game == "" and result.trajectory.task and result.trajectory.won
    with pytest.raises(DataError, match="nowhere"):
        matcher(tmp_path / "nowhere")


def test_an_outcome_that_is_not_known_is_played(data: Path) -> None:
    name = games(data)[0]
    episode = replace(played(data, name), game=name, won=False)
    assert matched(data, episode, False).trajectory.won and matched(data, episode, False).outcome_known
    short = replace(episode, steps=episode.steps[:-1], final_observation=episode.steps[-1].observation)
    lost = matched(data, short, False)
    assert lost.outcome_known and not lost.trajectory.won
    other = replace(short, steps=(short.steps[0], replace(short.steps[1], observation="It rains."), *short.steps[2:]))
    assert not matched(data, other, False).outcome_known  # it went another way, and was not won


def test_the_other_dialect_is_known_by_its_actions(data: Path) -> None:
    name = games(data)[0]
    episode = replace(played(data, name), game=name, dialect="put", won=False)
    result = matched(data, replace(translate(episode, "move"), dialect=""), False)
    assert result.trajectory.dialect == "move" and result.trajectory.won


def test_an_action_of_the_other_dialect_that_was_refused_tells_nothing(data: Path) -> None:
    name = games(data)[0]
    episode = replace(played(data, name), game=name)
    first = episode.steps[0]
    refused = (replace(first, action="move mug 1 to shelf 1"), replace(first, observation="Nothing happens."))
    told = matched(data, replace(episode, steps=(*refused, *episode.steps[1:]))).trajectory
    assert told.dialect == "put"


def test_generated_games_are_found_by_name(data: Path) -> None:
    env = oreo.envs.make("alfworld", split="generated")
    observation, info = env.reset(seed=5)
    episode = Trajectory("", (Step(observation, "look"),), "", False, True, False, game=info["game"])
    result = any_matcher()(episode, True)
    assert result.found and result.trajectory.env_id == "oreo/ALFWorld-v0"
    assert result.trajectory.env_kwargs == {"split": "generated"} and result.trajectory.task == info["task"]


def test_what_is_not_alfworlds_is_left_alone() -> None:
    assert matcher(None)(Trajectory("", (Step("2 + 2?", "4"),), "", True, False, True, game="gsm8k/3"), True) is None
