"""Problems of reasoning-gym: its checkers in a process, what an answer may not do, names and settings."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import gone
from oreo.envs.math import reasoning
from oreo.envs.math.env import MathEnv
from oreo.envs.math.problems import SPLITS
from oreo.errors import EngineError, UsageError

from .rows import message, problems


@pytest.fixture
def gym_tasks() -> None:
    pytest.importorskip("reasoning_gym")


def said_to(env: MathEnv, game: str, text: str) -> tuple[float, Any]:
    env.reset(options={"game": game})
    _, reward, _, _, info = env.step(text)
    return reward, info["grade"]


@pytest.mark.usefixtures("gym_tasks")
@pytest.mark.parametrize("task", ["leg_counting", "chain_sum", "polynomial_equations", "countdown", "word_ladder"])
def test_a_task_is_judged_by_its_own_checker(task: str) -> None:
    env = MathEnv(source=f"reasoning_gym:{task}", limit=4, step="solution")
    assert env.games is not None and len(set(env.games)) == 4
    for game in env.games:
        answer = env._problems.named(game).answer
        assert said_to(env, game, f"So #### {answer}") == (1.0, "correct")
        assert said_to(env, game, "#### a guess") == (0.0, "wrong")
        assert said_to(env, game, "no idea") == (0.0, "no_answer")
    assert pickle.loads(pickle.dumps(env)).reset(seed=1) == env.reset(seed=1)
    with pytest.raises(UsageError, match="no worked solution"):
        env.reset(seed=0)
        env.expert_action()


@pytest.mark.usefixtures("gym_tasks")
def test_a_checker_accepts_what_is_right_in_another_way() -> None:
    env = MathEnv(source="reasoning_gym:countdown", step="solution")
    env.reset(seed=5)
    game = env.info()["game"]
    answer = env._problems.named(game).answer
    assert said_to(env, game, f"#### ({answer})") == (1.0, "correct")


@pytest.mark.usefixtures("gym_tasks")
def test_an_answer_that_is_computed_for_ever_is_a_timeout_and_the_next_is_judged() -> None:
    env = MathEnv(source="reasoning_gym:simple_integration", step="solution", seconds=1.5)
    game = "reasoning_gym/simple_integration/1"
    answer = env._problems.named(game).answer
    assert said_to(env, game, "#### 9**9**9**9") == (0.0, "timeout")
    assert env.info()["answer"] == "9**9**9**9"
    assert said_to(env, game, f"#### {answer}") == (1.0, "correct")


@pytest.mark.usefixtures("gym_tasks")
@pytest.mark.parametrize(
    "attack",
    [
        "__import__('pathlib').Path('{made}').touch()",
        "＿＿import＿＿('pathlib').Path('{made}').touch()",
        "open('{made}', 'w')",
        "exec('import os; os.mkdir(\"{made}\")')",
        "exec('import os; os.system(\"touch {made}\")')",
        'exec(\'import subprocess; subprocess.run(["touch", "{made}"])\')',
    ],
)
@pytest.mark.parametrize("task", ["countdown", "simple_integration", "polynomial_multiplication"])
def test_an_answer_that_is_a_program_is_wrong_and_does_nothing(tmp_path: Path, task: str, attack: str) -> None:
    env = MathEnv(source=f"reasoning_gym:{task}", step="solution", limit=1)
    made = tmp_path / "made"
    assert env.games and said_to(env, env.games[0], f"#### {attack.format(made=made)}") == (0.0, "wrong")
    assert not made.exists()


@pytest.mark.usefixtures("gym_tasks")
def test_the_questions_of_train_and_test_are_apart_and_settings_are_in_the_names() -> None:
    train, test = (
        {problem.question for problem in problems("reasoning_gym:chain_sum", split=split, limit=300)}
        for split in SPLITS
    )
    assert len(train) == len(test) == 300 and not train & test
    more = MathEnv(source="reasoning_gym:chain_sum", seed=3, max_terms=3)
    more.reset(seed=0)
    assert more.info()["game"].endswith("/max_terms=3,seed=3")
    assert "no problem" in message(lambda: more.reset(options={"game": "reasoning_gym/chain_sum/1"}), UsageError)


@pytest.mark.usefixtures("gym_tasks")
def test_a_name_of_the_other_split_or_beyond_the_limit_is_refused() -> None:
    def games(**made: Any) -> list[str]:
        return MathEnv(source="reasoning_gym:chain_sum", **made).games or []

    def play(game: str, **made: Any) -> Any:
        return MathEnv(source="reasoning_gym:chain_sum", **made).reset(options={"game": game})[1]["game"]

    train, test = games(limit=3), games(limit=1, split="test")
    assert play(train[2]) == train[2] and play(test[0], split="test") == test[0]
    told = message(lambda: play(test[0]), UsageError)
    assert test[0] in told and "split test, this environment has train: set split='test'" in told
    assert "this environment has test" in message(lambda: play(train[0], split="test"), UsageError)
    assert play(train[1], limit=2) == train[1]
    told = message(lambda: play(train[2], limit=2), UsageError)
    assert told == f"{train[2]} is not among the problems of limit=2: the last of them is {train[1]}"


def checking_process() -> int:
    worker = reasoning._checking.worker
    assert worker is not None
    return worker.process.pid


@pytest.mark.usefixtures("gym_tasks")
def test_a_checking_process_that_dies_is_replaced_and_the_answer_judged() -> None:
    env = MathEnv(source="reasoning_gym:countdown", step="solution", limit=1)
    assert env.games
    right = f"#### {env._problems.named(env.games[0]).answer}"
    assert said_to(env, env.games[0], right) == (1.0, "correct")
    before = checking_process()
    os.kill(before, signal.SIGKILL)
    assert said_to(env, env.games[0], "#### 1") == (0.0, "wrong")
    assert checking_process() != before
    before = checking_process()
    assert said_to(env, env.games[0], "#### exec('raise SystemExit')") == (0.0, "wrong"), "an answer does not end it"
    assert said_to(env, env.games[0], right) == (1.0, "correct") and checking_process() == before
    reasoning.close()
    assert reasoning._checking.worker is None
    assert said_to(env, env.games[0], right) == (1.0, "correct")


@pytest.mark.usefixtures("gym_tasks")
def test_a_checking_process_that_does_not_start_is_told_and_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    reasoning.close()
    env = MathEnv(source="reasoning_gym:leg_counting", step="solution", limit=1)
    for code, says in (
        ("raise SystemExit", "it ends at once"),
        (
            "import sys; sys.modules['reasoning_gym'] = None; from oreo.envs.math.reasoning import main; main()",
            "halted",
        ),
    ):
        monkeypatch.setattr(reasoning, "_RUN", code)
        env.reset(seed=0)
        assert says in message(lambda: env.step("#### 1"), EngineError)
    monkeypatch.undo()
    env.reset(seed=0)
    assert env.step("#### no")[4]["grade"] == "wrong"


IN_A_SCRIPT = """
import os, sys
from oreo.envs.math import reasoning
from oreo.envs.math.env import MathEnv

files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
env = MathEnv(source="reasoning_gym:simple_integration", step="solution", seconds=float(sys.argv[1]), limit=1)

def said(text):
    env.reset(seed=0)
    return env.step("#### " + text)[4]["grade"]

env.reset(seed=0)
answer = env._problems.named(env.games[0]).answer
print(said("exec('import sys; sys.stderr.write(\\'words\\')')"), said("print('words')"), said(answer))
parent = reasoning._checking.worker.process.pid
if (child := os.fork()) == 0:
    assert reasoning._checking.worker is None and said(answer) == "correct"
    assert reasoning._checking.worker.process.pid != parent
    reasoning.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert said(answer) == "correct" and reasoning._checking.worker.process.pid == parent
print(parent, flush=True)
said("9**9**9**9")
"""


@pytest.mark.usefixtures("gym_tasks")
@pytest.mark.skipif(sys.platform != "linux", reason="opens many files, forks")
def test_checkers_judge_among_many_files_and_forks_print_nothing_and_end_with_who_asks(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(IN_A_SCRIPT)
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        ["bash", "-c", 'ulimit -n 4096; exec "$@"', "-", sys.executable, str(script), "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "wrong wrong correct\n"
        checking = int(process.stdout.readline())
        time.sleep(0.5)  # it computes
        process.kill()
        process.wait()
        assert process.stdout.read() == process.stderr.read() == ""
    assert gone([checking])


@pytest.mark.usefixtures("gym_tasks")
@pytest.mark.parametrize(
    ("source", "made", "says"),
    [
        ("reasoning_gym:leg_count", {}, "did you mean 'leg_counting'"),
        ("reasoning_gym:chain_sum", {"colour": 3}, "does not take"),
        ("reasoning_gym:chain_sum", {"min_terms": -3}, "does not take"),
        ("reasoning_gym:chain_sum", {"levels": [3]}, "levels, subjects"),
    ],
)
def test_a_wrong_task_or_setting_is_told(source: str, made: dict[str, Any], says: str) -> None:
    assert says in message(lambda: MathEnv(source=source, **made), UsageError)
