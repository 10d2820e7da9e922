"""Activation checkpointing: keep the inputs of each transformer block alone, compute the rest again for the backward.

It is transformers' own, switched on so that nothing but memory and time changes. Where blocks hold several LoRA
adapters, `again` says how to find the one that a forward pass went through (oreo.models.lora).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from oreo.errors import UsageError

Contexts = Callable[[], tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]]
"""Asked at each forward pass of a block: a context for it, and one for when it is computed again."""


def checkpoint_activations(model: Any, again: Contexts | None = None) -> None:
    """Let the blocks of a model of transformers forget what they compute in forward passes that have a gradient.

    Call it before the model is spread over processes. The model stays in eval mode, but for the modules that ask for
    training mode before they forget anything; what is in them, such as a router's noise, is left as it was.

    Raises:
        UsageError: a model that transformers cannot do it for.
    """
    # Without dropout there is no random state to go back to.
    how: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    if again is not None:
        how["context_fn"] = again
    # Versions of transformers differ in the name.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    try:
        enable(how)
    except ValueError as error:
        raise _unsupported(model) from error
    blocks = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
    # Models with code of their own may know no such function, and then do it in a way that ignores `how`.
    if not blocks or not all(hasattr(module, "_gradient_checkpointing_func") for module in blocks):
        raise _unsupported(model)
    for module in blocks:
        module.training = True
    # Only the other kind of checkpoint needs inputs with a gradient; in front of frozen blocks it would cost a pass.
    with contextlib.suppress(AttributeError):  # there are none
        model.disable_input_require_grads()


def _unsupported(model: Any) -> UsageError:
    return UsageError(
        f"checkpoint_activations: transformers cannot do it for a {type(model).__name__}; leave it out, and set "
        "micro_tokens lower"
    )
