"""Games that Jericho knows, where there are some: step by step what the library plays, won by their walkthroughs."""

from __future__ import annotations

from typing import Any

import pytest

import oreo.envs
from helpers.shared_data import SHARED
from oreo.envs.story_files import without_prompt
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout

GAMES = SHARED / "jericho_games"
pytestmark = pytest.mark.skipif(
    not GAMES.is_dir(), reason=f"no games of Jericho's suite at {GAMES} (set OREO_SHARED); they are others' to give"
)
NAMES = ("905.z5", "detective.z5", "zork1.z5", "zork2.z5", "library.z5")


@pytest.mark.parametrize(
    ("agent", "name"), [*(("expert", name) for name in NAMES), ("random", "905.z5"), ("random", "zork1.z5")]
)
def test_episodes_equal_the_library_driven_by_hand(name: str, agent: str) -> None:
    jericho = pytest.importorskip("jericho")
    file = GAMES / name
    if not file.exists():
        pytest.skip(f"no {name} at {GAMES}")
    commands = agent == "random"
    if commands:
        spacy = pytest.importorskip("spacy")
        if not spacy.util.is_package("en_core_web_sm"):
            pytest.skip("spaCy's en_core_web_sm is not installed, which Jericho lists commands with")
    steps = 6 if commands else 500
    (episode,) = rollout(f"jericho:{file}", agent=agent, episodes=1, max_steps=steps, env_kwargs={"commands": commands})
    by_hand: Any = jericho.FrotzEnv(str(file))
    text, _ = by_hand.reset()
    won, points_at_first = False, by_hand.get_score()
    for step in episode.steps:
        assert not won
        assert step.observation == without_prompt(text)
        if commands:
            # Of several wordings that do the same it takes one by the hash of a text, which is another here.
            assert len(step.admissible_commands or ()) == len(set(by_hand.get_valid_actions()))
        text, reward, done, _ = by_hand.step(step.action)
        assert step.reward == reward
        won = bool(by_hand.victory()) or by_hand.get_score() >= by_hand.get_max_score()
    assert episode.final_observation == without_prompt(text)
    assert episode.won == won and episode.terminated == (done or won)
    if agent == "expert":
        assert episode.won and episode.episode_return == by_hand.get_max_score() - points_at_first
    by_hand.close()


def test_other_dice_are_drawn_where_they_are_asked_for() -> None:
    file = GAMES / "zork1.z5"
    if not file.exists():
        pytest.skip(f"no zork1.z5 at {GAMES}")

    def fight(chance: bool, seed: int) -> str:
        env = oreo.envs.make(f"jericho:{file}", commands=False, chance=chance, max_steps=400)
        env.reset(seed=seed)
        text = ""
        for _ in range(30):  # the walkthrough meets the troll by then
            text += env.step(env.unwrapped.expert_action())[0]  # type: ignore[attr-defined]
        env.close()
        return text

    assert fight(False, 0) == fight(False, 1) and fight(True, 0) == fight(True, 0)
    assert len({fight(True, seed) for seed in range(4)}) > 1


def test_without_spacys_model_one_line_says_what_to_do() -> None:
    spacy = pytest.importorskip("spacy")
    if spacy.util.is_package("en_core_web_sm"):
        pytest.skip("spaCy's en_core_web_sm is installed")
    (file, *_) = sorted(GAMES.glob("9*.z5"))
    with pytest.raises(UsageError, match="spacy download en_core_web_sm, or play without lists"):
        oreo.envs.make(f"jericho:{file}").reset(seed=0)
