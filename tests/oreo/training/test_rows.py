"""oreo.training.rows: what the rows of the data are, and which data is refused."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import small_models
from helpers.small_models import rollouts
from helpers.training import a_new_run
from oreo.data.buffer import TrajectoryBuffer
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError, UsageError
from oreo.models.loading import load_policy
from oreo.training.config import TrainConfig
from oreo.training.rows import RowKind, encode_all, with_reward
from oreo.training.trainer import train


def test_turns_that_an_agent_would_hand_over_as_another_action_are_counted() -> None:
    first, second, *others = small_models.episodes()
    first = dataclasses.replace(
        first, steps=tuple(dataclasses.replace(step, turn=f"hm\n{step.action}") for step in first.steps)
    )
    second = dataclasses.replace(
        second, steps=tuple(dataclasses.replace(step, turn=f"hm\nAction: {step.action}") for step in second.steps)
    )
    form = TurnFormat.from_tokenizer(load_policy("tiny")[1])
    settings: dict[str, Any] = dict(rows=RowKind.TRAJECTORIES, max_length=None, overlong="refuse")
    total = sum(map(len, [first, second, *others]))
    with pytest.warns(UserWarning, match=f"{len(first)} of {total} turns .* as another action than the stored one"):
        encode_all([first, second, *others], form, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode_all([second, *others], form, **settings)


def test_rewards_are_as_stored_or_one_at_the_end_by_the_outcome() -> None:
    dense = dataclasses.replace(
        small_models.episodes()[5],
        steps=tuple(dataclasses.replace(s, reward=0.25) for s in small_models.episodes()[5].steps),
    )
    assert len(dense) == 2 and dense.won
    lost = dataclasses.replace(dense, won=False)
    for reward, expected, when_lost in (
        ("stored", [0.25, 0.25], [0.25, 0.25]),
        ("success", [0.0, 1.0], [0.0, 0.0]),
        ("signed", [0.0, 1.0], [0.0, -1.0]),
    ):
        assert [step.reward for step in with_reward(dense, reward).steps] == expected
        assert [step.reward for step in with_reward(lost, reward).steps] == when_lost


def test_of_an_episode_that_a_person_corrected_all_turns_are_imitated_or_the_persons_alone() -> None:
    first, second = small_models.episodes()[5:7]
    corrected = dataclasses.replace(
        first,
        steps=tuple(
            dataclasses.replace(step, actor="person" if at == 1 else "agent") for at, step in enumerate(first.steps)
        ),
    )
    form = TurnFormat.from_tokenizer(load_policy("tiny")[1])
    settings: dict[str, Any] = dict(rows=RowKind.TURNS, max_length=None, overlong="refuse")
    everything = encode_all([corrected, second], form, **settings)
    (example,) = encode_all([corrected, second], form, **settings, imitate="person")
    (piece,), (whole,) = example.pieces, everything[0].pieces
    starts = np.flatnonzero(whole.step_start)
    assert whole.imitate.sum() == whole.action_mask.sum() and len(starts) == 2
    assert (piece.imitate == (whole.action_mask & (np.arange(len(whole)) >= starts[1]))).all()
    assert (piece.input_ids == whole.input_ids).all()
    with pytest.raises(DataError, match="none of the 1 trajectories has a turn to learn from"):
        encode_all([second], form, **settings, imitate="person")
    with pytest.raises(UsageError, match="imitate"):
        TrainConfig(method="oreo", imitate="person")


def test_rewards_and_selection_reach_the_batch_whatever_the_order_of_the_data(start: Path, tmp_path: Path) -> None:
    data = rollouts()
    config = TrainConfig(method="oreo", model=str(start), reward="signed", balance="game", samples_per_game=3)
    run = a_new_run(data, config, tmp_path)
    assert [(example.name, example.won) for example in run.rows.examples] == [
        (f"game {game}", won) for game in range(4) for won in (True, False)
    ]
    assert [float(example.pieces[0].reward.sum()) for example in run.rows.examples] == [1.0, -1.0] * 4
    assert a_new_run(data[::-1], config, tmp_path).identity == run.identity
    other = dataclasses.replace(config, reward="success")
    assert a_new_run(data, other, tmp_path).identity != run.identity


def test_a_condition_chooses_what_is_learnt_from_in_a_buffer_and_in_a_list(start: Path, tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        buffer.extend(rollouts())
    config = TrainConfig(method="sft", model=str(start), where='won and game == "game 1"')
    meant = [episode for episode in rollouts() if episode.won and episode.game == "game 1"]
    expected = a_new_run(meant, dataclasses.replace(config, where=None), tmp_path).identity
    for data in (buffer, tmp_path / "buffer", rollouts(), buffer.where("won").where(game="game 1")):
        assert a_new_run(data, config, tmp_path).identity == expected  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"none of the 12 trajectories is as told \(where: steps > 99\)"):
        a_new_run(rollouts(), dataclasses.replace(config, where="steps > 99"), tmp_path)
    with pytest.raises(UsageError, match="column 1: unknown word 'wonn'"):
        TrainConfig(where="wonn")


def test_dpo_pairs_are_drawn_from_what_was_selected(start: Path, tmp_path: Path) -> None:
    def rows(**settings: Any) -> list[str]:
        return [e.name for e in a_new_run(rollouts(), TrainConfig(**fixed, **settings), tmp_path).rows.examples]

    fixed: dict[str, Any] = dict(method="dpo", model=str(start))
    games = [f"game {game}" for game in range(4)]
    assert rows() == sorted(games * 2) and rows(pairs_per_game=1) == rows(balance="game") == games
    with pytest.raises(DataError, match="no game has both"):
        train(small_models.episodes(), output=tmp_path / "run", **fixed)


def test_turns_not_to_be_imitated_are_skipped_by_imitation(start: Path, tmp_path: Path) -> None:
    def noisy(episode: Any, word: str) -> Any:
        steps = tuple(
            dataclasses.replace(step, action=word, imitate=False) if index == 0 and len(episode) > 1 else step
            for index, step in enumerate(episode.steps)
        )
        return dataclasses.replace(episode, steps=steps)

    _, tokenizer = load_policy(start)
    form = TurnFormat.from_tokenizer(tokenizer)
    episodes = [noisy(episode, "zz") for episode in small_models.episodes()]
    for example in encode_all(episodes, form, rows=RowKind.TURNS, max_length=None, overlong="refuse"):
        [piece] = example.pieces
        text = tokenizer.decode(piece.input_ids[piece.imitate])
        assert "z" not in text and text
    alone = [dataclasses.replace(e, steps=(dataclasses.replace(e.steps[0], imitate=False),)) for e in episodes]
    with pytest.raises(DataError, match="no|none"):
        train(alone, method="sft", model=start, output=tmp_path / "run")


def test_turns_that_the_environment_refused_are_context_where_they_are_not_to_be_imitated(
    start: Path, tmp_path: Path
) -> None:
    """Where that is stored: a turn of which nothing is known is imitated."""
    (first, *others), valid = small_models.episodes(), (False, True, None)
    steps = [dataclasses.replace(first.steps[0], action_valid=judged) for judged in valid]
    data = [dataclasses.replace(first, steps=tuple(steps)), *others]
    masks = {}
    for imitate_refused in (True, False):
        config = TrainConfig(method="sft", model=str(start), imitate_refused=imitate_refused)
        [piece] = a_new_run(data, config, tmp_path / str(imitate_refused)).rows.examples[0].pieces
        turn = (piece.step_start & piece.action_mask).cumsum() - 1
        masks[imitate_refused] = [bool(piece.imitate[piece.action_mask & (turn == at)].all()) for at in range(3)]
        assert piece.action_mask.sum() == 3 * (turn == 0)[piece.action_mask].sum()
    assert masks == {True: [True, True, True], False: [False, True, True]}


def test_data_that_cannot_be_trained_on_gives_one_clear_line(start: Path, tmp_path: Path) -> None:
    lost = [episode for episode in small_models.episodes() if not episode.won]
    for data, method, message in (
        ([], "oreo", "no trajectories"),
        (lost, "rejection", "none of the 4 trajectories is won"),
        ([dataclasses.replace(lost[0], steps=())], "oreo", "no|none"),
    ):
        with pytest.raises(DataError, match=message) as error:
            train(data, method=method, model=start, output=tmp_path / "run")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_overlong_trajectories_are_refused_split_or_dropped_but_never_cut(start: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 30 allowed"):
        train(small_models.episodes(), model=start, output=tmp_path / "run", max_length=30)
    form = TurnFormat.from_tokenizer(load_policy(start)[1])
    for overlong in ("split", "drop"):
        with pytest.warns(UserWarning, match=f"of 12 trajectories have more than 30 tokens and were {overlong}"):
            examples = encode_all(
                small_models.episodes(), form, rows=RowKind.TRAJECTORIES, max_length=30, overlong=overlong
            )
        assert max(len(piece) for example in examples for piece in example.pieces) <= 30
        turns = sum(int(piece.step_start.sum()) for example in examples for piece in example.pieces)
        assert (turns == sum(len(episode) for episode in small_models.episodes())) == (overlong == "split")
    long = dataclasses.replace(
        small_models.episodes()[1], steps=tuple(s for e in small_models.episodes(100) for s in e.steps), won=True
    )
    with pytest.raises(DataError, match="more than the 256 allowed"):  # positions of the model
        train([long], model=start, output=tmp_path / "run")


def test_a_step_that_alone_is_too_long_to_split_says_what_would_help(start: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='alone has .* tokens, 9 allowed.* raise max_length, or choose overlong="drop"'):
        train(small_models.episodes(), model=start, output=tmp_path / "run", max_length=9, overlong="split")


def test_without_any_reward_methods_that_learn_from_it_stop_before_the_first_update(
    start: Path, tmp_path: Path
) -> None:
    lost = [
        dataclasses.replace(episode, won=False, steps=tuple(dataclasses.replace(s, reward=0.0) for s in episode.steps))
        for episode in small_models.episodes()
    ]
    for method in ("oreo", "dqo"):
        with pytest.raises(DataError, match=f"none of the 12 episodes has a reward, so {method} has nothing to learn"):
            train(lost, method=method, model=start, output=tmp_path / method)
        assert not (tmp_path / method).exists()
    for fields in (dict(method="oreo", reward="signed", value_lr=1e-3), dict(method="kto"), dict(method="sft")):
        settings: dict[str, Any] = {**fields, "batch_size": 12, "epochs": 1, "lr": 1e-3}
        assert train(lost, model=start, output=tmp_path / "-".join(map(str, fields.values())), **settings).steps == 1
