"""oreo.agents.rereading: models that our cache does not fit are read again, and give the same."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from helpers.rereading import without_positions
from helpers.word_models import Babble, make_model
from oreo.agents.best_of_k import BestOfKAgent
from oreo.agents.reading import EpisodeReader
from oreo.rollouts.loop import rollout


@pytest.mark.parametrize("best_of", [1, 3])
def test_a_model_with_ways_of_its_own_is_read_again_and_gives_the_same(best_of: int, tokenizer: Any) -> None:
    from oreo.agents.rereading import Rereading

    def play(**changes: Any) -> Any:
        policy, value = make_model("llama"), make_model("llama", seed=1, value=True)
        for model in (policy, value):
            if changes:  # as a model does that computes its attention by itself
                model.forward = partial(without_positions, model.forward)
        agent = BestOfKAgent(EpisodeReader(policy, tokenizer, value=value, max_new_tokens=4), k=best_of)
        return agent, rollout(Babble, agent=agent, episodes=4, batch_size=2)

    with pytest.warns(UserWarning, match="cannot be run with our key-value cache"):
        slow, reread_ones = play(changed=True)
    assert isinstance(slow.reader.policy, Rereading)
    _, cached_ones = play()
    for one, other in zip(reread_ones, cached_ones, strict=True):
        assert [step.text for step in one.steps] == [step.text for step in other.steps]
        assert [step.value for step in one.steps] == pytest.approx([step.value for step in other.steps], abs=1e-4)


@pytest.mark.parametrize("architecture", ["qwen2_moe", "llama4_text"])
def test_windows_that_only_a_mask_knows_of_are_not_cached_wrongly(architecture: str, tokenizer: Any) -> None:
    from oreo.agents.rereading import Rereading

    windows = {"sliding_window": 7, "use_sliding_window": True, "max_window_layers": 0, "attention_chunk_size": 7}
    experts = {"num_experts": 2, "num_local_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
    shape = {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "shared_expert_intermediate_size": 16,
        "intermediate_size_mlp": 32,
    }
    with pytest.warns(UserWarning, match="cannot be run with our key-value cache"):
        agent = EpisodeReader(
            make_model(architecture, **windows, **experts, **shape), tokenizer, temperature=0.0, max_new_tokens=4
        )
    assert isinstance(agent.policy, Rereading)
