"""Scoring with a loaded model: log-probabilities of action tokens and the exact KL (Policy), V (Value).

B rows, T positions, N action tokens, H hidden, V vocabulary. No [B, T, V] tensor is made: the body of the model gives
hidden states, those that precede an action token are gathered ([N, H]), and only they go through the output layer, in
chunks (oreo.models.scoring).

Padding goes on the right without an attention mask (causal attention never looks there), or anywhere with one, or
nowhere: oreo.models.packing.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from oreo.models.loading import device_of
from oreo.models.packing import Packing
from oreo.models.scoring import Layer, chunk_rows, chunks, plain_layer, score


class Policy(nn.Module):
    """Log-probabilities of action tokens, and the exact KL to a reference, from a causal language model.

    A module, so that data-parallel wrappers see one forward call. It shares the model's parameters.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.gathers = _body_and_head_are_all(model)
        """Whether the output layer can be run on chosen positions. Where not, full logits are made, and it is said."""

    def states(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """[N, H] final hidden states just before each action token, row by row ([N, V] logits where not `gathers`)."""
        inputs = _inputs(self.model, input_ids, attention_mask, packing)
        if self.gathers:
            hidden = self.model.base_model(**inputs).last_hidden_state
        else:
            hidden = self.model(**inputs).logits
        if packing is not None:
            return hidden[0, packing.place[:, :-1][action_mask[:, 1:]]]
        return hidden[:, :-1][action_mask[:, 1:]]

    def logits(self, states: Tensor) -> Tensor:
        """[n, V] float32 from [n, H] states."""
        return (_project(self.model, states) if self.gathers else states).float()

    def forward(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        *,
        reference: Policy | None = None,
        kl: bool = True,
        normalizer: bool = False,
        packing: Packing | None = None,
    ) -> tuple[Tensor, ...]:
        """Score the action tokens of a batch.

        Args:
            input_ids: [B, T] token ids.
            action_mask: [B, T] bool, False at position 0: the first token has no state before it.
            attention_mask: [B, T], needed where padding is not on the right.
            reference: π_ref; None leaves its outputs zero.
            kl: whether the KL is wanted; False leaves it zero.
            normalizer: whether a fourth output is wanted, see below.
            packing: of the same rows; models that `oreo.models.packing.prepare` was called on need it, others cannot
                use it.

        Returns:
            log π(a_t|s_t), log π_ref(a_t|s_t) and KL(π(·|s_t) ‖ π_ref(·|s_t)), each [B, T] float32, zero elsewhere.
            With `normalizer` also [B] log Σ_a exp z(s, a) of the logits z at the first action of each row, 0 where it
            has none.
        """
        states = self.states(input_ids, action_mask, attention_mask, packing)
        targets = input_ids[action_mask]
        reference_states = None
        if reference is not None:
            with torch.no_grad():
                reference_states = reference.states(input_ids, action_mask, attention_mask, packing)
        scores = self._scores(states, targets, reference, reference_states, kl)
        log_prob, reference_log_prob, divergence = (
            score.new_zeros(action_mask.shape).masked_scatter(action_mask, score) for score in scores
        )
        if not normalizer:
            return log_prob, reference_log_prob, divergence
        rows = action_mask.any(1)
        firsts = action_mask.sum(1).cumsum(0)[rows] - action_mask.sum(1)[rows]
        first = self.logits(states[firsts]).logsumexp(-1)
        return log_prob, reference_log_prob, divergence, first.new_zeros(len(rows)).masked_scatter(rows, first)

    def plain_layer(self) -> Layer | None:
        """The output layer, if logits are states times its weight and nothing more."""
        if not self.gathers or any(_scalings(self.model)):
            return None
        return plain_layer(self.model.get_output_embeddings())

    def _scores(
        self, states: Tensor, targets: Tensor, reference: Policy | None, others: Tensor | None, kl: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[N] each: by oreo.models.scoring where output layers are plain products, else by running them."""
        layer = self.plain_layer()
        if layer is not None and (reference is None or others is None):
            return score(states, layer, targets)
        if layer is not None and reference is not None and others is not None:
            other = reference.plain_layer()
            if other is not None:
                return score(states, layer, targets, (others, other), kl=kl)
        return self._scores_by_module(states, targets, reference, others, kl)

    def _scores_by_module(
        self, states: Tensor, targets: Tensor, reference: Policy | None, others: Tensor | None, kl: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for any output layer, by autograd: all that a chunk needs is computed again in the backward pass."""

        def chunk(states: Tensor, targets: Tensor, others: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
            log_probs = self.logits(states).log_softmax(-1)
            chosen = log_probs.gather(-1, targets[:, None])[:, 0]
            if reference is None or others is None:
                return chosen, torch.zeros_like(chosen), torch.zeros_like(chosen)
            with torch.no_grad():
                theirs = reference.logits(others).log_softmax(-1)
            divergence = (log_probs.exp() * (log_probs - theirs)).sum(-1) if kl else torch.zeros_like(chosen)
            return chosen, theirs.gather(-1, targets[:, None])[:, 0], divergence

        rows = chunk_rows(_vocabulary(self.model), states.device)
        if len(states) <= rows:
            return chunk(states, targets, others)
        scores = []
        for part in chunks(len(states), rows):
            theirs = None if others is None else others[part]
            scores.append(checkpoint(chunk, states[part], targets[part], theirs, use_reentrant=False))
        log_prob, reference_log_prob, divergence = (torch.cat(column) for column in zip(*scores, strict=True))
        return log_prob, reference_log_prob, divergence


class Value(nn.Module):
    """V(s_t) at action tokens from a value model. A module for the same reason as `Policy`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        *,
        packing: Packing | None = None,
    ) -> Tensor:
        """[B, T] float32: at an action token the value of the state before it, zero elsewhere. Args as `Policy`."""
        values = self.model(**_inputs(self.model, input_ids, attention_mask, packing)).logits[..., 0].float()
        if packing is not None:
            values = values[0, packing.place]
        before = torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)
        return torch.where(action_mask, before, 0.0)


def _inputs(model: Any, input_ids: Tensor, attention_mask: Tensor | None, packing: Packing | None) -> dict[str, Any]:
    if packing is not None:
        return packing.inputs(model)
    inputs: dict[str, Any] = {"input_ids": input_ids, "use_cache": False}
    if attention_mask is not None:
        inputs["attention_mask"] = attention_mask
        if "position_ids" in inspect.signature(model.forward).parameters:
            inputs["position_ids"] = (attention_mask.long().cumsum(1) - 1).clamp(min=0)
    return inputs


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def _scalings(model: Any) -> tuple[float | None, float | None, float | None]:
    """What some architectures put behind the output layer: a factor, a divisor, a cap."""
    config = model.config.get_text_config()
    return (
        getattr(config, "logit_scale", None),  # Cohere
        getattr(config, "logits_scaling", None),  # Granite
        getattr(config, "final_logit_softcapping", None),  # Gemma 2 and 3
    )


def _project(model: Any, hidden: Tensor) -> Tensor:
    """Logits of hidden states: the output layer and the scalings behind it."""
    logits: Tensor = model.get_output_embeddings()(hidden)
    factor, divisor, cap = _scalings(model)
    if factor:
        logits = logits * factor
    if divisor:
        logits = logits / divisor
    if cap:
        logits = torch.tanh(logits / cap) * cap
    return logits


def _body_and_head_are_all(model: Any) -> bool:
    """Try on a few tokens whether body, output layer and known scalings give the model's own logits."""
    ids = torch.arange(2, 8, device=device_of(model))[None] % _vocabulary(model)
    try:
        with torch.no_grad():
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            ours, theirs = _project(model, hidden).float(), model(input_ids=ids, use_cache=False).logits.float()
        same = bool(torch.allclose(ours, theirs, rtol=1e-2 if model.dtype != torch.float32 else 1e-4, atol=1e-3))
    except (AttributeError, TypeError, RuntimeError):
        same = False
    if not same:
        warnings.warn(
            f"{type(model).__name__} makes its logits in a way of its own: all of them are computed, at a cost",
            stacklevel=3,
        )
    return same
