"""Many environments at once: gymnasium's vector environments take ours as they are, in one process and over several."""

from __future__ import annotations

import multiprocessing
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from hypothesis import given
from hypothesis import strategies as st

import oreo  # noqa: F401  (registers oreo/ALFWorld-v0)
from oreo.envs import make
from oreo.envs.text_space import CAPACITY, TextSpace
from oreo.errors import UsageError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)  # lone surrogates, too


def played(envs: gym.vector.VectorEnv[Any, Any, Any], steps: int) -> list[Any]:
    """What many environments say to the first, the second, … admissible command. Closes them."""
    observations, infos = envs.reset(seed=3)
    seen: list[Any] = [observations]
    for step in range(steps):
        actions = tuple(commands[step % len(commands)] for commands in infos["admissible_commands"])
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        seen.append((observations, rewards.tolist(), terminated.tolist(), truncated.tolist(), infos["task"].tolist()))
    envs.close()
    return seen


def test_256_environments_in_one_process_are_256_environments() -> None:
    envs = gym.make_vec("oreo/ALFWorld-v0", num_envs=256, vectorization_mode="sync", split="generated")
    together, infos = envs.reset(seed=3)
    assert isinstance(together, tuple) and len(together) == 256
    for index in (0, 1, 100, 255):
        alone, info = gym.make("oreo/ALFWorld-v0", split="generated").reset(seed=3 + index)
        assert together[index] == alone
        assert infos["admissible_commands"][index] == info["admissible_commands"]
    envs.close()


@pytest.mark.parametrize("context", sorted({"spawn", "fork"} & set(multiprocessing.get_all_start_methods())))
def test_processes_say_what_one_process_says(context: str) -> None:
    def made(mode: str, **more: Any) -> gym.vector.VectorEnv[Any, Any, Any]:
        arguments: dict[str, Any] = {"split": "generated", "max_receptacles": 4}
        return gym.make_vec("oreo/ALFWorld-v0", num_envs=3, vectorization_mode=mode, vector_kwargs=more, **arguments)

    alone = played(made("sync"), 20)
    assert played(made("async", context=context), 20) == alone
    if context == "fork":
        assert played(made("async", context=context, shared_memory=False), 20) == alone
        assert played(made("async", context=context, copy=False), 3)[-1][1:] == alone[3][1:]


def test_an_environment_of_ones_own_can_be_many_too() -> None:
    envs = gym.vector.SyncVectorEnv([lambda: make(f"{EXAMPLES}/guess.py:Guess")] * 2)
    envs.reset(seed=0)
    observations, *_ = envs.step(("50", "50"))
    assert set(observations) <= {"higher", "lower", "Right!"}


@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_any_text_goes_through_shared_memory(texts: list[str]) -> None:
    memory = create_shared_memory(TextSpace(), n=len(texts))
    seen = read_from_shared_memory(TextSpace(), memory, n=len(texts))
    assert list(seen) == [""] * len(texts)
    for index, text in enumerate(texts):
        write_to_shared_memory(TextSpace(), index, text, memory)
    assert list(seen) == texts
    kept = deepcopy(seen)
    write_to_shared_memory(TextSpace(), 0, "later", memory)
    assert kept == tuple(texts) and seen[0] == "later" and seen[-1] == (texts[-1] if len(texts) > 1 else "later")
    assert seen[1:] == tuple(texts[1:])


def test_a_text_too_long_for_shared_memory_is_told_and_harms_no_neighbour() -> None:
    memory = create_shared_memory(TextSpace(), n=2)
    longest = "é" * ((CAPACITY - 4) // 2)
    write_to_shared_memory(TextSpace(), 1, "neighbour", memory)
    write_to_shared_memory(TextSpace(), 0, longest, memory)
    with pytest.raises(UsageError, match=r"shared_memory.*False"):
        write_to_shared_memory(TextSpace(), 0, longest + "é", memory)
    assert list(read_from_shared_memory(TextSpace(), memory, n=2)) == [longest, "neighbour"]


def test_the_spaces_of_many_draw_texts_for_all() -> None:
    envs = gym.make_vec("oreo/ALFWorld-v0", num_envs=3, vectorization_mode="sync")
    actions = envs.action_space.sample()
    assert len(actions) == 3 and all(isinstance(action, str) for action in actions)
    envs.reset(seed=0)
    _, rewards, *_ = envs.step(actions)
    assert rewards.dtype == np.float64
    envs.close()
