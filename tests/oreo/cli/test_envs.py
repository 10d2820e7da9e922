"""`oreo envs`: what there is, what one is, whether it is sound, and a new one that is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oreo.envs.registry import ADAPTERS, BUILT_IN

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


def test_the_list_names_every_environment_and_adapter(oreo: Any) -> None:
    for words in (["envs"], ["envs", "list"]):
        code, out, error = oreo(*words, "--json")
        assert code == 0, error
        listed = json.loads(out)
        assert {*BUILT_IN, *(f"{prefix}:NAME" for prefix in ADAPTERS)} <= set(listed)
        assert listed["textworld:NAME"]["arguments"]["count"] == 10


def test_info_says_what_an_environment_is(oreo: Any) -> None:
    code, out, error = oreo("envs", "info", "alfworld", "--split", "generated", "--json")
    assert code == 0, error
    told = json.loads(out)
    assert told["max steps"] == 50 and "generated_unseen" in told["splits"] and told["expert"] == "yes"
    assert told["snapshots"] == "yes" and told["begins with"] and "admissible_commands" in told["info"]
    code, out, _ = oreo("envs", "info", GUESS, "--max-steps", 7, "--json")
    assert json.loads(out)["max steps"] == 7 and json.loads(out)["snapshots"] == "no"
    code, out, _ = oreo("envs", "info", "gymnasium:Blackjack-v1", "--json")
    assert json.loads(out)["expert"] == "no", "the adapter has one, of other environments"


def test_a_sound_environment_exits_with_0_and_a_line_to_quote(oreo: Any) -> None:
    code, out, error = oreo("envs", "check", GUESS)
    assert code == 0, error
    assert out.splitlines()[-1].startswith(f"{GUESS}: nothing found; ") and "gymnasium" in out.splitlines()[-1]


def test_findings_exit_with_1_and_say_what_where_and_how_to_mend_it(oreo: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "from oreo.envs import TextEnv\n"
        "class Bad(TextEnv):\n"
        "    max_steps = 3\n"
        "    def start(self, rng):\n"
        "        print('hello')\n"
        "        return 'begin'\n"
        "    def act(self, text):\n"
        "        return 'on', 0.0, False\n"
    )
    code, out, _ = oreo("envs", "check", f"{file}:Bad", "--json")
    told = json.loads(out)
    assert code == 1 and not told["passed"]
    (finding,) = told["findings"]
    assert finding["check"] == "output" and finding["steps"] == ["reset(seed=0)"]
    code, out, _ = oreo("envs", "check", f"{file}:Bad")
    assert code == 1 and "to mend it: print nothing" in out


def test_what_is_not_there_is_wrong_usage(oreo: Any) -> None:
    for words in (["check", "nowhere.py:World"], ["info", "no/Such-v0"], ["new", "1st"], ["new", "class"]):
        code, out, error = oreo("envs", *words)
        assert code == 2 and out == "" and len(error.strip().splitlines()) == 1, error


@pytest.mark.parametrize(
    ("name", "module", "class_name"), [("shop", "shop", "Shop"), ("CardGame", "card_game", "CardGame")]
)
def test_a_new_environment_is_sound_and_its_own_test_passes(
    oreo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, class_name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, error = oreo("envs", "new", name, "--json")
    assert code == 0, error
    spec = f"{module}/{module}.py:{class_name}"
    assert json.loads(out)["check it"] == f"oreo envs check {spec}"
    code, out, _ = oreo("eval", "--env", spec, "--agent", "expert", "--episodes", 5, "--json")
    assert json.loads(out)["success"] == 1
    if name == "shop":
        test = subprocess.run([sys.executable, "-m", "pytest", "-q", module], capture_output=True, text=True)
        assert test.returncode == 0 and "passed" in test.stdout, test.stdout
    code, _, error = oreo("envs", "new", name)
    assert code == 2 and "is there already; nothing was written" in error


def test_a_new_one_hides_no_module_that_is_there_and_its_commands_can_be_typed(
    oreo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("json", "numpy", "oreo"):  # a file of that name would be imported in its place
        code, _, error = oreo("envs", "new", name)
        assert code == 2 and f"there is a module {name} already" in error
    assert oreo("envs", "new", "_shop")[0] == 2  # no name of a package
    code, out, _ = oreo("envs", "new", "shop", "--folder", "my worlds", "--json")
    assert code == 0 and json.loads(out)["check it"] == "oreo envs check 'my worlds/shop.py:Shop'"
    assert oreo("envs", "new", "shop")[0] == 0  # the one in the present folder is no hindrance


def test_every_environment_is_listed_with_its_short_name_its_class_and_its_arguments(oreo: Any) -> None:
    code, out, _ = oreo("envs", "--json")
    listed = json.loads(out)
    assert code == 0 and set(listed) >= set(BUILT_IN)
    for name, built_in in BUILT_IN.items():
        described = listed[name]
        assert (described["short name"], described["class"]) == (built_in.short_name, built_in.env_class)
        assert described["about"] and "render_mode" not in described["arguments"]
    assert "split" in listed["oreo/ALFWorld-v0"]["arguments"]
    shown = oreo("envs")[1]
    assert all(name in shown for name in listed)
