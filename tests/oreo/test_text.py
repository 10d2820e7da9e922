"""Text of others, as it may be printed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.text import clean, one_line, steers

STEERING = "\x1b]0;\x07[31m\x9b\x7f\x00\r\n\t\u2028\u202e\u2066\u200d\ufeff\ud800\ufe0f"
HOSTILE = st.text() | st.text(STEERING + "\u0301abŴ漢🎲")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("go to desk 1", "go to desk 1"),
        ("naïve 漢字 🎲 e\u0301 №", "naïve 漢字 🎲 e\u0301 №"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("\x9b2J", "�2J"),
        ("a\x7fb\x00c", "a�b�c"),
        ("one\r\ntwo\rthree\tfour\x85five", "one\ntwo three four five"),
        ("user\u202egnp.exe\u2069", "usergnp.exe"),
        ("one\u2028two", "one two"),
        ("👨\u200d👩\u200d👧 ⚠\ufe0f", "👨👩👧 ⚠"),
        ("caf\udce9", "caf�"),
        ("\U000e0041tag", "tag"),
        ("e" + "\u0301\u200d" * 1000 + "x", "e" + "\u0301" * 30 + "x"),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(HOSTILE)
def test_nothing_but_the_newline_is_left_of_what_steers_a_terminal(text: str) -> None:
    kept = clean(text)
    assert not any(steers(character) for character in kept.replace("\n", ""))
    assert not any(unicodedata.category(character)[0] == "C" for character in kept.replace("\n", ""))
    assert clean(kept) == kept
    assert len(one_line(text).splitlines()) <= 1
    kept.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S"], max_codepoint=0x2FFF)))
def test_letters_digits_and_signs_stay(text: str) -> None:
    assert clean(text) == text
