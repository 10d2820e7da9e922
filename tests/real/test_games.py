"""Real games from a folder and from a pack: the same games, counted, chosen and said in people's words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from helpers.shared_data import ALL, needs_games, unpack
from oreo.envs.alfworld.annotations import human_goals
from oreo.envs.alfworld.data import pack
from oreo.envs.alfworld.data.games import load_game, open_split, pack_games
from oreo.envs.alfworld.data.summary import summarize
from oreo.envs.alfworld.env import ALFWorldEnv
from oreo.envs.alfworld.package_data import room_of

pytestmark = needs_games

HUMAN_GOALS = 449
AWKWARD = ("'", "-", "\n", "  ", "!", "?", ";", "&", "(", ",")


@pytest.fixture(scope="module", params=["put", "move"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    limit = () if ALL else ("--split", "valid_seen")
    return unpack(tmp_path_factory.mktemp("alfworld") / request.param, request.param, *limit)


@pytest.fixture(scope="module")
def packed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("packs") / f"{data.name}.pack"
    pack_games(data, file)
    return file


def splits() -> list[str]:
    return ["train", "valid_seen"] if ALL else ["valid_seen"]


def test_every_game_of_the_pack_is_that_of_the_tree(data: Path, packed: Path) -> None:
    for split in splits():
        entries = open_split(data, split)
        assert open_split(packed, split) == entries
        for entry in entries:
            assert load_game(packed, entry.name) == load_game(data, entry.name)
    tree = sum(path.stat().st_size for path in data.rglob("*.*") if path.is_file())
    assert packed.stat().st_size < tree / 10


def test_opening_a_pack_unpacks_no_game(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening thousands of games takes a few hundredths of a second, since none of them is looked into."""
    monkeypatch.setattr(pack, "_read_before", {})
    with monkeypatch.context() as patch:
        patch.setattr(pack, "_unpacked", None)
        entries = open_split(packed, splits()[0])
    assert load_game(packed, entries[0].name).name == entries[0].name


def test_the_summary_counts_games_dialects_versions_and_goals(data: Path, packed: Path) -> None:
    summary = summarize(packed)
    assert {**summary, "data": str(data), "kind": "folder"} == summarize(data)
    games, rules = 140, {"put": "before 0.4", "move": "0.4"}[data.name]
    assert sum(summary["games"]["valid_seen"].values()) == games
    assert summary["dialects"]["valid_seen"] == {data.name: games}
    assert summary["rules"]["valid_seen"] == {rules: games}
    assert summary["engines"]["valid_seen"] == {"simulator": games}
    assert summary["human_goals"]["valid_seen"] == HUMAN_GOALS


def test_rooms_and_objects_divide_the_games_among_them(packed: Path) -> None:
    everything = open_split(packed, "valid_seen")
    assert all(room_of(entry.floor_plan) for entry in everything)
    for choose in ("floor_plans", "objects"):
        values = {entry.object if choose == "objects" else room_of(entry.floor_plan) for entry in everything}
        parts = [open_split(packed, "valid_seen", **{choose: (value,)}) for value in sorted(values)]
        assert sorted(entry.name for part in parts for entry in part) == [entry.name for entry in everything]


def test_the_simulator_says_every_sentence_that_people_wrote(packed: Path) -> None:
    refusals = 0
    for split in splits():
        env = ALFWorldEnv(split=split, data=packed, goals="human")
        assert env.games is not None
        for name in env.games:
            for number, goal in enumerate(human_goals(load_game(packed, name))):
                observation, info = env.reset(seed=0, options={"game": name, "goal": number})
                assert observation.endswith(f"\n\nYour task is to: {goal}") and info["task"] == goal
                refusals += 1
    assert refusals >= HUMAN_GOALS


def test_the_original_says_awkward_sentences_alike(packed: Path) -> None:
    games = [load_game(packed, entry.name) for entry in open_split(packed, "valid_seen")]
    awkward = {
        mark: (game.name, number)
        for mark in AWKWARD
        for game in games
        for number, written in enumerate(game.human_goals)
        if mark in written
    }
    assert len(awkward) > 2
    original = ALFWorldEnv(split="valid_seen", data=packed, goals="human", engine="textworld")
    simulator = ALFWorldEnv(split="valid_seen", data=packed, goals="human")
    for name, number in awkward.values():
        options = {"game": name, "goal": number}
        assert original.reset(seed=0, options=options) == simulator.reset(seed=0, options=options)
    original.close()


@pytest.mark.parametrize("expert", ["explorer", "handcoded"])
def test_experts_win_whatever_words_the_task_is_in(packed: Path, expert: str) -> None:
    """They know the task from the game's parameters, not from the sentence."""
    played: list[list[str]] = []
    lost = []
    for goals in ("templated", "human"):
        env = ALFWorldEnv(split="valid_seen", data=packed, goals=goals, expert=expert)
        assert env.games is not None
        for name in env.games[::20]:
            env.reset(seed=0, options={"game": name})
            actions = []
            while not env.won and len(actions) < 150:
                actions.append(env.expert_action())
                env.step(actions[-1])
            played.append(actions)
            lost += [] if env.won else [name]
    if expert == "explorer":
        assert played[: len(played) // 2] == played[len(played) // 2 :] and not lost
    assert len(lost) <= 2  # the other one draws, and now and then walks in circles


def test_what_the_page_shows_of_alfworld_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).resolve().parents[2] / "docs" / "alfworld.md").read_text(encoding="utf-8")
    shown = "".join(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL))
    monkeypatch.setenv("ALFWORLD_DATA", str(unpack(tmp_path, "put", "--split", "train")))
    names: dict[str, Any] = {}
    exec(shown, names)
    assert names["info"]["task"] and names["envs"].num_envs == 256
    names["envs"].close()
