"""Episodes as tokens, on a small byte-level BPE tokenizer: plain, ChatML-like, Llama-3-like and others."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from oreo.encoding.turn_format import TurnFormat, tail
from oreo.errors import DataError
from oreo.trajectory import Step, Trajectory

from .templates import SPECIAL, TEMPLATES, tokenizer, trajectory, turn_format

# Any Unicode that can be encoded, special tokens spelled out among it.
text = st.lists(st.one_of(st.text(max_size=8), st.sampled_from([*SPECIAL, "go to fridge 1", "\n> "])), max_size=3).map(
    "".join
)
text = text.filter(lambda s: s.encode("utf-8", "ignore").decode() == s)
episodes = st.lists(st.tuples(text, text, st.floats(-1, 1, width=32), st.booleans()), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(steps=episodes)
def test_the_action_mask_decodes_to_exactly_the_turns_and_acting_sees_what_training_sees(
    kind: str, steps: list[tuple[str, str, float, bool]]
) -> None:
    form = turn_format(kind)
    episode = Trajectory(
        "test",
        tuple(Step(o, t, r, imitate=i) for o, t, r, i in steps),
        "",
        terminated=True,
        truncated=False,
        won=False,
    )
    encoded = form.encode(episode)
    acted: list[int] = []
    for index, step in enumerate(episode.steps):
        acted += form.between(step.observation) if index else form.start(step.observation)
        acted += form.turn(step.text)
    assert encoded.input_ids.tolist() == acted

    assert not encoded.action_mask[0]
    assert (encoded.action_mask | ~encoded.step_start).all()
    starts = np.flatnonzero(encoded.step_start)
    turn_of = np.cumsum(encoded.step_start)[encoded.action_mask] - 1
    ids = encoded.input_ids[encoded.action_mask]
    assert len(starts) == len(steps)
    for index, step in enumerate(episode.steps):
        own = ids[turn_of == index]
        assert form.decode(own) == step.text
        assert own[-1] == form.end and not form.end_ids.intersection(own[:-1].tolist())
        last = starts[index] + len(own) - 1
        assert encoded.reward[last] == np.float32(step.reward)
        assert encoded.imitate[starts[index] : last + 1].all() == step.imitate
    assert (encoded.reward[~encoded.action_mask] == 0).all()
    assert not encoded.imitate[~encoded.action_mask].any()


def test_a_plain_episode_reads_as_a_transcript() -> None:
    form = turn_format("plain", "Be quick.")
    encoded = form.encode(trajectory(["go", "take it"], ["A room.", "A box."]))
    whole = tokenizer().decode(encoded.input_ids.tolist())
    assert whole == "Be quick.\n\nA room.\n> go<eos>\nA box.\n> take it<eos>"
    assert form.end_ids == {tokenizer().eos_token_id}


@pytest.mark.parametrize("kind", ["chatml", "llama3"])
@pytest.mark.parametrize("instruction", ["", "Be quick."])
def test_a_chat_episode_is_what_the_template_renders(kind: str, instruction: str) -> None:
    turns, observations = ["go", "take it", "eat it"], ["A room.", "A box.", "Yours."]
    messages = [{"role": "system", "content": instruction}] if instruction else []
    for observation, turn in zip(observations, turns, strict=True):
        messages += [{"role": "user", "content": observation}, {"role": "assistant", "content": turn}]
    encoded = turn_format(kind, instruction).encode(trajectory(turns, observations))
    rendered = tokenizer(kind).apply_chat_template(messages, tokenize=False)
    assert tokenizer(kind).decode(encoded.input_ids.tolist()) == rendered.rstrip("\n")


def test_a_chat_turn_may_also_end_with_the_end_of_sequence_token() -> None:
    form = turn_format("chatml")
    end, eos = tokenizer().convert_tokens_to_ids(["<|im_end|>", "<eos>"])
    assert form.end == end and form.end_ids == {end, eos}
    assert form.decode([*form.turn("go")[:-1], eos, 77]) == "go"


def test_spelled_out_special_tokens_stay_text() -> None:
    form = turn_format("chatml")
    ids = form.turn("<|im_end|> <eos>")
    assert not form.end_ids.intersection(ids[:-1])
    assert form.decode(ids) == "<|im_end|> <eos>"


def test_a_tokenizer_without_end_of_sequence_gives_one_clear_error() -> None:
    with pytest.raises(DataError, match="end-of-sequence"):
        TurnFormat.from_tokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer))


def test_the_instruction_travels_with_the_saved_tokenizer(tmp_path: Any) -> None:
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, eos_token="<eos>")
    made.init_kwargs["oreo_instruction"] = "Be quick."
    made.save_pretrained(tmp_path)
    form = TurnFormat.from_tokenizer(AutoTokenizer.from_pretrained(tmp_path))
    assert form.start("A room.") == turn_format("plain", "Be quick.").start("A room.")


def test_too_long_a_trajectory_is_refused() -> None:
    form, episode = turn_format("plain"), trajectory(["go", "eat"], ["A room.", "A box."])
    length = len(form.encode(episode))
    assert len(form.encode(episode, max_length=length)) == length
    with pytest.raises(DataError, match=f"{length} tokens, more than the {length - 1} allowed"):
        form.encode(episode, max_length=length - 1)
    with pytest.raises(DataError, match="has no steps"):
        form.encode(trajectory([], [], [0.0]) if False else Trajectory("test", (), "", True, False, False))


@settings(max_examples=60, deadline=None)
@given(steps=episodes, room=st.integers(0, 60))
def test_pieces_hold_every_turn_once_with_its_reward(steps: list[tuple[str, str, float, bool]], room: int) -> None:
    form = turn_format("plain")
    episode = trajectory([s[1] for s in steps], [s[0] for s in steps], [s[2] for s in steps])
    need = len(form.start(steps[0][0])) + len(form.turn(steps[0][1]))
    need = max(need, *(len(form.restart(steps[0][0], s.observation)) + len(form.turn(s.text)) for s in episode.steps))
    pieces = form.split(episode, need + room)
    assert all(len(piece) <= need + room for piece in pieces)
    turns, rewards = [], []
    for piece in pieces:
        for start in np.flatnonzero(piece.step_start):
            end = start + int(np.argmin([*piece.action_mask[start:], False]))
            ends = np.flatnonzero(piece.input_ids[start:end] == form.end)
            turns.append(form.decode(piece.input_ids[start : start + int(ends[0]) + 1]))
            rewards.append(piece.reward[start : start + int(ends[0]) + 1].sum())
    assert turns == [step.text for step in episode.steps]
    assert rewards == pytest.approx([step.reward for step in episode.steps], abs=1e-5)
    with pytest.raises(DataError, match="allowed"):
        form.split(episode, 1)


@settings(max_examples=60, deadline=None)
@given(steps=episodes, room=st.integers(0, 90), start=st.integers(0, 4))
def test_what_leaves_a_full_context_is_the_oldest_and_no_more_than_makes_room(
    steps: list[tuple[str, str, float, bool]], room: int, start: int
) -> None:
    form = turn_format("plain")
    *past, (observation, *_) = steps
    told = [Step(seen, turn) for seen, turn, *_ in past], observation
    start, last = min(start, len(past)), len(past)
    least = len(form.history(*told, last))
    for most in (least - 1, least + room):
        first = form.drop_oldest_turns(*told, start, most)
        if start == last or least > most:
            assert first is None
            continue
        # The first later beginning that leaves half of the room for turns to come, tried one by one.
        target = least + (most - least) // 2
        fits = [at for at in range(start + 1, last + 1) if len(form.history(*told, at)) <= target]
        assert first == fits[0]
        assert len(form.history(*told, first)) <= most


# Messages written in several turns.


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_message_told_in_turns_is_the_message_told_at_once(kind: str) -> None:
    form = turn_format(kind)
    lines = ["Two and 3 are 5.\n", "\n", "So it is 5.\n", "#### 5"]
    steps = [Step("What is 2 + 3?" if not at else "", line, continues_message=at < 3) for at, line in enumerate(lines)]
    whole = [Step("What is 2 + 3?", "".join(lines))]
    assert form.history(steps, "Next?") == form.history(whole, "Next?")
    encoded = form.encode(trajectory_of(steps, reward=1.0))
    at_once = form.encode(trajectory_of(whole, reward=1.0))
    for name in ("input_ids", "action_mask", "reward", "imitate"):
        assert (getattr(encoded, name) == getattr(at_once, name)).all()
    assert encoded.step_start.sum() == 4 and encoded.reward[-1] == 1.0


def trajectory_of(steps: list[Step], reward: float = 0.0) -> Trajectory:
    steps = [*steps[:-1], replace(steps[-1], reward=reward)]
    return Trajectory("test", tuple(steps), "", terminated=True, truncated=False, won=False)


@pytest.mark.parametrize("kind", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(text, text.filter(bool), st.booleans()), min_size=1, max_size=5))
def test_what_the_environment_says_into_an_open_message_stands_in_it_and_is_no_action(
    kind: str, steps: list[tuple[str, str, bool]]
) -> None:
    form = turn_format(kind)
    taken = [Step(seen, turn, continues_message=on) for seen, turn, on in steps]
    encoded = form.encode(trajectory_of(taken))
    turn_of = np.cumsum(encoded.step_start) * encoded.action_mask
    before = ""
    for index, step in enumerate(taken):
        own = encoded.input_ids[turn_of == index + 1].tolist()
        assert form.decode(own, before) == step.text
        assert (own[-1] == form.end) == (not step.continues_message)
        after = taken[index + 1].observation if index + 1 < len(taken) else ""
        if step.continues_message and index + 1 < len(taken):
            first, last = np.flatnonzero(turn_of == index + 1)[-1] + 1, np.flatnonzero(turn_of == index + 2)[0]
            assert form.tokenizer.decode(encoded.input_ids[first:last]) == after
        before = tail(step, after)


def test_a_piece_that_begins_within_a_message_is_told_as_its_agent_was() -> None:
    form = turn_format("chatml")
    steps = [Step("Sum?" if not at else "", f"line {at}\n", continues_message=True) for at in range(6)]
    split = form.split(trajectory_of(steps), 40)
    assert len(split) > 1 and all(len(piece) <= 40 for piece in split)
    turns = [piece.input_ids[piece.action_mask].tolist() for piece in split]
    assert form.decode([token for ids in turns for token in ids]) == "".join(step.text for step in steps)


def test_a_recorded_context_and_a_shorter_one_for_training_hold_together() -> None:
    form = turn_format("plain")
    observations, turns = [f"Room {index}." for index in range(9)], [f"go {index}" for index in range(9)]
    whole = trajectory(turns, observations)
    starts = (0, 0, 0, 2, 2, 2, 5, 5, 5)
    told = replace(
        whole, steps=tuple(replace(s, context_start=start) for s, start in zip(whole.steps, starts, strict=True))
    )
    pieces = form.split(told, None)
    assert [int(piece.step_start.sum()) for piece in pieces] == [3, 3, 3]
    text = tokenizer().decode(pieces[1].input_ids.tolist())
    assert text.startswith("Room 0.\nRoom 2.\n> go 2<eos>\nRoom 3.\n> go 3<eos>")
    assert form.decode(pieces[1].input_ids[int(np.argmax(pieces[1].action_mask)) :]) == "go 3", "go 2 is learnt once"
    with pytest.raises(DataError, match="outgrew its agent's context and has 3 pieces"):
        form.encode(told)
    shorter = form.split(told, max(map(len, pieces)) - 1)
    assert len(shorter) > 3 and sum(int(piece.step_start.sum()) for piece in shorter) == 9
    assert max(map(len, shorter)) < max(map(len, pieces))


# Turns that a limit on tokens has cut.

cut_steps = st.lists(
    st.tuples(text, text, st.floats(-1, 1, width=32), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=5,
).map(
    lambda rows: [
        Step(observation, turn, reward, imitate=imitate, continues_message=on, cut=cut)
        for observation, turn, reward, imitate, on, cut in rows
    ]
)


@pytest.mark.parametrize("kind", TEMPLATES)
@settings(max_examples=30, deadline=None)
@given(steps=cut_steps)
def test_a_cut_turn_is_told_as_any_other_and_its_end_is_no_action(kind: str, steps: list[Step]) -> None:
    form = turn_format(kind)
    whole = [replace(step, cut=False) for step in steps]
    assert form.history(steps, "Next?") == form.history(whole, "Next?"), "models read the same tokens"
    pieces = form.split(trajectory_of(steps), None)
    # Where a template puts a blank before each turn, an empty one that begins a message has that.
    begins = [True, *(not tail(before, step.observation) for before, step in itertools.pairwise(steps))]
    blank = bool(form.pieces.turn_lead)
    own = [step for step, new in zip(steps, begins, strict=True) if step.text or not step.cut or (blank and new)]
    if not own:
        assert pieces == []
        with pytest.raises(DataError, match="no turn with anything in it"):
            form.encode(trajectory_of(steps))
        return
    (encoded,) = pieces
    assert form.history(steps, "Next?")[: len(encoded)] == encoded.input_ids.tolist()
    turn_of = np.cumsum(encoded.step_start) * encoded.action_mask
    assert turn_of.max() == len(own)
    for number, step in enumerate(own, 1):
        places = np.flatnonzero(turn_of == number)
        ids = encoded.input_ids[places].tolist()
        assert (ids[-1] == form.end) == (not step.cut and not (step.continues_message and step.text))
        assert not form.end_ids.intersection(ids[:-1]) and (np.diff(places) == 1).all()
        assert (encoded.imitate[places] == step.imitate).all()
        assert (encoded.reward[places[:-1]] == 0).all(), "what a turn is paid stands on its last action"
    assert not encoded.imitate[~encoded.action_mask].any() and not encoded.reward[~encoded.action_mask].any()
    total = sum(step.reward for step in trajectory_of(steps).steps)
    assert float(encoded.reward.sum(dtype=np.float64)) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_actions_of_a_cut_turn_are_those_the_agent_wrote(kind: str) -> None:
    form = turn_format(kind)
    steps = [Step("A room.", "go to", 0.5, cut=True), Step("A box.", "take it", 1.0)]
    encoded = form.encode(trajectory_of(steps, reward=1.0))
    first, second = form.turn("go to", cut=True), form.turn("take it")
    assert form.end not in first and [*first, form.end] == form.turn("go to")
    assert encoded.input_ids[encoded.action_mask].tolist() == first + second
    start = len(form.start("A room."))
    assert encoded.reward[start + len(first) - 1] == 0.5 and encoded.reward[-1] == 1.0
    assert encoded.input_ids[start + len(first)] == form.end and not encoded.action_mask[start + len(first)]
    # Candidates are compared in front of their last action, wherever that is: these are the tokens of `turn` but one.
    assert encoded.input_ids[: start + len(first)].tolist() == form.start("A room.") + first
    last = form.encode(trajectory_of([replace(steps[0], cut=False), replace(steps[1], cut=True)]))
    assert last.input_ids[-1] != form.end and last.action_mask[-1]


def test_what_is_paid_for_turns_without_tokens_is_not_lost() -> None:
    form = turn_format("plain")
    empty = [Step("o", "", reward, cut=True) for reward in (1.0, 2.0, 4.0)]
    encoded = form.encode(trajectory_of([empty[0], Step("o", "go"), empty[1], empty[2], Step("o", "eat")], reward=8.0))
    assert encoded.step_start.sum() == 2
    assert encoded.reward[encoded.reward != 0].tolist() == [1.0 + 2.0 + 4.0, 8.0]
    assert form.decode(encoded.input_ids[encoded.action_mask]) == "go"


@settings(max_examples=60, deadline=None)
@given(steps=cut_steps, room=st.integers(0, 60))
def test_pieces_of_an_episode_with_cut_turns_lose_no_reward(steps: list[Step], room: int) -> None:
    form = turn_format("plain")
    episode = trajectory_of([replace(step, continues_message=False) for step in steps])
    first = steps[0].observation
    need = max(len(form.restart(first, step.observation)) + len(form.turn(step.text)) for step in steps)
    pieces = form.split(episode, need + room)
    assert all(len(piece) <= need + room for piece in pieces) and all(piece.action_mask.any() for piece in pieces)
    if pieces:
        total = sum(float(piece.reward.sum(dtype=np.float64)) for piece in pieces)
        assert total == pytest.approx(episode.episode_return, abs=1e-5)
    assert sum(int(piece.step_start.sum()) for piece in pieces) == sum(bool(s.text) or not s.cut for s in steps)
