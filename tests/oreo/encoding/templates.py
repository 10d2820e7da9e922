"""Small tokenizers made here, chat templates of the kinds that models have, and their formats."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from oreo.encoding.turn_format import TurnFormat
from oreo.trajectory import Step, Trajectory

SPECIAL = ["<pad>", "<eos>", "<bos>", "<|im_start|>", "<|im_end|>", "<|head|>", "<|/head|>", "<|eot|>"]
TEXTS = [
    "You are in a kitchen. You see a fridge 1.\nYour task is to: cool a tomato.",
    "> go to fridge 1",
    "Nothing happens.",
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "<bos>{% for m in messages %}<|head|>{{ m.role }}<|/head|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
# Shows an empty thinking block in the newest assistant turn only, and refuses system messages.
THINKING = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)
INST = (
    "<bos>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} <eos>{% endif %}{% endfor %}"
)
# Moves the system message to the newest user message, as some of Mistral's templates do.
MOVING = (
    "<bos>{% set shift = 1 if messages[0].role == 'system' else 0 %}{% for m in messages %}{% if m.role == 'user' %}"
    "<|head|>{% if loop.last and shift %}{{ messages[0].content }}\n\n{% endif %}{{ m.content }}<|/head|>"
    "{% elif m.role == 'assistant' %}{{ m.content }}<eos>{% endif %}{% endfor %}"
)
# Counts the messages at each of them, so that nothing ever stays as it was.
COUNTING = "{% for m in messages %}<|head|>{{ loop.length }}<|/head|>{{ m.content }}<|eot|>{% endfor %}"
TEMPLATES = {"plain": None, "chatml": CHATML, "llama3": LLAMA3, "thinking": THINKING, "inst": INST, "moving": MOVING}


@cache
def tokenizer(kind: str = "plain") -> Any:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS * 5, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<eos>",
        bos_token="<bos>",
        pad_token="<pad>",
        additional_special_tokens=SPECIAL[3:],
    )
    made.chat_template = TEMPLATES[kind]
    return made


def turn_format(kind: str, instruction: str = "") -> TurnFormat:
    return TurnFormat.from_tokenizer(tokenizer(kind), instruction)


def trajectory(turns: list[str], observations: list[str], rewards: list[float] | None = None) -> Trajectory:
    rewards = rewards or [0.0] * (len(turns) - 1) + [1.0]
    steps = tuple(Step(o, t, r) for o, t, r in zip(observations, turns, rewards, strict=True))
    return Trajectory("test", steps, "done", terminated=True, truncated=False, won=True)


@cache
def sentences() -> Any:
    """A tokenizer of Llama 2's and Mistral's kind: words begin with a mark for the space before them."""
    pieces = Tokenizer(models.BPE(byte_fallback=True))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    pieces.decoder = decoders.Sequence([decoders.Metaspace(prepend_scheme="first"), decoders.ByteFallback()])
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    pieces.train_from_iterator(
        [*TEXTS, "go take it eat A room. A box. Yours. [INST] [/INST] user assistant"] * 5, trainer
    )
    made = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<eos>", bos_token="<bos>", unk_token="<0x3F>")
    made.add_special_tokens({"additional_special_tokens": SPECIAL[3:]})
    return made
