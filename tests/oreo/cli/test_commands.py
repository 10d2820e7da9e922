"""The command line as a user meets it: help, exit codes, one-line errors, JSON, Ctrl-C, pipes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from helpers.commands import GUESS
from oreo.cli import main

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = [
    "quickstart",
    "collect",
    "train",
    "eval",
    "iterate",
    "watch",
    "replay",
    "play",
    "browse",
    "envs",
    "agents",
    "check-model",
    "diagnose",
]
COMMANDS += ["recipes", "recipes show", "envs list", "envs info", "envs check", "envs new"]
COMMANDS += [f"buffer {word}" for word in ("filter", "merge", "split", "dedup", "sample", "head", "verify", "import")]
COMMANDS += ["buffer export", "buffer formats"]
COMMANDS += ["buffer info", "buffer check", "buffer translate", "games generate", "games info", "games pack"]


BROKEN = """
from oreo.envs import TextEnv

class Broken(TextEnv):
    count = 0

    def start(self, rng):
        Broken.count += 1
        return "start"

    def act(self, text):
        return ("end", 1.0, True) if Broken.count < 3 else {}["no"]

    def expert_action(self):
        return "go"
"""


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("quickstart", ["--output", "made"]),
        ("collect", ["--env", GUESS, "--episodes", 1, "--into", "made"]),
        ("eval", ["--env", GUESS, "--episodes", 1, "--agent", "random", "--into", "made"]),
        ("iterate", ["--output", "made"]),
    ],
)
def test_what_plays_refuses_a_launcher_in_one_line_of_its_first_process_before_anything_is_written(
    oreo, monkeypatch, command: str, options: list[object]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        code, out, error = oreo(command, *options)
        assert (code, out, error.count("\n")) == (2, "", 1 - int(rank))
        assert rank == "1" or error.startswith(f"oreo: oreo {command} was started in 2 processes")
        assert not Path("made").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(oreo, command: str) -> None:
    code, out, _ = oreo(*command.split(), "--help")
    assert code == 0
    assert oreo(*command.split(), "-h") == (0, out, "")
    assert "Example:" in out and f"oreo {command}" in out.partition("Example:")[2]


def test_all_commands_are_listed_and_tested_here(oreo) -> None:
    code, out, _ = oreo()
    assert code == 0
    listed = set(re.findall(r"^  ([\w-]+)  ", out.partition("Commands:")[2], re.MULTILINE))
    assert listed == {command.split()[0] for command in COMMANDS}
    assert oreo("--help")[1] == out


def test_help_imports_nothing_that_takes_long() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "oreo", "--help"]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "oreo.cli" in imported and "Commands:" in shown.stdout
    assert not imported & {"torch", "transformers", "numpy", "gymnasium", "pyarrow", "pandas", "textworld", "sympy"}


WRONG_USAGE = [
    ["eval"],
    ["eval", "--agent"],
    ["eval", "--agnt", "random"],
    ["eval", "--agent", "random", "--episodes", "0"],
    ["eval", "--agent", "random", "--split", "generatd"],
    ["eval", "--agent", "random", "--engine", "textwrld"],
    ["eval", "--agent", "random", "--env", "oreo/ALFWrld-v0"],
    ["eval", "--agent", "random", "--env", "nowhere.py:Guess"],
    ["eval", "--agent", "random", "--env", GUESS, "--split", "train"],
    ["eval", "--agent", "random", "--env-arg", "max_objects"],
    ["eval", "--agent", "random", "--env-arg", "max_objcts=9"],
    ["eval", "--agent", "tiny", "--best-of", "5", "--temperature", "0"],
    ["eval", "--agent", "random", "--agent-arg", "max_new_tokns=9"],
    ["eval", "--agent", "random", "--best-of", "5"],
    ["collect", "--agent", "random"],
    ["collect", "--into", "b", "--noise", "1.5"],
    ["replay", "nowhere"],
    ["train", "nowhere", "--output", "o"],
    ["recipes", "show", "oreo-alfwrld"],
    ["iterate", "--output", "b", "--split", "train"],
    ["iterate", "--output", "b", "--recipe", "oreo-alfwrld"],
    ["iterate", "--output", "b", "--set", "epoch=1"],
    ["buffer", "info", "nowhere"],
    ["games", "generate", "--output", "g", "--dialect", "puts"],
    ["games", "pack"],
    ["eval", "--agent", "random", "--env-arg", "floor_plans=Kichen"],
    ["eval", "--agent", "random", "--env-arg", "goals=human"],
    ["polish"],
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage_is_one_line_and_exit_code_2(oreo, tmp_path, arguments: list[str]) -> None:
    code, out, error = oreo(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("oreo: ") and error.count("\n") == 1
    assert "foresee" not in error
    assert not (tmp_path / "b").exists() and not (tmp_path / "g").exists()


def test_missing_data_is_one_line_and_exit_code_1(oreo) -> None:
    for arguments in (["eval", "--agent", "random", "--split", "valid_seen"], ["games", "info"]):
        code, out, error = oreo(*arguments)
        assert (code, out) == (1, "")
        assert error.count("\n") == 1 and "ALFWORLD_DATA" in error and "alfworld-download" in error


def test_an_empty_buffer_cannot_be_trained_on_or_replayed(oreo, tmp_path) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    TrajectoryBuffer(tmp_path / "empty").close()
    for arguments in (["train", "empty", "--output", "o"], ["replay", "empty"]):
        code, out, error = oreo(*arguments)
        assert code in (1, 2) and out == ""
        assert error.count("\n") == 1 and "foresee" not in error, error
    assert not (tmp_path / "o" / "policy").exists()


def test_a_model_that_is_not_there_is_one_line(oreo, tmp_path) -> None:
    (tmp_path / "nothing").mkdir()
    code, out, error = oreo("eval", "--agent", "nothing", "--env", GUESS, "--episodes", 1)
    assert code in (1, 2) and out == ""
    assert error.count("\n") == 1 and "nothing" in error and "foresee" not in error, error


def test_a_malformed_game_is_one_line_that_names_the_file(oreo, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "games"
    assert oreo("games", "generate", "--count", 1, "--output", folder)[0] == 0
    (game,) = folder.rglob("game.tw-pddl")
    game.write_text('{"pddl_domain": "(define')
    code, out, error = oreo("eval", "--agent", "expert", "--split", "train", "--env-arg", f'data="{folder}"')
    assert (code, out) == (1, "")
    assert error.count("\n") == 1 and str(game) in error, error


def test_an_environment_that_breaks_is_one_line_and_finished_episodes_stay(oreo, tmp_path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    command = ["collect", "--env", "broken.py:Broken", "--episodes", 5, "--batch-size", 1, "--into", "b"]
    code, out, error = oreo(*command, "--on-error", "stop")
    assert (code, out) == (1, "")
    assert error.count("\n") == 1 and "broken.py:Broken in episode 2, " in error and "KeyError" in error, error
    assert json.loads(oreo("buffer", "info", "b", "--json")[1])["episodes"] == 2


def test_an_error_nobody_foresaw_is_one_line_unless_debug_is_asked_for(oreo, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr("oreo.eval.evaluate.plan_games", broken)
    code, out, error = oreo("eval", "--agent", "random")
    assert (code, out) == (1, "")
    assert error == (
        "oreo: ZeroDivisionError: first line second line (an error we did not foresee; "
        "please report it with what the same command prints with --debug)\n"
    )
    with pytest.raises(ZeroDivisionError):
        main(["eval", "--agent", "random", "--debug"])
    monkeypatch.setenv("OREO_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["eval", "--agent", "random"])


def test_json_is_all_there_is_on_standard_output(oreo, buffer: Path) -> None:
    collected = ["collect", "--env", GUESS, "--agent", "random", "--episodes", 2, "--into", buffer, "--json"]
    evaluated = ["eval", "--env", GUESS, "--agent", "expert", "--episodes", 3, "--json"]
    for command in (collected, evaluated, ["buffer", "info", buffer, "--json"], ["envs", "--json"]):
        code, out, error = oreo(*command)
        assert code == 0, error
        assert isinstance(json.loads(out), dict)


@pytest.mark.parametrize("workers", [1, 2])
def test_several_episodes_of_each_game_differ_in_the_agents_draws(oreo, tmp_path, workers: int) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    arguments = ["--env", GUESS, "--agent", "random", "--max-steps", 4, "--seed", 5, "--json"]
    more = ["--episodes", 7, "--per-game", 3, "--workers", workers, "--into", "several"]
    code, printed, _ = oreo("collect", *arguments, *more)
    assert code == 0 and json.loads(printed)["collected"] == 7
    assert oreo("collect", *arguments, "--episodes", 3, "--into", "once")[0] == 0
    several = list(TrajectoryBuffer(tmp_path / "several", create=False))
    once = list(TrajectoryBuffer(tmp_path / "once", create=False))
    by_game = Counter(episode.seed for episode in several)
    assert sorted(by_game.values()) == [1, 3, 3] and set(by_game) == {episode.seed for episode in once}
    played = {(episode.seed, *(step.action for step in episode.steps)) for episode in several}
    assert len(played) == 7, "no two episodes of a game are the same"
    assert played > {(episode.seed, *(step.action for step in episode.steps)) for episode in once}


def test_several_processes_collect_what_one_collects(oreo, tmp_path) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    for workers in (1, 2):
        arguments = ("--agent", "expert", "--noise", 0.3, "--episodes", 12, "--into", workers, "--workers", workers)
        code, printed, _ = oreo("collect", *arguments, "--json")
        assert code == 0 and json.loads(printed)["collected"] == 12
    alone, together = (
        {episode.seed: episode.steps for episode in TrajectoryBuffer(tmp_path / name)} for name in ("1", "2")
    )
    assert alone == together and len(alone) == 12


def test_a_buffer_is_translated_into_a_new_one_and_back(oreo, tmp_path) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    oreo("collect", "--agent", "expert", "--noise", 0.2, "--episodes", 6, "--into", "put")
    assert oreo("buffer", "translate", "put", "--to", "move", "--into", "move")[0] == 0
    code, printed, _ = oreo("buffer", "translate", "move", "--to", "put", "--into", "again", "--json")
    assert code == 0 and json.loads(printed) == {"buffer": "again", "episodes": 6, "dialect": "put"}
    put, move, again = (list(TrajectoryBuffer(tmp_path / name)) for name in ("put", "move", "again"))
    assert [episode.steps for episode in again] == [episode.steps for episode in put]
    assert {step.action.split()[0] for episode in move for step in episode.steps} & {"put", "move"} == {"move"}
    code, _, error = oreo("buffer", "translate", "put", "--to", "move", "--into", "move")
    assert code == 2 and "move is there already" in error


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "oreo", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


SLOW = """
import time
from oreo.envs import TextEnv

class Slow(TextEnv):
    max_steps = 2

    def start(self, rng):
        return "start"

    def act(self, text):
        open("acted", "w").close()
        time.sleep(0.05)
        return "more", 0.0, False

    def expert_action(self):
        return "go"
"""


def test_ctrl_c_is_one_line_that_says_what_is_kept_and_it_is(tmp_path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    command = ["collect", "--env", "slow.py:Slow", "--episodes", 10_000, "--batch-size", 1, "--into", "b"]
    process = start(*command, cwd=tmp_path)
    deadline = time.monotonic() + 300
    while not (tmp_path / "acted").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, ""), error
    told = re.fullmatch(r"oreo: stopped; (\d+) episodes are kept in b; the same command with --resume goes on\n", error)
    assert told, error
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(tmp_path / "b", create=False) as stored:
        assert len(stored) == int(told[1]) > 0


def test_a_reader_who_has_enough_is_no_error(tmp_path) -> None:
    process = start("watch", "--env", GUESS, "--agent", "expert", cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=300)
    process.stderr.close()
