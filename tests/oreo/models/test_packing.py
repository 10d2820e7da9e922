"""oreo.models.packing: rows end to end against the same rows padded, and its layout against a count of distinct
beginnings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BloomConfig, BloomForCausalLM

from helpers import small_models
from oreo.models.loading import load_policy, load_reference, load_value
from oreo.models.packing import pack, prepare
from oreo.models.saving import save_model
from oreo.models.scorers import Policy, Value
from oreo.training.trainer import train

torch.set_num_threads(1)
ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=8)


@given(ROWS, st.integers(1, 4))
def test_every_token_stands_where_its_place_says_after_just_what_is_before_it_in_its_row(
    lists: list[list[int]], shared: int
) -> None:
    rows = [np.array(row) for row in lists]
    packing = pack(rows, 9, shared)
    ids, positions = packing.input_ids[0], packing.position_ids[0]
    ends = np.cumsum([segment.length for segment in packing.segments])
    assert len(ids) == len(positions) == ends[-1]
    for row, place in zip(rows, packing.place, strict=True):
        mine = place[: len(row)]
        assert ids[mine].tolist() == row.tolist()
        assert positions[mine].tolist() == list(range(len(row)))
        last = int(np.searchsorted(ends, int(mine[-1]), side="right"))
        path = [*packing.segments[last].above, last]
        seen = [i for segment in path for i in range(ends[segment] - packing.segments[segment].length, ends[segment])]
        # All that the last token sees, and it is its row.
        assert seen[: len(row)] == mine.tolist()
        assert [packing.segments[segment].start for segment in path] == [
            sum(packing.segments[above].length for above in path[:depth]) for depth in range(len(path))
        ]


@given(ROWS)
def test_what_rows_begin_with_stands_there_once(lists: list[list[int]]) -> None:
    beginnings = {tuple(row[:end]) for row in lists for end in range(1, len(row) + 1)}
    assert pack([np.array(row) for row in lists], 9, shared=1).input_ids.shape == (1, len(beginnings))


@given(ROWS, st.integers(1, 9))
def test_too_short_a_common_beginning_is_repeated(lists: list[list[int]], shared: int) -> None:
    packing = pack([np.array(row) for row in lists], 9, shared)
    parents = {above for segment in packing.segments for above in segment.above}
    assert all(packing.segments[parent].length >= shared for parent in parents)


# Models. The rows share 40 tokens, some of them 60.


def rows() -> list[list[int]]:
    random = np.random.default_rng(0)
    begin, more = random.integers(0, 250, 40).tolist(), random.integers(0, 250, 20).tolist()
    ends = [random.integers(0, 250, length).tolist() for length in (30, 12, 25, 7)]
    return [begin + more + ends[0], begin + ends[1], ends[2], begin + more + ends[3]]


def batch() -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Padded ids, action positions behind what is shared, and the packing of the same."""
    lists = rows()
    width = max(map(len, lists))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in lists])
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for index, row in enumerate(lists):
        mask[index, [len(row) - 4, len(row) - 1]] = True
    mask[0, 20] = mask[1, 20] = True  # the same token after the same tokens, scored for each row
    packing = pack([np.array(row) for row in lists], width)
    assert packing.input_ids.shape[1] < sum(map(len, lists)) - 60
    return ids, mask, packing


@pytest.fixture(params=["llama", "qwen2", "gpt2", "mistral", "gemma2", "gemma3", "cap"])
def folder(request: Any, tmp_path: Path) -> Path:
    """Mistral's and Gemma's windows are shorter than what rows share."""
    if request.param != "cap":
        return Path(small_models.make_model(tmp_path / "model", request.param))
    config = small_models.KINDS["gemma2"]()
    config.attn_logit_softcapping = 0.01
    save_model(AutoModelForCausalLM.from_config(config), small_models.tokenizer(), tmp_path / "model")
    return tmp_path / "model"


def gradients(model: Any) -> dict[str, torch.Tensor]:
    gradients_by_name = {
        name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    model.zero_grad()
    return gradients_by_name


def test_packed_rows_have_the_scores_values_and_gradients_of_padded_ones(folder: Path) -> None:
    ids, mask, packing = batch()
    model, _ = load_policy(folder)
    reference, value = load_reference(model), load_value(folder)
    if "gemma2" in model.config.model_type:
        for loaded in (model, reference, value):
            loaded.set_attn_implementation("eager")  # sdpa leaves the cap out
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in [*model.parameters(), *value.parameters()]:
            parameter.add_(0.1 * torch.randn(parameter.shape))
    ours, theirs, ourselves = Policy(model), Policy(reference), Value(value)
    weight = torch.randn(3, *mask.shape)
    results = []
    for packed in (None, packing):
        assert packed is None or prepare([model, reference, value])
        scores = ours(ids, mask, reference=theirs, packing=packed)
        values = ourselves(ids, mask, packing=packed)
        (weight * torch.stack([scores[0], scores[2], values])).sum().backward()
        outputs = dict(zip(("log_prob", "reference", "kl", "value"), (*scores, values), strict=True))
        results.append({**outputs, **gradients(model), **gradients(value)})
    assert results[0].keys() == results[1].keys() and results[0]["kl"].max() > 0
    for name, tensor in results[0].items():
        tolerance = 1e-5 * float(tensor.detach().abs().max()) + 1e-6
        torch.testing.assert_close(
            results[1][name], tensor, rtol=1e-3, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_a_model_that_does_not_attend_as_it_is_told_is_padded_and_said(tmp_path: Path) -> None:
    bloom = BloomForCausalLM(BloomConfig(vocab_size=260, hidden_size=16, n_layer=1, n_head=2))
    save_model(bloom, small_models.tokenizer(), tmp_path / "start")
    results = []
    for packed in (True, False):
        output = tmp_path / str(packed)
        settings = dict(method="sft", model=tmp_path / "start", epochs=1, packed=packed)
        if packed:
            with pytest.warns(UserWarning, match="BloomForCausalLM cannot be trained on packed rows .* are padded"):
                train(small_models.episodes(), output=output, **settings)
        else:
            train(small_models.episodes(), output=output, **settings)
        results.append(load_file(output / "policy" / "model.safetensors"))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_a_prepared_model_refuses_padded_rows_and_any_other_packed_ones(tmp_path: Path) -> None:
    ids, mask, packing = batch()
    policies = [Policy(load_policy(small_models.make_model(tmp_path / name))[0]) for name in ("one", "two")]
    assert prepare([policies[0].model])
    with pytest.raises(ValueError, match="was called without"):
        policies[0](ids, mask)
    with pytest.raises(AssertionError, match="was not prepared"):
        policies[1](ids, mask, packing=packing)


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "oreo"])
def test_training_on_packed_rows_is_training_on_padded_ones_in_fewer_micro_batches(method: str, tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    data = small_models.rollouts(24)
    logs, moved = [], []
    for packed in (True, False):
        output = tmp_path / str(packed)
        train(data, method=method, model=start, output=output, epochs=1, lr=1e-3, batch_size=6, packed=packed)
        logs.append([json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()])
        before, after = load_file(start / "model.safetensors"), load_file(output / "policy" / "model.safetensors")
        moved.append(torch.cat([(after[key] - before[key]).flatten() for key in after]))
    for first, second in zip(*logs, strict=True):
        numbers = {k: v for k, v in first.items() if "second" not in k and isinstance(v, float)}
        assert {k: second[k] for k in numbers} == pytest.approx(numbers, rel=1e-3, abs=1e-6)
    assert (moved[0] - moved[1]).norm() < 1e-3 * moved[0].norm()
    assert "_attn" not in (tmp_path / "True" / "policy" / "config.json").read_text()
