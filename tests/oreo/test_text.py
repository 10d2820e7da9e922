"""Text of others, as it may be printed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.text import clean, one_line, short_words, steers

STEERING = "\x1b]0;\x07[31m\x9b\x7f\x00\r\n\t\u2028\u202e\u2066\u200d\ufeff\ud800\ufe0f"
HOSTILE = st.text() | st.text(STEERING + "\u0301abŴ漢🎲")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("go to desk 1", "go to desk 1"),
        ("naïve 漢字 🎲 e\u0301 №", "naïve 漢字 🎲 e\u0301 №"),
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


@pytest.mark.parametrize(
    ("sequence", "shown"),
    [
        ("\x1b[33mWARN: old\x1b[0m", "WARN: old"),
        ("\x1b[38;2;1;2;3mred\x1b[m \x1b[?25l\x1b[2J\x1b[1;1Hx\x1b[!p", "red x"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x9d0;title\x9ca\x90q\x9cb\x98s\x9cc\x9ep\x9cd\x9fa\x9ce", "abcde"),
        ("\x1bP1$tx\x1b\\a\x1b_app\x1b\\b\x1b^pm\x07c\x1bXsos\x9cd", "abcd"),
        ("\x1bcreset\x1b7\x1b(Bx\x1b#8y\x1bMz", "resetxyz"),
        # What does not end steers nothing, and hides nothing.
        ("\x1b]0;the rest is\nto be seen", "\ufffd]0;the rest is\nto be seen"),
        ("\x1b\n", "\ufffd\n"),
        ("\x1b[3\n3m", "\ufffd[3\n3m"),
    ],
)
def test_a_terminals_commands_go_as_a_whole(sequence: str, shown: str) -> None:
    assert clean(sequence) == shown
    assert clean(f"before {sequence} after") == f"before {shown} after"


def test_words_longer_than_paths_lose_their_middle_and_others_stay() -> None:
    path = "/".join(["folder"] * 30)
    assert short_words(f"cannot open {path}: too long") == f"cannot open {path}: too long"
    assert (
        short_words("cannot open " + "a" * 300 + "z: too long") == f"cannot open {'a' * 60}…{'a' * 58}z:" + " too long"
    )
