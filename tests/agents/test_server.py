"""oreo.agents.server: what a failing server does to a run, and what is never sent or shown."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest

from helpers.protocol_server import ProtocolServer, same, served
from helpers.word_models import Babble
from oreo.agents import load_agent
from oreo.agents.server import Refused, ServerError
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

pytest.importorskip("openai", reason="served models need the openai package: pip install 'oreo-agents[served]'")


KEY = "sk-very-secret-0123456789"


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
    assert all(step.log_prob is not None for episode in played for step in episode.steps)


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


def test_a_model_that_only_thinks_is_pointed_out_and_nothing_is_stored(protocol: ProtocolServer) -> None:
    protocol.faults = ['{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}']
    with pytest.raises(ServerError, match="rule at .* used up its 48 tokens before it said anything"):
        rollout(Babble, agent=served(protocol), episodes=1, max_steps=1)


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
    (thread,) = [candidate for candidate in set(threading.enumerate()) - before if candidate.name == "oreo-served"]
    del agent
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


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
    assert time.monotonic() - before >= 1.2 and len(protocol.asked) == 2


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
    assert sorted(episode.seed or 0 for episode in stored) == sorted(episode.seed or 0 for episode in undisturbed)


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
    with pytest.raises(Refused) as failure:
        rollout(Babble, agent=served(protocol), episodes=1)
    assert str(failure.value) == f"rule at {protocol.url} refuses: HTTP {status}: told to say {status}"
    assert len(protocol.asked) == 1


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
