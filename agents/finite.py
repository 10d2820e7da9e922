"""Whether what a model gives are numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oreo.errors import DataError


def check_numbers(numbers: np.ndarray | Sequence[float], model: str) -> None:
    """Raises DataError where a model's outputs are not numbers. Chosen by them, any action would look like its own."""
    if not (np.asarray(numbers) < np.inf).all():  # NaN is not; a token that a model never says has -inf
        raise DataError(
            f"the {model} model gives outputs that are not finite numbers: its weights are damaged, or too large for "
            "its dtype; check its files, or load it with dtype=float32"
        )
