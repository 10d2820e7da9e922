"""What a tokenizer is recognised by: token ids that are stored mean something with the same one alone."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def token_digest(tokenizer: Any) -> str:
    """First 16 hex digits of a SHA-256 over all that makes tokens of text: rules, vocabulary, added tokens.

    What is set from outside and changes no id (padding, truncation, a chat template) is left out.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        content = json.loads(backend.to_str())
        content = {name: part for name, part in content.items() if name not in ("padding", "truncation")}
    else:  # a tokenizer written in Python
        content = {"class": type(tokenizer).__name__, "vocabulary": sorted(tokenizer.get_vocab().items())}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
