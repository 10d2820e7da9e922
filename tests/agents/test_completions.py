"""Answers of servers: the usual forms are understood, and whatever else comes is no completion, not a crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.agents.completions import Sample, is_about_length, read, said

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
    assert said(body)


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


def test_a_model_that_only_thought_said_nothing() -> None:
    assert read({"choices": [{"message": {"content": None, "reasoning_content": "hm"}}]}) == [Sample("", None)]


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
