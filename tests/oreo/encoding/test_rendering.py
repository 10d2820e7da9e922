"""A template is somebody else's program: it ends in time, does nothing but write, and knows one date."""

from __future__ import annotations

import gc
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
        "{{ lipsum(n=999999999) }}",
        "{{ [1] | slice(9999999999) | list }}",  # a constant, which the compiler would work out
    ],
)
def test_a_template_without_end_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_SECONDS", 0.3)
    before = sys.gettrace()
    with pytest.raises(DataError, match=r"cannot render user and user turns: it takes more than 0\.3 s"):
        rendered(of(template), MESSAGES)
    assert sys.gettrace() is before


def test_the_time_ends_also_where_a_garbage_collection_passes_over_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries such as hypothesis have functions called at each collection, in which the time may run out."""
    monkeypatch.setattr(rendering, "_SECONDS", 0.3)
    waits = iter([0.4])

    def callback(phase: str, information: dict[str, int]) -> None:
        time.sleep(next(waits, 0.0))

    gc.callbacks.append(callback)
    try:
        with pytest.raises(DataError, match=r"it takes more than 0\.3 s"):
            rendered(of("{{ [1] | slice(9999999999) | list }}"), MESSAGES)
        assert gc.isenabled()
    finally:
        gc.callbacks.remove(callback)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux")
@pytest.mark.parametrize(
    "template",
    [
        "{{ messages | tojson(indent=10**9) }}",
        "{{ 'x' * 10**10 }}",
        "{{ 'x' | center(9999999999) }}",
        "{{ 'x' | indent(9999999999, true) }}",
        "{{ 'x'.ljust(99999999999) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '{:9999999999}'.format(1) }}",
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ],
)
def test_a_text_of_gigabytes_is_refused_before_it_is_there(template: str) -> None:
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_AS), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="cannot render user and user turns: it takes more than 128 MB"):
        rendered(of(template), MESSAGES)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most + (200 << 10)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 10**(10**9) }}",
        "{{ 1 if 3**99999999 > 2 }}",
        "{% set ns = namespace(x=3) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ ('f' * 9999999) | int(base=16) // 3 }}",
        "{{ 2 | round(precision=-999999999) }}",
        "{{ 2.5 | round(999999999, 'ceil') }}",
    ],
)
def test_numbers_that_take_hours_to_compute_with_are_refused(template: str) -> None:
    with pytest.raises(DataError, match="it computes with numbers that are too large"):
        rendered(of(template), MESSAGES)


def test_a_template_may_count_and_format() -> None:
    template = (
        "{{ 7 % 2 }} {{ 3 * 4 }} {{ 'a' + 'b' }} {{ 2**10 }} {{ 2.567 | round(2) }} {{ '-' * 3 }} {{ 9 // 2 - 1 }}"
    )
    assert rendered(of(template), MESSAGES) == "1 12 ab 1024 2.57 --- 3"


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
