"""Nothing that is read is run: who may call what, and what becomes of a stranger's text (SECURITY.md)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helpers.code_runners import runners

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("oreo", "agents", "envs", "eval")
ALLOWED = {
    "oreo/__init__.py": {"importlib.import_module"},  # our own modules, by name
    "oreo/gymnasium_hook.py": {"importlib.import_module"},
    "envs/__init__.py": {"importlib.import_module"},
    "envs/checking/checks.py": {"pickle.loads"},  # of what it has pickled itself, a line before
    "agents/registry.py": {"importlib.import_module"},
    "agents/server.py": {"importlib.import_module"},  # the client of the openai package, by its name
    "oreo/training/methods/registry.py": {"importlib.import_module"},
    "oreo/plugins.py": {  # what the user names
        *("importlib.import_module", "importlib.util.spec_from_file_location", "importlib.util.module_from_spec"),
        *("importlib.invalidate_caches", "importlib.__file__"),
    },
    # Parts of the installed alfworld, by names that stand in the code.
    "envs/alfworld/package_data.py": {"importlib.util.spec_from_file_location", "importlib.util.module_from_spec"},
    "envs/alfworld/experts/handcoded.py": {"importlib.import_module"},
    "envs/math/reasoning.py": {"pickle.loads"},  # what this process has given to its own child
    # Our own modules in processes of their own, and the pipes of workers.
    "envs/killable.py": {"subprocess.Popen"},
    "envs/alfworld/engines/textworld_engine.py": {"subprocess.Popen"},
    "envs/checking/other_process.py": {"subprocess.Popen"},
    "eval/terminal/live/link.py": {"asyncio.create_subprocess_exec"},
    "envs/textworld.py": {"subprocess.run"},  # tw-make of the installed package, without a shell
    "oreo/rollouts/processes.py": {"multiprocessing.connection.Connection", "multiprocessing.connection.wait"},
    "oreo/__main__.py": {"ctypes.pythonapi", "ctypes.pythonapi.PyRun_SimpleString"},  # with an empty text
    "oreo/cli/streams.py": {"getattr(sys, …)"},  # stdin, stdout, stderr
}
"""Who may all the same, and what for. What is no more used has to go from here."""


def test_no_module_can_run_text_or_unpickle_but_those_that_are_to_and_by_what_they_are_to() -> None:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    found = {str(file.relative_to(ROOT)): runners(file.read_text(encoding="utf-8")) for file in files}
    assert {file: names for file, names in found.items() if names} == ALLOWED


@pytest.mark.parametrize(
    "planted",
    [
        "eval(text)",
        "list(map(eval, lines))",
        "run = exec\nrun(text)",
        "value = (lambda f: f(text))(compile)",
        "import builtins\nbuiltins.eval(text)",
        "import builtins\ngetattr(builtins, 'ev' + 'al')(text)",
        "getattr(__builtins__, name)(text)",
        "globals()['__builtins__']['eval'](text)",
        "__import__(name)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as load\nload(name)",
        "import importlib as tools\nload = tools.import_module\nload(name)",
        "import importlib\ngetattr(importlib, 'import_module')(name)",
        "import importlib\ngetattr(importlib, kind)(name)",
        "import importlib.util\nimportlib.util.spec_from_file_location('x', path)",
        "import runpy\nrunpy.run_path(path)",
        "from pickle import loads\nloads(data)",
        "from pickle import loads as read\nread(data)",
        "import pickle as p\np.Unpickler(file).load()",
        "def f():\n    from dill import load\n    return load(file)",
        "import marshal\nmarshal.loads(data)",
        "import shelve\nshelve.open(path)",
        "import torch\ntorch.load(path)",
        "import torch\nread = torch.load\nread(path)",
        "import torch as t\nt.load(path, weights_only=True)",
        "from torch import load\nload(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, None, True)",
        "from numpy import load\nload(path, **{'allow_pickle': True})",
        "import pandas\npandas.read_pickle(path)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "import jinja2\njinja2.Template(text).render()",
        "from jinja2 import Environment\nEnvironment().from_string(text)",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "from subprocess import check_output\ncheck_output([program])",
        "import os\nos.system(line)",
        "from os import popen\npopen(line)",
        "import os\nos.execvp(program, [])",
        "import os\ngetattr(os, 'system')(line)",
        "import os\ngetattr(os, what)(line)",
        "start(line, shell=on)",
        "from datasets import load_dataset\nload_dataset(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=not known)",
        "AutoModel.from_pretrained(name, **{'trust_remote_code': True})",
        "from sympy import sympify\nsympify(answer)",
        "import sympy\nsympy.parsing.sympy_parser.parse_expr(answer)",
        "import ctypes\nctypes.CDLL(path)",
        "from operator import attrgetter\nattrgetter('__globals__')(function)",
    ],
)
def test_what_could_run_text_is_found_however_it_is_written(planted: str) -> None:
    assert runners(f"import json\n\n{planted}\n")


@pytest.mark.parametrize(
    "harmless",
    [
        "import re\nre.compile(pattern)",
        "model.eval()",
        "code = frame.f_code\ncode.co_filename",
        "import yaml\nyaml.safe_load(text)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "load_policy(name, trust_remote_code=config.trust_remote_code)",
        "getattr(step, name)",
        "from importlib.metadata import version\nversion('oreo')",
    ],
)
def test_what_only_looks_like_it_is_not(harmless: str) -> None:
    assert not runners(harmless)


def test_every_package_is_scanned() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(FOLDERS)


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
