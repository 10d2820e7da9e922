"""Small random models of several architectures, saved as ordinary folders; nothing is downloaded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OPTConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from oreo.models.saving import save_model
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
_GPT2: dict[str, Any] = dict(
    vocab_size=260, n_embd=16, n_layer=2, n_head=2, n_positions=256, bos_token_id=257, eos_token_id=257
)
_WINDOW = 8
"""Positions that an attention with a sliding window sees: fewer than sequences have."""
KINDS: dict[str, Any] = {
    "llama": lambda tied=True: LlamaConfig(**_SHAPE, tie_word_embeddings=tied),
    "qwen2": lambda tied=False: Qwen2Config(**_SHAPE, tie_word_embeddings=tied),
    "qwen3": lambda tied=True: Qwen3Config(**_SHAPE, head_dim=8, tie_word_embeddings=tied),
    "mistral": lambda tied=False: MistralConfig(**_SHAPE, sliding_window=_WINDOW, tie_word_embeddings=tied),
    # Dropout on, as GPT-2 comes: loading has to turn it off.
    "gpt2": lambda tied=True: GPT2Config(**_GPT2, tie_word_embeddings=tied),
    # Scales its embeddings.
    "gemma": lambda tied=True: GemmaConfig(**_SHAPE, head_dim=8, tie_word_embeddings=tied),
    # Caps its logits; a sliding window in one of its layers.
    "gemma2": lambda tied=True: Gemma2Config(
        **_SHAPE, head_dim=8, final_logit_softcapping=0.5, sliding_window=_WINDOW, tie_word_embeddings=tied
    ),
    # Transformers has no token classification for these.
    "gemma3": lambda tied=True: Gemma3TextConfig(
        **_SHAPE, head_dim=8, sliding_window=_WINDOW, tie_word_embeddings=tied
    ),
    "olmo2": lambda tied=False: Olmo2Config(**_SHAPE, tie_word_embeddings=tied),
    "opt": lambda tied=True: OPTConfig(
        **{key: size for key, size in _SHAPE.items() if key != "intermediate_size"},
        ffn_dim=32,
        word_embed_proj_dim=16,
        tie_word_embeddings=tied,
    ),
    "granite": lambda tied=True: GraniteConfig(**_SHAPE, logits_scaling=2.0, tie_word_embeddings=tied),
}
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}{{ m.content }}<eos>{% endif %}"
    "{% endfor %}"
)


@cache
def tokenizer(template: str | None = None) -> Any:
    """One token per byte, padding and end of sequence."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(bytes_)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = template
    return made


def make_model(folder: Path, kind: str = "llama", seed: int = 0, template: str | None = None, **how: bool) -> Path:
    """Save a random model of this kind, with weights large enough that its predictions differ.

    Args:
        template: of its chats.
        how: tied=True or False, whether the output layer is the embedding; without it as the kind usually is.
    """
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(KINDS[kind](**how))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    save_model(model, tokenizer(template), folder)
    (folder / "SHA256SUMS").unlink()  # as a model of others
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


def rollouts(count: int = 12) -> list[Trajectory]:
    """The same episodes as those of 4 games: a third of the times that a game is played it is lost."""
    return [replace(episode, game=f"game {index % 4}") for index, episode in enumerate(episodes(count))]


def rollouts_of(method: str) -> list[Trajectory]:
    """What a method can learn from; where turns of one state are compared, samples of a game begin alike."""
    if method != "step-dpo":
        return rollouts()
    return [
        replace(play, steps=tuple(replace(step, observation=f"see {at}") for at, step in enumerate(play.steps)))
        for play in rollouts()
    ]


def ids_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens [3, 11], and which of them are actions: never the first of a row."""
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 250, (3, 11), generator=random)
    mask = torch.rand(3, 11, generator=random) < 0.5
    mask[:, 0] = False
    return ids, mask
