"""The dialects on real games: one data folder played in both, against the same games unpacked in the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.shared_data import needs_games, unpack
from oreo.agents.expert import ExpertAgent
from oreo.envs.alfworld.data.games import load_game, open_split
from oreo.envs.alfworld.dialects import in_dialect, translate
from oreo.rollouts.loop import rollout

pytestmark = needs_games
OTHER = {"put": "move", "move": "put"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("alfworld")
    return {dialect: unpack(folder / dialect, dialect, "--split", "valid_seen") for dialect in OTHER}


@pytest.mark.parametrize("dialect", OTHER)
def test_a_real_game_in_the_other_dialect_is_the_one_published_in_it(folders: dict[str, Path], dialect: str) -> None:
    entries = open_split(folders[dialect], "valid_seen")
    assert len(entries) == 140
    for entry in entries:
        game, other = (load_game(folders[name], entry.name) for name in (dialect, OTHER[dialect]))
        assert in_dialect(game, OTHER[dialect]) == other
        assert in_dialect(other, dialect) == game


@pytest.mark.parametrize("dialect", OTHER)
def test_episodes_of_one_folder_translate_to_those_of_the_other_and_back(
    folders: dict[str, Path], dialect: str
) -> None:
    def some_games(folder: Path) -> list[str]:
        return [entry.name for entry in open_split(folder, "valid_seen")][::7]

    other = OTHER[dialect]
    played = rollout(
        "oreo/ALFWorld-v0",
        agent=ExpertAgent(),
        games=some_games(folders[dialect]),
        env_kwargs={"split": "valid_seen", "data": str(folders[dialect])},
    )
    reference = rollout(
        "oreo/ALFWorld-v0",
        agent=ExpertAgent(),
        games=some_games(folders[other]),
        env_kwargs={"split": "valid_seen", "data": str(folders[other])},
    )
    for episode, expected in zip(played, reference, strict=True):
        game = load_game(folders[dialect], episode.game)
        translated = translate(episode, other, game)
        assert replace(translated, env_kwargs={}, created="") == replace(expected, env_kwargs={}, created="")
        assert translate(translated, dialect, game) == replace(
            episode, env_kwargs=episode.env_kwargs | {"dialect": dialect}
        )
