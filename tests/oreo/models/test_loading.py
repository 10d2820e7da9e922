"""oreo.models.loading against plain transformers calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

import oreo.models.scoring
from helpers import small_models
from oreo.errors import DataError, UsageError
from oreo.files import replacing
from oreo.models.loading import load_policy, load_reference, load_value, parameter_count, resolve_checkpoint
from oreo.models.saving import digest, save_model
from oreo.models.scorers import Policy, Value

torch.set_num_threads(1)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 250, (3, 11), generator=random)
    mask = torch.rand(3, 11, generator=random) < 0.5
    mask[:, 0] = False
    return ids, mask


@pytest.fixture(params=["llama", "qwen2", "qwen3", "mistral", "gpt2", "gemma", "gemma2"])
def folder(request: Any, tmp_path: Path) -> Path:
    return small_models.make_model(tmp_path / "model", request.param)


def written_out(model: Any, reference: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Full log-softmax of both models, the plain way."""
    ours = model(ids).logits.double().log_softmax(-1)[:, :-1]
    theirs = reference(ids).logits.double().log_softmax(-1)[:, :-1]
    chosen = ids[:, 1:, None]
    scores = (
        ours.gather(-1, chosen)[..., 0],
        theirs.gather(-1, chosen)[..., 0],
        (ours.exp() * (ours - theirs)).sum(-1),
    )
    return tuple(torch.nn.functional.pad(x, (1, 0)) * mask for x in scores)


@pytest.mark.parametrize("chunk", [1 << 24, 260 * 3])
def test_scores_and_gradients_equal_the_full_log_softmax(folder: Path, chunk: int, monkeypatch: Any) -> None:
    monkeypatch.setitem(oreo.models.scoring.CHUNK, "cpu", chunk)
    ids, mask = batch()
    model, _ = load_policy(folder)
    reference = load_reference(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    policy = Policy(model)
    assert policy.gathers
    scores = policy(ids, mask, reference=Policy(reference))
    expected = written_out(model, reference, ids, mask)
    for ours, theirs in zip(scores, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)
    assert scores[2].max() > 1e-4
    weights = torch.randn(3, 11, generator=torch.Generator().manual_seed(2))
    gradients = []
    for log_prob, _, kl in (scores, expected):
        model.zero_grad()
        ((log_prob + 3 * kl) * weights).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert all(parameter.grad is None for parameter in reference.parameters())


def padded(rows: list[torch.Tensor], width: int, *, left: bool) -> torch.Tensor:
    pad = torch.nn.functional.pad
    return torch.stack([pad(row, (width - len(row), 0) if left else (0, width - len(row))) for row in rows])


@pytest.mark.parametrize("model", ["policy", "value"])
def test_padding_on_the_left_or_the_right_changes_no_score_and_no_gradient(model: str, folder: Path) -> None:
    """Against every row alone; rows are longer than the window of those that have one."""
    random = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, 250, (length,), generator=random) for length in (23, 14, 9)]
    masks = [(torch.rand(len(row), generator=random) < 0.5) & (torch.arange(len(row)) > 0) for row in rows]
    weights = [torch.randn(len(row), generator=random) for row in rows]
    module: Any
    if model == "policy":
        module, reference = Policy(load_policy(folder)[0]), Policy(load_policy(folder)[0].requires_grad_(False))
    else:
        module, reference = Value(load_value(folder)), None
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))

    def scores(*inputs: Any) -> torch.Tensor:
        if model == "value":
            return module(*inputs)
        log_prob, theirs, kl = module(*inputs, reference=reference)
        return log_prob - theirs / 2 + 3 * kl

    def gradient(loss: torch.Tensor) -> list[torch.Tensor]:
        module.zero_grad()
        loss.backward()
        return [torch.zeros(()) if each.grad is None else each.grad.clone() for each in module.parameters()]

    alone = [scores(row[None], mask[None])[0] for row, mask in zip(rows, masks, strict=True)]
    expected = gradient(sum((each * weight).sum() for each, weight in zip(alone, weights, strict=True)))
    for left, told in ((False, False), (False, True), (True, True)):
        ids, mask, weight, real = (
            padded(each, 27, left=left) for each in (rows, masks, weights, [torch.ones_like(row) for row in rows])
        )
        found = scores(ids, mask, *([real] if told else []))
        torch.testing.assert_close(found, padded(alone, 27, left=left), rtol=1e-4, atol=1e-5)
        for ours, theirs in zip(gradient((found * weight).sum()), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * max(1.0, float(theirs.abs().max())))


def test_a_new_value_is_zero_everywhere_and_is_read_before_the_token(folder: Path) -> None:
    ids, mask = batch()
    model = load_value(folder)
    assert (Value(model)(ids, mask) == 0).all()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith(model.base_model_prefix):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        values, logits = Value(model)(ids, mask), model(ids).logits
    assert logits.shape == (3, 11, 1)
    for row, position in mask.nonzero().tolist():
        assert values[row, position] == logits[row, position - 1, 0]
    assert (values[~mask] == 0).all()


def test_models_are_without_dropout_even_in_training_mode(folder: Path) -> None:
    ids, mask = batch()
    policy, value = load_policy(folder)[0], load_value(folder)
    with torch.no_grad():
        for model in (policy, value):
            torch.testing.assert_close(model.train()(ids).logits, model.eval()(ids).logits, rtol=1e-6, atol=1e-6)


def test_saved_models_load_with_plain_transformers_and_keep_their_values(folder: Path, tmp_path: Path) -> None:
    ids, _ = batch()
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


def test_a_model_that_makes_logits_its_own_way_is_computed_in_full_and_said(tmp_path: Path) -> None:
    model, _ = load_policy(small_models.make_model(tmp_path / "m"))
    plain = model.forward
    ids, mask = batch()

    def doubled(*args: Any, **kwargs: Any) -> Any:
        output = plain(*args, **kwargs)
        output.logits = output.logits * 2
        return output

    model.forward = doubled
    with pytest.warns(UserWarning, match="own"):
        policy = Policy(model)
    torch.testing.assert_close(policy(ids, mask)[0], written_out(model, model, ids, mask)[0].float())


def test_checkpoints_are_found_in_output_folders_model_folders_and_by_name(tmp_path: Path) -> None:
    small_models.make_model(tmp_path / "run" / "policy")
    assert resolve_checkpoint(tmp_path / "run") == (str(tmp_path / "run" / "policy"), None)
    save_model(load_value(tmp_path / "run" / "policy"), None, tmp_path / "run" / "value")
    assert resolve_checkpoint(tmp_path / "run")[1] == str(tmp_path / "run" / "value")
    assert resolve_checkpoint(tmp_path / "run" / "policy") == (str(tmp_path / "run" / "policy"), None)
    assert resolve_checkpoint("tiny")[0].endswith("tiny")


def test_what_is_no_model_gives_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "log.jsonl").write_text("")
    for name, message in (("missing", "no such folder"), ("empty", "no model"), ("unfinished", "not finished")):
        with pytest.raises(DataError, match=message):
            load_policy(tmp_path / name)
    for load in (load_policy, load_value):
        with pytest.raises(DataError, match="cannot load") as error:
            load(tmp_path / "broken")
        assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="float32"):
        load_policy(small_models.make_model(tmp_path / "m"), dtype="float64")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with replacing(target) as new:
        (new / "a").write_text("1")
    with pytest.raises(OSError, match="disk full"), replacing(target) as new:
        (new / "a").write_text("2")
        raise OSError("disk full")
    assert (target / "a").read_text() == "1"
    with replacing(target) as new:
        (new / "b").write_text("3")
    assert [path.name for path in tmp_path.iterdir()] == ["target"] and not (target / "a").exists()


def half_downloaded(folder: Path, name: str, what: str) -> Path:
    small_models.make_model(folder)
    path = folder / name
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00\xff{" * 400}[what])
    return path


@pytest.mark.parametrize("what", ["empty", "cut", "garbage"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_is_empty_cut_or_garbage_is_named_with_what_to_do(name: str, what: str, tmp_path: Path) -> None:
    path = half_downloaded(tmp_path / "model", name, what)
    loads = (load_policy, load_value) if name in ("config.json", "model.safetensors") else (load_policy,)
    for load in loads:
        with pytest.raises(DataError, match=f"{name} is (empty|cut or damaged).*; put the whole file there") as error:
            load(path.parent)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    model, tokenizer = load_policy(small_models.make_model(tmp_path / "model"))
    model.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    tokenizer.save_pretrained(tmp_path / "shards")
    load_policy(tmp_path / "shards")
    gone = sorted((tmp_path / "shards").glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name} is missing, and model.safetensors.index.json lists it"):
        load_policy(tmp_path / "shards")


def test_a_value_is_refused_as_a_policy_and_the_policy_beside_it_named(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_policy(folder)
    save_model(model, tokenizer, tmp_path / "run" / "policy")
    save_model(load_value(folder), tokenizer, tmp_path / "run" / "value")
    load_value(tmp_path / "run" / "value")
    with pytest.raises(
        DataError, match=f"gives values and writes no text; its policy is {tmp_path / 'run' / 'policy'}"
    ):
        load_policy(tmp_path / "run" / "value")
    (tmp_path / "run" / "value").rename(tmp_path / "alone")
    with pytest.raises(DataError, match="writes no text; name a causal language model"):
        load_policy(tmp_path / "alone")


def test_a_tokenizer_with_more_tokens_than_the_model_embeds_is_refused(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_policy(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    tokenizer.add_tokens([f"<new {number}>" for number in range(rows - len(tokenizer))])
    save_model(model, tokenizer, tmp_path / "full")
    load_policy(tmp_path / "full")
    tokenizer.add_tokens(["<one too many>"])
    save_model(model, tokenizer, tmp_path / "over")
    with pytest.raises(DataError, match=f"has ids up to {rows}, but the model embeds only {rows} tokens"):
        load_policy(tmp_path / "over")


def test_how_large_a_model_is_is_told_from_its_headers(tmp_path: Path) -> None:
    model, tokenizer = load_policy(small_models.make_model(tmp_path / "model"))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert parameter_count(tmp_path / "model") == count
    save_model(model, tokenizer, tmp_path / "run" / "policy")
    assert parameter_count(tmp_path / "run") == count
    assert parameter_count("someone/some-model") is None


def test_pickled_weights_are_refused_with_how_to_convert_them_and_the_advice_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_models.make_model(tmp_path / "model")
    before, _ = load_policy(folder)
    torch.save(before.state_dict(), folder / "pytorch_model.bin")
    assert load_policy(folder)  # beside safetensors it is not read
    (folder / "model.safetensors").unlink()
    monkeypatch.setattr(torch, "load", None)  # nothing asks for the pickle
    for load in (load_policy, load_value):
        with pytest.raises(DataError, match="holds pytorch_model.bin as a pickle, which can run code") as error:
            load(folder)
        assert "\n" not in str(error.value)
        assert f"AutoModelForCausalLM.from_pretrained({str(folder)!r}).save_pretrained(FOLDER)" in str(error.value)
    monkeypatch.undo()
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)
    assert digest(load_policy(folder)[0]) == digest(before)


def test_shards_of_a_pickle_are_refused_too(tmp_path: Path) -> None:
    folder = small_models.make_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model-00001-of-00002.bin").write_bytes(b"pickle")
    (folder / "pytorch_model.bin.index.json").write_text('{"metadata": {}, "weight_map": {}}')
    with pytest.raises(DataError, match="holds pytorch_model-00001-of-00002.bin as a pickle"):
        load_policy(folder)
