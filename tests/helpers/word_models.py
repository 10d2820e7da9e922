"""Made on the spot, of 60 words: a tokenizer, tiny random models of several architectures, environments that babble."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from oreo.envs.text_env import TextEnv

WORDS = [f"w{index}" for index in range(60)]


def make_tokenizer() -> Any:
    """Every id of its 65 is a word, so that what a random model samples is tokenised again as it was sampled."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["unknown", "<eos>", ">", "\n", "Action:", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="unknown"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split(" ", "removed")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


SHAPE: dict[str, Any] = {
    "vocab_size": 65,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range": 0.4,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 65},
    "qwen2": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 7},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 7, "query_pre_attn_scalar": 8},
    "gpt_neox": {},
}


def make_model(architecture: str, *, seed: int = 0, value: bool = False, **changes: Any) -> Any:
    """A random model with steep logits, so that its samples differ and its likeliest tokens stand out."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForTokenClassification

    settings = SHAPE | ARCHITECTURES.get(architecture, {}) | changes
    if architecture == "gpt2":
        settings = {key: settings[key] for key in settings if key in ("n_embd", "n_layer", "n_head", "n_positions")}
        settings |= {"vocab_size": 65, "initializer_range": 0.4, "bos_token_id": 1, "eos_token_id": 1}
    config = AutoConfig.for_model(architecture, **settings)
    torch.manual_seed(seed)
    if value:
        config.num_labels = 1
        model = AutoModelForTokenClassification.from_config(config)
    else:
        model = AutoModelForCausalLM.from_config(config)
    return model.eval()


class Babble(TextEnv):
    """Says random words, a different number each time, and ends when it likes."""

    max_steps = 12

    def start(self, rng: np.random.Generator) -> str:
        self.rng = rng
        return self._words(5, 30)

    def act(self, text: str) -> tuple[str, float, bool]:
        done = bool(self.rng.random() < 0.12)
        return self._words(1, 12), float(done), done

    def info(self) -> dict[str, Any]:
        return {"admissible_commands": ["w1 w2", "w3"]}

    def _words(self, low: int, high: int) -> str:
        return " ".join(self.rng.choice(WORDS, int(self.rng.integers(low, high))))


class Lines(Babble):
    """Wants one message in several turns, and at times says something into it."""

    stop: tuple[str, ...] = ("\n", "w12", "w25", "w31", "w44", "w50", "w58")

    def act(self, text: str) -> tuple[str, float, bool]:
        observation, reward, done = super().act(text)
        return "" if self.rng.random() < 0.5 else observation, reward, done

    def info(self) -> dict[str, Any]:
        return super().info() | {"stop": self.stop}
