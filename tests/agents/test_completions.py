"""Answers of servers: the usual forms are understood, and whatever else comes is no completion, not a crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.agents.completions import NothingSaid, Sample, error_message, is_about_length, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "text", "index", "logprobs", "token_logprobs", "logprob", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
CHOICE = st.fixed_dictionaries({}, optional={"message": JSON, "text": JSON, "logprobs": JSON, "index": JSON}) | JSON


@given(answer=JSON | st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=3) | JSON}))
def test_an_answer_gives_samples_or_is_no_completion(answer: Any) -> None:
    try:
        samples = read(answer)
    except ValueError:
        return
    assert samples and all(isinstance(sample.text, str) for sample in samples)
    assert all(sample.log_prob is None or sample.log_prob < 1 for sample in samples)


@given(body=JSON)
def test_every_complaint_has_words(body: Any) -> None:
    assert error_message(body)


def test_both_forms_of_completions_are_read_in_the_order_of_their_index() -> None:
    tokens = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]
    chat = {"index": 1, "message": {"content": "a b"}, "logprobs": {"content": tokens}}
    text = {"index": 0, "text": "c", "logprobs": {"token_logprobs": [-0.25]}}
    assert read({"choices": [chat, text]}) == [Sample("c", -0.25), Sample("a b", -1.5)]


@pytest.mark.parametrize(
    "given_",
    [None, {}, {"content": None}, {"content": []}, {"token_logprobs": [None, -1.0]}, {"token_logprobs": [-9999.0e9]}],
)
def test_log_probabilities_that_are_not_all_there_are_none(given_: Any) -> None:
    assert read({"choices": [{"text": "a", "logprobs": given_}]}) == [Sample("a", None)]


@pytest.mark.parametrize("content", [None, ""])
def test_a_model_that_used_up_its_tokens_said_nothing(content: Any) -> None:
    with pytest.raises(NothingSaid):
        read({"choices": [{"message": {"content": content, "reasoning_content": "hm"}, "finish_reason": "length"}]})


def test_a_message_without_text_is_none_and_an_empty_one_is_one() -> None:
    with pytest.raises(ValueError, match="a message without text"):
        read({"choices": [{"message": {"content": None, "tool_calls": []}, "finish_reason": "tool_calls"}]})
    assert read({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}) == [Sample("", None)]


@pytest.mark.parametrize(
    "elsewhere", [{"reasoning_content": "hm"}, {"reasoning": "hm"}, {"refusal": "no"}, {"tool_calls": [{"id": "1"}]}]
)
def test_an_empty_text_beside_something_else_that_was_said_is_no_turn(elsewhere: dict[str, Any]) -> None:
    for content in ("", None):
        message = {"content": content, **elsewhere}
        with pytest.raises(ValueError, match="a message without text"):
            read({"choices": [{"message": message, "finish_reason": "stop"}]})
    (sample,) = read({"choices": [{"message": {"content": "go", **elsewhere}, "finish_reason": "stop"}]})
    assert sample.text == "go"


def test_halves_of_surrogate_pairs_are_replaced_and_whole_pairs_joined() -> None:
    texts = ["go \ud83d", "\ude00 go", "\ud83d\ude00", "\ude00\ud83d", "plain \U0001f600"]
    read_texts = [sample.text for sample in read({"choices": [{"text": text} for text in texts]})]
    assert read_texts == ["go \ufffd", "\ufffd go", "\U0001f600", "\ufffd\ufffd", "plain \U0001f600"]


def test_a_text_that_is_too_long_for_its_tokens_is_none() -> None:
    assert read({"choices": [{"text": " " * 4096}]}, 3) == [Sample(" " * 4096, None)]
    with pytest.raises(ValueError, match="10,000,000 characters where 48 tokens were asked for"):
        read({"choices": [{"text": "a" * 10_000_000}]}, 48)


@pytest.mark.parametrize(
    ("complaint", "about_length"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", True),
        ("the request exceeds the available context size, try increasing it", True),
        ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", True),
        ("prompt is too long: 210000 tokens", True),
        ("context_length_exceeded", True),
        ("Unexpected fields in the request: {'n'}", False),
        ("prompt must be a string.", False),
        ("model 'x' not found, try pulling it first", False),
    ],
)
def test_complaints_about_length_are_told_from_others(complaint: str, about_length: bool) -> None:
    assert is_about_length(complaint) == about_length
