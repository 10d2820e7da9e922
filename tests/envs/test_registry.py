"""Naming environments: ids, short names, files, modules, and what is said when there is nothing of that name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import oreo.envs
from oreo.envs import registry
from oreo.errors import UsageError

GUESS = dedent(
    """
    import oreo.envs

    class Guess(oreo.envs.TextEnv):
        max_steps = 3

        def start(self, rng):
            self.number = int(rng.integers(100))
            return "I think of a number from 0 to 99."

        def act(self, text):
            if not text.strip().isdecimal():
                return "A number, please.", 0.0, False
            if int(text) == self.number:
                return "Yes!", 1.0, True
            return "higher" if int(text) < self.number else "lower", 0.0, False

    class NotAnEnv:
        pass
    """
)


@pytest.fixture
def guess(tmp_path: Path) -> str:
    path = tmp_path / "guess.py"
    path.write_text(GUESS)
    return str(path)


def test_an_environment_in_a_file_needs_two_methods_and_passes_gymnasiums_checker(guess: str) -> None:
    env = oreo.envs.make(f"{guess}:Guess")
    check_env(env.unwrapped)
    observation, info = env.reset(seed=1)
    assert observation == "I think of a number from 0 to 99." and info == {"won": False}
    assert env.step(str(env.unwrapped.number))[1:] == (1.0, True, False, {"won": True})


def test_same_seed_same_episode(guess: str) -> None:
    numbers = []
    for _ in range(2):
        env = oreo.envs.make(f"{guess}:Guess")
        env.reset(seed=7)
        numbers.append(env.unwrapped.number)
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(("asked", "limit"), [(None, 3), (2, 2)])
def test_episodes_are_truncated_at_the_classs_limit_or_the_one_asked_for(
    guess: str, asked: int | None, limit: int
) -> None:
    env = oreo.envs.make(f"{guess}:Guess", max_steps=asked)
    env.reset(seed=0)
    truncated = [env.step("what?")[3] for _ in range(limit)]
    assert truncated == [False] * (limit - 1) + [True]


def test_a_file_is_run_once_for_each_of_its_states(guess: str) -> None:
    first = registry.load_class(f"{guess}:Guess")
    assert registry.load_class(f"{guess}:Guess") is first
    Path(guess).write_text(GUESS.replace("higher", "more") + "\n")
    assert registry.load_class(f"{guess}:Guess") is not first


def test_a_file_with_one_environment_may_leave_out_its_class(guess: str) -> None:
    assert registry.load_class(guess).__name__ == "Guess"


def test_a_module_and_class_name_an_environment() -> None:
    assert registry.load_class("oreo.envs.alfworld.env:ALFWorldEnv").__name__ == "ALFWorldEnv"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere/to/be/found.py:Guess", "no such file"),
        ("{guess}:Gess", "did you mean 'Guess'"),
        ("{guess}:NotAnEnv", "NotAnEnv is no environment"),
        ("{broken}:Guess", "ZeroDivisionError"),
        ("no_such_module_here:Guess", "no_such_module_here"),
        ("oreo/ALFWorl-v0", "did you mean 'oreo/ALFWorld-v0'"),
        ("", "no environment"),
        (":", "cannot be imported"),
        ("CartPole-v1", "no text environment"),
    ],
)
def test_a_name_that_names_no_text_environment_is_answered_with_one_line(
    guess: str, tmp_path: Path, spec: str, says: str
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(UsageError) as caught:
        oreo.envs.make(spec.format(guess=guess, broken=broken))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_keyword_arguments_and_limits_are_usage_errors(guess: str) -> None:
    with pytest.raises(UsageError, match="size"):
        oreo.envs.make(f"{guess}:Guess", size=3)
    for limit in (0, -1, 2.5, True):
        with pytest.raises(UsageError, match="max_steps"):
            oreo.envs.make(f"{guess}:Guess", max_steps=limit)  # type: ignore[arg-type]


def test_built_in_ids_are_gymnasiums_too() -> None:
    registry.register_all()
    assert set(registry.BUILT_IN) <= set(gym.registry) and set(registry.BUILT_IN) <= set(registry.names())


def test_other_packages_add_environments_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cooks.py").write_text(GUESS)
    metadata = tmp_path / "cooks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: cooks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[oreo.envs]\ncooks/Soup-v0 = cooks:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "cooks/Soup-v0" in registry.names()
    assert oreo.envs.make("cooks/Soup-v0", max_steps=1).reset(seed=0)[0].startswith("I think")


@pytest.mark.parametrize("order", ["import oreo, gymnasium as gym", "import gymnasium as gym, oreo"])
def test_gymnasium_knows_the_ids_whichever_is_imported_first(order: str) -> None:
    code = f"{order}; assert 'oreo/ALFWorld-v0' in gym.registry"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
