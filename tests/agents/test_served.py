"""oreo.agents.served: what a model behind a server is told, and what is made of its answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.commands import run_oreo
from helpers.protocol_server import ProtocolServer, same, served
from helpers.word_models import Babble, Lines
from oreo.agents import load_agent
from oreo.agents.served import served_agent
from oreo.agents.server import Refused, Server
from oreo.data.buffer import TrajectoryBuffer
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

pytest.importorskip("openai", reason="served models need the openai package: pip install 'oreo-agents[served]'")

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-very-secret-0123456789"


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
    contents = [[message["content"] for message in body["messages"]] for body in protocol.asked]
    steps = longest.steps
    told = [f"{steps[0].observation}\n{steps[2].observation}", steps[2].text, steps[3].observation]
    assert told in contents
    protocol.rule = lambda body: "the prompt is too long"
    with pytest.raises(Refused, match="too long"):
        rollout(Babble, agent=agent, episodes=1)


@pytest.mark.parametrize("api", ["chat", "text"])
def test_a_context_that_is_set_holds_for_a_server_too(api: str, protocol: ProtocolServer, tokenizer: Any) -> None:
    agent = served_agent(Server(protocol.url, "rule"), api=api, tokenizer=tokenizer, max_new_tokens=9, context=70)
    with pytest.warns(UserWarning, match="its oldest turns leave"):
        played = rollout(Babble, agent=agent, episodes=4, seed=3)
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    assert max(step.context_start for episode in played for step in episode.steps) > 0
    for trajectory in played:
        for at, step in enumerate(trajectory.steps):
            told = turn_format.history(trajectory.steps[:at], step.observation, step.context_start)
            assert len(told) <= 70 - 9
    with pytest.raises(UsageError, match="which counts tokens, take a tokenizer"):
        served_agent(Server(protocol.url, "rule"), context=70)


def test_messages_in_several_turns_are_for_models_that_are_loaded_here(protocol: ProtocolServer) -> None:
    with pytest.raises(UsageError, match="asked for whole messages"):
        rollout(Lines, agent=served_agent(Server(protocol.url, "rule")), episodes=1)


# When it fails.


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
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
        ("served:m", {"server": "http://127.0.0.1:1/v1", "timeout": 0}, "timeout is 0; expected a number above 0"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "temperature": -1}, "temperature is -1"),
        ("served:m", {"server": "http://127.0.0.1:1/v1", "noise": 0.1}, "noise"),
        ("tiny", {"server": "http://127.0.0.1:1/v1"}, "server does nothing.*served:MODEL"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    spec: str, settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match=message) as failure:
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
    out, error = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, ""), error
    *progress, last = error.splitlines()  # a slow machine shows some
    assert last == f"oreo: rule at {protocol.url} refuses: HTTP 400: the key *** has run out"
    assert all(line.startswith("collecting: ") for line in progress)
    with TrajectoryBuffer(tmp_path / "runs", create=False) as stored:
        assert 0 < len(stored) < 40
        assert {len(trajectory) for trajectory in stored} == {10}


def test_ctrl_c_ends_a_run_that_waits_for_its_server(protocol: ProtocolServer, tmp_path: Path) -> None:
    protocol.faults = ["503"] * 1000
    protocol.retry_after = "3600"
    process = oreo(*collecting(protocol, "--agent-arg", "deadline=7200"), cwd=tmp_path)
    until = time.monotonic() + 300
    while not protocol.asked and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=300)  # of the hour that the server asks for
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

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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
        until = time.monotonic() + 300
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
    local = rollout("oreo/ALFWorld-v0", agent=load_agent("tiny", temperature=0.0), **KITCHEN)
    agent = load_agent(f"served:{chatting}", server=transformers_serve, temperature=0.0, **settings)
    remote = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)
    assert told(remote) == told(local)
    assert {trajectory.checkpoint for trajectory in remote} == {f"served:{chatting}"}


def test_a_real_server_can_be_evaluated_from_the_command_line(
    transformers_serve: str, chatting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--agent", f"served:{chatting}", "--agent-arg", f"server={transformers_serve}"]
    valued = ["--agent-arg", f"value={chatting}", "--best-of", 2]
    code = run_oreo("eval", *asked, *valued, "--episodes", 2, "--max-steps", 3, "--json")
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert '"episodes": 2' in printed.out


def test_a_model_that_a_real_server_does_not_have_is_named(transformers_serve: str) -> None:
    agent = load_agent("served:nobody/knows-it", server=transformers_serve)
    with pytest.raises(Refused, match="nobody/knows-it at http"):
        rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)
