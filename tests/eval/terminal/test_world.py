"""oreo.eval.terminal.world: places and things, what changed, and states of any other shape."""

from __future__ import annotations

import oreo
from oreo.eval.terminal.world import Fact, facts


def test_places_of_alfworld_and_what_a_step_changes() -> None:
    env = oreo.envs.make("oreo/ALFWorld-v0", split="generated")
    env.reset(seed=7, options={"game": "generated/0/7/put-8-14"})
    worlds = [env.unwrapped.state()]  # type: ignore[attr-defined]
    commands: list[str] = []
    while not commands or not commands[-1].startswith("take"):
        commands.append(env.unwrapped.expert_action())  # type: ignore[attr-defined]
        env.step(commands[-1])
        worlds.append(env.unwrapped.state())  # type: ignore[attr-defined]
    thing = commands[-1].removeprefix("take ").partition(" from ")[0]
    before, after = worlds[-2:]
    assert facts(before)[1] == Fact("holding", "nothing") and not any(fact.changed for fact in facts(before))
    changed = {fact.name: fact.text for fact in facts(after, before) if fact.changed}
    assert changed.pop("holding").startswith(thing)
    assert len(changed) == 1 and thing not in next(iter(changed.values())).split(", ")


def test_marks_doors_and_empty_places() -> None:
    state = {
        "location": "loc 1",
        "facing": ["fridge 1"],
        "holding": "egg 1",
        "receptacles": {
            "drawer 1": {"location": "loc 2", "open": False, "contents": []},
            "fridge 1": {"location": "loc 1", "open": True, "contents": ["egg 2", "cup 1"]},
        },
        "objects": {"egg 1": {"hot": True, "clean": False}, "egg 2": {"hot": False}, "cup 1": {"clean": True}},
    }
    assert list(map(str, facts(state))) == [
        "at: fridge 1",
        "holding: egg 1 (hot)",
        "fridge 1: open, egg 2, cup 1 (clean)",
        "drawer 1: closed, empty",
    ]


def test_any_other_state_is_told_name_by_name() -> None:
    state = {"board": [[1, 2], [3, 4]], "turn": {"player": "x", "left": 0}, "log": [], "note": "\x1b[2Ja\nb"}
    assert list(map(str, facts(state, {**state, "turn": {"player": "o", "left": 0}}))) == [
        "board 0: 1, 2",
        "board 1: 3, 4",
        "turn player: x",
        "turn left: 0",
        "log: nothing",
        "note: a b",
    ]
    assert [fact.name for fact in facts(state, {**state, "turn": {"player": "o", "left": 0}}) if fact.changed] == [
        "turn player"
    ]
    assert facts(3) == [Fact("", "3")]


def test_a_state_without_end_is_cut() -> None:
    nested: dict = {}
    nested["again"] = nested
    assert len(facts(nested)) == 1
    assert len(facts({str(at): at for at in range(10_000)})) == 2_000
