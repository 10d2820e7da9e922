"""Names of models: what cannot be one is refused at once, and an unknown one costs one question."""

from __future__ import annotations

from typing import Any

import huggingface_hub
import pytest

from oreo.errors import DataError, UsageError
from oreo.models import hub
from oreo.models.loading import load_policy, load_value, resolve_checkpoint


@pytest.fixture(autouse=True)
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def model_info(self: Any, name: str, **settings: Any) -> None:
        asked.append(name)
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *arguments: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return asked


@pytest.mark.parametrize("name", ["foo bar", "größe", "a--b", "x.git", "-x", "x" * 97, "tiny:"])
def test_what_cannot_be_a_name_is_refused_without_asking(name: str, nobody_answers: list[str]) -> None:
    with pytest.raises(UsageError, match="no name on the Hub looks like this; expected tiny, tiny-math, a folder"):
        resolve_checkpoint(name)
    assert not nobody_answers


@pytest.mark.parametrize(("name", "meant"), [("tinny", "tiny"), ("tiny_math", "tiny-math"), ("Tiny", "tiny")])
def test_what_is_nearly_a_known_word_is_refused_without_asking(
    name: str, meant: str, nobody_answers: list[str]
) -> None:
    with pytest.raises(UsageError, match=f"no model '{name}': did you mean '{meant}'?"):
        resolve_checkpoint(name)
    assert not nobody_answers


@pytest.mark.parametrize("load", [load_policy, load_value])
def test_an_unknown_name_costs_one_question_where_nobody_answers(load: Any, nobody_answers: list[str]) -> None:
    with pytest.raises(DataError, match=r"no model 'human': .* the Hub cannot be reached \(no route\); expected") as no:
        load("human")
    assert "\n" not in str(no.value) and nobody_answers == ["human"]


def test_a_model_that_was_loaded_before_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, nobody_answers: list[str]
) -> None:
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: f"/cache/{name}/{file}")
    assert resolve_checkpoint("some/model") == ("some/model", None)
    assert not nobody_answers


def test_offline_says_so(monkeypatch: pytest.MonkeyPatch, nobody_answers: list[str]) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="the Hub is not asked, as HF_HUB_OFFLINE says"):
        resolve_checkpoint("some/model")
    assert not nobody_answers


def test_a_name_that_the_hub_has_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(hub, "_SEEN", set())
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, name, **settings: asked.append(name))
    assert resolve_checkpoint("some/model") == resolve_checkpoint("some/model") == ("some/model", None)
    assert asked == ["some/model"]
