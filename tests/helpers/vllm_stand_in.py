"""Stands in for vLLM 0.32, which needs a GPU: the same names, and really runs the model, through transformers.

Token by token and one request at a time. Sampling parameters and outputs are those that oreo.agents.vllm uses; what it
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
        outputs = []
        for prompt, asked in zip(prompts, params, strict=True):
            ids = prompt["prompt_token_ids"]
            if len(ids) > self._limit:
                raise ValueError(f"The prompt (length {len(ids)}) is longer than the model's {self._limit}.")
            outputs.append(RequestOutput(ids, [self._complete(ids, asked, index) for index in range(asked.n)]))
        return outputs

    @torch.inference_mode()
    def _complete(self, prompt: list[int], params: SamplingParams, index: int) -> CompletionOutput:
        assert params.ignore_eos and params.logprobs == 0 and not params.detokenize and params.max_tokens
        assert params.seed is not None
        rng = np.random.default_rng(params.seed + index)
        ids: list[int] = []
        logprobs: list[dict[int, Logprob]] = []
        fed, cache, reason = prompt, None, None
        while reason is None:
            output = self._model(input_ids=torch.tensor([fed]), use_cache=True, **{self._cache_argument: cache})
            cache = getattr(output, self._cache_argument)
            (token,), (log_prob,) = (
                choice[0]
                for choice in draw(
                    output.logits[:, -1], rng.random((1, 1)), temperature=params.temperature, top_p=params.top_p
                )
            )
            ids.append(int(token))
            logprobs.append({int(token): Logprob(float(log_prob))})
            fed = [int(token)]
            if token in (params.stop_token_ids or ()):
                reason = "stop"
            elif len(ids) >= params.max_tokens or len(prompt) + len(ids) >= self._limit:
                reason = "length"
        total = math.fsum(entry.logprob for position in logprobs for entry in position.values())
        return CompletionOutput(index, "", ids, total, logprobs, reason, ids[-1] if reason == "stop" else None)


def install(patch: pytest.MonkeyPatch) -> None:
    """Put it where `import vllm` finds it."""
    vllm, engine, arg_utils = (ModuleType(name) for name in ("vllm", "vllm.engine", "vllm.engine.arg_utils"))
    vars(vllm).update(LLM=LLM, SamplingParams=SamplingParams, engine=engine)
    vars(arg_utils).update(EngineArgs=EngineArgs)
    for module in (vllm, engine, arg_utils):
        patch.setitem(sys.modules, module.__name__, module)
