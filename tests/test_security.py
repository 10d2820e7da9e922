"""Nothing that is read is run: who may call what, and what becomes of a stranger's text (SECURITY.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("oreo", "agents", "envs", "eval")
RUNS_CODE = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path", "code.interact"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "torch.load", "joblib.load"),
    *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "jinja2.Template", "jinja2.Environment"),
    *("import_module", "importlib.import_module", "importlib.util.spec_from_file_location"),
}
"""Calls that run what they are given, or make objects of it."""
ALLOWED = {
    "oreo/__init__.py": {"importlib.import_module"},  # our own modules, by name
    "oreo/gymnasium_hook.py": {"importlib.import_module"},
    "envs/__init__.py": {"importlib.import_module"},
    "envs/checking/checks.py": {"pickle.loads"},  # of what it has pickled itself, a line before
    "agents/registry.py": {"import_module"},
    "agents/server.py": {"import_module"},  # the client of the openai package, by its name
    "oreo/training/methods/registry.py": {"importlib.import_module"},
    "oreo/plugins.py": {"importlib.import_module", "importlib.util.spec_from_file_location"},  # what the user names
    # Parts of the installed alfworld, by names that stand in the code.
    "envs/alfworld/package_data.py": {"importlib.util.spec_from_file_location"},
    "envs/alfworld/experts/handcoded.py": {"importlib.import_module"},
    "envs/math/reasoning.py": {"pickle.loads"},  # what this process has given to its own child
}
"""Who may all the same, and what for."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_module_runs_text_or_unpickles_but_the_one_that_loads_what_the_user_names() -> None:
    found = {
        (file, ast.unparse(call.func))
        for file, tree in sources()
        for call in calls(tree)
        if ast.unparse(call.func) in RUNS_CODE - ALLOWED.get(file, set())
    }
    assert not found


def test_no_call_asks_for_a_shell_remote_code_or_pickled_arrays() -> None:
    found = {
        (file, ast.unparse(call.func), keyword.arg)
        for file, tree in sources()
        for call in calls(tree)
        for keyword in call.keywords
        if keyword.arg in ("shell", "trust_remote_code", "allow_pickle")
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value
    }
    assert not found


def test_every_package_is_scanned() -> None:
    scanned = {file.split("/")[0] for file, _ in sources()}
    assert scanned == set(FOLDERS)


MARK = "os.mkdir('PWNED')"
WATCHED = f"""
import sys

MARK = {MARK!r}

def hook(event, arguments):
    if event == "compile" and arguments[0] is not None and MARK in str(arguments[0]):
        raise SystemExit("text of a file was compiled")
    if event == "os.mkdir" and "PWNED" in str(arguments[0]):
        raise SystemExit("text of a file was run")

sys.addaudithook(hook)
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = WATCHED + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)


def test_the_watch_itself_sees_what_it_is_to_see(tmp_path: Path) -> None:
    assert "was compiled" in run("eval(MARK)", tmp_path).stderr
    assert "was run" in run("import os; os.mkdir('PWNED')", tmp_path).stderr


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            """
            import json
            from pathlib import Path
            import oreo
            Path("test.jsonl").write_text(json.dumps({"question": "{" + MARK + "}", "answer": MARK}) + "\\n")
            env = oreo.make("oreo/Math-v0", source="jsonl:test.jsonl")
            env.reset(seed=0)
            env.step(f"<<{MARK}=>> \\\\boxed{{{MARK}}}")
            """,
            id="a maths data set, its calculator and its grader",
        ),
        pytest.param(
            """
            import oreo
            step = oreo.Step(MARK, MARK, reward=1.0, turn=f"Thought: {MARK}\\nAction: {MARK}")
            episode = oreo.Trajectory(MARK, (step,), MARK, True, False, True, task=MARK, env_kwargs={"x": MARK}, seed=1)
            with oreo.TrajectoryBuffer("buffer") as buffer:
                buffer.append(episode)
            buffer = oreo.TrajectoryBuffer("buffer")
            assert buffer[0].task == MARK and buffer.info()
            """,
            id="a buffer",
        ),
        pytest.param(
            """
            import oreo
            for words in (f"x.py:{MARK}", MARK, f"served:{MARK}"):
                try:
                    oreo.make(words)
                except oreo.OreoError:
                    pass
            """,
            id="the name of an environment",
        ),
        pytest.param(
            """
            from dataclasses import replace
            from oreo.envs.alfworld.engines.simulator import Simulator
            from oreo.envs.alfworld.generation.generator import generate_game
            from oreo.errors import DataError
            game = generate_game(3, max_receptacles=4, max_objects=4)
            for field in ("grammar", "pddl_domain", "pddl_problem"):
                text = getattr(game, field)
                for place in (0, len(text) // 2, text.find("ALFRED"), text.rfind("{")):
                    hostile = text[:place] + "{" + MARK + "}" + text[place:]
                    try:
                        simulator = Simulator()
                        simulator.reset(replace(game, **{field: hostile}))
                        simulator.step("look")
                    except DataError:
                        pass
            """,
            id="a game on the simulator",
        ),
    ],
)
def test_text_of_a_stranger_is_never_compiled(code: str, tmp_path: Path) -> None:
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "PWNED").exists()
