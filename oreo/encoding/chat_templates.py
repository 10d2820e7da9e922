"""Chat templates taken apart, so that an episode can be written piece by piece and never rendered again.

A template is rendered around sentinels, and what stands between them are the pieces that
`oreo.encoding.turn_format.TurnFormat` puts episodes together from. They are cut at special tokens: a tokenizer splits
there first, so ids from before a special token do not depend on what follows it, and plain text between two of them (a
header and the observation, say) is tokenised as one text.

Some templates write earlier turns differently as the conversation goes on (a counter, thoughts that are left out, a
system message that moves along). An episode that only ever grows at its end cannot: what was written stays, in acting
and in training, and a warning says so.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

from oreo.encoding.pieces import TurnPieces
from oreo.encoding.rendering import rendered
from oreo.errors import DataError

_THOUGHT = "<think>\nSENTINELTHOUGHT\n</think>\n\n"
_SENTINELS = [f"SENTINEL{letter}OREO" for letter in "ABCDE"]


@dataclass(frozen=True)
class _Template:
    """What a template puts around the texts of a conversation."""

    before: str
    """Before the first user text."""
    after: str
    """From an assistant text to the next user text."""
    prompt: str
    """From a user text to the turn: the generation prompt that an acting model sees."""
    lead: str
    """Blanks between it and the turn that are the turn's own: models write " go" as one token."""


def template_pieces(tokenizer: Any, instruction: str) -> TurnPieces:
    """The pieces of a tokenizer's chat template.

    Args:
        instruction: the system message; put before the first observation where the template knows none.

    Raises:
        DataError: a template that cannot render a conversation, drops parts of it, or has no token that ends a turn.
    """
    template, opening = _find(tokenizer, instruction)
    names = tokenizer.all_special_tokens
    added = tokenizer.get_added_vocab() | dict(zip(names, tokenizer.convert_tokens_to_ids(names), strict=True))
    special = re.compile("|".join(re.escape(name) for name in sorted(added, key=len, reverse=True)) or r"(?!)")
    end = special.search(template.after)
    # Llama 2 puts a space between the answer and the end token; a turn of ours goes without.
    if end is None or template.after[: end.start()].strip():
        raise DataError(
            f"the chat template ends an assistant's turn with {template.after!r}, which holds no end-of-turn token"
        )

    def ids(text: str, preceding: str = "") -> tuple[int, ...]:
        first, whole = tokenizer([preceding, preceding + text], add_special_tokens=False, verbose=False)["input_ids"]
        return tuple(whole[len(first) :])

    head, opening_preceding, tail = _cut(special, template.before)
    after, joint_preceding, joint = _cut(special, template.after[end.end() :])
    first = special.search(template.prompt)
    plain = len(template.prompt) if first is None else first.start()
    _, last, header = _cut(special, template.prompt)
    return TurnPieces(
        end=added[end[0]],
        end_ids=() if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,),
        before=ids(head),
        opening=tail + opening,
        opening_preceding=opening_preceding,
        after=ids(after, end[0]),
        joint=joint,
        joint_preceding=joint_preceding or end[0],
        prompt=ids(template.prompt[plain:]),
        prompt_text=template.prompt[:plain],
        turn_preceding=last + header,
        turn_lead=template.lead,
    )


def _cut(special: re.Pattern[str], text: str) -> tuple[str, str, str]:
    """(text up to and with its last special token, that token or "", the plain text behind it)."""
    tokens = list(special.finditer(text))
    return (text[: tokens[-1].end()], tokens[-1][0], text[tokens[-1].end() :]) if tokens else ("", "", text)


def _find(tokenizer: Any, instruction: str) -> tuple[_Template, str]:
    """The pieces, and what is put before the first observation.

    The instruction goes into the system message if earlier turns then stay as they are, else before the observation.
    """
    unsteady: list[tuple[_Template, str]] = []
    for system, opening in [(instruction, ""), ("", f"{instruction}\n\n")] if instruction else [("", "")]:
        try:
            template, steady = _apart(tokenizer, system)
        except DataError as error:
            trouble = error
            continue
        if steady:
            _check_history(tokenizer, system, template)
            return template, opening
        unsteady.append((template, opening))
    if not unsteady:
        raise trouble
    _warn("writes earlier turns differently as the conversation goes on")
    return unsteady[-1]


def _check_history(tokenizer: Any, instruction: str, template: _Template) -> None:
    """Whether earlier turns keep what the newest one has: the end of its generation prompt, and its thoughts."""
    messages = [{"role": "system", "content": instruction}] if instruction else []
    user, assistant = {"role": "user", "content": _SENTINELS[0]}, {"role": "assistant", "content": _SENTINELS[1]}
    text = rendered(tokenizer, [*messages, user, assistant, user])
    if template.prompt + template.lead + _SENTINELS[1] not in text:
        _warn(f"ends the newest turn's prompt with {template.prompt[-30:]!r}, and not that of earlier turns")
    thought = {"role": "assistant", "content": _THOUGHT + _SENTINELS[1]}
    if "SENTINELTHOUGHT" not in rendered(tokenizer, [*messages, user, thought, user]):
        _warn("leaves thoughts out of earlier turns")


def _warn(what: str) -> None:
    warnings.warn(
        f"the chat template {what}; here they stay as they were written when they were the newest, in acting and in "
        "training",
        stacklevel=2,
    )


def _apart(tokenizer: Any, instruction: str) -> tuple[_Template, bool]:
    """The pieces as they are while a turn is the newest, and whether they stay so.

    Templates may write the newest turn differently (with an empty thinking block, say); what the acting model sees is
    the generation prompt, so that one is used throughout.
    """
    short, middle, long = (_render(tokenizer, instruction, turns) for turns in (1, 3, 5))
    before, prompt = short
    asked, after = middle[1:3]
    steady = (
        before == middle[0] == long[0]
        and prompt == middle[-1] == long[-1]
        and after == long[2] == long[4]
        and asked == long[1] == long[3]
    )
    if instruction.strip() not in before:
        raise DataError("the chat template drops the system message")
    lead = ""
    if asked.startswith(prompt):
        more = asked[len(prompt) :]
        # A template that knows no generation prompt stops short of the assistant's header.
        prompt, lead = (asked, "") if more.strip() else (prompt, more)
    return _Template(before, after, prompt, lead), steady


def _render(tokenizer: Any, instruction: str, turns: int) -> list[str]:
    """The template's text around `turns` sentinels (user, assistant, user, …): turns + 1 pieces."""
    messages = [{"role": "system", "content": instruction}] if instruction else []
    sentinels = _SENTINELS[:turns]
    for index, sentinel in enumerate(sentinels):
        messages.append({"role": "assistant" if index % 2 else "user", "content": sentinel})
    text = rendered(tokenizer, messages)
    pieces = []
    for sentinel in sentinels:
        if text.count(sentinel) != 1:
            raise DataError("the chat template drops or repeats messages, so episodes cannot be appended to")
        piece, text = text.split(sentinel)
        pieces.append(piece)
    return [*pieces, text]
