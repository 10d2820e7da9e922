"""Each format by rows written from its public definition: what becomes of every field, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.actions import holds_its_action
from oreo.data.interchange.registry import FORMATS
from oreo.data.interchange.spec import Episode, Misfit, Reading, SetAside
from oreo.errors import DataError
from oreo.trajectory import Trajectory


def results(name: str, row: Any, **reading: Any) -> list[Any]:
    read = FORMATS[name].read
    assert read is not None
    return list(read(json.loads(json.dumps(row)), Reading(**reading)))


def episode(name: str, row: Any, *, known: bool = True, **reading: Any) -> Trajectory:
    (result,) = results(name, row, **reading)
    assert isinstance(result, Episode) and result.outcome_known is known
    return result.trajectory


def set_aside(name: str, row: Any) -> list[str]:
    return [result.reason for result in results(name, row) if isinstance(result, SetAside)]


def turns(trajectory: Trajectory) -> list[tuple[str, str, str | None, float]]:
    return [(step.observation, step.action, step.turn, step.reward) for step in trajectory.steps]


def said(*items: tuple[str, str], keys: tuple[str, str] = ("from", "value")) -> list[dict[str, str]]:
    return [dict(zip(keys, item, strict=True)) for item in items]


ROOM = "You are in a room.\nYour task is to: put a mug in desk."
INSTRUCTION = ("human", "Interact with a household. Answer as Thought and Action.")
EXPERT = said(
    INSTRUCTION,
    ("gpt", "OK"),
    ("human", ROOM),
    ("gpt", "Thought: a mug is near.\nAction: take mug 1 from desk 1"),
    ("human", "Observation: You take it."),
    ("gpt", "Action: look"),
)


# ShareGPT and AgentGym.


def test_the_instruction_and_its_ok_are_no_turns_and_what_is_more_goes_to_extra() -> None:
    row = {"id": 7, "game_file": "/home/them/json_2.1.1/train/a/b/game.tw-pddl", "conversations": EXPERT, "note": "x"}
    read = episode("sharegpt", row, known=False)
    assert turns(read) == [
        (ROOM, "take mug 1 from desk 1", "Thought: a mug is near.\nAction: take mug 1 from desk 1", 0.0),
        ("You take it.", "look", "Action: look", 0.0),
    ]
    assert read.game == row["game_file"] and read.final_observation == ""
    assert read.extra == {
        "id": 7,
        "note": "x",
        "instruction": [{"speaker": "environment", "text": INSTRUCTION[1]}, {"speaker": "agent", "text": "OK"}],
        "observation_prefix": "Observation: ",
    }


def test_an_expert_that_only_acts_needs_no_instruction() -> None:
    row = {"gamefile": "g", "conversations": said(("human", ROOM), ("gpt", "look"), ("human", "You see nothing."))}
    read = episode("sharegpt", row, known=False)
    assert (
        turns(read) == [(ROOM, "look", None, 0.0)] and read.final_observation == "You see nothing." and not read.extra
    )


@pytest.mark.parametrize(
    ("reward", "won"), [(1, True), (1.0, True), (True, True), (0.5, False), (0, False), (False, False)]
)
def test_a_reward_is_the_outcome_and_is_paid_for_the_last_turn(reward: Any, won: bool) -> None:
    read = episode("sharegpt", {"conversations": EXPERT, "reward": reward})
    assert (read.won, read.terminated, read.truncated) == (won, won, not won)
    assert [step.reward for step in read.steps] == [0.0, float(reward)]


def test_thoughts_may_be_left_out_and_an_action_found_by_a_pattern_of_ones_own() -> None:
    row = {"conversations": said(("human", "o"), ("gpt", "hm [[go]] or [[stay]]"), ("human", "p"), ("gpt", "nothing"))}
    pattern = re.compile(r"\[\[(.*?)\]\]")
    read = episode("sharegpt", row, known=False, pattern=pattern)
    assert [step.action for step in read.steps] == ["stay", "nothing"]
    # An agent trained on it says what all agents are understood by.
    assert [step.turn for step in read.steps] == ["hm [[go]] or [[stay]]\nAction: stay", None]
    assert all(map(holds_its_action, read.steps))
    read = episode("sharegpt", row, known=False, pattern=pattern, thoughts=False)
    assert [step.turn for step in read.steps] == [None, None]


AGENT_TRAJ = {
    "item_id": "alfworld_123",
    "conversations": [
        {"from": "human", "loss": None, "value": "Interact with a household."},
        {"from": "gpt", "loss": False, "value": "OK. I'll follow your instructions and try my best to solve the task."},
        {"from": "human", "loss": None, "value": ROOM + "\nAVAILABLE ACTIONS: go to desk 1, look"},
        {"from": "gpt", "loss": True, "value": "Thought:\nI look.\n\nAction:\nlook"},
        {"from": "human", "loss": None, "value": "Nothing.\nAVAILABLE ACTIONS: go to desk 1"},
        {"from": "gpt", "loss": False, "value": "Thought:\nHm.\n\nAction:\ngo to desk 1"},
    ],
}


def test_agentgym_says_what_is_not_to_be_imitated_and_which_commands_there_are() -> None:
    read = episode("agentgym", AGENT_TRAJ, known=False)
    assert [(step.observation, step.action, step.imitate) for step in read.steps] == [
        (ROOM, "look", True),
        ("Nothing.", "go to desk 1", False),
    ]
    assert [step.admissible_commands for step in read.steps] == [("go to desk 1", "look"), ("go to desk 1",)]
    assert read.extra["item_id"] == "alfworld_123"


def test_a_conversation_that_is_null_is_set_aside() -> None:
    assert set_aside("agentgym", {"item_id": "alfworld_1", "conversations": None}) == [
        "it has no conversation (conversations is null)"
    ]


# ETO and OREO.


def rollout(**meta: Any) -> dict[str, Any]:
    shown = said(
        ("human", "Instruction. Your task is to: clean a cup."), ("gpt", "Thought: x\nAction: look"), ("human", ROOM)
    )
    played = said(("gpt", "no action"), ("human", "Observation: Error Input."), ("gpt", "Action: look"))
    return {"meta": {"steps": 2, **meta}, "conversations": shown + played}


PATH = "/data/json_2.1.1/train/pick_and_place_simple-Mug-None-Desk-1/trial_T1/game.tw-pddl"


@pytest.mark.parametrize(
    ("meta", "ending"),
    [
        ({"reward": 1, "terminate_reason": "success"}, (True, True, False, "")),
        ({"reward": 0, "terminate_reason": "max_steps"}, (False, False, True, "out of steps")),
        ({"reward": 0, "terminate_reason": None}, (False, False, True, "cut off")),
        ({"reward": 0.4, "terminate_reason": "success"}, (False, True, False, "lost")),
        ({"reward": False, "invalid": True}, (False, False, True, "invalid")),
        ({"reward": True, "invalid": False}, (True, True, False, "")),
    ],
)
def test_a_rollout_is_won_out_of_steps_cut_off_or_lost(meta: dict[str, Any], ending: tuple[Any, ...]) -> None:
    read = episode("eto-rollouts", rollout(error=PATH, **meta))
    assert (read.won, read.terminated, read.truncated, read.grade) == ending
    assert read.game == PATH and read.episode_return == float(meta["reward"])


def test_worked_examples_before_the_task_are_no_turns_and_a_refused_one_is_marked() -> None:
    read = episode("eto-rollouts", rollout(reward=0))
    assert turns(read)[0] == (ROOM, "no action", None, 0.0) and len(read) == 2
    assert [step.action_valid for step in read.steps] == [False, None]
    assert len(read.extra["instruction"]) == 2 and read.extra["meta"] == {"steps": 2}  # type: ignore[arg-type]


def test_an_error_of_the_rollout_is_no_loss() -> None:
    assert set_aside("eto-rollouts", rollout(reward=0, error="Timeout\nat line 3")) == [
        "the rollout ended by an error (Timeout)"
    ]
    assert "has no reward" in set_aside("eto-rollouts", rollout(reward=None))[0]


def test_the_lines_of_a_response_are_steps_of_one_message() -> None:
    row = {"prompt": "2 + 2?", "response": "I add.\n\nIt is 4.", "reward": 1, "level": 3}
    read = episode("oreo-math", row)
    assert turns(read) == [("2 + 2?", "I add.\n", None, 0.0), ("", "\n", None, 0.0), ("", "It is 4.", None, 1.0)]
    assert [step.continues_message for step in read.steps] == [True, True, False]
    assert (read.env_id, read.task, read.extra, read.won) == ("oreo/Math-v0", "2 + 2?", {"level": 3}, True)
    assert set_aside("oreo-math", {**row, "response": ""}) == ["it has no response"]


def test_the_releases_alfworld_has_roles_and_a_reward() -> None:
    row = {"conversations": said(("user", ROOM), ("assistant", "look"), keys=("role", "content")), "reward": 0}
    read = episode("oreo-alfworld", row)
    assert turns(read) == [(ROOM, "look", None, 0.0)] and read.truncated and not read.won


def test_what_every_observation_of_the_release_begins_with_is_taken_off_and_put_on_again() -> None:
    said_so = said(
        *(("user", ROOM), ("assistant", "look"), ("user", "Observation: A mug.")),
        *(("assistant", "take mug"), ("user", "Observation: Taken.")),
        keys=("role", "content"),
    )
    read = episode("oreo-alfworld", {"conversations": said_so, "reward": 1})
    assert [step.observation for step in read.steps] == [ROOM, "A mug."] and read.final_observation == "Taken."
    (again,) = FORMATS["oreo-alfworld"].write([read])  # type: ignore[misc]
    assert again["conversations"] == said_so


def test_a_field_of_the_files_own_is_put_before_no_observation() -> None:
    row = {"conversations": said(("human", ROOM), ("gpt", "look"), ("human", "A mug."))}
    read = episode("sharegpt", {**row, "observation_prefix": 5, "reward": 1})
    (again,) = FORMATS["sharegpt"].write([read])  # type: ignore[misc]
    assert again["conversations"] == row["conversations"]


# ReAct text.


def test_thoughts_of_react_text_stand_before_their_action_where_an_agent_finds_it() -> None:
    text = f"{ROOM}\n> Think: a mug.\nOK.\n> ActionPath: Start\n> go to desk 1\nA mug 1.\n> look\n> Think: done.\n"
    read = episode("react", {"name": "t/trial_1", "result": True, "traj": text})
    assert turns(read) == [
        (ROOM, "go to desk 1", "Think: a mug.\nActionPath: Start\nAction: go to desk 1", 0.0),
        ("A mug 1.", "look", None, 1.0),
    ]
    assert read.game == "t/trial_1" and read.extra == {"last_thoughts": ["Think: done."]}


@pytest.mark.parametrize(("result", "grade"), [(True, ""), (False, "out of steps"), (0, "cut off")])
def test_true_false_and_nought_are_three_endings(result: Any, grade: str) -> None:
    read = episode("react", {"name": "n", "result": result, "traj": "o\n> a\nb\n"})
    assert (read.won, read.truncated, read.grade) == (result is True, result is not True, grade)


def test_another_result_is_refused() -> None:
    with pytest.raises(Misfit, match="result is 2, expected true, false or 0"):
        results("react", {"name": "n", "result": 2, "traj": "o\n> a\n"})


# Messages.

CALL = {"id": "c1", "type": "function", "function": {"name": "act", "arguments": '{"command": "open box"}'}}
TOOLS = [{"type": "function", "function": {"name": "act", "parameters": {}}}]


@pytest.mark.parametrize("arguments", ['{"command": "open box"}', {"command": "open box"}])
def test_a_call_is_the_action_whether_its_arguments_are_an_object_or_a_text(arguments: Any) -> None:
    call = {**CALL, "function": {"name": "act", "arguments": arguments}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "You see a box."}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "name": "act", "tool_call_id": "c1", "content": "It has a key."},
        {"role": "assistant", "content": "I take it.", "tool_calls": [call, call], "weight": 0},
    ]
    read = episode("messages", {"messages": messages, "tools": TOOLS}, known=False)
    action = '{"name": "act", "arguments": {"command": "open box"}}'
    assert turns(read) == [
        ("You see a box.", action, f"Action: {action}", 0.0),
        ("It has a key.", f"[{action}, {action}]", f"I take it.\nAction: [{action}, {action}]", 0.0),
    ]
    assert [step.imitate for step in read.steps] == [True, False]
    assert read.extra["tools"] == TOOLS and read.extra["turns"]["0"]["tool_calls"] == [call]  # type: ignore[index]
    (again,) = FORMATS["messages"].write([read])  # type: ignore[misc]
    assert again["messages"][1:] == [{"role": "user", "content": "You see a box."}, *messages[2:]]


def test_answers_to_several_calls_are_written_as_they_were_read_however_many_lines_they_have() -> None:
    messages = [
        {"role": "user", "content": "You see a box."},
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "It has\n\na key."},
        {"role": "tool", "tool_call_id": "c2", "content": "It is empty."},
        {"role": "user", "content": "Go\non."},
        {"role": "assistant", "content": "I am done."},
        {"role": "tool", "tool_call_id": "c3", "content": "a\n"},
        {"role": "tool", "tool_call_id": "c4", "content": ""},
    ]
    read = episode("messages", {"messages": messages, "reward": 1})
    assert read.steps[1].observation == "It has\n\na key.\nIt is empty.\nGo\non."
    (again,) = FORMATS["messages"].write([read])  # type: ignore[misc]
    assert again["messages"] == messages


def test_a_call_that_is_a_text_is_read_as_the_call_that_it_says() -> None:
    def row(call: Any) -> dict[str, Any]:
        completion = [{"role": "assistant", "content": "", "tool_calls": [call]}]
        return {"example_id": 0, "prompt": "You see a box.", "completion": completion, "reward": 1.0}

    read = episode("verifiers-results", row(json.dumps(CALL)))
    assert read == episode("verifiers-results", row(CALL))
    with pytest.raises(Misfit, match=r"completion\[0\]\.tool_calls\[0\] is a text that is no JSON"):
        results("verifiers-results", row("{open box"))


def test_a_function_call_of_before_there_were_tools_is_the_action_too() -> None:
    call = {"name": "act", "arguments": '{"command": "open box"}'}
    messages = [
        {"role": "user", "content": "You see a box."},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "act", "content": "It has a key."},
    ]
    read = episode("messages", {"messages": messages}, known=False)
    assert read.steps[0].action == '{"name": "act", "arguments": {"command": "open box"}}'
    (again,) = FORMATS["messages"].write([read])  # type: ignore[misc]
    assert again["messages"] == messages


@pytest.mark.parametrize(
    "refusing",
    [
        {"role": "assistant", "content": None, "refusal": "I will not."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
    ],
)
def test_what_a_model_says_that_refuses_is_its_turn(refusing: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "Open the box."}, refusing, {"role": "user", "content": "Please."}]
    read = episode("messages", {"messages": messages}, known=False)
    assert turns(read) == [("Open the box.", "I will not.", None, 0.0)]
    (again,) = FORMATS["messages"].write([read])  # type: ignore[misc]
    assert again["messages"] == messages
    both = {"role": "assistant", "content": "open box", "refusal": None}
    assert turns(episode("messages", {"messages": [messages[0], both]}, known=False))[0][1] == "open box"


@pytest.mark.parametrize("reward", [10**400, -(10**400), float("nan"), float("inf")])
def test_a_reward_that_no_float_holds_is_refused_by_name(reward: Any) -> None:
    messages = [{"role": "user", "content": "o"}, {"role": "assistant", "content": "a"}]
    with pytest.raises(Misfit, match="reward is"):
        results("messages", {"messages": messages, "reward": reward})


def test_what_is_no_text_is_refused_by_name() -> None:
    messages = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": "a"},
    ]
    with pytest.raises(Misfit, match=r"messages\[0\]\.content\[0\] is of the type 'image_url'"):
        results("messages", {"messages": messages})
    with pytest.raises(Misfit, match=r"messages\[0\]\.role is 'narrator'"):
        results("messages", {"messages": [{"role": "narrator", "content": "x"}]})


@pytest.mark.parametrize(
    ("row", "known", "won"),
    [
        ({"prompt": "o", "completion": "a"}, False, False),
        ({"prompt": "o", "completion": "a", "label": True}, True, True),
        ({"prompt": "o", "completion": "a", "label": False}, True, False),
        (
            {"prompt": [{"role": "user", "content": "o"}], "completion": [{"role": "assistant", "content": "a"}]},
            False,
            False,
        ),
    ],
)
def test_a_prompt_and_a_completion_are_a_conversation(row: dict[str, Any], known: bool, won: bool) -> None:
    read = episode("messages", row, known=known)
    assert turns(read) == [("o", "a", None, float(won))] and read.won is won


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("keys", [("from", "value"), ("role", "content")])
def test_a_pair_is_a_won_and_a_lost_episode(implicit: bool, keys: tuple[str, str]) -> None:
    user, assistant = ("human", "gpt") if keys[0] == "from" else ("user", "assistant")
    begins = said((user, "o"), keys=keys)
    good, bad = (
        said((assistant, "good"), (user, "p"), (assistant, "more"), keys=keys),
        said((assistant, "bad"), keys=keys),
    )
    row = {"chosen": begins + good, "rejected": begins + bad}
    if not implicit:
        row = {"prompt": begins, "chosen": good, "rejected": bad}
    won, lost = (result.trajectory for result in results("pairs", {"id": 3, **row}))
    assert turns(won) == [("o", "good", None, 0.0), ("p", "more", None, 1.0)] and won.won
    assert turns(lost) == [("o", "bad", None, 0.0)] and not lost.won and lost.grade == "rejected"
    assert won.extra == {"id": 3, "side": "chosen"}


def test_a_pair_of_texts_is_read_too() -> None:
    won, lost = (result.trajectory for result in results("pairs", {"prompt": "o", "chosen": "a", "rejected": "b"}))
    assert turns(won) == [("o", "a", None, 1.0)] and turns(lost) == [("o", "b", None, 0.0)]


# verifiers, ATIF, TALES.


def test_a_row_of_verifiers_with_an_error_is_no_loss() -> None:
    row = {
        "example_id": 3,
        "prompt": [{"role": "user", "content": "o"}],
        "completion": "a",
        "reward": 0.0,
        "error": None,
    }
    more = {"answer": "4", "info": {"level": 2}, "is_truncated": True, "format_reward": 0.5}
    read = episode("verifiers-results", row | more)
    assert turns(read) == [("o", "a", None, 0.0)] and read.truncated and not read.won
    assert read.extra == {"example_id": 3, "answer": "4", "info": {"level": 2}, "format_reward": 0.5}
    assert set_aside("verifiers-results", row | {"error": "APIError: 500"}) == [
        "the rollout ended by an error (APIError: 500)"
    ]


def node(parent: int | None, role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"parent": parent, "message": {"role": role, "content": content}, "timestamp": 1.0, **more}


def test_a_trace_is_a_trajectory_a_leaf() -> None:
    nodes = [
        node(None, "user", "o"),
        node(0, "assistant", "a", sampled=True, token_ids=[5, 6, 7], mask=[False, True, True], logprobs=[-0.5, -0.25]),
        node(1, "user", "p"),
        node(2, "assistant", "b", sampled=True),
        node(2, "assistant", "c"),
    ]
    rewards = {"right": {"score": 1.0, "weight": 0.75}, "brief": {"score": 0.5, "weight": 0.5}, "unscored": None}
    trace = {
        "version": 1,
        "id": "t",
        "nodes": nodes,
        "rewards": rewards,
        "ok": True,
        "stop_condition": "agent_completed",
    }
    row = {"id": "e", "env": {"id": "toy"}, "task": {"type": "T", "data": {"idx": 1}}, "ok": True, "traces": [trace]}
    one, other = (result.trajectory for result in results("verifiers-traces", row))
    assert turns(one) == [("o", "a", None, 0.0), ("p", "b", None, 1.0)] and one.won and one.terminated
    assert [step.imitate for step in other.steps] == [True, False]
    assert one.steps[0].log_prob == -0.75 and one.steps[1].log_prob is None
    assert one.extra["turns"]["0"]["token_ids"] == [5, 6, 7]  # type: ignore[index]
    assert set_aside(
        "verifiers-traces", {**row, "traces": [{**trace, "ok": False, "errors": [{"type": "Timeout"}]}]}
    ) == ["the trace is not ok (Timeout)"]


@pytest.mark.parametrize("parent", [1, 2, -1, "0", True])
def test_a_tree_whose_path_would_have_no_end_is_refused(parent: Any) -> None:
    trace = {"nodes": [node(None, "user", "o"), node(parent, "assistant", "a")], "ok": True}
    with pytest.raises(Misfit, match=r"traces\[0\]\.nodes\[1\]\.parent"):
        results("verifiers-traces", {"traces": [trace]})


def test_sampled_tokens_of_a_turn_are_its_own_where_they_say_it() -> None:
    asked = []

    def sampled(ids: Any, text: str) -> tuple[int, ...] | None:
        asked.append((list(ids), text))
        return tuple(ids) if text == "a" else None

    reading = Reading(sampled=sampled, tokenizer="digest")
    nodes = [
        node(None, "user", "o", token_ids=[1, 2], mask=[False, False]),
        node(0, "assistant", "a", sampled=True, token_ids=[5, 6, 7], mask=[False, True, True]),
        node(1, "user", "p"),
        node(2, "assistant", "b", sampled=True, token_ids=[8], mask=[True]),
        node(3, "assistant", "c", sampled=True, token_ids=[9], mask=[True, True]),
    ]
    traces = [{"nodes": nodes, "rewards": {}, "ok": True}]
    (read,) = FORMATS["verifiers-traces"].read({"traces": traces}, reading)  # type: ignore[misc]
    assert [step.token_ids for step in read.trajectory.steps] == [(6, 7), None, None]
    assert read.trajectory.tokenizer == "digest" and asked == [([6, 7], "a"), ([8], "b")]
    assert read.trajectory.extra["turns"]["2"]["token_ids"] == [9]
    step = {"step_id": 2, "source": "agent", "message": "a", "metrics": {"completion_token_ids": [3, 4]}}
    (read,) = FORMATS["atif"].read({**ATIF, "steps": [step]}, reading)  # type: ignore[misc]
    assert read.trajectory.steps[0].token_ids == (3, 4) and read.trajectory.tokenizer == "digest"
    (read,) = FORMATS["atif"].read({**ATIF, "steps": [step]}, Reading())  # type: ignore[misc]
    assert read.trajectory.steps[0].token_ids is None and read.trajectory.tokenizer == ""


ATIF = {
    "schema_version": "ATIF-v1.4",
    "session_id": "s",
    "agent": {"name": "terminus", "version": "2", "model_name": "m"},
    "steps": [
        {"step_id": 1, "source": "user", "message": "Make it build."},
        {
            "step_id": 2,
            "source": "agent",
            "message": "I look.",
            "reasoning_content": "Hm.",
            "tool_calls": [{"tool_call_id": "c", "function_name": "bash", "arguments": {"cmd": "ls"}}],
            "observation": {"results": [{"source_call_id": "c", "content": "Makefile"}]},
            "metrics": {"completion_token_ids": [1, 2], "logprobs": [-0.1, -0.2]},
        },
        {"step_id": 3, "source": "agent", "message": "Done.", "is_copied_context": True},
    ],
}


def test_the_observation_of_an_atif_step_is_the_one_after_it() -> None:
    read = episode("atif", ATIF, known=False)
    action = '{"name": "bash", "arguments": {"cmd": "ls"}}'
    assert turns(read) == [
        ("Make it build.", action, f"I look.\nAction: {action}", 0.0),
        ("Makefile", "Done.", None, 0.0),
    ]
    assert read.agent == "terminus" and [step.imitate for step in read.steps] == [True, False]
    assert read.extra["turns"]["0"]["reasoning_content"] == "Hm."  # type: ignore[index]
    (again,) = FORMATS["atif"].write([read])  # type: ignore[misc]
    assert again["steps"][:2] == ATIF["steps"][:2] and again["agent"] == ATIF["agent"]  # type: ignore[index]


@pytest.mark.parametrize(("reward", "won"), [(1.0, True), (0.5, False)])
def test_a_reward_beside_an_atif_trajectory_is_its_outcome(reward: float, won: bool) -> None:
    read = episode("atif", {**ATIF, "extra": {"reward": reward}})
    assert read.won is won and read.episode_return == reward


def test_the_rewards_of_tales_are_the_differences_of_its_scores() -> None:
    roles = said(
        ("environment", "o"), ("agent", "a"), ("environment", "p"), ("agent", "b"), ("environment", "q"), ("agent", "c")
    )
    turns_text = json.dumps([{"role": item["from"], "content": item["value"]} for item in roles])
    row = {"game": "Zork1", "framework": "jericho", "model": "m", "agent_type": "zero-shot", "seed": 20241001}
    row |= {"turns": turns_text, "score": 15, "max_score": 350, "total_steps": 3}  # type: ignore[dict-item]
    row["score_progression"] = json.dumps([{"step": 1, "score": 0}, {"step": 2, "score": 20}, {"step": 3, "score": 15}])
    read = episode("tales", row)
    assert [step.reward for step in read.steps] == [0.0, 20.0, -5.0] and not read.won and read.truncated
    assert (read.game, read.seed, read.agent) == ("Zork1", 20241001, "m/zero-shot")
    assert episode("tales", {**row, "max_score": 15}).won
    with pytest.raises(Misfit, match="score is 16, and score_progression ends with 15"):
        results("tales", {**row, "score": 16})


# Plain JSON lines.


def test_of_a_plain_row_all_but_actions_may_be_left_out() -> None:
    read = episode("jsonl", {"steps": [{"action": "a"}, {"action": "b"}], "won": True, "mood": "good"}, env="toy")
    assert turns(read) == [("", "a", None, 0.0), ("", "b", None, 1.0)]
    assert (read.env_id, read.terminated, read.extra) == ("toy", True, {"mood": "good"})
    assert not episode("jsonl", {"steps": [{"action": "a"}]}, known=False).terminated


def test_thoughts_of_plain_rows_may_be_left_out_too() -> None:
    row = {"steps": [{"action": "a", "turn": "Hm.\nAction: a"}], "won": True}
    assert [episode("jsonl", row, thoughts=keep).steps[0].turn for keep in (True, False)] == ["Hm.\nAction: a", None]


def test_rewards_that_are_given_are_kept_as_they_are() -> None:
    steps = [{"action": "a", "reward": 0.25}, {"action": "b"}]
    assert [step.reward for step in episode("jsonl", {"steps": steps, "won": True}).steps] == [0.25, 0.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"steps": [{"observation": "o"}]}, r"steps\[0\]\.action is missing"),
        ({"steps": [{"action": "a", "mood": 3}]}, r"steps\[0\] has the field mood"),
        ({"steps": [{"action": "a", "reward": "1"}], "won": True}, r"steps\[0\]\.reward"),
        ({"steps": [{"action": "a"}], "won": "yes"}, "won"),
        ({"steps": "a"}, "steps is a text"),
    ],
)
def test_a_wrong_field_of_a_plain_row_is_named(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        results("jsonl", row)


# All of them.

ROWS: dict[str, list[Any]] = {
    "sharegpt": [{"id": 7, "game_file": "g", "conversations": EXPERT}],
    "agentgym": [AGENT_TRAJ, {"item_id": "alfworld_1", "conversations": None}],
    "eto-rollouts": [rollout(reward=1)],
    "oreo-math": [{"prompt": "p", "response": "r", "reward": 0}],
    "oreo-alfworld": [
        {"conversations": said(("user", "o"), ("assistant", "a"), keys=("role", "content")), "reward": 1}
    ],
    "react": [{"name": "n", "result": True, "traj": "o\n> a\nb\n"}],
    "messages": [
        {"messages": said(("user", "o"), ("assistant", "a"), keys=("role", "content"))},
        {"prompt": "p", "completion": "c"},
    ],
    "pairs": [{"prompt": "o", "chosen": "a", "rejected": "b"}],
    "verifiers-results": [{"example_id": 1, "prompt": "p", "completion": "c", "reward": 1.0}],
    "verifiers-traces": [{"traces": [{"nodes": [node(None, "user", "o"), node(0, "assistant", "a")], "ok": True}]}],
    "atif": [ATIF],
    "tales": [{"game": "g", "turns": "[]", "score_progression": "[]", "score": 0, "max_score": 1}],
    "jsonl": [{"steps": [{"action": "a"}]}],
}


def test_every_format_with_rows_of_json_is_among_them() -> None:
    assert set(ROWS) == {name for name, record in FORMATS.items() if record.read and not record.rows}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_fits_its_own_format_and_none_that_says_more(name: str) -> None:
    for row in ROWS[name]:
        fitting = {record.name for record in FORMATS.values() if record.fits(row)}
        lesser = {word for word in fitting for word in FORMATS[word].instead_of}
        assert fitting - lesser == {name}


def changed(value: Any, data: st.DataObject) -> Any:
    """A row with one value in it, however deep, in place of which another stands."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 4)):
        keys: Iterable[Any] = value if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(list(keys)))
        copy = value.copy()
        copy[key] = changed(value[key], data)
        return copy
    return data.draw(
        st.none()
        | st.booleans()
        | st.integers(-2, 2)
        | st.floats()
        | st.text(max_size=3)
        | st.just([])
        | st.just({})
        | st.just([{}])
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_other_value_in_a_row_is_read_set_aside_or_refused_by_name(data: st.DataObject) -> None:
    name, other = (data.draw(st.sampled_from(sorted(ROWS))) for _ in range(2))
    row = changed(data.draw(st.sampled_from(ROWS[name if data.draw(st.integers(0, 3)) else other])), data)
    record = FORMATS[name]
    assert isinstance(record.fits(row), bool)
    if not isinstance(row, dict):
        return  # which nobody reads: see importing.py
    try:
        for result in record.read(row, Reading()):  # type: ignore[misc]
            assert isinstance(result, Episode | SetAside)
    except DataError as error:
        assert "\n" not in str(error)


def test_a_field_that_has_a_name_of_ours_is_kept_beside_it() -> None:
    row = {"conversations": EXPERT, "instruction": "theirs", "turns": 3}
    extra = episode("sharegpt", row, known=False).extra
    assert extra["row.instruction"] == "theirs" and extra["turns"] == 3 and isinstance(extra["instruction"], list)


@pytest.mark.parametrize(
    "meta", [{"terminate_reason": "max_steps"}, {}, {"terminate_reason": "success"}, {"invalid": True}]
)
def test_an_ending_is_written_so_that_it_is_read_as_the_same(meta: dict[str, Any]) -> None:
    read = episode("eto-rollouts", rollout(reward=0, error=PATH, **meta))
    (again,) = FORMATS["eto-rollouts"].write([read])  # type: ignore[misc]
    back = episode("eto-rollouts", again)
    assert (back.grade, back.terminated, back.truncated, back.game) == (
        read.grade,
        read.terminated,
        read.truncated,
        PATH,
    )
    assert back.steps[1:] == read.steps[1:]
