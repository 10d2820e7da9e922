"""Loading the user's own parts: what may be named, what is importable, and what is said where loading fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from oreo.errors import UsageError
from oreo.plugins import load_object


@pytest.fixture(autouse=True)
def path_and_modules_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def error_of(spec: Any) -> str:
    with pytest.raises(UsageError) as caught:
        load_object(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_gives_what_it_names_and_stays_the_same_until_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path, "own.py", "class Own:\n    class Inner: pass\ndef function(): return 1\n")
    own = load_object(f"{path}:Own")
    assert load_object(f"{path}:Own") is own and load_object(f"{path}:Own.Inner") is own.Inner
    assert load_object(f"{path}:function")() == 1
    written(tmp_path, "own.py", "class Own: changed = True\n")
    assert load_object(f"{path}:Own").changed


def test_what_stands_beside_a_file_is_importable_even_later_and_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "parts", "plugin_helper.py", "VALUE = 3\n")
    written(tmp_path / "parts", "plugin_later.py", "VALUE = 4\n")
    late_import = "    import plugin_later\n    return plugin_helper.VALUE + plugin_later.VALUE\n"
    written(tmp_path / "parts", "own.py", f"import plugin_helper\ndef late():\n{late_import}")
    monkeypatch.chdir(tmp_path)
    late = load_object("parts/own.py:late")
    monkeypatch.chdir("/")
    assert late() == 7


def test_each_files_helpers_are_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / name, "plugin_namesake.py", f"NAME = {name!r}\n")
        written(tmp_path / name, "own.py", "from plugin_namesake import NAME\n")
    assert [load_object(f"{tmp_path / name}/own.py:NAME") for name in "ab"] == ["a", "b"]


def test_a_file_named_like_a_package_stands_in_for_it_to_nobody_else(tmp_path: Path) -> None:
    written(tmp_path, "colorsys.py", "MINE = True\n")
    sys.modules.pop("colorsys", None)
    load_object(f"{written(tmp_path, 'own.py', 'class Own: pass')}:Own")
    import colorsys

    assert hasattr(colorsys, "hsv_to_rgb")


def test_a_module_is_found_in_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "plugin_present.py", "class Own: pass\n")
    monkeypatch.chdir(tmp_path)
    assert load_object("plugin_present:Own").__name__ == "Own"
    assert load_object("os.path:join") is os.path.join


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Own(\n", ["SyntaxError", "line 1"]),
        ("x = 1\nif x:\nprint(x)\n", ["IndentationError", "line 3"]),
        ("import no_such_package_at_all\n", ["imports 'no_such_package_at_all'", "line 1"]),
        ("\n1 / 0\n", ["ZeroDivisionError", "line 2"]),
        ("raise ValueError('two\\nlines')\n", ["ValueError: two lines", "line 1"]),
        ("import sys\nsys.exit(3)\n", ["__main__", "line 2"]),
        ("x = '\0'\n", ["null"]),
        ("class Other: pass\n", ["there is no 'Own'", "Other"]),
        ("class Owm: pass\nimport os\n", ["did you mean 'Owm'"]),
        ("", ["nothing in it"]),
    ],
)
def test_a_file_that_does_not_load_is_told_in_one_line(tmp_path: Path, text: str, says: list[str]) -> None:
    path = written(tmp_path, "own.py", text)
    message = error_of(f"{path}:Own")
    assert str(path) in message
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere/own.py:Own", "no such file"),
        ("a\0b.py:Own", "no such file"),
        ("x" * 5000 + ".py:Own", "no such file"),
        ("{folder}:Own", "expected a Python file"),
        ("no_such_module_at_all:Own", "no module 'no_such_module_at_all'"),
        ("os.no_such:Own", "no module 'os.no_such'"),
        (".relative:Own", "cannot be imported"),
        ("os:wakl", "did you mean 'walk'"),
        ("os.path:join.none", "there is no"),
        ("", "names nothing"),
        (":", "names nothing"),
        ("os", "names nothing"),
        ("os:", "names nothing"),
        ("own.py", "names nothing"),
        (3, "expected a text"),
        (None, "expected a text"),
    ],
)
def test_a_name_that_names_nothing_is_told_in_one_line(tmp_path: Path, spec: Any, says: str) -> None:
    (tmp_path / "folder.py").mkdir()
    assert says in error_of(spec.format(folder=tmp_path / "folder.py") if isinstance(spec, str) else spec)


def test_a_file_that_is_no_utf8_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_bytes(b"name = '\xff'\n")
    assert "own.py" in error_of(f"{tmp_path}/own.py:Own")
