"""Stands in for vLLM 0.32, which needs a GPU: the same names, and really runs the model, through transformers.

Token by token, all requests at once. Sampling parameters and outputs are those that oreo.agents.vllm uses; what it
does not use is refused, so that nothing is passed over in silence. The tests that play with this play with vLLM itself
where it is installed.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from oreo.agents.sampling import draw
from oreo.models.loading import load_policy


@dataclass
class EngineArgs:
    model: str = ""
    dtype: str = "auto"
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float = 0.92
    max_model_len: int | None = None
    enforce_eager: bool = False


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 16
    ignore_eos: bool = False
    stop_token_ids: list[int] | None = None
    logprobs: int | None = None
    detokenize: bool = True


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]


class LLM:
    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        trust_remote_code: bool = False,
        logprobs_mode: str = "raw_logprobs",
        generation_config: str = "auto",
        enable_prefix_caching: bool | None = None,
        disable_log_stats: bool = False,
        use_tqdm_on_load: bool = True,
        max_model_len: int | None = None,
        enforce_eager: bool = False,
    ) -> None:
        assert (logprobs_mode, generation_config) == ("processed_logprobs", "vllm")
        self._model, _ = load_policy(model, dtype=dtype, trust_remote_code=trust_remote_code)
        parameters = inspect.signature(self._model.forward).parameters
        self._cache_argument = "cache" if "cache" in parameters else "past_key_values"
        able = self._model.config.max_position_embeddings
        if max_model_len is not None and max_model_len > able:
            raise ValueError(
                f"User-specified max_model_len ({max_model_len}) is greater than the derived max_model_len\nof {able}"
            )
        self._limit = max_model_len or able
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=self._limit))

    def generate(
        self, prompts: Sequence[dict[str, list[int]]], params: Sequence[SamplingParams], *, use_tqdm: bool = True
    ) -> list[RequestOutput]:
        assert not use_tqdm and len(prompts) == len(params)
        asked = [prompt["prompt_token_ids"] for prompt in prompts]
        for ids in asked:
            if len(ids) > self._limit:
                raise ValueError(f"The prompt (length {len(ids)}) is longer than the model's {self._limit}.")
        drawn = iter(
            self._complete([(ids, s, index) for ids, s in zip(asked, params, strict=True) for index in range(s.n)])
        )
        return [RequestOutput(ids, [next(drawn) for _ in range(s.n)]) for ids, s in zip(asked, params, strict=True)]

    @torch.inference_mode()
    def _complete(self, samples: list[tuple[list[int], SamplingParams, int]]) -> list[CompletionOutput]:
        """A completion of each (prompt, what is asked, its number among those of the prompt).

        Prompts are padded on the left. Rows that have ended stay in the batch until all have, and nothing is drawn of
        them any more.
        """
        for _, params, _ in samples:
            assert params.ignore_eos and params.logprobs == 0 and not params.detokenize and params.max_tokens
            assert params.seed is not None
        rngs = [np.random.default_rng((params.seed or 0) + index) for _, params, index in samples]
        length = max(len(prompt) for prompt, _, _ in samples)
        ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt, _, _ in samples])
        mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt, _, _ in samples])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        entries: list[list[dict[int, Logprob]]] = [[] for _ in samples]
        reasons: list[str | None] = [None] * len(samples)
        cache = None
        while None in reasons:
            output = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                use_cache=True,
                **{self._cache_argument: cache},
            )
            cache = getattr(output, self._cache_argument)
            ids = torch.zeros(len(samples), 1, dtype=torch.long)
            for row, (prompt, params, _) in enumerate(samples):
                if reasons[row] is not None:
                    continue
                (token,), (log_prob,) = (
                    choice[0]
                    for choice in draw(
                        output.logits[row : row + 1, -1],
                        rngs[row].random((1, 1)),
                        temperature=params.temperature,
                        top_p=params.top_p,
                    )
                )
                ids[row] = token
                entries[row].append({int(token): Logprob(float(log_prob))})
                if token in (params.stop_token_ids or ()):
                    reasons[row] = "stop"
                elif len(entries[row]) >= (params.max_tokens or 0) or len(prompt) + len(entries[row]) >= self._limit:
                    reasons[row] = "length"
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            positions = positions[:, -1:] + 1
        return [completion(index, *row) for (_, _, index), *row in zip(samples, entries, reasons, strict=True)]


def completion(index: int, logprobs: list[dict[int, Logprob]], reason: str | None) -> CompletionOutput:
    ids = [token for position in logprobs for token in position]
    total = math.fsum(entry.logprob for position in logprobs for entry in position.values())
    return CompletionOutput(index, "", ids, total, logprobs, reason, ids[-1] if reason == "stop" else None)


def install(patch: pytest.MonkeyPatch) -> None:
    """Put it where `import vllm` finds it."""
    vllm, engine, arg_utils = (ModuleType(name) for name in ("vllm", "vllm.engine", "vllm.engine.arg_utils"))
    vars(vllm).update(LLM=LLM, SamplingParams=SamplingParams, engine=engine)
    vars(arg_utils).update(EngineArgs=EngineArgs)
    for module in (vllm, engine, arg_utils):
        patch.setitem(sys.modules, module.__name__, module)
