"""What an environment did wrong is said with its name, the episode, the step, and the line of its code."""

from __future__ import annotations

import inspect
import json
import os
import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from oreo.agents import Decision
from oreo.envs.text_env import TextEnv
from oreo.envs.text_space import TextSpace
from oreo.errors import EngineError, MissingExtra, OreoError, UsageError
from oreo.rollouts.loop import play, rollout
from oreo.rollouts.settings import Rollout


class Says:
    name, checkpoint = "says", ""

    def act(self, episodes: Any) -> list[Decision]:
        return [Decision("go") for _ in episodes]


def returns(*values: Any, reset: Any = ("hello", {})) -> type[gym.Env[str, str]]:
    """An environment whose `step` returns this."""

    class Plain(gym.Env[str, str]):
        observation_space, action_space = TextSpace(), TextSpace()

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return reset

        def step(self, action: str) -> Any:
            return values if len(values) != 1 else values[0]

    return Plain


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((None,), "step returns .*, got None"),
        (("text", 0.0, True), "step returns .*, got a tuple of 3"),
        ((None, 0.0, True, False, {}), "an observation is a str, got None"),
        ((b"text", 0.0, True, False, {}), "an observation is a str, got a bytes"),
        (("\ud800", 0.0, True, False, {}), "an observation is not Unicode text"),
        (("text", float("nan"), True, False, {}), "a reward is a finite number, got a float nan"),
        (("text", np.float32("inf"), True, False, {}), "a reward is a finite number, got a float32"),
        (("text", 10**400, True, False, {}), "a reward is a finite number, got a int"),
        (("text", "1", True, False, {}), "a reward is a finite number, got a str '1'"),
        (("text", None, True, False, {}), "a reward is a finite number, got None"),
        (("text", [1.0, 2.0], True, False, {}), "a reward is a finite number, got a list of 2"),
        (("text", 0.0, "no", False, {}), "terminated is True or False, got a str 'no'"),
        (("text", 0.0, True, None, {}), "truncated is True or False, got None"),
        (("text", 0.0, np.array([True, False]), False, {}), "terminated is True or False, got a ndarray"),
        (("text", 0.0, True, False, None), "info is a dict, got None"),
        (
            ("text", 0.0, True, False, {"admissible_commands": "look"}),
            "admissible_commands is a list of str, got a str",
        ),
        (("text", 0.0, True, False, {"admissible_commands": 5}), "admissible_commands is a list of str, got a int"),
        (("text", 0.0, True, False, {"admissible_commands": ["a", 5]}), "admissible_commands is a list of str"),
        (("text", 0.0, True, False, {"admissible_commands": ["\udcff"]}), "an admissible command is not Unicode text"),
        (("text", 0.0, True, False, {"task": "\udcff"}), "task is not Unicode text"),
    ],
)
def test_what_a_step_may_not_return_is_named_with_the_place(returned: Any, message: str) -> None:
    env = returns(*returned)
    _, line = inspect.getsourcelines(env.step)
    with pytest.raises(EngineError, match=message) as caught:
        rollout(env, agent=Says(), episodes=1)
    assert re.search(rf"Plain in episode 0, step 1: .*test_failures.py:{line}\)$", str(caught.value))


@pytest.mark.parametrize("returned", ["hello", ("hello",), ("hello", {}, {}), (None, {}), ("hello", [])])
def test_what_a_reset_may_not_return_is_named_with_the_place(returned: Any) -> None:
    env = returns("text", 1.0, True, False, {}, reset=returned)
    _, line = inspect.getsourcelines(env.reset)
    with pytest.raises(EngineError, match=rf"episode 0, before its first step: .*test_failures.py:{line}\)$"):
        rollout(env, agent=Says(), episodes=1)


def test_numpys_numbers_flags_texts_and_arrays_of_commands_will_do() -> None:
    commands = {"admissible_commands": np.array(["a", "b"])}
    values = (np.str_("text"), np.float32(0.5), np.bool_(True), np.bool_(False), commands)
    (one,) = rollout(returns(*values, reset=("hello", commands)), agent=Says(), episodes=1)
    assert (one.steps[0].reward, one.terminated, one.truncated) == (0.5, True, False)
    assert one.steps[0].admissible_commands == ("a", "b")
    assert json.dumps(one.steps[0].admissible_commands) == '["a", "b"]'


class Fails(TextEnv):
    max_steps = 5

    def __init__(self, error: str = "KeyError", at: int = 2) -> None:
        self.error, self.at = error, at

    def start(self, rng: np.random.Generator) -> str:
        self.steps = 0
        self.fail_at(0)
        return "start"

    def act(self, text: str) -> tuple[str, float, bool]:
        self.steps += 1
        self.fail_at(self.steps)
        return "on", 0.0, False

    def fail_at(self, step: int) -> None:
        if step == self.at:
            kinds = {"KeyError": KeyError("lost\nin two lines"), "SystemExit": SystemExit(7), "nothing": RuntimeError()}
            if self.error == "os._exit":
                os._exit(0)
            ours = {"UsageError": UsageError("no such game"), "MissingExtra": MissingExtra("pip install it")}
            raise {**kinds, **ours}[self.error]


_LINE = inspect.getsourcelines(Fails.fail_at)[1] + 6


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("KeyError", "Fails in episode 0, step 2: Fails.act failed: KeyError: 'lost"),
        ("SystemExit", "Fails in episode 0, step 2: Fails.act failed: it ends the program by sys.exit"),
        ("nothing", "Fails in episode 0, step 2: Fails.act failed: RuntimeError:"),
        ("UsageError", "Fails in episode 0, step 2: no such game"),
    ],
)
def test_an_exception_is_named_with_the_line_that_raised_it(error: str, text: str) -> None:
    with pytest.raises(OreoError) as caught:
        rollout(Fails, agent=Says(), episodes=1, env_kwargs={"error": error})
    message = str(caught.value)
    place = f"test_failures.py:{_LINE})" if error == "UsageError" else f"test_failures.py, line {_LINE})"
    assert text in message and message.endswith(place) and "\n" not in message


def test_one_that_ends_the_process_is_named_and_costs_its_episode_and_no_other() -> None:
    exit_before, failures = os._exit, []
    playing = play(
        Rollout(Fails, {"error": "os._exit"}, max_steps=3),
        Says(),
        range(3),
        on_failure=lambda index, failure: failures.append(str(failure)),
    )
    assert list(playing) == [] and len(failures) == 3 and os._exit is exit_before
    for index, failure in enumerate(failures):
        assert f"Fails in episode {index}, step 2: Fails.act failed: it ends the program by os._exit(0) (" in failure
        assert failure.endswith(f"test_failures.py, line {_LINE - 2})")
    made = play(Rollout(lambda: os._exit(0)), Says(), range(1))
    with pytest.raises(EngineError, match=r"failed while it was made: SystemExit: os._exit\(0\) .*test_failures.py:\d"):
        list(made)


def test_a_process_that_the_environment_forks_ends_by_it() -> None:
    class Forks(Fails):
        def fail_at(self, step: int) -> None:
            if (child := os.fork()) == 0:
                os._exit(7)
            self.status = os.waitpid(child, 0)[1]
            assert os.waitstatus_to_exitcode(self.status) == 7

    (one,) = rollout(Forks, agent=Says(), episodes=1, max_steps=2)
    assert len(one) == 2


@pytest.mark.parametrize("error", ["UsageError", "MissingExtra"])
def test_what_would_be_so_of_every_episode_is_raised_even_where_failures_are_taken(error: str) -> None:
    taken: list[OreoError] = []
    playing = play(
        Rollout(Fails, {"error": error, "at": 0}), Says(), range(3), on_failure=lambda _, failure: taken.append(failure)
    )
    with pytest.raises(UsageError if error == "UsageError" else MissingExtra):
        list(playing)
    assert taken == []


@pytest.mark.parametrize("at", [0, 2])
def test_a_failure_costs_its_episode_and_its_environment(at: int) -> None:
    closed: list[int] = []

    class Sometimes(Fails):
        def start(self, rng: np.random.Generator) -> str:
            self.at = at if rng.integers(3) == 0 else -1
            return super().start(rng)

        def close(self) -> None:
            closed.append(self.at)

    taken: list[int] = []
    playing = play(Rollout(Sometimes, batch_size=4), Says(), range(40), on_failure=lambda index, _: taken.append(index))
    played = [index for index, _ in playing]
    assert sorted(played + taken) == list(range(40)) and 0 < len(taken) < 40
    assert closed.count(at) >= len(taken), "a broken environment is closed and not used again"
    whole = rollout(lambda: Fails(at=-1), agent=Says(), episodes=40)
    assert all(len(one) == 5 for one in whole)


def test_an_environment_that_cannot_be_made_is_told_in_one_line() -> None:
    def make() -> Any:
        raise ZeroDivisionError("no world")

    with pytest.raises(
        EngineError, match=r"failed while it was made: ZeroDivisionError: no world \(.*test_failures.py:\d+"
    ):
        rollout(make, agent=Says(), episodes=1)


def test_an_error_while_closing_is_a_warning_and_costs_nothing() -> None:
    class Stuck(Fails):
        def close(self) -> None:
            raise OSError("still busy")

    with pytest.warns(UserWarning, match="Stuck failed while it was closed: OSError: still busy"):
        assert len(rollout(Stuck, agent=Says(), episodes=2, env_kwargs={"at": 9})) == 2
