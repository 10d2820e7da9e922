"""Two stored episodes that tests of the screen read: one won, one lost."""

from __future__ import annotations

from oreo.trajectory import Candidate, Step, Trajectory

KITCHEN = Trajectory(
    env_id="oreo/ALFWorld-v0",
    steps=(
        Step(
            "You see a fridge 1, and a countertop 1.\n\nYour task is to: cool some tomato.",
            "go to countertop 1",
            action_valid=True,
            admissible_commands=("go to countertop 1", "go to fridge 1", "open fridge 1"),
            value=0.25,
            candidates=(Candidate("open fridge 2", -1.5, 0.125), Candidate("go to countertop 1", -0.25, 0.5, 4)),
        ),
        Step("On the countertop 1, you see a tomato 1.", "tkae tomato 1", action_valid=False, value=0.5),
        Step("Nothing happens.", "take tomato 1", action_valid=True, value=0.125),
        Step("You pick up the tomato 1.", "cool tomato 1", turn="Thought: again.\nAction: cool tomato 1", value=0.75),
        Step("You cool the tomato 1.", "put tomato 1", reward=1.0, value=0.875),
    ),
    final_observation="You put the tomato 1.",
    terminated=True,
    truncated=False,
    won=True,
    task="cool some tomato.",
    task_type="pick_cool_then_place_in_recep",
    game="generated/0/7/put-8-14",
    agent="best_of_5(temperature=1.0)",
    seed=7,
)
LOST = Trajectory(
    env_id="oreo/ALFWorld-v0",
    steps=(
        Step("You see a drawer 1.", "look", action_valid=True, value=0.5),
        Step("Nothing new.", "jump", action_valid=False, value=0.375),
    ),
    final_observation="Nothing happens.",
    terminated=False,
    truncated=True,
    won=False,
    task="find a pen.",
    game="generated/0/8/put-8-14",
    agent="random",
)
