"""The two dialects: what is said in one, in the other; the reference is the game itself, played in the other."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from oreo.agents.expert import ExpertAgent
from oreo.envs.alfworld.dialects import DIALECTS, in_dialect, translate
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.game import swap
from oreo.envs.alfworld.generation.generator import game_by_name, generate_game
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Candidate, Step, Trajectory

OTHER = {"put": "move", "move": "put"}


@cache
def episodes(dialect: str) -> tuple[Trajectory, ...]:
    """Stumbling episodes in games of every type."""
    played = rollout(
        "oreo/ALFWorld-v0", agent=ExpertAgent(noise=0.3), episodes=24, seed=5, env_kwargs={"dialect": dialect}
    )
    return tuple(played)


def replayed(trajectory: Trajectory, dialect: str) -> Trajectory:
    """The same deeds in the same world, in the other dialect, as the simulator tells them."""
    simulator = Simulator()
    game = replace(game_by_name(trajectory.game), name="")
    observation = simulator.reset(in_dialect(game, dialect))
    steps = []
    for step in trajectory.steps:
        commands = tuple(simulator.admissible_commands())
        answer = simulator.step(swap(step.action))
        steps.append(
            replace(
                step,
                observation=observation,
                action=swap(step.action),
                admissible_commands=commands,
                action_valid=simulator.valid,
            )
        )
        observation = answer
    return replace(trajectory, steps=tuple(steps), final_observation=observation, won=simulator.won)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("index", range(6))
def test_a_game_in_the_other_dialect_is_the_game_generated_in_it(index: int, dialect: str) -> None:
    game, other = (generate_game(index, dialect=wanted) for wanted in (dialect, OTHER[dialect]))
    assert in_dialect(game, OTHER[dialect]) == other
    assert in_dialect(in_dialect(game, OTHER[dialect]), dialect) == game
    assert in_dialect(game, dialect) is game


def test_a_task_in_any_words_survives_the_change() -> None:
    game = generate_game(0)
    sentence = r"Your task is to: set \"it\" down \\n on {shelf} #1#, \u00e9"
    odd = replace(game, grammar=game.grammar.replace(f"Your task is to: {game.task}", sentence))
    assert sentence in odd.grammar
    assert sentence in in_dialect(odd, "move").grammar
    assert in_dialect(in_dialect(odd, "move"), "put") == odd


def test_a_game_with_logic_of_its_own_is_not_rewritten() -> None:
    game = generate_game(0)
    for own in (
        replace(game, grammar=game.grammar.replace("You open the", "You fling open the")),
        replace(game, pddl_domain=game.pddl_domain.replace("(openable ?r)", "")),
    ):
        with pytest.raises(UsageError, match="logic of its own"):
            in_dialect(own, "move")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_translated_episode_reads_as_if_played_in_the_other_dialect(dialect: str) -> None:
    for episode in episodes(dialect):
        other = translate(episode, OTHER[dialect], game_by_name(episode.game))
        reference = replayed(episode, OTHER[dialect])
        assert (other.steps, other.final_observation, other.won) == (
            reference.steps,
            reference.final_observation,
            reference.won,
        )
        assert game_by_name(other.game).dialect == other.dialect == other.env_kwargs["dialect"] == OTHER[dialect]


def test_help_is_answered_in_one_dialect_only_and_translated_all_the_same() -> None:
    asked = [episode for episode in episodes("move") if any(step.action == "help" for step in episode.steps)]
    assert asked
    for episode in asked:
        other = translate(episode, "put", game_by_name(episode.game))
        assert all(step.action_valid is False for step in other.steps if step.action == "help")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_is_lost_there_and_back(dialect: str) -> None:
    for episode in episodes(dialect):
        game = game_by_name(episode.game)
        assert translate(translate(episode, OTHER[dialect], game), dialect, game) == episode


def test_turns_candidates_and_refused_words_are_translated_and_figures_stay() -> None:
    step = Step(
        observation="Nothing happens.",
        action="move mug 1 to shelf 2",  # refused, as it is not the dialect's word, and to stay so
        turn="Thought: move mug 1 to shelf 2?\nAction: put mug 1 in/on shelf 2",
        action_valid=False,
        log_prob=-1.5,
        value=0.25,
        candidates=(Candidate("put mug 1 in/on shelf 2", log_prob=-2.0, value=0.5),),
    )
    episode = Trajectory("mine", (step,), "Nothing happens.", False, True, False, dialect="put")
    (other,) = translate(episode, "move").steps
    assert other.action == "put mug 1 in/on shelf 2" and other.action_valid is False
    assert other.turn == "Thought: put mug 1 in/on shelf 2?\nAction: move mug 1 to shelf 2"
    assert other.candidates == (Candidate("move mug 1 to shelf 2", log_prob=-2.0, value=0.5),)
    assert (other.log_prob, other.value) == (-1.5, 0.25)


def test_what_cannot_be_translated_is_told_in_one_line() -> None:
    (episode, *_) = episodes("move")
    with pytest.raises(UsageError, match="unknown dialect 'mvoe'.*did you mean 'move'"):
        translate(episode, "mvoe")
    with pytest.raises(UsageError, match="names a location here, which only the game knows"):
        translate(episode, "put")
    with pytest.raises(DataError, match="is it the one that was played"):
        translate(episode, "put", generate_game(977, dialect="move"))
    with pytest.raises(UsageError, match="does not say its dialect"):
        translate(replace(episode, dialect=""), "put")
