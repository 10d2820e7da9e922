"""Formats that a library reads or writes: each reads what the other wrote, and one line says when it is missing."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.data.interchange.exporting import export
from oreo.data.interchange.registry import FORMATS, detect
from oreo.data.interchange.spec import Episode, Misfit, Reading, SetAside
from oreo.errors import MissingExtra
from oreo.trajectory import Step, Trajectory

EPISODE = Trajectory("toy", (Step("o", "a", 0.25), Step("p", "b", 0.75)), "end", True, False, True)


def results(path: Path) -> list[Any]:
    record = detect(path)
    assert record.rows is not None and record.read is not None
    rows = list(record.rows(path))
    assert not [row.fault for row in rows if row.fault]
    return [result for row in rows for result in record.read(row.value, Reading())]


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inspect_ai", "inspect_ai.log", "minari", "minari.dataset.minari_storage"):
        monkeypatch.setitem(sys.modules, name, None)
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", "{}")
    with pytest.raises(MissingExtra, match=r"log\.eval is a log of Inspect.*oreo-agents\[inspect\]"):
        results(tmp_path / "log.eval")
    with pytest.raises(MissingExtra, match=r"oreo-agents\[minari\]"):
        export([EPISODE], tmp_path / "d", "minari")
    assert not (tmp_path / "d").exists()


SAMPLE = {
    "id": 1,
    "epoch": 1,
    "messages": [
        {"role": "user", "content": "o", "id": "m1", "source": "input"},
        {
            "role": "assistant",
            "content": [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "I act."}],
            "tool_calls": [{"id": "c", "function": "act", "arguments": {"x": 1}, "type": "function"}],
        },
        {"role": "tool", "content": "p", "tool_call_id": "c", "function": "act"},
        {"role": "assistant", "content": "done"},
    ],
    "scores": {"match": {"value": "C", "answer": "done"}, "other": {"value": 0}},
    "metadata": {"level": 2},
}


def sample(**changes: Any) -> Any:
    read = FORMATS["inspect"].read
    assert read is not None
    (result,) = read({**SAMPLE, **changes}, Reading())
    return result


def test_a_sample_of_inspect_is_an_episode() -> None:
    read = sample().trajectory
    call = '{"name": "act", "arguments": {"x": 1}}'
    assert [(step.observation, step.action, step.reward) for step in read.steps] == [
        ("o", call, 0.0),
        ("p", "done", 1.0),
    ]
    assert read.steps[0].turn == f"I act.\nAction: {call}" and read.won and read.terminated
    assert read.extra["metadata"] == {"level": 2} and read.extra["turns"]["0"]["reasoning_content"] == "hm"


@pytest.mark.parametrize(
    ("value", "reward"), [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (0.25, 0.25), (True, 1.0)]
)
def test_its_score_is_a_letter_or_a_number(value: Any, reward: float) -> None:
    assert sample(scores={"match": {"value": value}}).trajectory.episode_return == reward


def test_errors_limits_and_samples_without_a_score() -> None:
    assert sample(error={"message": "Timeout\nmore"}) == SetAside("the sample ended by an error (Timeout)")
    assert sample(limit={"type": "message", "limit": 10}).trajectory.truncated
    assert not sample(scores={}).outcome_known
    with pytest.raises(Misfit, match="scores.match.value is 'A'"):
        sample(scores={"match": {"value": "A"}})


def test_a_log_that_the_library_wrote_is_read(tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    messages = [ChatMessageUser(content="o"), ChatMessageAssistant(content="a")]
    samples = [
        log.EvalSample(
            id=at,
            epoch=1,
            input="q",
            target="t",
            messages=messages,
            output=ModelOutput(),
            scores={"m": Score(value=value)},
        )
        for at, value in enumerate(("C", 0.25), 1)
    ]
    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="toy",
        dataset=log.EvalDataset(samples=2, sample_ids=[1, 2]),
        model="m",
        config=log.EvalConfig(),
    )
    log.write_eval_log(log.EvalLog(eval=spec, samples=samples, status="success"), str(tmp_path / "x.eval"))
    first, second = results(tmp_path / "x.eval")
    assert first.trajectory.won and second.trajectory.episode_return == 0.25
    assert [(step.observation, step.action) for step in first.trajectory.steps] == [("o", "a")]


def test_verifiers_loads_the_traces_that_are_written(tmp_path: Path) -> None:
    pytest.importorskip("verifiers.v1")
    from verifiers.v1.task import WireTaskData
    from verifiers.v1.trace import Trace
    from verifiers.v1.utils.trace_store import read_episodes

    export([EPISODE], tmp_path / "traces.jsonl", "verifiers-traces")
    (episode,) = read_episodes(tmp_path, Trace[WireTaskData])
    (trace,) = episode.traces
    assert trace.reward == 1.0 and episode.ok
    assert [message.content for message in trace.branches[0].messages] == ["o", "a", "p", "b", "end"]


def test_datasets_loads_what_trl_takes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export([EPISODE], tmp_path / "x.jsonl", "trl-sft")
    rows = datasets.load_dataset(
        "json", data_files=str(tmp_path / "x.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant", "user", "assistant"]


def test_trl_reads_conversations_labels_and_pairs_as_what_they_are(tmp_path: Path) -> None:
    datasets, trl = pytest.importorskip("datasets"), pytest.importorskip("trl.data_utils")
    lost = replace(EPISODE, steps=EPISODE.steps[:1], won=False, final_observation="")
    spoken = {
        "trl-sft": [{"text": "<user>o<assistant>a<user>p<assistant>b"}, {"text": "<user>o<assistant>a"}],
        "trl-kto": [
            {"prompt": "<user>o<assistant>", "completion": "a<user>p<assistant>b", "label": True},
            {"prompt": "<user>o<assistant>", "completion": "a", "label": False},
        ],
        "trl-preference": [{"prompt": "<user>o<assistant>", "chosen": "a<user>p<assistant>b", "rejected": "a"}],
    }
    for name, expected in spoken.items():
        export([EPISODE, lost], tmp_path / name, name)
        rows = datasets.load_dataset(
            "json", data_files=str(tmp_path / name), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert all(map(trl.is_conversational, rows))
        assert [trl.apply_chat_template(row, Template()) for row in rows] == expected


class Template:
    """A tokenizer as far as TRL asks for one here."""

    chat_template = ""

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = False, **_: Any) -> str:
        said = "".join(f"<{message['role']}>{message['content']}" for message in messages)
        return said + "<assistant>" * add_generation_prompt


def test_what_minari_has_is_an_episode_again(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    export([EPISODE], tmp_path / "d", "minari")
    (result,) = results(tmp_path / "d")
    assert isinstance(result, Episode) and result.trajectory == EPISODE
