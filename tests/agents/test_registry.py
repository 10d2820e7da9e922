"""oreo.agents.registry: which ways to choose there are, and how one is added."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.word_models import Babble
from oreo.agents import AgentConfig, load_agent
from oreo.agents.completer import is_offered
from oreo.agents.loading import acting
from oreo.agents.registry import CHOICES, Entry, load_entry
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout

LIKELIEST = '''
from oreo.agents.language_model import LanguageModelAgent


class Positive(LanguageModelAgent):
    """A way to choose, in one file."""

    uses = frozenset({"k", "top_p"})
    greedy = False

    @property
    def name(self):
        return "positive"
'''


def test_no_agents_class_needs_torch_before_a_model_is_loaded() -> None:
    """So agents are listed, settings refused and served models asked without waiting for it."""
    code = (
        "import sys; from oreo.agents import load_agent; from oreo.agents.registry import *\n"
        "[load_entry(entry) for entry in (*SIMPLE.values(), *CHOICES.values(), *RUNTIMES.values())]\n"
        "if 'openai' in sys.argv: load_agent('served:m', server='http://127.0.0.1:1/v1')\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    served = ["openai"] * (importlib.util.find_spec("openai") is not None)
    command = [sys.executable, "-c", code, *served]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SHORTEST = """
from oreo.agents.best_of_k import PickOfK


def shortest(candidates):
    return min(range(len(candidates)), key=lambda index: len(candidates[index].text))


SHORTEST = PickOfK("shortest", shortest)
"""


def test_a_way_to_choose_among_k_turns_is_one_function_and_one_line_that_names_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shortest_way.py").write_text(SHORTEST)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(CHOICES, "shortest", Entry("shortest_way:SHORTEST", "the shortest of k"))
    agent = load_agent(str(folder), choose="shortest", k=4, max_new_tokens=6)
    (played,) = rollout(Babble, agent=agent, episodes=1)
    assert played.agent.startswith("shortest_4(")
    lengths = [[len(candidate.text) for candidate in step.candidates] for step in played.steps]
    assert [len(step.text) for step in played.steps] == [min(row) for row in lengths] != [max(row) for row in lengths]
    with pytest.raises(UsageError, match="choose='shortest' chooses among samples"):
        load_agent(str(folder), choose="shortest", temperature=0.0)
    assert is_offered("shortest") and not is_offered("plan"), "servers offer it, too"


def test_a_way_to_choose_is_one_class_in_one_file_and_one_line_that_names_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "positive_way.py").write_text(LIKELIEST)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(CHOICES, "positive", Entry("positive_way:Positive", "the likeliest of positive value"))
    agent = load_agent(str(folder), choose="positive", k=3, max_new_tokens=4)
    assert rollout(Babble, agent=agent, episodes=1)[0].agent == "positive"
    assert acting(str(folder), AgentConfig(choose="positive")).temperature == 1.0
    with pytest.raises(UsageError, match="top_p.* and choose='positive'"):
        load_agent("random", top_p=0.5)
    assert "positive_way" in sys.modules and load_entry(CHOICES["positive"]).greedy is False
