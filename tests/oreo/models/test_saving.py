"""oreo.models.saving: folders for plain transformers, and digests of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from helpers import small_models
from oreo.errors import DataError
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest, save_model

torch.set_num_threads(1)


def test_saved_models_load_with_plain_transformers_and_keep_their_values(folder: Path, tmp_path: Path) -> None:
    ids, _ = small_models.ids_and_mask()
    policy, own = load_policy(folder)
    value = load_value(folder)
    with torch.no_grad():
        for parameter in value.parameters():
            parameter.add_(0.1)
    for name, model, auto in (
        ("policy", policy, AutoModelForCausalLM),
        ("value", value, AutoModelForTokenClassification),
    ):
        save_model(model, own, tmp_path / "out" / name)
        plain = auto.from_pretrained(tmp_path / "out" / name)
        # Equal weights, by their digest below; sums may be added up in another order on another run.
        torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=1e-6, atol=1e-6)
        assert AutoTokenizer.from_pretrained(tmp_path / "out" / name)("go").input_ids == own("go").input_ids
        assert digest(tmp_path / "out" / name) == digest(model) == digest(plain)
    # A trained head is kept, a new one is zero.
    torch.testing.assert_close(load_value(tmp_path / "out")(ids).logits, value(ids).logits, rtol=1e-6, atol=1e-6)
    assert (
        list((tmp_path / "out").iterdir()) == [tmp_path / "out" / n for n in ("policy", "value")]
        or len(list((tmp_path / "out").iterdir())) == 2
    )


def test_a_digest_changes_with_any_weight(tmp_path: Path) -> None:
    model, _ = load_policy(small_models.make_model(tmp_path / "m"))
    before = digest(model)
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    assert digest(model) != before and len(before) == 16
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no safetensors"):
        digest(tmp_path / "empty")
