"""Small random models of several architectures, saved as ordinary folders; nothing is downloaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from oreo.models import save_model
from oreo.trajectory import Step, Trajectory

_SHAPE: dict[str, Any] = dict(
    vocab_size=260,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=256,
    bos_token_id=None,
    eos_token_id=257,
    pad_token_id=256,
)
KINDS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SHAPE, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SHAPE, tie_word_embeddings=False)),
    # Dropout on, as GPT-2 comes: loading has to turn it off.
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=260, n_embd=16, n_layer=2, n_head=2, n_positions=256, bos_token_id=257, eos_token_id=257)
    ),
    # Caps its logits, scales its embeddings.
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**_SHAPE, head_dim=8, final_logit_softcapping=0.5)),
}


@cache
def tokenizer() -> Any:
    """One token per byte, padding and end of sequence."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(bytes_)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>")


def make_model(folder: Path, kind: str = "llama", seed: int = 0) -> Path:
    """Save a random model of this kind, with weights large enough that its predictions differ."""
    torch.manual_seed(seed)
    model = KINDS[kind]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    save_model(model, tokenizer(), folder)
    return folder


def episodes(count: int = 12) -> list[Trajectory]:
    """Episodes of different lengths; those that say "b" in the end are won."""
    made = []
    for index in range(count):
        won = index % 3 > 0
        turns = ["go"] * (index % 4) + ["b" if won else "a"]
        steps = tuple(
            Step(f"see {index}"[: 3 + index % 3], turn, float(won and step == len(turns) - 1))
            for step, turn in enumerate(turns)
        )
        made.append(Trajectory("test", steps, "end", terminated=won, truncated=not won, won=won, game=f"game {index}"))
    return made
