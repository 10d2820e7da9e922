"""A game in another process: its answers, its errors, its death, its deadline, and what becomes of the process."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.errors import EngineError, MissingExtra, UsageError

INSTALL = "pip install something"


class Echo:
    def say(self, text: str) -> dict[str, Any]:
        print("printed", text)
        return {"text": text, "pid": os.getpid()}

    def refuse(self) -> dict[str, Any]:
        raise UsageError("no such game")

    def fail(self) -> dict[str, Any]:
        raise KeyError("room")

    def die(self) -> dict[str, Any]:
        os._exit(3)

    def hang(self) -> dict[str, Any]:
        time.sleep(60)
        return {}


def main() -> None:
    serve_game(lambda: None, Echo)


def lacking() -> None:
    def prepare() -> None:
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401

    serve_game(prepare, Echo)


def game(function: str = "main", timeout: float = 20.0, monkeypatch: pytest.MonkeyPatch | None = None) -> ForeignGame:
    return ForeignGame("Echo", f"test_foreign:{function}", INSTALL, timeout)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_it_answers_from_a_process_of_its_own_which_goes_on() -> None:
    echo = game()
    first, second = echo.ask("say", text="é\n漢"), echo.ask("say", text="two")
    assert first["text"] == "é\n漢" and first["pid"] == second["pid"] != os.getpid()
    echo.close()
    assert echo.ask("say", text="three")["pid"] != first["pid"]
    echo.close()


@pytest.mark.parametrize(
    ("do", "kind", "message"),
    [
        ("refuse", UsageError, "^no such game$"),
        ("fail", EngineError, "Echo failed .fail.: KeyError: 'room'"),
        ("die", EngineError, "the process of Echo ended while it was asked to die"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_next_question_is_answered(
    do: str, kind: type[Exception], message: str
) -> None:
    echo = game()
    with pytest.raises(kind, match=message):
        echo.ask(do)
    assert echo.ask("say", text="on")["text"] == "on"
    echo.close()


def test_a_late_answer_ends_the_process() -> None:
    echo = game(timeout=0.3)
    with pytest.raises(EngineError, match="did not answer for 0.3 s"):
        echo.ask("hang")


def test_a_missing_package_says_what_to_type() -> None:
    with pytest.raises(MissingExtra, match=f"no_such_package.*{INSTALL}"):
        game("lacking").ask("say", text="x")


def test_a_copy_has_a_process_of_its_own() -> None:
    echo = game()
    copied = pickle.loads(pickle.dumps(echo))
    assert copied.ask("say", text="x")["pid"] != echo.ask("say", text="x")["pid"]
    echo.close()
    copied.close()
