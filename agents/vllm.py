"""A language model that vLLM runs, loaded here and without a server, as a policy: all live episodes in one call.

    pip install 'oreo-agents[vllm]'
    oreo eval --agent vllm:Qwen/Qwen2.5-7B-Instruct --agent-arg dtype=bfloat16
    oreo eval --agent vllm:checkpoints/kitchen --best-of 5 --agent-arg 'engine={"gpu_memory_utilization": 0.6}'

It acts as a local model does (language_model.py): the prompt is the tokens that training sees, only the turn format's
own tokens end a turn, and a turn's log-probability is under the distribution it was drawn from (at temperature 0 the
model's own), end of turn included. Earlier turns are not read again (vLLM's prefix cache). What is not the same: the
draws, which are vLLM's own from a seed of the episode, and the last digits, which in vLLM depend on who shares the
batch (VLLM_BATCH_INVARIANT=1 where it supports that).

A value model runs beside it, in transformers, and needs room on the GPU: lower gpu_memory_utilization for it. vLLM runs
on the devices it finds (CUDA_VISIBLE_DEVICES); `device` is the value model's. All live episodes share one engine, so
--batch-size is what makes it busy, not --workers. In a script, vLLM's processes take `if __name__ == "__main__":`.

Names and arguments are those of vLLM 0.32, whose build for the CPU these were tried on.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from oreo.agents.agent import Episode
from oreo.agents.completions import Sample
from oreo.agents.served import ServedAgent, decoding_elsewhere, load_tokenizer, refuse_missing_value
from oreo.agents.settings import AgentConfig
from oreo.errors import DataError, EngineError, MissingExtra, UsageError, did_you_mean

_OURS = ("model", "tokenizer", "revision", "dtype", "trust_remote_code", "logprobs_mode", "generation_config")
"""vLLM's arguments that are said elsewhere, or that decide what a turn and its log-probability mean."""


class Engine:
    """vLLM with one model: tokens in, tokens and log-probabilities out."""

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "float32",
        trust_remote_code: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        """Args:
        model: folder of transformers' format, or a name on the Hub.
        dtype, trust_remote_code: as of `load_policy`.
        arguments: any other of vLLM's engine.

        Raises:
            UsageError: an argument that vLLM does not know, or that is not for here.
            MissingExtra: no vLLM.
            EngineError: vLLM does not start.
        """
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            raise UsageError(f'engine={arguments!r}: expected arguments of vLLM, as {{"tensor_parallel_size": 2}}')
        for key in arguments:
            if key in _OURS:
                raise UsageError(f"engine may not set {key}; what of it can be chosen is an argument of load_agent")
        self._vllm = _import()
        known = {*inspect.signature(self._vllm.LLM.__init__).parameters, *_engine_arguments()}
        for key in arguments:
            if key not in known:
                raise UsageError(f"engine argument {key!r} is not one of vLLM's; {_near(key, known)}")
        self.model = model
        quiet = {"enable_prefix_caching": True, "disable_log_stats": True, "use_tqdm_on_load": False}
        try:
            self._llm = self._vllm.LLM(
                model=model,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                # Under the distribution drawn from; by default vLLM gives the model's own, before the temperature.
                logprobs_mode="processed_logprobs",
                # "auto" would add the end tokens of generation_config.json to those of the turn format.
                generation_config="vllm",
                **quiet | arguments,
            )
        except Exception as error:  # whatever vLLM, its processes or the model's code raise
            raise EngineError(
                f"vLLM does not start with {model}: {_one_line(error)} (its arguments are given as engine={{…}})"
            ) from error
        self.limit = int(self._llm.llm_engine.model_config.max_model_len)
        """Positions of a prompt and its turn together."""

    def complete(self, prompts: Sequence[list[int]], seeds: Sequence[int], **sampling: Any) -> list[Any]:
        """vLLM's `RequestOutput` for each prompt, in order.

        Args:
            sampling: of vLLM's `SamplingParams`, the same for all.

        Raises:
            EngineError: vLLM died.
        """
        params = [self._vllm.SamplingParams(seed=seed, **sampling) for seed in seeds]
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        try:
            outputs: list[Any] = self._llm.generate(asked, params, use_tqdm=False)
        except Exception as error:  # it checks more than it can be asked for here; or its processes died
            raise EngineError(f"vLLM with {self.model} failed: {_one_line(error)}") from error
        # In front are what a call broken off by Ctrl-C had asked for.
        return outputs[len(outputs) - len(asked) :]


class VllmAgent(ServedAgent):
    """What a served agent is, with vLLM here in place of the server and training's tokens in place of messages."""

    uses = frozenset({"engine"})

    @classmethod
    def load(cls, model: str, config: AgentConfig) -> VllmAgent:
        """What `load_agent` makes of "vllm:MODEL". `device` is the value model's."""
        from oreo.models.loading import is_adapter, load_value, resolve_checkpoint
        from oreo.models.reading import torch_dtype

        if not model:
            raise UsageError("'vllm:': expected vllm:MODEL, a folder or a name on the Hub")
        policy, beside = resolve_checkpoint(model)
        path = config.value or beside
        if is_adapter(policy):
            raise DataError(
                f"{policy} is a LoRA adapter, which vllm: does not load; play it by its folder's name alone"
            )
        refuse_missing_value(f"vllm:{model}", config, path)
        torch_dtype(config.dtype)  # vLLM knows more of them, which the value model and the digest do not
        shared: dict[str, Any] = {"dtype": config.dtype, "trust_remote_code": config.trust_remote_code}
        tokenizer = load_tokenizer(policy, trust_remote_code=config.trust_remote_code)
        arguments = None if config.engine is None else dict(config.engine)
        engine = Engine(policy, arguments=arguments, **shared)
        # After the engine: its processes are forked, which nobody can who has used CUDA already.
        value = load_value(path, device=config.device, **shared) if path else None
        checkpoint = _digest(policy, config.dtype)
        return cls(engine, tokenizer, checkpoint=checkpoint, value=value, **decoding_elsewhere(config))

    def __init__(
        self, engine: Engine, tokenizer: Any, *, context: int | None = None, checkpoint: str = "", **settings: Any
    ) -> None:
        """Args:
        engine: which model.
        tokenizer: the model's, and the value model's.
        context: as of `LanguageModelAgent`; None: as much as vLLM and the value model can read.
        checkpoint: digest of the policy's weights, for the trajectories.
        settings: temperature, top_p, max_new_tokens, instruction, value, k, as of `ServedAgent`.
        """
        # All that the two agents share takes of a server is its model's name.
        bound = min(engine.limit, context or engine.limit)
        super().__init__(cast(Any, engine), api="text", tokenizer=tokenizer, context=bound, **settings)
        assert self.format is not None and self._room is not None
        self.engine, self.context, self._checkpoint = engine, context, checkpoint
        if self.judge is not None and self.judge.room is not None:
            # Not more than the value model has positions for, so that both are told the same story.
            self._room = self.judge.room
        self._sampling = {
            "n": self.k if self.temperature > 0 else 1,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self._asked["max_tokens"],
            "ignore_eos": True,  # an end-of-sequence token that ends a turn is among these:
            "stop_token_ids": sorted(self.format.end_ids),
            "logprobs": 0,  # of the token drawn and no other
            "detokenize": False,
        }

    @property
    def name(self) -> str:
        return super().name.replace(f"served({self.engine.model}, ", "vllm(", 1)

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    def _ask(self, episodes: Sequence[Episode], seeds: Sequence[int]) -> list[list[Sample]]:
        assert self._room is not None
        prompts = [self._prompt(episode)["prompt"] for episode in episodes]
        asked = [place for place, ids in enumerate(prompts) if len(ids) <= self._room]
        if len(asked) < len(prompts):
            warnings.warn(
                f"a task and an observation alone are longer than {self.engine.model} can read: turns are empty",
                stacklevel=3,
            )
        outputs: list[Any] = []
        if asked:
            outputs = self.engine.complete(
                [prompts[place] for place in asked], [seeds[place] for place in asked], **self._sampling
            )
        turns = [[Sample("", None)] for _ in prompts]
        for place, output in zip(asked, outputs, strict=True):
            turns[place] = [self._sample(one) for one in output.outputs]
        return turns

    def _sample(self, completion: Any) -> Sample:
        """A turn as vLLM's `CompletionOutput` has it. Its tokens and their log-probability include the last one."""
        assert self.format is not None
        text = self.format.decode(completion.token_ids)
        return Sample(text, float(completion.cumulative_logprob), completion.finish_reason == "length")


def _digest(model: str, dtype: str) -> str:
    """The digest that the local agent has for this model, of the files that vLLM has just read."""
    from huggingface_hub import snapshot_download

    from oreo.models.saving import digest

    try:
        here = Path(model).is_dir()
        return digest(model if here else snapshot_download(model, local_files_only=True), dtype)
    except (DataError, OSError):  # no safetensors, or kept where we do not know
        return f"vllm:{model}"


def _import() -> Any:
    # Standard output is for results, and vLLM logs there unless it is told otherwise before it is imported.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm

        assert vllm.LLM and vllm.SamplingParams  # imported when they are first named
    except ImportError as error:
        if error.name == "vllm":
            raise MissingExtra("vllm:MODEL takes the vllm package: pip install 'oreo-agents[vllm]' (Linux)") from None
        raise EngineError(f"vLLM is installed and cannot be imported: {_one_line(error)}") from error
    return vllm


def _engine_arguments() -> set[str]:
    from vllm.engine.arg_utils import EngineArgs

    return {field.name for field in fields(EngineArgs)}


def _near(key: str, known: set[str]) -> str:
    """They are too many to list."""
    _, found, hint = did_you_mean(key, sorted(known)).partition(" (did you mean")
    return f"did you mean{hint.rstrip(')')}" if found else "see vLLM's documentation of engine arguments"


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
