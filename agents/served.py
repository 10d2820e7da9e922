"""A language model behind an OpenAI-compatible server, as a policy: all live episodes ask at once.

    export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
    oreo eval --agent served:Qwen/Qwen2.5-7B-Instruct --agent-arg instruction="Answer with one command."

| server | start it | its address |
|---|---|---|
| vLLM | `vllm serve MODEL` | http://127.0.0.1:8000/v1 |
| SGLang | `python -m sglang.launch_server --model-path MODEL` | http://127.0.0.1:30000/v1 |
| llama.cpp | `llama-server -m FILE.gguf` | http://127.0.0.1:8080/v1 |
| Ollama | `ollama serve` | http://127.0.0.1:11434/v1 |
| transformers | `transformers serve MODEL` | http://127.0.0.1:8000/v1 |

A turn means what it means for a local model (language_model.py). What the model is told goes as chat messages, or with
api="text" as the very tokens that training sees (oreo.encoding.turn_format), for models without a chat template; that
takes their tokenizer. Where an episode outgrows the server's context, the older half of its turns is left out.

A turn's log-probability is the sum of what the server says of its tokens, which for most servers is the model's own,
before the temperature. A value model here chooses between K turns of a policy there (best_of_k.py). A call that fails
is made again (server.py), and at last fails the run, never the episode.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
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
from oreo.agents.server import Refused, Server
from oreo.agents.settings import APIS, MAX_NEW_TOKENS, AgentConfig
from oreo.agents.turns import observations_of
from oreo.encoding.turn_format import TurnFormat, _leading_ids
from oreo.errors import UsageError, did_you_mean

PATHS = dict(zip(APIS, ("/chat/completions", "/completions"), strict=True))


class ServedCompleter:
    """One model of a server, told of episodes in messages or tokens."""

    uses = frozenset({"server", "api", "stop", "tokenizer", "concurrency", "timeout", "deadline"})
    """Fields of `AgentConfig`, beside those of every language model (`oreo.agents.loading.DECODING`)."""

    @classmethod
    def load(cls, model: str, config: AgentConfig) -> CompleterAgent:
        """What `load_agent` makes of "served:MODEL"."""
        url = config.server or os.environ.get("OPENAI_BASE_URL")
        if not model or not url:
            raise UsageError(
                f"'served:{model}': expected served:MODEL and an address, server=http://127.0.0.1:8000/v1 (on the "
                "command line after --agent-arg) or $OPENAI_BASE_URL"
            )
        refuse_missing_value(f"served:{model}", config, config.value)
        if config.api == "text" and not (config.tokenizer or config.value):
            raise UsageError(
                f"served:{model}: api='text' takes the model's tokenizer, tokenizer=FOLDER or its Hub name"
            )
        server = Server(
            url,
            model,
            api_key=os.environ.get("OPENAI_API_KEY"),
            concurrency=config.concurrency,
            timeout=config.timeout,
            deadline=config.deadline,
        )
        tokenizer, value = None, None
        if config.value:
            from oreo.models.loading import load_value

            value = load_value(
                config.value,
                dtype=config.dtype,
                device=config.device,
                trust_remote_code=config.trust_remote_code,
            )
        if config.tokenizer or config.value:
            path = config.tokenizer or str(config.value)
            tokenizer = load_tokenizer(path, trust_remote_code=config.trust_remote_code)
        return served_agent(
            server,
            api=config.api,
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            context=config.context,
            stop=config.stop or (),
            instruction=config.instruction,
            tokenizer=tokenizer,
            value=value,
            **picking(config),
        )

    def __init__(
        self,
        server: Server,
        *,
        api: str = "chat",
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = MAX_NEW_TOKENS,
        context: int | None = None,
        stop: Sequence[str] = (),
        instruction: str | None = None,
        tokenizer: Any = None,
    ) -> None:
        """Args:
        server: which model where.
        api: "chat" messages, or "text": plain completions.
        temperature, top_p, max_new_tokens: as of `TurnSampler`, for the server.
        context: as of `EpisodeReader`, counted with the tokenizer; None: until the server refuses a prompt for its
            length.
        stop: texts that end a turn, beside the model's own end of turn: "\\n" for turns of one line.
        instruction: the system message, or with api="text" as of `EpisodeReader`.
        tokenizer: the policy's, needed for api="text" and context.

        Raises:
            UsageError: a setting that needs another.
        """
        if api not in PATHS:
            raise UsageError(f"api {api!r} is unknown; {did_you_mean(str(api), PATHS)}")
        if tokenizer is None and (api == "text" or context is not None):
            raise UsageError("api='text' and context, which counts tokens, take a tokenizer")
        check_context(context, max_new_tokens)
        self.server, self.api, self.instruction = server, api, instruction
        self.temperature, self.max_new_tokens = temperature, max_new_tokens
        self._asked: dict[str, Any] = {
            "temperature": temperature,
            "max_tokens": max_new_tokens,
            "logprobs": True if api == "chat" else 1,
        }
        if top_p < 1:
            self._asked["top_p"] = top_p
        if stop:
            self._asked["stop"] = list(stop)
        self.format = None if tokenizer is None else TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
        self._room = None if context is None else context - max_new_tokens - 1
        """Tokens for the episode so far."""
        self._starts: dict[int, int] = {}
        """For an episode that outgrew a context: the step from which it is told."""
        self._takes_ids = True

    @property
    def model(self) -> str:
        return self.server.model

    @property
    def label(self) -> str:
        return f"served({self.model}, "

    @property
    def checkpoint(self) -> str:
        """The weights are out of reach: `served:MODEL`, the name that the server has for them, in place of a digest."""
        return f"served:{self.model}"

    def complete(self, episodes: Sequence[Episode], seeds: Sequence[int], count: int) -> list[Completion]:
        live = {episode.key for episode in episodes}
        self._starts = {key: step for key, step in self._starts.items() if key in live}
        before = dict(self._starts)
        turns = self.server.ask(
            self._turns(episode, seed, count if self.temperature > 0 else 1)
            for episode, seed in zip(episodes, seeds, strict=True)
        )
        if self._starts != before:
            warnings.warn(f"an episode is longer than {self.model} is to read: its oldest turns leave", stacklevel=2)
        return [Completion(row, self._starts.get(episode.key, 0)) for episode, row in zip(episodes, turns, strict=True)]

    async def _turns(self, episode: Episode, seed: int, count: int) -> list[Sample]:
        while True:
            try:
                body = self._asked | {"seed": seed} | self._prompt(episode)
                return await self.server.samples(PATHS[self.api], body, count)
            except Refused as error:
                start, last = self._starts.get(episode.key, 0), len(episode.steps)
                if isinstance(body.get("prompt"), list) and not error.too_long and "string" in error.complaint:
                    self._takes_ids = False
                elif error.too_long and start < last:
                    # How long a prompt may be is not said: half of the turns leave.
                    self._starts[episode.key] = (start + last + 1) // 2
                else:
                    raise

    def _prompt(self, episode: Episode) -> dict[str, Any]:
        """What the server is told of an episode."""
        observations, steps, key = observations_of(episode), episode.steps, episode.key
        start = self._starts.get(key, 0)
        if self._room is not None:
            assert self.format is not None
            if len(self.format.history(steps, episode.observation, start)) > self._room:
                # Where not even the present fits, the server has the last word.
                start = self.format.drop_oldest_turns(steps, episode.observation, start, self._room) or len(steps)
                self._starts[key] = start
        if self.api == "text":
            assert self.format is not None
            ids = self.format.history(steps, episode.observation, start)
            return {"prompt": ids if self._takes_ids else _as_text(self.format.tokenizer, ids)}
        # As `TurnFormat.history`.
        first = f"{observations[0]}\n{observations[start]}" if start else observations[0]
        messages = [{"role": "system", "content": self.instruction}] if self.instruction else []
        messages.append({"role": "user", "content": first})
        for step, after in zip(steps[start:], observations[start + 1 :], strict=True):
            messages += [{"role": "assistant", "content": step.text}, {"role": "user", "content": after}]
        return {"messages": messages}


def _as_text(tokenizer: Any, ids: list[int]) -> str:
    """For servers that take no tokens. They put what the tokenizer puts first before it themselves."""
    lead = _leading_ids(tokenizer)
    ids = ids[len(lead) :] if lead and ids[: len(lead)] == lead else ids
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def served_agent(
    server: Server,
    *,
    value: Any = None,
    k: int = 1,
    way: PickOfK = BEST_OF_K,
    tokenizer: Any = None,
    **settings: Any,
) -> CompleterAgent:
    """An agent that asks a server.

    Args:
        value: token-classification model with one label.
        k: turns to choose from by value.
        way: which of them is said.
        tokenizer: needed for api="text" and context (the policy's) and for a value model (the value model's).
        settings: of `ServedCompleter`.

    Raises:
        UsageError: a setting that needs another.
    """
    if tokenizer is None and value is not None:
        raise UsageError("a value model takes a tokenizer")
    completer = ServedCompleter(server, tokenizer=tokenizer, **settings)
    context = settings.get("context")
    values = None
    if value is not None:
        from oreo.agents.context_values import ContextValues

        values = ContextValues(
            value,
            tokenizer,
            max_new_tokens=completer.max_new_tokens,
            context=context,
            instruction=completer.instruction,
        )
    sampling = describe(completer.temperature, settings.get("top_p", 1.0))
    return CompleterAgent(completer, settings=sampling, k=k, context=context, values=values, way=way)
