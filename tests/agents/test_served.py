"""Policies behind a server: what they are told, what is made of their answers, what a failing server does to a run."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.word_models import Babble, Lines, make_model
from oreo.agents import load_agent
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.agents.served import served_agent
from oreo.agents.server import Refused, Server, ServerError
from oreo.data.buffer import TrajectoryBuffer
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

pytest.importorskip("openai", reason="served models need the openai package: pip install 'oreo-agents[served]'")

from helpers.protocol_server import ProtocolServer  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProtocolServer]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = ProtocolServer()
    yield server
    server.kill()


def served(protocol: ProtocolServer, **settings: Any) -> Any:
    return load_agent("served:rule", server=protocol.url, **{"timeout": 0.4, "deadline": 20.0} | settings)


def same(played: list[Trajectory]) -> list[Trajectory]:
    """Without the time of day."""
    return [replace(trajectory, created="") for trajectory in played]


# What is asked and what is made of it.


def test_a_chat_is_the_instruction_the_observations_and_the_turns(protocol: ProtocolServer) -> None:
    agent = served(protocol, instruction="Be brief.", stop="\n", top_p=0.9, max_new_tokens=7)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    expected = [{"role": "system", "content": "Be brief."}]
    for step in trajectory.steps:
        expected.append({"role": "user", "content": step.observation})
        expected.append({"role": "assistant", "content": step.text})
    last = protocol.asked[-1]
    assert last["messages"] == expected[:-1]
    assert len(protocol.asked) == len(trajectory) and len({body["seed"] for body in protocol.asked}) == len(trajectory)
    assert (last["model"], last["stop"], last["top_p"], last["max_tokens"]) == ("rule", ["\n"], 0.9, 7)
    assert "n" not in last and last["temperature"] == 1.0
    assert trajectory.agent == "served(rule, temperature=1.0, top_p=0.9)"
    assert trajectory.checkpoint == "served:rule"


def test_the_log_probability_of_a_turn_is_the_sum_over_its_tokens_and_none_where_the_server_gives_none(
    protocol: ProtocolServer,
) -> None:
    agent = served(protocol)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    for body, step in zip(protocol.asked, trajectory.steps, strict=True):
        tokens = protocol.answer(body, chat=True)["choices"][0]["logprobs"]["content"]
        assert step.log_prob == pytest.approx(sum(token["logprob"] for token in tokens))
    protocol.rule = lambda body: "logprobs are not supported here" if "logprobs" in body else None
    protocol.asked.clear()
    (without,) = rollout(Babble, agent=agent, episodes=1)
    assert {step.log_prob for step in without.steps} == {None}
    assert [step.text for step in without.steps] == [step.text for step in trajectory.steps]
    assert len(protocol.asked) == len(without) + 1, "a field that is refused is sent once"


def test_a_field_that_an_error_only_quotes_is_not_given_up(protocol: ProtocolServer) -> None:
    protocol.rule = lambda body: (
        f"This model's maximum context length is 5 messages; you sent {sorted(body)}"
        if len(body["messages"]) > 5
        else None
    )
    with pytest.warns(UserWarning, match="its oldest turns leave"):
        played = rollout(Babble, agent=served(protocol, temperature=0.7), episodes=4, seed=3)
    assert max(map(len, played)) > 4
    assert all("seed" in body and "logprobs" in body and body["temperature"] == 0.7 for body in protocol.asked)
    assert all(step.log_prob is not None for each in played for step in each.steps)


def test_a_server_that_says_come_back_at_once_is_given_time_all_the_same(protocol: ProtocolServer) -> None:
    protocol.faults = ["429"] * 3
    protocol.retry_after = "0"
    before = time.monotonic()
    rollout(Babble, agent=served(protocol), episodes=1, max_steps=1)
    assert len(protocol.asked) <= 4 and time.monotonic() - before > 1.0


def test_episodes_ask_side_by_side_but_not_more_of_them_than_allowed(protocol: ProtocolServer) -> None:
    slow = protocol.answer
    protocol.answer = lambda body, chat: time.sleep(0.05) or slow(body, chat)  # type: ignore[method-assign]
    rollout(Babble, agent=served(protocol, concurrency=3), episodes=8, batch_size=8, max_steps=3)
    assert protocol.most_under_way == 3


def test_an_episode_does_not_depend_on_its_company(protocol: ProtocolServer) -> None:
    agent = served(protocol)
    one, many = (same(rollout(Babble, agent=agent, episodes=6, batch_size=size)) for size in (1, 6))
    assert one == many


def test_text_is_asked_for_with_the_tokens_of_training_or_their_text(protocol: ProtocolServer, tokenizer: Any) -> None:
    agent = served_agent(Server(protocol.url, "rule"), api="text", tokenizer=tokenizer, instruction="w9")
    turn_format = TurnFormat.from_tokenizer(tokenizer, instruction="w9")
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    encoded = turn_format.encode(trajectory).input_ids.tolist()
    for body in protocol.asked:
        assert body["prompt"] == encoded[: len(body["prompt"])]
    assert len({len(body["prompt"]) for body in protocol.asked}) == len(trajectory)
    protocol.asked.clear()
    protocol.rule = lambda body: None if isinstance(body["prompt"], str) else "prompt must be a string."
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    first, *prompts = (body["prompt"] for body in protocol.asked)
    assert isinstance(first, list) and len(prompts) == len(trajectory)
    for prompt, step in zip(prompts, trajectory.steps, strict=True):
        assert prompt.endswith(tokenizer.decode(turn_format.between(step.observation))[-20:]), "it is text now"


def test_the_older_turns_leave_where_an_episode_outgrows_the_context(protocol: ProtocolServer) -> None:
    protocol.rule = lambda body: (
        "This model's maximum context length is 5 messages" if len(body["messages"]) > 5 else None
    )
    agent = served(protocol)
    with pytest.warns(UserWarning, match="longer than rule is to read: its oldest turns leave"):
        played = rollout(Babble, agent=agent, episodes=4, seed=3)
    longest = max(played, key=len)
    assert len(longest) > 6
    # Turns 0, 1, 2 with the present one are 7 messages: of three turns, two leave.
    assert [step.context_start for step in longest.steps[:7]] == [0, 0, 0, 2, 2, 4, 4]
    said = [[message["content"] for message in body["messages"]] for body in protocol.asked]
    steps = longest.steps
    told = [f"{steps[0].observation}\n{steps[2].observation}", steps[2].text, steps[3].observation]
    assert told in said
    protocol.rule = lambda body: "the prompt is too long"
    with pytest.raises(Refused, match="too long"):
        rollout(Babble, agent=agent, episodes=1)


@pytest.mark.parametrize("api", ["chat", "text"])
def test_a_context_that_is_set_holds_for_a_server_too(api: str, protocol: ProtocolServer, tokenizer: Any) -> None:
    agent = served_agent(Server(protocol.url, "rule"), api=api, tokenizer=tokenizer, max_new_tokens=9, context=70)
    with pytest.warns(UserWarning, match="its oldest turns leave"):
        played = rollout(Babble, agent=agent, episodes=4, seed=3)
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    assert max(step.context_start for each in played for step in each.steps) > 0
    for trajectory in played:
        for at, step in enumerate(trajectory.steps):
            told = turn_format.history(trajectory.steps[:at], step.observation, step.context_start)
            assert len(told) <= 70 - 9
    with pytest.raises(UsageError, match="which counts tokens, take a tokenizer"):
        served_agent(Server(protocol.url, "rule"), context=70)


def test_messages_in_several_turns_are_for_models_that_are_loaded_here(protocol: ProtocolServer) -> None:
    with pytest.raises(UsageError, match="asked for whole messages"):
        rollout(Lines, agent=served_agent(Server(protocol.url, "rule")), episodes=1)


def test_a_model_that_only_thinks_is_pointed_out_and_nothing_is_stored(protocol: ProtocolServer) -> None:
    protocol.faults = ['{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}']
    with pytest.raises(ServerError, match="rule at .* used up its 48 tokens before it said anything"):
        rollout(Babble, agent=served(protocol), episodes=1, max_steps=1)


def test_a_turn_that_the_server_cut_is_marked(protocol: ProtocolServer) -> None:
    protocol.faults = ['{"choices": [{"message": {"content": "w1 w2"}, "finish_reason": "length"}]}']
    with pytest.warns(UserWarning, match="cut off at max_new_tokens=48"):
        (trajectory,) = rollout(Babble, agent=served(protocol), episodes=1, seed=1, max_steps=2)
    assert [step.cut for step in trajectory.steps] == [True, False]


@pytest.mark.filterwarnings("ignore:rule at")
@pytest.mark.parametrize(
    "reply",
    [
        "[" * 200_000,
        '{"choices": ' + "[" * 200_000,
        '{"choices": [{"message": {"content": null}, "finish_reason": "tool_calls"}]}',
        '{"choices": [{"message": {"content": "' + "a" * 10_000_000 + '"}}]}',
    ],
    ids=["brackets", "nested", "null", "long"],
)
def test_a_reply_that_is_no_turn_is_asked_for_again(reply: str, protocol: ProtocolServer) -> None:
    undisturbed = rollout(Babble, agent=served(protocol), episodes=1)
    protocol.faults = [reply]
    assert same(rollout(Babble, agent=served(protocol, timeout=5.0), episodes=1)) == same(undisturbed)


def test_a_reply_is_not_read_beyond_its_bound(protocol: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oreo.agents.server._LONGEST_REPLY", 1 << 20)
    protocol.faults = ["x" * (2 << 20)] * 9
    with pytest.raises(ServerError, match="a reply of more than 1 MiB"):
        rollout(Babble, agent=served(protocol, deadline=1.0), episodes=1)


def test_half_a_surrogate_pair_costs_no_episode(protocol: ProtocolServer, tmp_path: Path) -> None:
    protocol.faults = ['{"choices": [{"message": {"content": "w1 \\ud83d"}}]}']
    with TrajectoryBuffer(tmp_path) as buffer:
        (trajectory,) = rollout(Babble, agent=served(protocol), episodes=1, into=buffer)
        assert trajectory.steps[0].text == "w1 \ufffd" and same(list(buffer)) == same([trajectory])


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
def test_a_redirect_does_not_take_the_prompt_along(status: str, protocol: ProtocolServer) -> None:
    elsewhere = ProtocolServer()
    protocol.faults, protocol.location = [status], f"{elsewhere.url}/chat/completions"
    with pytest.raises(Refused, match=f"redirects to {elsewhere.url}/chat/completions, where no prompt is sent"):
        rollout(Babble, agent=served(protocol), episodes=1)
    assert not elsewhere.asked
    elsewhere.kill()


def test_it_can_be_asked_where_an_event_loop_runs_already(protocol: ProtocolServer) -> None:
    async def in_a_notebook() -> list[Trajectory]:
        return rollout(Babble, agent=served(protocol), episodes=2)

    assert same(asyncio.run(in_a_notebook())) == same(rollout(Babble, agent=served(protocol), episodes=2))


def test_its_thread_ends_with_it(protocol: ProtocolServer) -> None:
    before = set(threading.enumerate())
    agent = served(protocol)
    rollout(Babble, agent=agent, episodes=1)
    (thread,) = [each for each in set(threading.enumerate()) - before if each.name == "oreo-served"]
    del agent
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


# Best of K.


@pytest.mark.parametrize("many", [True, False])
def test_a_local_value_model_chooses_among_served_turns(protocol: ProtocolServer, tokenizer: Any, many: bool) -> None:
    protocol.many = many
    value = make_model("llama", seed=1, value=True)
    agent = served_agent(Server(protocol.url, "rule"), value=value, tokenizer=tokenizer, k=4)
    played = rollout(Babble, agent=agent, episodes=4, batch_size=3)
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    assert played[0].agent == "served(rule, temperature=1.0, best_of=4)"
    assert max(len(step.candidates) for each in played for step in each.steps) == 4
    for trajectory in played:
        prefix: list[int] = []
        for step in trajectory.steps:
            lead = turn_format.between if prefix else turn_format.start
            prefix += lead(step.observation)
            assert step.value == pytest.approx(_worth(value, prefix), abs=1e-4)
            texts = [candidate.text for candidate in step.candidates]
            assert len(texts) == len(set(texts))
            for candidate in step.candidates:
                worth = _worth(value, prefix + turn_format.turn(candidate.text)[:-1])
                assert candidate.value == pytest.approx(worth, abs=1e-4)
            best = max(step.candidates, key=lambda candidate: candidate.value or 0.0)
            assert (step.text, step.log_prob) == (best.text, best.log_prob)
            prefix += turn_format.turn(step.text)
    assert max(body.get("n", 1) for body in protocol.asked) == 4
    asked, steps = len(protocol.asked), sum(map(len, played))
    assert asked == steps if many else asked >= 4 * steps


def _worth(value: Any, ids: list[int]) -> float:
    with torch.no_grad():
        return float(value(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1, 0])


def test_the_values_are_noted_without_a_choice_too(protocol: ProtocolServer, tokenizer: Any) -> None:
    value = make_model("llama", seed=1, value=True)
    agent = served_agent(Server(protocol.url, "rule"), value=value, tokenizer=tokenizer)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    local = LanguageModelAgent(EpisodeReader(make_model("llama"), tokenizer, value=value))
    first = local.reader.contexts.format.start(trajectory.steps[0].observation)
    assert trajectory.steps[0].value == pytest.approx(_worth(value, first), abs=1e-4)
    assert all(step.value is not None and not step.candidates for step in trajectory.steps)


# When it fails.

FAULTS = [
    *("429", "500", "502", "503", "408", "409", "hang", "drop", "cut"),
    *("", "<html>busy</html>", '{"choices": [', "[1]", "{}", '{"choices": []}', '{"choices": [{"message": {}}]}'),
]


def test_every_passing_failure_is_asked_again_and_changes_nothing(
    protocol: ProtocolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oreo.agents.server._FIRST_PAUSE", 0.05)
    undisturbed = rollout(Babble, agent=served(protocol), episodes=8, batch_size=4)
    asked = len(protocol.asked)
    assert asked == sum(map(len, undisturbed))
    protocol.faults = list(FAULTS)
    disturbed = rollout(Babble, agent=served(protocol), episodes=8, batch_size=4)
    assert not protocol.faults
    assert same(disturbed) == same(undisturbed)
    assert len(protocol.asked) == 2 * asked + len(FAULTS) - FAULTS.count("")


def test_a_server_that_asks_for_patience_gets_it(protocol: ProtocolServer) -> None:
    protocol.faults, protocol.retry_after = ["429"], "1.2"
    before = time.monotonic()
    rollout(Babble, agent=served(protocol), episodes=1, max_steps=1)
    assert 1.2 <= time.monotonic() - before < 3


def test_a_server_that_dies_and_comes_back_costs_no_episode_and_adds_none(
    protocol: ProtocolServer, tmp_path: Path
) -> None:
    undisturbed = rollout(Babble, agent=served(protocol), episodes=60, batch_size=16)
    asked = len(protocol.asked)
    killed = []

    def strike() -> None:
        while len(protocol.asked) < asked + 100:
            time.sleep(0.001)
        protocol.kill()
        killed.append(len(protocol.asked))
        time.sleep(2.0)
        protocol.start()

    thread = threading.Thread(target=strike)
    thread.start()
    with TrajectoryBuffer(tmp_path) as buffer:
        disturbed = rollout(Babble, agent=served(protocol), episodes=60, batch_size=16, into=buffer)
        thread.join()
        stored = list(buffer)
    assert asked + 100 <= killed[0] < len(protocol.asked), "it died in the middle"
    assert same(disturbed) == same(undisturbed)
    assert sorted(each.seed or 0 for each in stored) == sorted(each.seed or 0 for each in undisturbed)


def test_after_the_deadline_the_run_fails_and_keeps_what_had_ended(protocol: ProtocolServer, tmp_path: Path) -> None:
    ended: list[Trajectory] = []

    def count(trajectory: Trajectory) -> None:
        ended.append(trajectory)
        if len(ended) == 5:
            protocol.kill()

    with TrajectoryBuffer(tmp_path) as buffer:
        with pytest.raises(ServerError, match=r"^rule at http://127\.0\.0\.1:\d+/v1 gave no answer in .* deadline"):
            rollout(
                Babble, agent=served(protocol, deadline=1.0), episodes=40, batch_size=4, into=buffer, on_episode=count
            )
        stored = list(buffer)
    assert same(stored) == same(ended) and len(stored) >= 5
    assert all(trajectory.terminated or trajectory.truncated for trajectory in stored), "none cut short, none lost"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_fails_at_once_in_one_line_with_the_servers_words(protocol: ProtocolServer, status: int) -> None:
    protocol.faults = [str(status)]
    before = time.monotonic()
    with pytest.raises(Refused) as failure:
        rollout(Babble, agent=served(protocol), episodes=1)
    assert str(failure.value) == f"rule at {protocol.url} refuses: HTTP {status}: told to say {status}"
    assert time.monotonic() - before < 2 and len(protocol.asked) == 1


def test_an_address_without_v1_is_told_of_it(protocol: ProtocolServer) -> None:
    agent = load_agent("served:rule", server=protocol.url.removesuffix("/v1"))
    with pytest.raises(Refused, match=r"HTTP 404: Not Found \(most servers' addresses end in /v1\)"):
        rollout(Babble, agent=agent, episodes=1)


def test_the_key_is_sent_and_shown_nowhere(protocol: ProtocolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", protocol.url)
    agent = load_agent("served:rule", timeout=0.4, deadline=1.0)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    assert protocol.keys[0] == f"Bearer {KEY}"
    protocol.rule = lambda body: f"the key {KEY} may not do that"
    with pytest.raises(Refused, match="the key .* may not do that") as failure:
        rollout(Babble, agent=agent, episodes=1)
    assert KEY not in f"{trajectory!r} {agent.name} {agent.checkpoint} {failure.value} {failure.value.complaint}"
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nmore")
    with pytest.raises(UsageError, match="a line break") as misuse:
        load_agent("served:rule")
    assert KEY not in str(misuse.value)


@pytest.mark.parametrize(
    ("spec", "settings", "said"),
    [
        ("served:m", {}, "OPENAI_BASE_URL"),
        ("served:", {"server": "http://127.0.0.1:1/v1"}, "expected served:MODEL"),
        ("served:m", {"server": "127.0.0.1:8000"}, "no URL"),
        ("served:m", {"server": "http://me:secret@127.0.0.1/v1"}, "OPENAI_API_KEY"),
        ("served:m", {"server": "me:secret@127.0.0.1/v1"}, "OPENAI_API_KEY"),
        ("tiny", {"server": "http://me:secret@127.0.0.1/v1"}, "server does nothing.*served:MODEL"),
        (
            "served:m",
            {"server": "http://127.0.0.1:1/v1", "choose": "admissible"},
            "choose='admissible' is for models that are loaded here",
        ),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "api": "chatty"}, "did you mean 'chat'"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "api": "text"}, "tokenizer"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "timeout": 0}, "timeout is 0; expected above 0"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "temperature": -1}, "temperature is -1"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "noise": 0.1}, "noise"),
        ("tiny", {"server": "http://127.0.0.1:1/v1"}, "server does nothing.*served:MODEL"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    spec: str, settings: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match=said) as failure:
        load_agent(spec, **settings)
    assert "secret" not in str(failure.value)


def test_best_of_k_without_a_value_model_says_so(protocol: ProtocolServer) -> None:
    with pytest.raises(DataError, match="no value model"):
        served(protocol, choose="best-of", k=3)


# On the command line.


def oreo(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "oreo", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def collecting(protocol: ProtocolServer, *more: str) -> list[object]:
    guess = f"{ROOT / 'examples' / 'guess.py'}:Guess"
    asked = ["--agent", "served:rule", "--agent-arg", f"server={protocol.url}", *more]
    return ["collect", "--env", guess, "--episodes", 40, "--batch-size", 2, "--into", "runs", *asked]


def test_collect_ends_with_one_line_and_an_error_code_when_the_server_does_not_come_back(
    protocol: ProtocolServer, tmp_path: Path
) -> None:
    protocol.rule = lambda body: f"the key {KEY} has run out" if len(protocol.asked) > 250 else None
    process = oreo(*collecting(protocol), cwd=tmp_path, OPENAI_API_KEY=KEY)
    out, error = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), error
    *progress, last = error.splitlines()  # a slow machine shows some
    assert last == f"oreo: rule at {protocol.url} refuses: HTTP 400: the key *** has run out"
    assert all(line.startswith("collecting: ") for line in progress)
    with TrajectoryBuffer(tmp_path / "runs", create=False) as stored:
        assert 0 < len(stored) < 40
        assert {len(trajectory) for trajectory in stored} == {10}


def test_ctrl_c_ends_a_run_that_waits_for_its_server(protocol: ProtocolServer, tmp_path: Path) -> None:
    protocol.faults = ["503"] * 1000
    protocol.retry_after = "60"
    process = oreo(*collecting(protocol), cwd=tmp_path)
    until = time.monotonic() + 60
    while not protocol.asked and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    out, error = process.communicate(timeout=60)
    assert time.monotonic() - before < 30, "it waited for the server"
    last = error.splitlines()[-1]
    assert process.returncode == 130 and last.startswith("oreo: stopped; 0 episodes are kept in runs; "), error


# A real server.


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's model with a chat template that writes what it was trained on."""
    from transformers import AutoTokenizer

    import oreo.models.loading

    folder = tmp_path_factory.mktemp("chatting")
    for file in oreo.models.loading.EMBEDDED["tiny"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ message['content'] }}<eos>{{ '\n' }}"
        "{% else %}{{ message['content'] }}{{ '\n> ' }}{% endif %}{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformers_serve(chatting: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` on loopback: its address."""
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("transformers serve is not installed: pip install 'transformers[serving]'")
    yield from serving(chatting, free_port(), tmp_path_factory.mktemp("log") / "serve.log")


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def serving(folder: Path, port: int, log: Path) -> Iterator[str]:
    import urllib.error
    import urllib.request

    code = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", code, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--device", "cpu"],
            stdout=output,
            stderr=output,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


KITCHEN: dict[str, Any] = {"episodes": 4, "max_steps": 6, "env_kwargs": {"split": "generated"}}


def told(played: list[Trajectory]) -> list[Any]:
    return [[(step.observation, step.turn, step.action) for step in trajectory.steps] for trajectory in played]


@pytest.mark.parametrize("settings", [{}, {"api": "text", "tokenizer": "tiny"}])
def test_a_served_model_plays_as_it_does_here(
    transformers_serve: str, chatting: Path, settings: dict[str, Any]
) -> None:
    here = rollout("oreo/ALFWorld-v0", agent=load_agent("tiny", temperature=0.0), **KITCHEN)
    agent = load_agent(f"served:{chatting}", server=transformers_serve, temperature=0.0, **settings)
    there = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)
    assert told(there) == told(here)
    assert {trajectory.checkpoint for trajectory in there} == {f"served:{chatting}"}


def test_a_real_server_can_be_evaluated_from_the_command_line(
    transformers_serve: str, chatting: Path, tmp_path: Path
) -> None:
    asked = ["--agent", f"served:{chatting}", "--agent-arg", f"server={transformers_serve}"]
    valued = ["--agent-arg", f"value={chatting}", "--best-of", 2]
    process = oreo("eval", *asked, *valued, "--episodes", 2, "--max-steps", 3, "--json", cwd=tmp_path)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert '"episodes": 2' in out


def test_a_model_that_a_real_server_does_not_have_is_named(transformers_serve: str) -> None:
    agent = load_agent("served:nobody/knows-it", server=transformers_serve)
    with pytest.raises(Refused, match="nobody/knows-it at http"):
        rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)
