"""`oreo envs`: every environment with what can be said about it."""

from __future__ import annotations

import json

from oreo.envs.registry import BUILT_IN


def test_every_environment_is_listed_with_its_short_name_its_class_and_its_arguments(oreo) -> None:
    code, out, _ = oreo("envs", "--json")
    listed = json.loads(out)
    assert code == 0 and set(listed) >= set(BUILT_IN)
    for name, built_in in BUILT_IN.items():
        described = listed[name]
        assert (described["short name"], described["class"]) == (built_in.short_name, built_in.env_class)
        assert described["about"] and "render_mode" not in described["arguments"]
    assert "split" in listed["oreo/ALFWorld-v0"]["arguments"]
    shown = oreo("envs")[1]
    assert all(name in shown for name in listed)
