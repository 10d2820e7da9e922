"""The command line as a user meets it: help, exit codes, one-line errors, JSON, Ctrl-C, pipes."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from oreo.cli import main

ROOT = Path(__file__).resolve().parents[3]
GUESS = f"{ROOT / 'examples' / 'guess.py'}:Guess"
COMMANDS = ["quickstart", "collect", "train", "eval", "iterate", "watch", "replay", "envs", "agents"]
COMMANDS += ["recipes", "recipes show", "envs list", "envs info", "envs check", "envs new"]
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


@pytest.fixture
def buffer(oreo, tmp_path) -> Path:
    """Four expert episodes of the guessing game."""
    folder = tmp_path / "guesses"
    code, _, error = oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 4, "--into", folder)
    assert code == 0, error
    return folder


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
    listed = set(re.findall(r"^  (\w+)  ", out.partition("Commands:")[2], re.MULTILINE))
    assert listed == {command.split()[0] for command in COMMANDS}
    assert oreo("--help")[1] == out


def test_help_costs_less_than_half_a_second() -> None:
    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "oreo", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cost() for _ in range(3)) < 0.5  # processor time: the machine may be busy with other tests


WRONG_SETTINGS = [
    (["seed=5"], "--set seed: seed has an option of its own; give --seed in its place"),
    (["method=sft"], "give --method in its place"),
    (["model=tiny"], "give --model in its place"),
    (["lambda_=0.5"], "give --lambda in its place"),
    (["lora_r=4"], "give --lora in its place"),
    (["trackers=3"], "give --track in its place"),
    (["lr=abc"], "give --lr in its place"),
    (["output=there"], "unknown training option 'output'"),
    (["on_step=1"], "unknown training option 'on_step'"),
    (["bf16=no"], "bf16 is 'no'; expected true or false"),
    (["micro_tokens=4k"], "micro_tokens is '4k'; expected a whole number"),
    (["adam_betas=0.9"], "adam_betas is 0.9; expected a list of 2 numbers"),
    (["instruction=True"], "instruction is True; expected text"),
    (["packed=False", "checkpoint_activations=TRUE", "bf16="], "bf16 is ''; expected true or false"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_SETTINGS, ids=lambda each: " ".join(each)[:30])
def test_a_wrong_setting_of_training_is_one_line_that_says_what_is_expected(oreo, settings, message) -> None:
    assert oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 1, "--into", "b")[0] == 0
    given = [each for setting in settings for each in ("--set", setting)]
    code, out, error = oreo("train", "b", "--output", "o", *given)
    assert (code, out, error.count("\n")) == (2, "", 1) and message in error
    assert not Path("o").exists()


@pytest.mark.parametrize("setting", ["seed=5", "model=nosuch", "method=sft", "recipe=oreo-alfworld"])
def test_rounds_do_not_ignore_a_setting_that_has_an_option_of_its_own(oreo, setting: str) -> None:
    code, out, error = oreo("iterate", "--output", "o", "--set", setting)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"give --{setting.partition('=')[0]} in its place" in error and not Path("o").exists()


@pytest.mark.parametrize("no", ["False", "false", "FALSE"])
def test_settings_are_switched_off_in_any_case(oreo, no: str) -> None:
    assert oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 2, "--into", "b")[0] == 0
    off = [each for name in ("bf16", "packed", "checkpoint_activations") for each in ("--set", f"{name}={no}")]
    code, _, error = oreo("train", "b", "--method", "sft", "--epochs", 1, "--output", "o", *off, "--json")
    assert code == 0, error
    stored = json.loads(Path("o", "config.json").read_text())
    assert (stored["bf16"], stored["packed"], stored["checkpoint_activations"]) == (False, False, False)


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


def test_recipes_are_listed_and_shown_with_sources(oreo) -> None:
    listed = json.loads(oreo("recipes", "--json")[1])
    assert set(re.findall(r"^([\w.-]+)  ", oreo("recipes")[1], re.MULTILINE)) == set(listed)
    code, out, _ = oreo("recipes", "show", "oreo-alfworld")
    assert code == 0
    assert re.search(r"^  epochs +3 .*appendix.*the released code: 5$", out, re.MULTILINE)
    assert "oreo collect --agent MODEL --per-game 5 --max-steps 40 --temperature 1.0" in out
    shown = json.loads(oreo("recipes", "show", "oreo-alfworld", "--json")[1])
    assert shown["train"]["epochs"] == {"value": 3, "source": "appendix, hyper-parameters", "code": 5}
    assert shown["results"]["ALFWorld unseen"] == 79.1


def test_training_by_a_recipe_takes_its_settings_and_the_explicit_ones_over_them(oreo, buffer: Path) -> None:
    command = ["train", buffer, "--recipe", "rejection-maths", "--epochs", 2, "--set", "bf16=false"]
    code, _, error = oreo(*command, "--output", "o", "--track", "tensorboard", "--json")
    assert code == 0, error
    config = json.loads(Path("o/config.json").read_text())
    assert (config["recipe"], config["method"]) == ("rejection-maths", "rejection")
    assert (config["lr"], config["epochs"], config["bf16"]) == (5e-6, 2, False)
    assert list(Path("o/tensorboard").rglob("events.*"))
    code, _, error = oreo("train", buffer, "--recipe", "rejection-maths", "--method", "sft", "--output", "p")
    assert code == 2 and "recipe rejection-maths is for method 'rejection', not 'sft'" in error


def test_a_terminal_shows_all_that_is_logged_while_training(monkeypatch, capsys) -> None:
    from oreo.progress import Updates

    line = {"step": 3, "steps": 9, "phase": "oreo", "value_loss": 0.25, "auc_start": None, "tokens_per_second": 812.0}
    for terminal in ("1", "0"):
        monkeypatch.setenv("TTY_COMPATIBLE", terminal)
        monkeypatch.setenv("COLUMNS", "80")
        with Updates("training") as seen:
            seen(line)
            seen._bar.refresh()
        shown = re.sub(r"\x1b\[[\d;?]*\w", "", capsys.readouterr().err)
        if terminal == "1":
            assert "3/9" in shown and "value_loss 0.25" in shown and "tokens_per_second 812" in shown
            assert "auc_start" not in shown
        else:
            assert shown == ""


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


def test_an_episode_that_is_not_there_is_named(oreo, buffer: Path) -> None:
    code, _, error = oreo("replay", buffer, "--episode", 4)
    assert code == 2
    assert error == f"oreo: --episode 4: {buffer} holds 4 episodes, 0 to 3\n"


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


def test_an_evaluation_says_what_it_measured_and_how(oreo) -> None:
    command = ["eval", "--env", GUESS, "--agent", "expert", "--episodes", 20, "--seed", 3, "--max-steps", 6]
    result = json.loads(oreo(*command, "--json")[1])
    assert result["episodes"] == 20 and 0 < result["low"] < result["success"] <= result["high"] <= 1
    assert result["protocol"]["env"] == GUESS
    assert (result["protocol"]["seed"], result["protocol"]["max_steps"]) == (3, 6)
    again = json.loads(oreo(*command, "--batch-size", 3, "--json")[1])
    assert again == result
    table = oreo(*command)[1]
    assert f"{result['won']}/20" in table and "95 % interval" in table and "at most 6 steps" in table


def test_evaluated_episodes_can_be_kept(oreo, tmp_path) -> None:
    code, _, error = oreo("eval", "--env", GUESS, "--agent", "random", "--episodes", 3, "--into", tmp_path / "kept")
    assert code == 0, error
    assert json.loads(oreo("buffer", "info", tmp_path / "kept", "--json")[1])["episodes"] == 3


def test_a_buffer_grows_and_its_episodes_are_replayed(oreo, buffer: Path) -> None:
    code, out, error = oreo(
        "collect", "--env", GUESS, "--agent", "expert", "--episodes", 2, "--seed", 9, "--into", buffer
    )
    assert code == 0, error
    assert re.search(r"^episodes +6$", out, re.MULTILINE)
    code, out, _ = oreo("replay", buffer, "--episode", -1)
    assert code == 0
    assert out.splitlines()[0] == f"env: {GUESS}"
    assert out.splitlines()[-1].startswith("won after ")


@pytest.mark.parametrize("workers", [1, 2])
def test_several_episodes_of_each_game_differ_in_the_agents_draws(oreo, tmp_path, workers: int) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    arguments = ["--env", GUESS, "--agent", "random", "--max-steps", 4, "--workers", workers, "--seed", 5, "--json"]
    code, printed, _ = oreo("collect", *arguments, "--episodes", 7, "--per-game", 3, "--into", "several")
    assert code == 0 and json.loads(printed)["collected"] == 7
    assert oreo("collect", *arguments, "--episodes", 3, "--into", "once")[0] == 0
    several = list(TrajectoryBuffer(tmp_path / "several", create=False))
    once = list(TrajectoryBuffer(tmp_path / "once", create=False))
    by_game = Counter(each.seed for each in several)
    assert sorted(by_game.values()) == [1, 3, 3] and set(by_game) == {each.seed for each in once}
    said = {(each.seed, *(step.action for step in each.steps)) for each in several}
    assert len(said) == 7, "no two episodes of a game are the same"
    assert said > {(each.seed, *(step.action for step in each.steps)) for each in once}


def test_several_processes_collect_what_one_collects(oreo, tmp_path) -> None:
    from oreo.data.buffer import TrajectoryBuffer

    for workers in (1, 2):
        arguments = ("--agent", "expert", "--noise", 0.3, "--episodes", 12, "--into", workers, "--workers", workers)
        code, printed, _ = oreo("collect", *arguments, "--json")
        assert code == 0 and json.loads(printed)["collected"] == 12
    alone, together = ({each.seed: each.steps for each in TrajectoryBuffer(tmp_path / name)} for name in ("1", "2"))
    assert alone == together and len(alone) == 12


def test_games_of_a_split_are_drawn_from_the_seed(oreo, tmp_path, monkeypatch) -> None:
    """Not the first ones: sorted by name, those would be all of one task type."""
    from oreo.data.buffer import TrajectoryBuffer

    oreo("games", "generate", "--count", 12, "--output", "data")
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "data"))
    drawn = []
    for seed in (0, 1):
        assert oreo("collect", "--split", "train", "--episodes", 5, "--seed", seed, "--into", f"b{seed}")[0] == 0
        drawn.append([each.game for each in TrajectoryBuffer(tmp_path / f"b{seed}")])
        _, printed, _ = oreo("watch", "--agent", "expert", "--split", "train", "--seed", seed, "--delay", 0)
        drawn.append(printed.splitlines()[1])
    assert len(set(drawn[0])) == len(set(drawn[2])) == 5
    assert set(drawn[0]) != set(drawn[2]) and drawn[1] != drawn[3]


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


def test_watching_without_a_terminal_prints_every_step(oreo) -> None:
    code, out, error = oreo("watch", "--env", GUESS, "--agent", "expert", "--delay", 9, "--seed", 5)
    assert code == 0, error
    assert "  1 > 49" in out.splitlines()
    assert re.fullmatch(r"won after \d+ steps, return 1", out.splitlines()[-1])


def test_generated_games_are_written_and_then_counted(oreo, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "games"
    assert oreo("games", "generate", "--count", 3, "--output", folder)[0] == 0
    assert oreo("games", "generate", "--count", 2, "--output", folder, "--heldout")[0] == 0
    monkeypatch.setenv("ALFWORLD_DATA", str(folder))
    counted = json.loads(oreo("games", "info", "--json")[1])["games"]
    assert {split: sum(kinds.values()) for split, kinds in counted.items()} == {"train": 3, "valid_unseen": 2}
    result = json.loads(oreo("eval", "--agent", "expert", "--split", "train", "--json")[1])
    assert (result["episodes"], result["protocol"]["games"]) == (3, 3)


def test_packed_games_serve_wherever_the_folder_does(oreo, tmp_path, monkeypatch) -> None:
    assert oreo("games", "generate", "--count", 4, "--output", "games")[0] == 0
    assert oreo("games", "generate", "--count", 1, "--output", "games", "--heldout")[0] == 0
    code, out, error = oreo("games", "pack", "--data", "games", "--output", "all.pack", "--json")
    assert code == 0, error
    size = (tmp_path / "all.pack").stat().st_size
    assert json.loads(out) == {"pack": "all.pack", "games": {"train": 4, "valid_unseen": 1}, "bytes": size}
    infos = [json.loads(oreo("games", "info", "--data", data, "--json")[1]) for data in ("games", "all.pack")]
    assert [(info.pop("kind"), info.pop("data")) for info in infos] == [("folder", "games"), ("pack", "all.pack")]
    assert infos[0] == infos[1]
    monkeypatch.setenv("ALFWORLD_DATA", "all.pack")
    command = ["eval", "--agent", "expert", "--split", "train", "--json"]
    by_variable, by_option = json.loads(oreo(*command)[1]), json.loads(oreo(*command, "--env-arg", "data=all.pack")[1])
    assert by_variable["protocol"]["games"] == 4
    assert by_variable["by_task_type"] == by_option["by_task_type"]
    code, _, error = oreo("collect", "--split", "train", "--env-arg", "data=all.pack", "--episodes", 2, "--into", "b")
    assert code == 0, error


def test_the_table_of_games_fits_into_80_columns_and_says_versions(oreo, monkeypatch) -> None:
    for dialect, more in (("put", []), ("move", ["--heldout"])):
        assert oreo("games", "generate", "--count", 6, "--output", "games", "--dialect", dialect, *more)[0] == 0
    code, out, error = oreo("games", "info", "--data", "games")
    assert code == 0, error
    assert max(map(len, out.splitlines())) <= 80
    rows = {cells[0]: cells[1:] for cells in (re.split(r" *[│┃] *", line)[1:-1] for line in out.splitlines()) if cells}
    assert out.startswith("games (folder, json_2.1.1)")
    assert rows["task type"] == ["train", "valid_unseen"]
    assert rows["all"] == ["6", "6"]
    assert rows["dialect"] == ["put", "move"]
    assert rows["engine"] == ["simulator", "simulator"]
    assert rows["rules of alfworld"] == ["before 0.4", "0.4"]
    assert rows["goals written by people"] == ["0", "0"]


def test_what_is_no_place_of_games_is_named_as_the_user_named_it(oreo, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    for data in ("/nope", "notes.txt", "."):
        for command in (["info"], ["pack", "--output", "all.pack"]):
            code, out, error = oreo("games", *command, "--data", data)
            assert (code, out, error.count("\n")) == (1, "", 1)
            assert error.startswith("oreo: --data: ") and "generated" not in error, error
    assert oreo("games", "generate", "--count", 1, "--output", "games")[0] == 0
    code, out, error = oreo("games", "pack", "--data", "games", "--output", "notes.txt")
    assert (code, out) == (2, "") and "notes.txt is no pack of games and stays as it is" in error
    assert (tmp_path / "notes.txt").read_text() == "notes"


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
    deadline = time.monotonic() + 60
    while not (tmp_path / "acted").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), error
    said = re.fullmatch(r"oreo: stopped; (\d+) episodes are kept in b; the same command with --resume goes on\n", error)
    assert said, error
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(tmp_path / "b", create=False) as stored:
        assert len(stored) == int(said[1]) > 0


def test_a_reader_who_has_enough_is_no_error(tmp_path) -> None:
    process = start("watch", "--env", GUESS, "--agent", "expert", cwd=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=60)
    process.stderr.close()
