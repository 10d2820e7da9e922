"""oreo.experiments.diagnose: the turns of one state, played on, and V read where candidates are compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers import small_models
from helpers.training import FAST
from oreo.agents.loading import load_agent
from oreo.errors import DataError
from oreo.eval.diagnostics import values_after
from oreo.experiments.diagnose import diagnose_value, passes
from oreo.models.loading import load_policy, load_value
from oreo.rollouts.loop import rollout
from oreo.training.trainer import train

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    start = small_models.make_model(folder / "start", "llama")
    train(small_models.rollouts(), method="oreo", model=start, output=folder / "oreo", epochs=1, **FAST)
    return folder / "oreo"


def test_v_after_a_turn_is_what_best_of_k_compares_it_by(checkpoint: Path) -> None:
    agent = load_agent(str(checkpoint), choose="best-of", k=3, temperature=1.0, max_new_tokens=4)
    _, tokenizer = load_policy(checkpoint)
    compared = 0
    for played in rollout(GUESS, agent=agent, episodes=6, max_steps=1):
        for candidate in played.steps[0].candidates:
            if len(tokenizer(candidate.text)["input_ids"]) > 4:  # the agent has no room to read it whole
                continue
            # Its text is read, here and there, and whether it was cut off is stored of what was said alone.
            said = replace(played.steps[0], action=candidate.text, turn=None, cut=False, token_ids=None)
            [after] = values_after([replace(played, steps=(said,))], load_value(checkpoint), tokenizer)
            assert after == pytest.approx(candidate.value, abs=1e-5)
            compared += 1
    assert compared > 1


def test_a_checkpoint_is_diagnosed_by_playing_the_turns_of_its_states_on(checkpoint: Path) -> None:
    settings: dict[str, Any] = dict(env=GUESS, env_kwargs={}, episodes=4, games=None, max_steps=3)
    seen: list[int] = []
    result = diagnose_value(str(checkpoint), **settings, siblings=3, continuations=2, on_pass=seen.append)
    assert result.episodes == 4 and seen == list(range(1, passes(3, 2) + 1))
    assert 1 <= result.siblings.states <= 4 and result.siblings.continuations == 2
    assert result.residual is not None and set(result.siblings.gains) == {"value", "log_prob", "both", "oracle"}
    assert json.loads(json.dumps(result.to_dict()))["siblings"]["siblings"] == result.siblings.siblings
    assert diagnose_value(str(checkpoint), **settings, siblings=3, continuations=2) == result


def test_without_a_value_model_nothing_is_played(checkpoint: Path) -> None:
    with pytest.raises(DataError, match="has no value model to diagnose"):
        diagnose_value(str(checkpoint / "policy"), env=GUESS, env_kwargs={}, episodes=1, games=None)


def test_a_damaged_config_is_named(checkpoint: Path) -> None:
    config = checkpoint / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"beta": "x"}))
    try:
        with pytest.raises(DataError, match="beta is 'x'; expected a number"):
            diagnose_value(
                str(checkpoint), env=GUESS, env_kwargs={}, episodes=2, games=None, siblings=2, continuations=2
            )
    finally:
        config.write_text(before)
