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
import itertools
import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from oreo.agents.agent import Episode
from oreo.agents.best_of_k import BEST_OF_K, PickOfK
from oreo.agents.completer import (
    CompleterAgent,
    Completion,
    describe,
    load_tokenizer,
    picking,
    refuse_missing_value,
)
from oreo.agents.completions import Sample
from oreo.agents.context import check_context
from oreo.agents.finite import check_numbers
from oreo.agents.settings import MAX_NEW_TOKENS, AgentConfig
from oreo.encoding.turn_format import TurnFormat
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
        names = {*inspect.signature(self._vllm.LLM.__init__).parameters, *_engine_arguments()}
        for key in arguments:
            if key not in names:
                raise UsageError(f"engine argument {key!r} is not one of vLLM's; {_near(key, names)}")
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


class VllmCompleter:
    """A model that vLLM runs here, told of episodes in the tokens of training."""

    uses = frozenset({"engine"})
    """Fields of `AgentConfig`, beside those of every language model (`oreo.agents.loading.DECODING`)."""

    @classmethod
    def load(cls, model: str, config: AgentConfig) -> CompleterAgent:
        """What `load_agent` makes of "vllm:MODEL". `device` is the value model's."""
        from oreo.models.loading import is_adapter, load_value, refuse_no_policy, resolve_checkpoint
        from oreo.models.reading import check_files, reading, torch_dtype

        if not model:
            raise UsageError("'vllm:': expected vllm:MODEL, a folder or a name on the Hub")
        policy, beside = resolve_checkpoint(model)
        path = config.value or beside
        if is_adapter(policy):
            raise DataError(
                f"{policy} is a LoRA adapter, which vllm: does not load; play it by its folder's name alone"
            )
        check_files(policy)
        with reading(policy):
            refuse_no_policy(policy, trust_remote_code=config.trust_remote_code)
        refuse_missing_value(f"vllm:{model}", config, path)
        torch_dtype(config.dtype)  # vLLM knows more of them, which the value model and the digest do not
        shared: dict[str, Any] = {"dtype": config.dtype, "trust_remote_code": config.trust_remote_code}
        tokenizer = load_tokenizer(policy, trust_remote_code=config.trust_remote_code)
        arguments = None if config.engine is None else dict(config.engine)
        engine = Engine(policy, arguments=arguments, **shared)
        # After the engine: its processes are forked, which nobody can who has used CUDA already.
        value = load_value(path, device=config.device, **shared) if path else None
        return vllm_agent(
            engine,
            tokenizer,
            checkpoint=_digest(policy, config.dtype),
            value=value,
            **picking(config),
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            context=config.context,
            instruction=config.instruction,
        )

    def __init__(
        self,
        engine: Engine,
        turn_format: TurnFormat,
        *,
        room: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = MAX_NEW_TOKENS,
        checkpoint: str = "",
    ) -> None:
        """Args:
        engine: which model.
        turn_format: how episodes are written as its tokens.
        room: tokens of an episode before its next turn.
        temperature, top_p, max_new_tokens: as of `TurnSampler`.
        checkpoint: digest of the policy's weights, for the trajectories.
        """
        self.engine, self.format, self.max_new_tokens, self.checkpoint = engine, turn_format, max_new_tokens, checkpoint
        self.label, self._room = "vllm(", room
        self._sampling: dict[str, Any] = {
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_new_tokens,
            "ignore_eos": True,  # an end-of-sequence token that ends a turn is among these:
            "stop_token_ids": sorted(turn_format.end_ids),
            "logprobs": 0,  # of the token drawn and no other
            "detokenize": False,
        }
        self._starts: dict[int, int] = {}
        """For an episode that outgrew the room: the step from which it is told."""

    @property
    def model(self) -> str:
        return self.engine.model

    @property
    def tokenizer_digest(self) -> str:
        """As of `CompleterAgent`."""
        return self.format.digest

    def complete(self, episodes: Sequence[Episode], seeds: Sequence[int], count: int) -> list[Completion]:
        before = self._starts
        self._starts = {episode.key: self._start(episode, before.get(episode.key, 0)) for episode in episodes}
        if any(start != before.get(key, 0) for key, start in self._starts.items()):
            warnings.warn(f"an episode is longer than {self.model} is to read: its oldest turns leave", stacklevel=2)
        prompts = [
            self.format.history(episode.steps, episode.observation, self._starts[episode.key]) for episode in episodes
        ]
        asked = [place for place, ids in enumerate(prompts) if len(ids) <= self._room]
        if len(asked) < len(prompts):
            warnings.warn(
                f"a task and an observation alone are longer than {self.model} can read: turns are empty", stacklevel=3
            )
        turns = [[Sample("", None)] for _ in prompts]
        if asked:
            n = count if self._sampling["temperature"] > 0 else 1
            outputs = self.engine.complete(
                [prompts[place] for place in asked], [seeds[place] for place in asked], n=n, **self._sampling
            )
            for place, output in zip(asked, outputs, strict=True):
                turns[place] = [self._sample(completion) for completion in output.outputs]
        return [Completion(row, self._starts[episode.key]) for episode, row in zip(episodes, turns, strict=True)]

    def _start(self, episode: Episode, start: int) -> int:
        """The step from which an episode is told: where not even the present fits, the present."""
        steps, observation = episode.steps, episode.observation
        if len(self.format.history(steps, observation, start)) <= self._room:
            return start
        return self.format.drop_oldest_turns(steps, observation, start, self._room) or len(steps)

    def _sample(self, completion: Any) -> Sample:
        """A turn as vLLM's `CompletionOutput` has it. Its tokens and their log-probability include the last one."""
        log_prob = float(completion.cumulative_logprob)
        check_numbers([log_prob], "policy")
        ids = tuple(itertools.takewhile(lambda token: token not in self.format.end_ids, map(int, completion.token_ids)))
        return Sample(self.format.decode(ids), log_prob, completion.finish_reason == "length", ids)


def vllm_agent(
    engine: Engine,
    tokenizer: Any,
    *,
    value: Any = None,
    k: int = 1,
    way: PickOfK = BEST_OF_K,
    context: int | None = None,
    instruction: str | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    checkpoint: str = "",
    **sampling: Any,
) -> CompleterAgent:
    """An agent that asks vLLM.

    Args:
        engine: which model.
        tokenizer: the model's, and the value model's.
        value: token-classification model with one label.
        k: turns to choose from by value.
        way: which of them is said.
        context: as of `EpisodeReader`; None: as much as vLLM and the value model can read.
        instruction, max_new_tokens, checkpoint: as of `EpisodeReader` and `VllmCompleter`.
        sampling: temperature and top_p.
    """
    bound = min(engine.limit, context or engine.limit)
    check_context(bound, max_new_tokens)
    room, values = bound - max_new_tokens - 1, None
    if value is not None:
        from oreo.agents.context_values import ContextValues

        values = ContextValues(value, tokenizer, max_new_tokens=max_new_tokens, context=bound, instruction=instruction)
        # Not more than the value model has positions for, so that both are told the same story.
        assert values.contexts.room is not None
        room = values.contexts.room
    turn_format = TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
    completer = VllmCompleter(
        engine, turn_format, room=room, max_new_tokens=max_new_tokens, checkpoint=checkpoint, **sampling
    )
    described = describe(sampling.get("temperature", 1.0), sampling.get("top_p", 1.0))
    return CompleterAgent(completer, settings=described, k=k, context=context, values=values, way=way)


def _digest(model: str, dtype: str) -> str:
    """The digest that the local agent has for this model, of the files that vLLM has just read."""
    from huggingface_hub import snapshot_download

    from oreo.models.saving import digest

    try:
        is_folder = Path(model).is_dir()
        return digest(model if is_folder else snapshot_download(model, local_files_only=True), dtype)
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


def _near(key: str, names: set[str]) -> str:
    """They are too many to list."""
    _, near, hint = did_you_mean(key, sorted(names)).partition(" (did you mean")
    return f"did you mean{hint.rstrip(')')}" if near else "see vLLM's documentation of engine arguments"


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
