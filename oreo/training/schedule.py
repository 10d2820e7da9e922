"""The learning rate over the updates of a run."""

from __future__ import annotations

import math


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at update `step` (from 0) of `steps`: linear warm-up, then a cosine to zero."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
