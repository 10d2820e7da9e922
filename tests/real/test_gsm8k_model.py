"""A model as people have them, a folder with a Qwen 2 and a chat template, on GSM8K: collected, trained, evaluated by
the command line alone. Its weights are random and small, so what is shown is the path, not the learning."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from typer.testing import CliRunner

from helpers.shared_data import SHARED
from oreo.cli import app
from oreo.data.buffer import TrajectoryBuffer
from oreo.models.saving import save_model

GSM8K = SHARED / "gsm8k"
pytestmark = pytest.mark.skipif(not GSM8K.is_dir(), reason=f"no GSM8K at {GSM8K} (set OREO_SHARED)")

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Qwen 2 with grouped heads and tied embeddings, whose tokens are bytes."""
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={character: index for index, character in enumerate(alphabet)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9]|[^0-9]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=marks[0], eos_token=marks[2], additional_special_tokens=marks[1:]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("qwen2")
    save_model(Qwen2ForCausalLM(config), tokenizer, folder)
    return str(folder)


def oreo(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("step", ["line", "sentence", "solution"])
@pytest.mark.parametrize("tool", [None, "calculator"])
def test_a_model_with_a_chat_template_collects_trains_and_is_evaluated(model, step, tool, tmp_path) -> None:
    world = ["--env", "math", "--env-arg", f"source=gsm8k:{GSM8K}", "--env-arg", f"step={step}", "--limit", 20]
    world += ["--max-steps", 3, "--agent-arg", "max_new_tokens=24"]
    if tool:
        world += ["--env-arg", f"tool={tool}"]
    buffer, trained = tmp_path / "buffer", tmp_path / "trained"
    oreo("collect", *world, "--split", "train", "--agent", model, "--episodes", 40, "--into", buffer)
    stored = list(TrajectoryBuffer(buffer, create=False))
    assert len(stored) == 40 and len({episode.game for episode in stored}) <= 20
    if step != "solution":
        assert any(one.continues_message for episode in stored for one in episode.steps), (
            "a turn ends at a step, the message not"
        )

    # A random model solves nothing; lost episodes are paid, so that there is something to learn.
    settings = ["--reward", "signed", "--epochs", 1, "--batch-size", 8]
    oreo("train", buffer, "--method", "oreo", "--model", model, "--output", trained, *settings)
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 5 and all(abs(line["policy_loss"]) < 100 for line in lines)

    evaluation = json.loads(oreo("eval", *world, "--split", "test", "--agent", trained, "--json"))
    assert evaluation["episodes"] == 20 and evaluation["protocol"]["env_kwargs"]["limit"] == 20
    assert evaluation["checkpoint"] and evaluation["success"] == 0.0  # random weights count nothing
    searching = ["--best-of", 2] if step == "solution" else ["--choose", "beam", "--k", 2]
    searched = json.loads(oreo("eval", *world, "--split", "test", "--agent", trained, *searching, "--json"))
    assert searched["episodes"] == 20
