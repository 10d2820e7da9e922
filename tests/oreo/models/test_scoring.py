"""oreo.models.scoring against full log-softmaxes in float64, by autograd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

import oreo.models.scoring
from helpers import small_models
from oreo.models.loading import load_policy, load_reference
from oreo.models.scorers import Policy
from oreo.models.scoring import Layer, chunks, plain_layer, score

torch.set_num_threads(1)
N, H, V = 12, 8, 61


def numbers(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


class Watch(TorchDispatchMode):
    """The rows of every tensor with V columns (or the other way round), how many of them live at once, and the shapes
    of all products."""

    def __init__(self, vocabulary: int = V, other: int = H) -> None:
        super().__init__()
        self.vocabulary, self.other = vocabulary, other
        self.products: set[tuple[int, ...]] = set()
        self.rows: list[int] = []
        self.most = 0
        self._storages: dict[int, StorageWeakRef] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                if "mm" in func.__name__:
                    self.products.add(tuple(tensor.shape))
                if tensor.ndim > 1 and self.vocabulary in tensor.shape and self.other not in tensor.shape:
                    self.rows.append(tensor.numel() // self.vocabulary)
                    reference = StorageWeakRef(tensor.untyped_storage())
                    self._storages[reference.cdata] = reference
        self.most = max(self.most, self.alive())
        return result

    def alive(self) -> int:
        self._storages = {key: storage for key, storage in self._storages.items() if not storage.expired()}
        return len(self._storages)


class Case:
    """States, layers and targets, rounded to a dtype."""

    def __init__(self, dtype: torch.dtype = torch.float64, *, n: int = N, bias: bool = True) -> None:
        self.states = numbers(n, H, seed=0, dtype=dtype).requires_grad_()
        self.layer = Layer(
            numbers(V, H, seed=1, dtype=dtype).requires_grad_(),
            numbers(V, seed=2, dtype=dtype).requires_grad_() if bias else None,
        )
        other = Layer(numbers(V, H, seed=3, dtype=dtype), numbers(V, seed=4, dtype=dtype) if bias else None)
        self.reference = (numbers(n, H, seed=5, dtype=dtype), other)
        self.targets = torch.randint(0, V, (n,), generator=torch.Generator().manual_seed(6))

    @property
    def leaves(self) -> list[Tensor]:
        return [tensor for tensor in (self.states, *self.layer) if tensor is not None]

    def written_out(self) -> tuple[Tensor, Tensor, Tensor]:
        states, layer, others, other = [
            x.double() if isinstance(x, Tensor) else Layer(*(None if y is None else y.double() for y in x))
            for x in (self.states, self.layer, *self.reference)
        ]
        ours = nn.functional.linear(states, *layer).log_softmax(-1)
        theirs = nn.functional.linear(others, *other).log_softmax(-1)
        chosen = self.targets[:, None]
        return ours.gather(1, chosen)[:, 0], theirs.gather(1, chosen)[:, 0], (ours.exp() * (ours - theirs)).sum(1)

    def gradients(self, scores: tuple[Tensor, Tensor, Tensor], kl_weight: float = 3.0) -> list[Tensor]:
        """Of a loss in which every row's two scores have weights of their own, of either sign."""
        g, k = numbers(2, len(self.targets), seed=7)
        loss = (scores[0].double() * g).sum() + (scores[2].double() * k).sum() * kl_weight
        return list(torch.autograd.grad(loss, self.leaves))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 5, N, N + 3])
def test_scores_and_gradients_are_those_of_the_full_log_softmax_whatever_the_chunks(rows: int, bias: bool) -> None:
    case = Case(bias=bias)
    scores, expected = score(case.states, case.layer, case.targets, case.reference, rows=rows), case.written_out()
    for ours, theirs in zip(scores, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert scores[2].min() > 0.1 and not scores[1].requires_grad
    for ours, theirs in zip(case.gradients(scores), case.gradients(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rows", [3, N])
def test_finite_differences_agree_with_the_written_out_backward_pass(rows: int) -> None:
    case = Case(n=4)

    def scores(states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        log_prob, _, kl = score(states, Layer(weight, bias), case.targets, case.reference, rows=rows)
        return log_prob, kl

    assert torch.autograd.gradcheck(scores, case.leaves)


@pytest.mark.parametrize("rows", [5, N])
def test_one_score_alone_and_no_reference_have_their_gradients_too(rows: int) -> None:
    case = Case()
    expected = case.written_out()
    log_prob, _, kl = score(case.states, case.layer, case.targets, case.reference, rows=rows)
    bare = score(case.states, case.layer, case.targets, rows=rows)
    without = score(case.states, case.layer, case.targets, case.reference, kl=False, rows=rows)
    for one, like in ((log_prob, 0), (kl, 2), (bare[0], 0), (without[0], 0)):
        gradients = torch.autograd.grad(one.sum(), case.leaves, retain_graph=True)
        wanted = torch.autograd.grad(expected[like].sum(), case.leaves, retain_graph=True)
        for ours, theirs in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(without[1], expected[1].detach())
    assert (without[2] == 0).all() and (bare[1] == 0).all() and (bare[2] == 0).all()


def test_a_second_backward_pass_through_the_same_graph_gives_the_same() -> None:
    case = Case()
    for rows in (5, N):
        log_prob, _, kl = score(case.states, case.layer, case.targets, case.reference, rows=rows)
        loss = log_prob.sum() + kl.sum()
        first, second = (torch.autograd.grad(loss, case.leaves, retain_graph=True) for _ in range(2))
        assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_no_action_token_gives_no_score_and_gradients_of_zero() -> None:
    case = Case(n=0)
    scores = score(case.states, case.layer, case.targets, case.reference)
    assert [tuple(score.shape) for score in scores] == [(0,)] * 3
    for gradient, leaf in zip(case.gradients(scores), case.leaves, strict=True):
        assert gradient.shape == leaf.shape and (gradient == 0).all()


def test_equal_policy_and_reference_have_no_divergence_and_no_gradient_of_it() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        case = Case(dtype)
        same = (case.states.detach(), Layer(*(tensor.detach() for tensor in case.layer)))
        log_prob, theirs, kl = score(case.states, case.layer, case.targets, same, rows=5)
        assert torch.equal(log_prob, theirs) and (kl == 0).all()
        assert all((gradient == 0).all() for gradient in torch.autograd.grad(kl.sum(), case.leaves))


@pytest.mark.parametrize("rows", [1, 5, N])
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_differs_by_the_rounding_of_logits_and_gradients_only(autocast: bool, rows: int) -> None:
    """Logits of up to 16 are rounded by up to 2⁻⁵, gradients by 2⁻⁸ of theirs; scores come in float32."""
    case = Case(torch.float32 if autocast else torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        scores = score(case.states, case.layer, case.targets, case.reference, rows=rows)
    expected = case.written_out()
    for ours, theirs in zip(scores, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=0.01, atol=0.08)
    for ours, theirs, leaf in zip(case.gradients(scores), case.gradients(expected), case.leaves, strict=True):
        assert ours.dtype == leaf.dtype
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_the_gradient_of_a_bfloat16_weight_does_not_grow_worse_with_the_number_of_chunks() -> None:
    case = Case(torch.bfloat16, n=512)
    exact = case.gradients(case.written_out())[1].double()
    gradients = {
        rows: case.gradients(score(case.states, case.layer, case.targets, case.reference, rows=rows))[1]
        for rows in (512, 8)
    }
    whole, chunked = (((gradient - exact).norm() / exact.norm()).item() for gradient in gradients.values())
    assert chunked < 1.2 * whole


def test_only_what_is_being_trained_gets_a_gradient() -> None:
    case = Case()
    frozen = Layer(*(tensor.detach() for tensor in case.layer))
    scores = score(case.states, frozen, case.targets, case.reference, rows=5)
    log_prob, kl = scores[0].sum(), scores[2].sum()
    wanted = case.written_out()
    (ours,) = torch.autograd.grad(log_prob + kl, [case.states])
    (theirs,) = torch.autograd.grad(wanted[0].sum() + wanted[2].sum(), [case.states])
    torch.testing.assert_close(ours, theirs)
    for states, layer, products in (
        (case.states.detach(), Layer(case.layer.weight), {(4, V), (V, H)}),
        (case.states, frozen, {(4, V), (4, H)}),
    ):
        log_prob, _, _ = score(states, layer, case.targets, rows=4)
        with Watch() as watch:
            log_prob.sum().backward()
        assert watch.products == products


def test_without_gradients_nothing_is_kept() -> None:
    case = Case()
    with Watch() as watch:
        scores = score(case.states, case.layer, case.targets, case.reference)
        assert watch.alive() == 2 and scores[0].requires_grad
        del scores
        with torch.no_grad():
            scores = score(case.states, case.layer, case.targets, case.reference)
        assert watch.alive() == 0 and not scores[0].requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_three_chunks_of_logits_live_at_once_and_never_all_of_them(dtype: torch.dtype) -> None:
    case = Case(dtype)
    for rows in (1, 5, N):
        with Watch() as watch:
            log_prob, _, kl = score(case.states, case.layer, case.targets, case.reference, rows=rows)
            assert watch.alive() == (2 if rows == N else 0)
            (log_prob.sum() + kl.sum()).backward()
        assert 1 <= max(watch.rows) <= rows and watch.alive() == 0
        assert watch.most == 3 + (dtype == torch.bfloat16)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_no_tensor_of_batch_length_and_vocabulary_in_an_update(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of tied and untied models; the only [V, …] tensors are those of the layer itself."""
    monkeypatch.setitem(oreo.models.scoring.CHUNK, "cpu", 260 * 4)
    model, _ = load_policy(small_models.make_model(tmp_path / "model", kind))
    policy, reference = Policy(model), Policy(load_reference(model))
    assert policy.plain_layer() is not None
    ids = torch.randint(0, 250, (3, 15), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 15, dtype=torch.bool)
    mask[:, :2] = False
    with Watch(260, 16) as watch:
        log_prob, theirs, kl = policy(ids, mask, reference=reference)
        ((log_prob - theirs - 1).square().sum() + kl.sum()).backward()
    assert 1 <= max(watch.rows) <= 4 and watch.most == 3
    assert model.get_output_embeddings().weight.grad.abs().sum() > 0


def test_only_whole_plain_layers_are_taken_apart(tmp_path: Path) -> None:
    class Quantised(nn.Linear):
        pass

    hooked = nn.Linear(H, V)
    hooked.register_forward_hook(lambda *_: None)
    empty = nn.Linear(H, V)
    empty.weight.data = torch.empty(0)  # as DeepSpeed leaves parameters that other processes hold
    for module in (Quantised(H, V), hooked, empty, nn.Sequential(nn.Linear(H, V))):
        assert plain_layer(module) is None
    plain = nn.Linear(H, V)
    layer = plain_layer(plain)
    assert layer is not None and layer.weight is plain.weight and layer.bias is plain.bias
    model, _ = load_policy(small_models.make_model(tmp_path / "capped", "gemma2"))
    assert Policy(model).gathers and Policy(model).plain_layer() is None


@pytest.mark.parametrize(("count", "rows", "sizes"), [(0, 4, []), (3, 4, [3]), (8, 4, [4, 4]), (9, 4, [3, 3, 3])])
def test_chunks_are_few_and_about_equal(count: int, rows: int, sizes: list[int]) -> None:
    parts = list(chunks(count, rows))
    assert [part.stop - part.start for part in parts] == sizes
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
