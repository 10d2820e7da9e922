"""`oreo recipes`."""

from __future__ import annotations

import json
import re


def test_recipes_are_listed_and_shown_with_sources(oreo) -> None:
    listed = json.loads(oreo("recipes", "--json")[1])
    assert set(re.findall(r"^([\w.-]+)  ", oreo("recipes")[1], re.MULTILINE)) == set(listed)
    code, out, _ = oreo("recipes", "show", "oreo-alfworld")
    assert code == 0
    assert re.search(r"^  epochs +3 .*appendix.*the released code: 5$", out, re.MULTILINE)
    assert "oreo collect --agent MODEL --per-game 5 --max-steps 40 --temperature 1.0" in out
    shown = json.loads(oreo("recipes", "show", "oreo-alfworld", "--json")[1])
    assert shown["train"]["epochs"] == {"value": 3, "source": "appendix, hyper-parameters", "code": 5}
    assert shown["results"]["ALFWorld unseen"] == 79.1
