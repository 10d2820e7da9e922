"""The maths environment on generated problems and on a few written here: steps, the calculator, grades, copies."""

from __future__ import annotations

import copy
import json
import pickle
import re
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import oreo.envs
from oreo.envs.math.env import MathEnv
from oreo.envs.math.steps import STEPS
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout

CLIPS = {
    "question": "Natalia sold 48 clips in April and half as many in May. How many altogether?",
    "answer": "In May she sold 48/2 = <<48/2=24>>24 clips.\n"
    "In all that is 48+24=$<<48+24=72>>\n\nclips. So x = 72.\n#### 72",
}
KINDS = [(step, tool) for step in STEPS for tool in (None, "calculator")]


@pytest.fixture
def clips(tmp_path: Path) -> str:
    """A source of one problem."""
    (tmp_path / "clips.jsonl").write_text(json.dumps(CLIPS) + "\n")
    return f"gsm8k:{tmp_path}/clips.jsonl"


def make(**kwargs: Any) -> gym.Env[str, str]:
    return gym.make("oreo/Math-v0", **kwargs)


def say(env: gym.Env[str, str], *actions: str) -> list[str]:
    """What the environment says to each."""
    return [env.step(action)[0] for action in actions]


def play(env: gym.Env[str, str], **reset: Any) -> list[Any]:
    """The expert's episode: everything that reset and step returned."""
    seen: list[Any] = [env.reset(**reset)]
    while not (len(seen) > 1 and (seen[-1][2] or seen[-1][3])):
        seen.append(env.step(env.unwrapped.expert_action()))
    return seen


# The contract.


@pytest.mark.parametrize(("step", "tool"), KINDS)
def test_gymnasiums_checker_accepts_it(step: str, tool: str | None) -> None:
    check_env(make(step=step, tool=tool).unwrapped)


def test_it_is_the_same_environment_by_either_door() -> None:
    for env in (make(), oreo.envs.make("math"), oreo.envs.make("oreo/Math-v0")):
        observation, info = env.reset(seed=5)
        assert observation == info["task"] and info["game"].startswith("generated/train/")
        assert list(info) == [
            "task",
            "task_type",
            "game",
            "level",
            "subject",
            "grade",
            "answer",
            "answer_key",
            "stop",
            "won",
        ]
        assert info["subject"] == info["task_type"] and (info["grade"], info["answer"]) == ("no_answer", None)


@pytest.mark.parametrize(("step", "stop"), [("line", ("\n",)), ("sentence", ("\n", ". ", ".$ ")), ("solution", None)])
def test_info_says_after_every_reset_and_step_where_a_turn_ends(step: str, stop: Any) -> None:
    env = make(step=step)
    assert env.reset(seed=0)[1].get("stop") == stop
    assert env.step("I do not know.\n")[4].get("stop") == stop


@pytest.mark.parametrize(("step", "tool"), KINDS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_expert_wins_in_every_kind_of_steps_and_is_paid_once(step: str, tool: str | None, split: str) -> None:
    env = make(step=step, tool=tool, split=split)
    for seed in range(20):
        episode = play(env, seed=seed)
        assert [step[1] for step in episode[1:]] == [0.0] * (len(episode) - 2) + [1.0]
        *_, (_, _, terminated, truncated, info) = episode
        assert terminated and not truncated and info["won"] and info["grade"] == "correct"


def test_same_seed_same_problems_and_without_a_seed_the_next_ones() -> None:
    one, other = make(), make()
    games = [one.reset(seed=3)[1]["game"], *(one.reset()[1]["game"] for _ in range(3))]
    assert games == [other.reset(seed=3)[1]["game"], *(other.reset()[1]["game"] for _ in range(3))]
    assert len(set(games)) == 4


def test_a_problem_is_played_again_by_its_name_whatever_was_set() -> None:
    first = play(make(steps=[5, 6], distractors=1), seed=8)
    assert play(make(largest=50), seed=1, options={"game": first[0][1]["game"]}) == first


@pytest.mark.parametrize(("made", "steps"), [({}, 64), ({"max_episode_steps": 3}, 3)])
def test_the_step_limit_truncates_where_there_is_no_answer_yet(made: dict[str, Any], steps: int) -> None:
    env = make(**made)
    env.reset(seed=0)
    seen = [env.step("hm\n") for _ in range(steps)]
    assert [turn[3] for turn in seen] == [False] * (steps - 1) + [True]
    assert not any(turn[1] or turn[2] for turn in seen) and seen[-1][4]["grade"] == "no_answer"


def test_a_limit_lists_the_problems_and_rollouts_walk_through_them() -> None:
    env = make(limit=5, split="test")
    games = env.unwrapped.games
    assert games == [f"generated/test/{number}" for number in range(5)]
    assert {env.reset(seed=seed)[1]["game"] for seed in range(60)} == set(games)
    assert make().unwrapped.games is None
    played = rollout("math", agent="expert", env_kwargs={"limit": 5, "split": "test", "tool": "calculator"})
    assert [trajectory.game for trajectory in played] == games and all(trajectory.won for trajectory in played)


def test_the_settings_and_filters_of_generated_problems_pass_through() -> None:
    env = make(steps=[1, 6], levels=[5], subjects=["story", "arithmetic"], operations="+-", largest=50, seed=4)
    for seed in range(10):
        info = env.reset(seed=seed)[1]
        assert info["level"] == "5" and info["subject"] in ("story", "arithmetic")
    assert len(play(make(steps=6), seed=0)) == 8


# Answers and grades.


@pytest.mark.parametrize(
    ("message", "grade", "answer"),
    [
        ("#### 72", "correct", "72"),
        ("#### 72.00\n", "correct", "72.00"),
        ("#### <<36*2=72>>72", "correct", "72"),
        (r"\boxed{<<36*2=72>>72}", "correct", "72"),
        (r"So it is $\boxed{72}$.", "correct", "72"),
        (r"\boxed{\frac{144}{2}}", "correct", r"\frac{144}{2}"),
        ("#### 73", "wrong", "73"),
        ("#### no idea", "wrong", "no idea"),
    ],
)
def test_a_final_answer_ends_the_episode_and_is_graded(clips: str, message: str, grade: str, answer: str) -> None:
    for step in STEPS:
        env = make(source=clips, step=step)
        env.reset(seed=0)
        observation, reward, terminated, _, info = env.step(message)
        assert (observation, reward, terminated) == ("", float(grade == "correct"), True)
        assert (info["grade"], info["answer"], info["won"]) == (grade, answer, grade == "correct")
        with pytest.raises(UsageError, match="reset"):
            env.unwrapped.step("more")
        with pytest.raises(UsageError, match="reset"):
            env.unwrapped.expert_action()
        assert env.reset(seed=0)[1]["grade"] == "no_answer"


def test_what_marks_no_answer_goes_on_and_a_whole_message_without_one_has_none(clips: str) -> None:
    env = make(source=clips)
    env.reset(seed=0)
    for text in ("72", "", "\n", "####", r"\boxed{}", r"it is \boxed{", "7"):
        assert not env.step(text)[2]
    assert env.step("2}")[4]["answer"] == "7\n2"  # a box may span lines
    whole = make(source=clips, step="solution")
    whole.reset(seed=0)
    _, reward, terminated, _, info = whole.step("It is 72.")
    assert (reward, terminated, info["grade"], info["answer"]) == (0.0, True, "no_answer", None)


def test_a_pattern_of_ones_own_finds_the_answer_in_place_of_the_usual_marks(clips: str) -> None:
    env = make(source=clips, pattern=r"answer is (\d+)")
    env.reset(seed=0)
    assert not env.step("#### 72\n")[2]
    assert env.step("The answer is 72.\n")[4]["grade"] == "correct"


def test_a_pattern_that_never_ends_is_a_timeout_and_not_a_hang(clips: str) -> None:
    env = make(source=clips, pattern="(a|aa)+$")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step("a" * 5000 + "!")
    assert (reward, terminated, info["grade"]) == (0.0, True, "timeout")


@pytest.mark.parametrize(("step", "tool"), KINDS)
def test_the_right_answer_is_nowhere_to_be_seen_before_it_is_given(tmp_path: Path, step: str, tool: str | None) -> None:
    (tmp_path / "secret.jsonl").write_text(json.dumps({"question": "Which?", "answer": "It is.\n#### 918273"}))
    env = make(source=f"jsonl:{tmp_path}/secret.jsonl", step=step, tool=tool)
    seen: list[Any] = [env.reset(seed=0), env.step("1 + 1 = <<1+1=")]
    seen += [] if seen[-1][2] else [env.step("2 = ?\n")]
    assert "918273" not in repr(seen)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=()), max_size=40)
        | st.sampled_from(
            ["<<1/0=", "<<9^9^9=", "<<=", "<<<<1+1=", "1 = ?\n", "= ?", "5=", ".$ ", "\\boxed{1", "}", "\r\n"]
        ),
        max_size=8,
    ),
    st.sampled_from(KINDS),
)
def test_no_text_raises_and_what_was_said_is_in_the_message(actions: list[str], kind: tuple[str, str | None]) -> None:
    env = MathEnv(step=kind[0], tool=kind[1])
    env.reset(seed=0)
    for action in actions:
        before = env.message
        observation, reward, done, _, info = env.step(action)
        assert env.message.startswith(before) and env.message.endswith(observation)
        assert "".join(action.split()) in "".join(env.message[len(before) :].split())
        assert (reward > 0) == (info["grade"] == "correct") and (done or info["grade"] == "no_answer")
        assert not done or info["grade"] != "no_answer" or kind[0] == "solution"
        if done:
            break


# Steps.


def test_an_action_comes_with_its_line_break_or_without() -> None:
    env = make()
    messages = []
    for ending in ("", "\n", "\r\n"):
        env.reset(seed=1)
        say(env, f"One.{ending}", f"Two.{ending}", f"#### 3{ending}")
        messages.append(env.unwrapped.message)
    assert set(messages) == {"One.\nTwo.\n#### 3\n"}


# The calculator.


def test_an_annotation_is_answered_in_its_line_and_a_line_that_asks_with_a_line(clips: str) -> None:
    env = make(source=clips, tool="calculator")
    env.reset(seed=0)
    assert say(env, "In May she sold 48/2 = <<48/2=", "24 clips.", "48 + 24 = ?\n", "#### 72") == [
        "24>>",
        "",
        "72\n",
        "",
    ]
    assert env.unwrapped.message == "In May she sold 48/2 = <<48/2=24>>24 clips.\n48 + 24 = ?\n72\n#### 72\n"
    assert env.unwrapped.info()["grade"] == "correct"


@pytest.mark.parametrize("action", ["x = 5", "x=", "2 = 2", "x = ?\n", "what = ?", "a >> b = ", "5="])
def test_equations_ask_nothing(action: str) -> None:
    env = make(tool="calculator")
    env.reset(seed=0)
    assert say(env, action) == [""]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("48/2 = ?", "24"),
        ("48/2=?", "24"),
        (" (1+2)*3 = ? ", "9"),
        ("-3 = ?", "-3"),
        ("3 pens = ?", "error"),
        ("x = ?", ""),
        ("48/2 =", "24"),
        ("What is 48/2?", "24"),
        ("So in all (3 + 4) * 2 = ?", "14"),
        ("Compute 3,000*2 =", "6000"),
        ("Is it 5?", ""),
        ("So what?", ""),
        ("How much is 5% * 200?", "10"),
    ],
)
def test_a_line_asks_where_it_ends_in_arithmetic(line: str, answer: str) -> None:
    for step in ("line", "sentence"):
        env = make(tool="calculator", step=step)
        env.reset(seed=0)
        assert say(env, "One line.\n", line) == ["", answer and f"{answer}\n"]


def test_the_calculator_reads_the_longest_message_at_once() -> None:
    env = make(tool="calculator", max_episode_steps=200)
    env.reset(seed=0)
    start = time.process_time()
    for piece in ("1", "<<", "<<1", "1=", "(", "= ?", "\\boxed{"):
        say(env, piece * 20_000, piece * 20_000 + "== ?\n")
    assert time.process_time() - start < 60


@pytest.mark.parametrize(("action", "answer"), [("<<48/2 =", "24>>"), ("<<x=", "error>>"), ("<<5$=", "5>>")])
def test_an_annotation_that_ends_in_another_way_is_answered_where_an_agent_stops_at_it(
    action: str, answer: str
) -> None:
    env = make(tool="calculator")
    env.reset(seed=0)
    assert say(env, action) == [answer] and env.unwrapped.message == action + answer


@pytest.mark.parametrize("expression", ["1/0", "2+", "9^9^9^9", "(" * 500 + "1", "1" * 5000, "import os", ""])
def test_what_cannot_be_computed_gets_a_short_error(expression: str) -> None:
    env = make(tool="calculator")
    env.reset(seed=0)
    observation, reward, terminated, *_ = env.step(f"So <<{expression}=")
    assert (observation, reward, terminated) == ("error>>", 0.0, False)
    assert say(env, "and on\n", "1/0 = ?\n") == ["", "error\n"]


def test_a_turn_that_stops_at_another_equals_sign_goes_on_in_its_line() -> None:
    env = make(tool="calculator")
    env.reset(seed=0)
    assert say(env, "He has 6*2=", "12 pens\n", "#### 3*4=") == ["", "", ""]
    assert env.unwrapped.info()["grade"] == "no_answer"  # the answer is still being written
    assert env.step("12\n")[4]["answer"] == "3*4=12"
    assert env.unwrapped.message == "He has 6*2=12 pens\n#### 3*4=12\n"


def test_without_the_calculator_nobody_answers() -> None:
    env = make()
    env.reset(seed=0)
    assert say(env, "<<48/2=", "48/2 = ?\n") == ["", ""]


@pytest.mark.parametrize(
    ("made", "kept"),
    [({}, False), ({"tool": "calculator"}, True), ({"annotations": True}, True), ({"annotations": False}, False)],
)
def test_annotations_are_kept_for_the_calculator_and_stripped_without_unless_told(
    clips: str, made: dict[str, Any], kept: bool
) -> None:
    env = make(source=clips, **made)
    env.reset(seed=0)
    assert ("<<" in env.unwrapped.expert_action()) == kept


# The expert.


def test_the_experts_turns_end_where_a_model_would_stop(clips: str) -> None:
    env = make(source=clips, tool="calculator")
    env.reset(seed=0)
    seen = []
    while not env.unwrapped._now.over:
        seen.append(env.unwrapped.expert_action())
        env.step(seen[-1])
    assert seen == [
        "In May she sold 48/2 = <<48/2=",
        "24 clips.\n",
        "In all that is 48+24=",
        "$<<48+24=",
        "\n",
        "clips. So x = 72.\n",
        "#### 72",
    ]
    assert env.unwrapped.message == re.sub("\n+", "\n", CLIPS["answer"]) + "\n"


def test_the_expert_goes_on_after_steps_that_were_not_its_own(clips: str) -> None:
    env = make(source=clips)
    env.reset(seed=0)
    say(env, "Let me see.", "In May she sold  48/2 = 24 clips.", "That is nice.")
    assert env.unwrapped.expert_action() == "In all that is 48+24=$\n"
    say(env, "In all that is 48+24=$\nclips. So x = 72.")  # two of its lines at once
    assert env.unwrapped.expert_action() == "#### 72"


def test_the_expert_ends_a_line_that_went_astray_and_begins_its_own_anew(clips: str) -> None:
    env = make(source=clips, tool="calculator")
    env.reset(seed=0)
    assert say(env, "In May she sold 48/3 = <<48/3=") == ["16>>"]
    seen = [env.unwrapped.expert_action()]
    env.step(seen[-1])
    seen.append(env.unwrapped.expert_action())
    assert seen == ["\n", "In May she sold 48/2 = <<48/2="]
    env.step(seen[-1])
    say(env, "25 clips.\n")  # its line, with another end
    assert env.unwrapped.expert_action() == "In May she sold 48/2 = <<48/2="
    assert play_on(env)["grade"] == "correct"


def play_on(env: gym.Env[str, str]) -> dict[str, Any]:
    """The expert takes over; the last info."""
    while True:
        _, _, terminated, truncated, info = env.step(env.unwrapped.expert_action())
        if terminated or truncated:
            return info


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.sampled_from(["expert", "no\n", "5=", "<<5*5=", "", "2 = ?", "x. "]), max_size=10),
    st.sampled_from(KINDS[:4]),
)
def test_the_expert_wins_after_any_interlude(seed: int, interlude: list[str], kind: tuple[str, str | None]) -> None:
    env = MathEnv(step=kind[0], tool=kind[1])
    env.reset(seed=seed)
    for action in interlude:
        if env.step(env.expert_action() if action == "expert" else action)[2]:
            return
    assert play_on(env)["grade"] == "correct"


def test_without_a_worked_solution_or_past_its_end_the_expert_says_so(tmp_path: Path, clips: str) -> None:
    (tmp_path / "plain.jsonl").write_text('{"question": "1+1?", "answer": 2}\n')
    env = make(source=f"jsonl:{tmp_path}/plain.jsonl")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="no worked solution"):
        env.unwrapped.expert_action()
    env = make(source=clips, pattern="answer is (.+)")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="answer is"):
        play_on(env)


# Copies.


def test_a_copy_goes_on_by_itself(clips: str) -> None:
    env = make(tool="calculator")
    env.reset(seed=4)
    env.step(env.unwrapped.expert_action())
    twin = copy.deepcopy(env)
    assert play_on(twin)["won"] and env.unwrapped.info()["grade"] == "no_answer"
    assert twin.unwrapped._problems is env.unwrapped._problems, "problems are not copied"
    assert play_on(env)["won"]
    assert [one.reset()[1]["game"] for one in (env, twin)][0] == copy.deepcopy(twin).unwrapped.info()["game"]
    assert env.reset()[1]["game"] == twin.reset()[1]["game"]


def test_a_snapshot_takes_back_any_number_of_steps_any_number_of_times() -> None:
    env = MathEnv(tool="calculator")
    env.reset(seed=4)
    env.step(env.expert_action())
    before, message, info = env.snapshot(), env.message, env.info()
    for _ in range(2):
        play_on(env)
        env.restore(before)
        assert (env.message, env.info()) == (message, info)


def test_an_environment_can_be_pickled(clips: str) -> None:
    for source in ("generated", clips):
        env = MathEnv(source=source)
        env.reset(seed=3)
        twin = pickle.loads(pickle.dumps(env))
        assert twin.info() == env.info() and twin.expert_action() == env.expert_action()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_many_at_once_are_many(mode: str) -> None:
    envs = gym.make_vec("oreo/Math-v0", num_envs=3, vectorization_mode=mode, tool="calculator", step="sentence")
    observations, infos = envs.reset(seed=3)
    assert observations[2] == make().reset(seed=5)[0] and infos["stop"][0][0] == "\n"
    _, rewards, terminated, *_ = envs.step(("#### x", "<<1+1=", "hm"))
    assert terminated.tolist() == [True, False, False] and not rewards.any()
    envs.close()


# Wrong usage.


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"step": "lines"}, "did you mean 'line'"),
        ({"tool": "abacus"}, "calculator"),
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": 3}, "expected a regular expression"),
        ({"limit": 0}, "limit=0"),
        *(({"seconds": wrong}, f"seconds={wrong!r}") for wrong in (0, "abc", 3e6, float("inf"))),
        ({"split": "valid"}, "choose from train, test"),
        ({"source": "generate"}, "did you mean 'generated'"),
        ({"source": "gsm8k"}, "gsm8k:PATH"),
        ({"source": "gsm8k:"}, "gsm8k:PATH"),
        ({"source": "generated:x"}, "generated"),
        ({"question_field": "q"}, "has its own fields"),
        ({"colour": 1}, "unknown argument 'colour'"),
        ({"levels": [7]}, "set steps"),
        ({"levels": []}, "levels=[]"),
        ({"subjects": ["storey"]}, "did you mean 'story'"),
        ({"steps": "many"}, "1 to 6"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(made: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        MathEnv(**made)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_wrong_reset_option_or_an_early_step_is_told() -> None:
    env = MathEnv()
    for call in (lambda: env.step("1"), env.expert_action, env.info, env.snapshot):
        with pytest.raises(UsageError, match="reset"):
            call()
    with pytest.raises(UsageError, match="did you mean 'game'"):
        env.reset(options={"gam": "x"})
    for game in ("generated/train/x", "gsm8k/train/1", 3):
        with pytest.raises(UsageError, match="problem"):
            env.reset(options={"game": game})


def test_the_last_number_counts_where_a_solution_is_one_action(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.write_text('{"question": "2+2?", "answer": "4"}\n')
    env = MathEnv(source=f"jsonl:{source}", step="solution", extract="last number")
    assert env.reset(seed=0)[1]["extract"] == "last number"
    _, reward, done, _, info = env.step("First 2, then 2 more, so it is 4.")
    assert (reward, done, info["grade"], info["answer"]) == (1.0, True, "correct", "4")
    strict = MathEnv(source=f"jsonl:{source}", step="solution")
    assert "extract" not in strict.reset(seed=0)[1]
    assert strict.step("First 2, then 2 more, so it is 4.")[4]["grade"] == "no_answer"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"extract": "last number"}, "step='solution'"),
        ({"extract": "last number", "step": "sentence"}, "step='solution'"),
        ({"extract": "lst number", "step": "solution"}, "did you mean 'last number'"),
        ({"extract": "last number", "step": "solution", "pattern": "(.+)"}, "choose one"),
        ({"pattern": "(?R)"}, "takes all memory"),
    ],
)
def test_rules_for_finding_the_answer_that_do_not_fit_are_told(made: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        MathEnv(**made)


@pytest.mark.parametrize("snapshot", [5, None, (), (1, 2), "x"])
def test_what_is_no_snapshot_is_refused(snapshot: Any) -> None:
    env = MathEnv()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="takes what snapshot"):
        env.restore(snapshot)
