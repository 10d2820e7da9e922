"""oreo.agents.decisions: what an agent may hand over."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.errand import Errand
from oreo.agents import Decision
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Candidate


class Says:
    name, checkpoint = "says", ""

    def __init__(self, given: Any) -> None:
        self.given = given

    def act(self, episodes: Any) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "act gave a NoneType; expected a list of Decisions"),
        ("look", "act gave a str; expected a list"),
        ([], "act gave 0 decisions for 1 episodes; expected one for each"),
        ([Decision("look")] * 2, "act gave 2 decisions for 1 episodes"),
        (["look"], "act gave a str among its decisions; expected a oreo.agents.Decision"),
        ([None], "act gave a NoneType among"),
        ([Decision(None)], "a decision has action=None; expected a str"),  # type: ignore[arg-type]
        ([Decision("look", turn=5)], "turn=5; expected a str or None"),  # type: ignore[arg-type]
        ([Decision("look", value=float("nan"))], "value=nan; expected a finite number or None"),
        ([Decision("look", log_prob="-1")], "log_prob='-1'"),  # type: ignore[arg-type]
        ([Decision("look", imitate=1)], "imitate=1; expected True or False"),  # type: ignore[arg-type]
        ([Decision("look", cut=None)], "cut=None"),  # type: ignore[arg-type]
        ([Decision("look", token_ids=[5])], r"token_ids=\[5\]; expected a tuple of token ids"),  # type: ignore[arg-type]
        ([Decision("look", token_ids=(5, -1))], "a tuple of token ids, or None"),
        ([Decision("look", context_start=-1)], "context_start=-1; expected the index of a step"),
        ([Decision("look", candidates=["go"])], r"candidates=\['go'\]; expected a tuple"),  # type: ignore[arg-type]
        ([Decision("look", candidates=(Candidate("go", value=float("inf")),))], "with finite numbers"),
    ],
)
def test_what_is_no_decision_is_told_in_one_line(given: Any, why: str) -> None:
    with pytest.raises(UsageError, match=f"^agent says: .*{why}") as failure:
        rollout(Errand, agent=Says(given), episodes=1)
    assert "\n" not in str(failure.value)
