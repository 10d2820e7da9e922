"""Drawing tokens: temperature, nucleus, inverse cumulative distribution. N distributions, V tokens, m draws each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def draw(
    logits: Tensor, uniform: np.ndarray, *, temperature: float = 1.0, top_p: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw m tokens from each of N distributions.

    Each draw is a function of its own logits and its own uniform number, so that what one episode draws does not
    depend on which others share its batch.

    Args:
        logits: [N, V].
        uniform: [N, m] in [0, 1).
        temperature: divides the logits; 0 takes the likeliest token.
        top_p: draw from the smallest set of likeliest tokens that holds at least this much probability.

    Returns:
        tokens [N, m] int64 and their log-probabilities [N, m] under the distribution drawn from (at temperature 0:
        under the model's own).
    """
    logits = logits.float()
    if temperature == 0:
        log_probs = logits.log_softmax(-1)
        token = log_probs.argmax(-1, keepdim=True).expand(-1, uniform.shape[1])
    else:
        log_probs = (logits / temperature).log_softmax(-1)
        if top_p < 1:
            log_probs = _nucleus(log_probs, top_p)
        cumulative = log_probs.exp().cumsum(-1)
        # Below 1 in float32 too, where the largest uniform would round up and point behind the last token.
        height = torch.from_numpy(np.minimum(uniform, 1 - 2.0**-24).astype(np.float32)).to(logits.device)
        token = torch.searchsorted(cumulative, height * cumulative[:, -1:], right=True)
        token = token.clamp_(max=logits.shape[-1] - 1)
    return token.cpu().numpy(), log_probs.gather(-1, token).cpu().numpy().astype(np.float64)


def _nucleus(log_probs: Tensor, top_p: float) -> Tensor:
    """[N, V] renormalised over the likeliest tokens that hold `top_p` together, -inf elsewhere."""
    ordered, index = log_probs.sort(-1, descending=True)
    probs = ordered.exp()
    # What stands before a token decides: the one that crosses top_p is still in.
    ordered = ordered.masked_fill(probs.cumsum(-1) - probs >= top_p, -torch.inf)
    return torch.empty_like(log_probs).scatter_(-1, index, ordered).log_softmax(-1)
