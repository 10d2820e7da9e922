"""oreo.eval.terminal.live.session: agent and person act in one episode, which can be set back and stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.commands import GUESS
from oreo.data.records import to_record
from oreo.errors import EngineError, UsageError
from oreo.eval.terminal.live.messages import Job
from oreo.eval.terminal.live.session import Session
from oreo.rollouts.loop import rollout
from oreo.rollouts.verify import Verifier
from oreo.trajectory import Trajectory

KITCHEN = Job("oreo/ALFWorld-v0", {"split": "generated"}, agent="expert", seed=4)


def played(session: Session) -> Trajectory:
    session.begin()
    while not session.playing.over:
        session.agent_step()
    return session.trajectory()


def same(one: Trajectory, other: Trajectory) -> bool:
    return replace(one, created="") == replace(other, created="")


def test_an_agent_that_is_left_alone_plays_the_first_episode_of_a_rollout_with_the_same_seed() -> None:
    (expected,) = rollout(GUESS, agent="random", episodes=1, seed=5)
    assert same(played(Session(Job(GUESS, agent="random", seed=5))), expected)


def test_another_game_of_the_seed_is_the_next_episode_of_the_rollout() -> None:
    expected = rollout(GUESS, agent="expert", episodes=2, seed=5)
    session = Session(Job(GUESS, agent="expert", seed=5))
    session.begin(episode=1)
    while not session.playing.over:
        session.agent_step()
    assert same(session.trajectory(), expected[1])


def test_a_person_and_an_agent_in_turns_and_whose_turn_was_whose() -> None:
    session = Session(Job(GUESS, agent="expert", seed=5))
    session.begin()
    session.agent_step()
    session.person_step("7")
    while not session.playing.over:
        session.agent_step()
    episode = session.trajectory()
    assert episode.agent == "expert with a person" and episode.won
    assert [step.actor for step in episode.steps[:3]] == ["agent", "person", "agent"]
    assert episode.steps[1].action == "7"
    with Verifier(env=GUESS) as verifier:
        assert verifier.verify(episode)[0].reproduces


def test_a_person_alone_is_the_agent_and_no_turn_is_marked() -> None:
    session = Session(Job(GUESS, seed=5))
    session.begin()
    while not session.playing.over:
        session.person_step("no number")
    episode = session.trajectory()
    assert (episode.agent, episode.checkpoint, episode.won, episode.truncated) == ("person", "", False, True)
    assert {step.actor for step in episode.steps} == {"person"}
    with pytest.raises(UsageError, match="name an agent"):
        session.begin()
        session.agent_step()


def test_a_stored_episode_is_gone_on_from_at_any_of_its_steps() -> None:
    (stored,) = rollout(GUESS, agent="random", episodes=1, seed=2)
    session = Session(Job(GUESS, agent="expert", stored=to_record(stored)))
    session.begin(stored.steps[:3])
    assert session.differs is None and session.playing.episode.steps == list(stored.steps[:3])
    session.person_step("50")
    while not session.playing.over:
        session.agent_step()
    episode = session.trajectory()
    assert episode.agent == "random, then expert with a person" and episode.won
    assert (episode.seed, episode.game) == (stored.seed, stored.game)
    assert [step.actor for step in episode.steps][:4] == ["agent"] * 3 + ["person"]
    with Verifier(env=GUESS) as verifier:
        assert verifier.verify(episode)[0].reproduces


def test_a_generated_game_is_set_back_by_its_name() -> None:
    stored = played(Session(KITCHEN))
    session = Session(Job(KITCHEN.env, stored=to_record(stored)))
    session.begin(stored.steps)
    assert session.playing.over and session.differs is None
    assert len(session.worlds) == len(stored) + 1 and all(world["receptacles"] for world in session.worlds)
    assert same(session.trajectory(), stored)


def test_a_world_that_answers_otherwise_this_time_is_said_with_the_step() -> None:
    (stored,) = rollout(GUESS, agent="expert", episodes=1, seed=5)
    other = replace(stored.steps[1], observation="something else")
    session = Session(Job(GUESS, stored=to_record(replace(stored, steps=(stored.steps[0], other, *stored.steps[2:])))))
    session.begin([stored.steps[0], other])
    assert session.differs == 2


def test_a_step_limit_counts_the_steps_that_were_taken_again() -> None:
    (stored,) = rollout(GUESS, agent="random", episodes=1, seed=2, max_steps=4)
    session = Session(Job(GUESS, stored=to_record(stored)))
    session.begin(stored.steps[:3])
    session.person_step("no number")
    assert session.playing.over and session.trajectory().truncated
    with pytest.raises(UsageError, match="the episode is over"):
        session.person_step("3")


BREAKS = """
from oreo.envs import TextEnv

class Breaks(TextEnv):
    def start(self, rng):
        return "Say break."

    def act(self, text):
        if text == "break":
            raise KeyError("fridge 9")
        return "No.", 0.0, False
"""


def test_an_environment_that_failed_is_named_and_another_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "worlds.py").write_text(BREAKS)
    session = Session(Job(f"{tmp_path / 'worlds.py'}:Breaks"))
    session.begin()
    session.person_step("look")
    with pytest.raises(EngineError, match=r"step 2: Breaks.act failed: KeyError: 'fridge 9'"):
        session.person_step("break")
    session.begin(session.playing.episode.steps[:1])
    session.person_step("look")
    assert len(session.playing.episode.steps) == 2


def test_a_world_that_takes_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "worlds.py").write_text(BREAKS.replace('raise KeyError("fridge 9")', "__import__('time').sleep(30)"))
    session = Session(Job(f"{tmp_path / 'worlds.py'}:Breaks", step_timeout=0.2))
    session.begin()
    with pytest.raises(EngineError, match=r"step took longer than 0\.2 s"):
        session.person_step("break")
