"""oreo.agents.ragged_cache: what it remembers and what reading everything again gives are the same."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch

from helpers.rereading import agent_of, reread
from helpers.word_models import ARCHITECTURES, Babble, make_model
from oreo.agents.ragged_cache import RaggedCache, rearranged
from oreo.rollouts.loop import rollout


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_continuations_that_begin_alike_are_read_once_and_give_what_a_plain_pass_gives(architecture: str) -> None:
    model = make_model(architecture)
    histories = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15, 16], [17, 18]]
    # After each row and each output so far: 1 continuation, then 2 of one row, then 3 that part late, and one ends.
    levels = [
        ([20, 21, 22, 23], [0, 1, 1, 2]),
        ([30, 31, 32, 33], [0, 1, 2, 3]),
        ([40, 41, 42, 43, 44], [1, 1, 2, 3, 3]),
    ]
    sequences = [list(history) for history in histories]
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([1, 2, 3])
        cache.read(histories)
        for tokens, parents in levels:
            sequences = [[*sequences[parent], token] for token, parent in zip(tokens, parents, strict=True)]
            for ids, output in zip(sequences, cache.extend(tokens, parents), strict=True):
                assert torch.allclose(output.float(), reread(model, ids)[-1], atol=1e-4)
        kept = [[20, 30], [22, 32, 42], [23, 33, 44]]
        cache.commit(kept)
        longer = [[*history, *ids, 50, 51] for history, ids in zip(histories, kept, strict=True)]
        for ids, output in zip(longer, cache.read(longer), strict=True):
            assert torch.allclose(output.float(), reread(model, ids)[-1], atol=1e-4)


def test_rows_that_stay_keep_their_place_where_they_can() -> None:
    assert rearranged([1, 2, 3, 4, 5], [2, 5, 4, 9, 8]) == ([5, 2, 4, 9, 8], [4, 1, 3])
    assert rearranged([1, 2, 3], [1, 2, 3]) == ([1, 2, 3], [0, 1, 2])
    assert rearranged([1, 2], []) == ([], [])
    assert rearranged([], [7]) == ([7], [])


def test_a_row_is_cut_back_to_what_a_new_history_shares_with_the_old_one() -> None:
    model = make_model("llama")
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([7])
        cache.read([[5, 6, 7, 8, 9]])
        again = cache.read([[5, 6, 10, 11]])
    assert torch.allclose(again[0], reread(model, [5, 6, 10, 11])[-1], atol=1e-4)


def test_the_model_keeps_its_own_attention(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    before = agent.reader.policy.model.config._attn_implementation
    rollout(Babble, agent=agent, episodes=1)
    assert agent.reader.policy.model.config._attn_implementation == before


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
def test_a_pass_with_a_cache_gives_no_warning(architecture: str, tokenizer: Any) -> None:
    value = make_model(architecture, seed=1, value=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="a turn was cut off")
        agent = agent_of(architecture, tokenizer, value=value, max_new_tokens=64)
        rollout(Babble, agent=agent, episodes=1, max_steps=2)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_is_given_by_the_name_that_the_model_has_for_it(name: str) -> None:
    """transformers calls it past_key_values before 5.24 and only cache from 5.40 on."""
    model = make_model("llama")
    forward, parameters = model.forward, inspect.signature(model.forward).parameters
    (own,) = {"cache", "past_key_values"} & set(parameters)
    expected = read_on(model)

    def renamed(**arguments: Any) -> Any:
        assert not ({"cache", "past_key_values"} - {name}) & set(arguments)
        return forward(**{own if key == name else key: value for key, value in arguments.items()})

    signature = [parameter.replace(name=name if key == own else key) for key, parameter in parameters.items()]
    renamed.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    model.forward = renamed
    assert torch.equal(read_on(model), expected)


def read_on(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([1])
        cache.read([[5, 6, 7]])
        return cache.read([[5, 6, 7, 8]])
