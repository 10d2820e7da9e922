"""A template is somebody else's program: it ends in time, does nothing but write, and knows one date."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from oreo.encoding import rendering
from oreo.encoding.rendering import rendered
from oreo.errors import DataError

from .templates import tokenizer

MESSAGES = [{"role": "user", "content": "A room."}]


def of(template: str) -> PreTrainedTokenizerFast:
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, eos_token="<eos>")
    made.chat_template = template
    return made


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ range(99999) | join }}{% endfor %}",
        "{% macro again(n) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endmacro %}"
        "{% for a in range(99999) %}{% set x = again(a) %}{% endfor %}",
    ],
)
def test_a_template_without_end_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_SECONDS", 0.3)
    begun, before = time.monotonic(), sys.gettrace()
    with pytest.raises(DataError, match=r"cannot render user and user turns: it takes more than 0\.3 s"):
        rendered(of(template), MESSAGES)
    assert time.monotonic() - begun < 20 and sys.gettrace() is before


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch OWNED') }}",
        "{{ messages.append(1) }}",
    ],
)
def test_a_template_reaches_nothing_outside(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="cannot render"):
        rendered(of(template), MESSAGES)
    assert not list(tmp_path.iterdir())


def test_the_date_is_always_the_same() -> None:
    template = "{{ strftime_now('%d %b %Y') }}: {{ messages[0].content }}"
    assert rendered(of(template), MESSAGES) == "26 Jul 2024: A room."
    from transformers.utils import chat_template_utils

    assert chat_template_utils.datetime is datetime, "and only while a template of ours is rendered"
