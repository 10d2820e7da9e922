"""Chat templates taken apart: the pieces put together are what the template renders, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from oreo.encoding.chat_templates import template_pieces
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError
from oreo.trajectory import Step

from .templates import COUNTING, SPECIAL, TEMPLATES, sentences, tokenizer, trajectory, turn_format


def test_the_pieces_of_a_template_are_its_text_between_the_messages() -> None:
    pieces, of = template_pieces(tokenizer("chatml"), "Be quick."), tokenizer().decode
    end, eos = tokenizer().convert_tokens_to_ids(["<|im_end|>", "<eos>"])
    assert (pieces.end, pieces.end_ids) == (end, (eos,))
    assert of(pieces.before) == "<|im_start|>system\nBe quick.<|im_end|>\n<|im_start|>"
    assert (pieces.opening, pieces.opening_preceding) == ("user\n", "<|im_start|>")
    assert of(pieces.after) == "\n<|im_start|>" and (pieces.joint, pieces.joint_preceding) == ("user\n", "<|im_start|>")
    assert of(pieces.prompt) == "<|im_end|>\n<|im_start|>assistant\n" and pieces.prompt_text == ""
    assert (pieces.turn_preceding, pieces.turn_lead) == ("<|im_start|>assistant\n", "")


@pytest.mark.parametrize("kind", ["chatml", "llama3", "moving", "inst"])
@pytest.mark.parametrize("make", [tokenizer, sentences])
@pytest.mark.parametrize("observations", [("A room.", "A box.", "Yours."), ("\nA room", "\n\n A box.\n", "  Yours.")])
def test_a_history_has_the_tokens_of_the_whole_template_rendered_at_once(
    kind: str, make: Any, observations: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "llama3" and observations[0] != observations[0].strip():
        pytest.skip("this template strips what it is given")
    monkeypatch.setattr(make(), "chat_template", TEMPLATES[kind])
    messages = [{"role": "user", "content": observations[0]}]
    answers = ["go", "take it"]
    for answer, after in zip(answers, observations[1:], strict=True):
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": after}]
    rendered = make().apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    # Llama 2's template puts a space between an answer and its end, where no model has one when it ends its turn.
    whole = make()(rendered.replace(" <eos>", "<eos>"), add_special_tokens=False)["input_ids"]
    steps = [Step(*texts) for texts in zip(observations, answers, strict=False)]
    assert TurnFormat.from_tokenizer(make()).history(steps, observations[-1]) == whole


@pytest.mark.parametrize("instruction", ["", "Be quick."])
def test_a_template_that_never_lets_a_turn_stand_is_written_as_each_turn_was_when_it_was_new(instruction: str) -> None:
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer().backend_tokenizer, eos_token="<eos>", additional_special_tokens=SPECIAL[3:]
    )
    made.chat_template = COUNTING
    with pytest.warns(UserWarning, match="writes earlier turns differently"):
        form = TurnFormat.from_tokenizer(made, instruction)
    encoded = form.encode(trajectory(["go", "eat", "run"], ["A room.", "A box.", "A dog."]))
    opening = f"{instruction}\n\n" if instruction else ""
    assert made.decode(encoded.input_ids.tolist()) == (
        f"<|head|>1<|/head|>{opening}A room.<|eot|><|head|>3<|/head|>go<|eot|><|head|>3<|/head|>A box."
        "<|eot|><|head|>3<|/head|>eat<|eot|><|head|>3<|/head|>A dog.<|eot|><|head|>3<|/head|>run<|eot|>"
    )


def test_a_system_message_that_would_move_along_goes_before_the_first_observation() -> None:
    form = turn_format("moving", "Be quick.")
    whole = tokenizer().decode(form.encode(trajectory(["go", "eat"], ["A room.", "A box."])).input_ids.tolist())
    assert whole == "<bos><|head|>Be quick.\n\nA room.<|/head|>go<eos><|head|>A box.<|/head|>eat<eos>"


def test_a_thinking_template_is_used_as_its_generation_prompt_will_be_seen() -> None:
    form = turn_format("thinking", "Be quick.")
    whole = tokenizer("thinking").decode(
        form.encode(trajectory(["go", "eat"], ["A room.", "A box."])).input_ids.tolist()
    )
    head = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert (
        whole
        == f"<|im_start|>user\nBe quick.\n\nA room.{head}go<|im_end|>\n<|im_start|>user\nA box.{head}eat<|im_end|>"
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[-1].content }}<eos>", "drops or repeats"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "no end-of-turn token"),
        ("{{ raise_exception('no') }}", "cannot render"),
        ("{% for", "cannot render"),
    ],
)
def test_a_template_that_cannot_be_appended_to_gives_one_clear_error(template: str, message: str) -> None:
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, eos_token="<eos>")
    made.chat_template = template
    with pytest.raises(DataError, match=message):
        TurnFormat.from_tokenizer(made)
