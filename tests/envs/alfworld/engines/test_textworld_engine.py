"""The original engine in its own process: what it leaves alone, how it ends, how it fails."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import DataError, EngineError, UsageError


@functools.cache
def a_game() -> Game:
    return generate_game(3, max_receptacles=6, max_objects=6)


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[TextWorldEngine]:
    engine = TextWorldEngine()
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine: TextWorldEngine) -> TextWorldEngine:
    shared_engine.reset(a_game())
    return shared_engine


def pid(engine: TextWorldEngine) -> int:
    assert engine._process is not None
    return engine._process.pid


def is_alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def transcript(engine: TextWorldEngine, game: Game) -> list[object]:
    seen: list[object] = [engine.reset(game)]
    for turn in range(6):
        commands = engine.admissible_commands()
        seen += [commands, engine.step(commands[turn % len(commands)]), engine.valid, engine.won, engine.facts()]
    return seen


def test_it_speaks_as_alfworld_does(engine: TextWorldEngine) -> None:
    assert engine.reset(a_game()).startswith("-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room.")
    assert a_game().task in engine.reset(a_game())
    assert engine.valid and not engine.won
    commands = engine.admissible_commands()
    assert commands == sorted(set(commands)) and "look" in commands


def test_a_refused_command_changes_nothing_and_blanks_around_one_do_not_matter(engine: TextWorldEngine) -> None:
    before = engine.facts(), engine.admissible_commands()
    for command in ("", "dance", "Look", "go to", "\ud800", "x" * 10_000):
        assert engine.step(command) == "Nothing happens." and not engine.valid
    assert (engine.facts(), engine.admissible_commands()) == before
    assert engine.step("  look\n").startswith("You are in the middle") and engine.valid


def test_remembering_translations_and_templates_changes_no_answer(engine: TextWorldEngine) -> None:
    plain = TextWorldEngine(remember=False)
    assert transcript(plain, a_game()) == transcript(engine, a_game()) == transcript(engine, a_game())
    plain.close()


def test_this_process_keeps_its_arguments_its_output_and_its_libraries(
    engine: TextWorldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, output = ["mine", "--own"], io.StringIO()
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "stdout", output)
    transcript(engine, a_game())
    assert sys.argv is arguments and sys.argv == ["mine", "--own"] and sys.stdout is output
    assert output.getvalue() == ""
    if Path("/proc/self/maps").exists():
        assert "downward" not in Path("/proc/self/maps").read_text()


def test_alfworlds_import_creates_no_folder_and_sets_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    engine = TextWorldEngine()
    engine.reset(a_game())
    engine.close()
    assert list(tmp_path.iterdir()) == [] and "ALFWORLD_DATA" not in os.environ


@pytest.mark.parametrize("end", ["close", "__del__"])
def test_its_process_ends_with_it(end: str) -> None:
    engine = TextWorldEngine()
    process = engine._start().pid
    assert is_alive(process)
    getattr(engine, end)()
    assert not is_alive(process)
    engine.close()


def test_its_process_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    # No `if __name__ == "__main__"` in the user's script; it dies without a chance to clean up.
    game = tmp_path / "game.json"
    script = tmp_path / "script.py"
    game.write_text(json.dumps([a_game().pddl_domain, a_game().grammar, a_game().pddl_problem]))
    script.write_text(
        "import json, os, signal\n"
        "from oreo.envs.alfworld.game import Game\n"
        "from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine\n"
        "engine = TextWorldEngine()\n"
        f"engine.reset(Game('x', *json.load(open({str(game)!r}))))\n"
        "print(engine._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    deadline = time.monotonic() + 300
    while is_alive(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(done.stdout))


@pytest.mark.parametrize("gone", [False, True])
def test_a_process_that_died_is_reported_and_cleared_away(gone: bool) -> None:
    engine = TextWorldEngine()
    engine.reset(a_game())
    os.kill(pid(engine), signal.SIGKILL)
    if gone:  # before it is asked, so that the request cannot be sent
        assert engine._process is not None
        engine._process.wait()
    with pytest.raises(EngineError, match=r"process ended \(exit code -9\) while carrying out 'look'"):
        engine.step("look")
    with pytest.raises(UsageError, match="call reset"):
        engine.step("look")
    assert engine._process is None  # the next reset starts another


def test_no_answer_in_time_is_an_error_that_ends_the_process() -> None:
    engine = TextWorldEngine(timeout=0.05)
    process = engine._start().pid
    with pytest.raises(EngineError, match="did not answer for 0.05 s while loading generated/"):
        engine.reset(a_game())
    assert not is_alive(process)


@pytest.mark.parametrize("change", [{"pddl_problem": "(define (problem"}, {"grammar": "action {"}])
def test_a_game_it_cannot_load_is_named_in_one_line(shared_engine: TextWorldEngine, change: dict[str, str]) -> None:
    with pytest.raises((DataError, EngineError)) as caught:
        shared_engine.reset(replace(a_game(), **change))
    assert a_game().name in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickled_engine_is_a_new_one(engine: TextWorldEngine) -> None:
    copy = pickle.loads(pickle.dumps(engine))
    with pytest.raises(UsageError, match="call reset"):
        copy.step("look")
    assert copy._process is None and engine.step("look")


def test_a_forked_copy_leaves_the_process_to_its_owner(engine: TextWorldEngine) -> None:
    child = os.fork()
    if child == 0:
        engine.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert engine.step("look").startswith("You are in the middle")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_many_resets_open_no_more_libraries_and_files(engine: TextWorldEngine) -> None:
    games = [generate_game(index, max_receptacles=6, max_objects=6) for index in range(6)]

    def open_things() -> tuple[int, int]:
        libraries = Path(f"/proc/{pid(engine)}/maps").read_text().count("downward")
        return libraries, len(os.listdir("/proc/self/fd")) + len(os.listdir(f"/proc/{pid(engine)}/fd"))

    engine.reset(games[0])
    before = open_things()
    for game in games:
        engine.reset(game)
    assert open_things() == before
