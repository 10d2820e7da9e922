"""The contract of TextEnv and of its space of all strings."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs import TextEnv, TextSpace
from oreo.envs.text_env import ask_expert
from oreo.errors import EngineError, UsageError


class Echo(TextEnv):
    """Says what it hears; "stop" ends the episode, "win" wins it."""

    def start(self, rng: np.random.Generator, *, greeting: str = "hello") -> str:
        return f"{greeting} {rng.integers(10)}"

    def act(self, text: str) -> tuple[str, float, bool]:
        return text, float(text == "win"), text in ("win", "stop")

    def info(self) -> dict[str, Any]:
        return {"task": "say win"}


def test_gymnasiums_checker_accepts_it() -> None:
    check_env(Echo())


@pytest.mark.parametrize(("action", "won"), [("win", True), ("stop", False), ("go on", False)])
def test_an_episode_is_won_when_it_ends_with_a_positive_reward(action: str, won: bool) -> None:
    env = Echo()
    env.reset(seed=0)
    assert env.step(action)[4] == {"task": "say win", "won": won}


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    env = TimeLimit(Echo(), 2)
    env.reset(seed=0)
    assert env.step("a")[2:4] == (False, False)
    assert env.step("b")[2:4] == (False, True)


def test_reset_options_reach_start() -> None:
    assert Echo().reset(seed=0, options={"greeting": "good day"})[0].startswith("good day")


@pytest.mark.parametrize("action", [None, 3, b"look", ["look"]])
def test_an_action_that_is_no_string_is_refused_by_name(action: Any) -> None:
    env = Echo()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="is a str, got"):
        env.step(action)


def test_without_an_expert_the_message_says_what_to_add() -> None:
    with pytest.raises(UsageError, match="Echo has no expert"):
        Echo().expert_action()


@given(st.text())
def test_every_string_is_in_the_space(text: str) -> None:
    assert text in TextSpace()


def test_samples_are_seeded_and_encodable() -> None:
    spaces = TextSpace(seed=3), TextSpace(seed=3)
    for _ in range(200):
        one, other = (space.sample() for space in spaces)
        assert one == other and one in spaces[0]
        one.encode()


class Coin(TextEnv):
    """One toss. A win is noted and never taken back."""

    max_steps = 1

    def start(self, rng: np.random.Generator) -> str:
        self.side = "heads" if rng.integers(2) else "tails"
        return "Heads or tails?"

    def act(self, text: str) -> tuple[str, float, bool]:
        if text == self.side:
            self.won = True
        return self.side, 0.0, True


class LosesByDefault(Coin):
    """Rewards every end, and says by itself which of them are won."""

    def __init__(self) -> None:
        self.won = False

    def act(self, text: str) -> tuple[str, float, bool]:
        side, _, done = super().act(text)
        return side, 1.0, done


@pytest.mark.parametrize("kind", [Coin, LosesByDefault])
def test_an_episode_that_was_won_says_nothing_of_the_next(kind: type[Coin]) -> None:
    env = kind()
    for seed in range(40):
        _, info = env.reset(seed=seed)
        assert info["won"] is False
        assert env.step("heads")[4]["won"] is (env.side == "heads")


def test_a_win_may_be_a_property_of_the_class() -> None:
    class Kept(Coin):
        tosses = 0

        @property
        def won(self) -> bool:  # type: ignore[override]
            return self.tosses > 1

        def act(self, text: str) -> tuple[str, float, bool]:
            self.tosses += 1
            return "again", 0.0, False

    env = Kept()
    env.reset(seed=0)
    assert [env.step("x")[4]["won"] for _ in range(2)] == [False, True]


def test_what_numpy_has_for_texts_numbers_and_lists_becomes_pythons_own() -> None:
    class Numpy(Echo):
        def start(self, rng: np.random.Generator, **options: Any) -> Any:
            return rng.choice(["x", "y"])

        def act(self, text: str) -> Any:
            return np.str_("seen"), np.float32(0.5), np.bool_(True)

        def info(self) -> Any:
            return {"admissible_commands": np.array(["a", "b"]), "task": np.str_("t")}

    env = Numpy()
    observation, info = env.reset(seed=0)
    assert type(observation) is str and info == {"admissible_commands": ["a", "b"], "task": "t", "won": False}
    step = env.step("a")
    assert step == ("seen", 0.5, True, False, {"admissible_commands": ["a", "b"], "task": "t", "won": True})
    assert [type(part) for part in step[:4]] == [str, float, bool, bool]


class Faulty(Echo):
    """Goes wrong as it is told."""

    def start(self, rng: np.random.Generator, *, greeting: Any = "hello") -> Any:
        return greeting

    def act(self, text: str) -> Any:
        if text == "raise":
            return {}["fridge 9"]
        if text == "exit":
            raise SystemExit(7)
        return {"none": None, "nan": ("x", float("nan"), False), "word": ("x", "1", False), "five": (1, 2, 3, 4, 5)}[
            text
        ]

    def info(self) -> Any:
        return None if self._text == "no info" else {}


def _line_of(text: str) -> int:
    return next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), start=1) if line.strip() == text)


@pytest.mark.parametrize(
    ("action", "line", "says"),
    [
        ("raise", 'return {}["fridge 9"]', "Faulty.act failed: KeyError: 'fridge 9'"),
        ("exit", "raise SystemExit(7)", "Faulty.act failed: it ends the program"),
        ("none", "def act(self, text: str) -> Any:", "expected (observation, reward, done), got None"),
        ("nan", "def act(self, text: str) -> Any:", "a finite number, got float nan"),
        ("word", "def act(self, text: str) -> Any:", "a reward is a number, got str '1'"),
        ("five", "def act(self, text: str) -> Any:", "got 5 values"),
    ],
)
def test_a_fault_of_the_environments_code_names_it_and_its_line(action: str, line: str, says: str) -> None:
    env = Faulty()
    env.reset(seed=0)
    with pytest.raises(EngineError) as caught:
        env.step(action)
    message = str(caught.value)
    assert says in message and "\n" not in message and __file__ in message
    assert f"line {_line_of(line)}" in message or "def act" in line


@pytest.mark.parametrize("greeting", [None, b"hello", 3])
def test_a_first_observation_that_is_no_text_is_refused(greeting: Any) -> None:
    with pytest.raises(EngineError, match="Faulty.start .*the first observation is a str"):
        Faulty().reset(seed=0, options={"greeting": greeting})


def test_an_info_that_is_none_is_refused() -> None:
    with pytest.raises(EngineError, match="Faulty.info .*expected a dict, got None"):
        Faulty().reset(seed=0, options={"greeting": "no info"})


def test_errors_of_ours_pass_as_they_are() -> None:
    class Refuses(Echo):
        def act(self, text: str) -> Any:
            raise UsageError("not like this")

    env = Refuses()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="^not like this$"):
        env.step("x")


@pytest.mark.parametrize("options", [[1], "greeting", {1: 2}, 5, {"greting": "x"}])
def test_options_that_start_does_not_take_are_told_in_one_line(options: Any) -> None:
    with pytest.raises(UsageError, match="option"):
        Echo().reset(seed=0, options=options)


@pytest.mark.parametrize("seed", ["x", -1, 1.5, True, [1]])
def test_a_seed_that_is_none_is_told_in_one_line(seed: Any) -> None:
    with pytest.raises(UsageError, match="seed="):
        Echo().reset(seed=seed)


def test_a_seed_may_be_numpys() -> None:
    assert Echo().reset(seed=np.int64(3))[0] == Echo().reset(seed=3)[0]  # type: ignore[arg-type]


class Advised(Echo):
    """Its expert says what it is told to."""

    advice: Any = "win"

    def expert_action(self) -> Any:
        return {}["idea"] if self.advice == "raise" else self.advice


@pytest.mark.parametrize(("advice", "action"), [("win", "win"), ("", ""), (np.str_("win"), "win")])
def test_an_expert_is_asked_for_a_text(advice: Any, action: str) -> None:
    env = Advised()
    env.advice = advice
    assert ask_expert(TimeLimit(env, 3)) == action and type(ask_expert(env)) is str


@pytest.mark.parametrize(
    ("advice", "says"),
    [
        (None, "an expert's action is a str, got None"),
        (3, "an expert's action is a str, got int 3"),
        (["win"], "an expert's action is a str, got list"),
        (b"win", "an expert's action is a str, got bytes"),
        ("\ud800", "half a surrogate pair"),
        ("raise", "Advised.expert_action failed: KeyError: 'idea'"),
    ],
)
def test_an_expert_that_gives_no_text_or_fails_is_told_with_its_line(advice: Any, says: str) -> None:
    env = Advised()
    env.advice = advice
    with pytest.raises(EngineError) as caught:
        ask_expert(env)
    assert says in str(caught.value) and "Advised.expert_action" in str(caught.value)
    assert __file__ in str(caught.value) and "\n" not in str(caught.value)


def test_an_environment_without_an_expert_says_so() -> None:
    with pytest.raises(UsageError, match="Echo has no expert"):
        ask_expert(Echo())


class Interrupts(Echo):
    def act(self, text: str) -> tuple[str, float, bool]:
        raise KeyboardInterrupt


def test_an_interrupt_is_the_users_but_where_ctrl_c_is_ignored_the_authors_mistake() -> None:
    env = Interrupts()
    env.reset(seed=0)
    with pytest.raises(KeyboardInterrupt):
        env.step("x")
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the processes of --workers
    try:
        with pytest.raises(EngineError, match="Interrupts.act failed"):
            env.step("x")
    finally:
        signal.signal(signal.SIGINT, handler)
