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
takes their tokenizer. Where an episode outgrows the server's context, the older half of its turns leaves.

A turn's log-probability is the sum of what the server says of its tokens, which for most servers is the model's own,
before the temperature. A value model here chooses between K turns of a policy there (best_of_k.py). A call that fails
is made again (server.py), and at last fails the run, never the episode.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from oreo.agents.agent import Decision, Episode
from oreo.agents.completions import Sample
from oreo.agents.context import check_context
from oreo.agents.server import Refused, Server
from oreo.agents.settings import APIS, DEFAULT_K, AgentConfig
from oreo.agents.turns import decision, different, observations_of, warn_of_cut_turns
from oreo.agents.value_reader import Judge
from oreo.encoding.turn_format import TurnFormat, _leading_ids
from oreo.errors import DataError, UsageError, did_you_mean
from oreo.trajectory import Candidate

PATHS = dict(zip(APIS, ("/chat/completions", "/completions"), strict=True))


class ServedAgent:
    """Asks a server for its turn; with a value model it notes V of the state, and takes the best of K turns by it."""

    uses = frozenset({"server", "api", "stop", "tokenizer", "concurrency", "timeout", "deadline"})
    """Fields of `AgentConfig`, beside those of every language model (`oreo.agents.loading.DECODING`)."""
    choices = ("sample", "best-of")
    """The ways to choose that what a server says is enough for."""

    @classmethod
    def load(cls, model: str, config: AgentConfig) -> ServedAgent:
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
        settings = decoding_elsewhere(config) | {"api": config.api, "stop": config.stop}
        return cls(server, tokenizer=tokenizer, value=value, **settings)

    def __init__(
        self,
        server: Server,
        *,
        api: str = "chat",
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 48,
        context: int | None = None,
        stop: str | Sequence[str] | None = None,
        instruction: str | None = None,
        tokenizer: Any = None,
        value: Any = None,
        k: int = 1,
    ) -> None:
        """Args:
        server: which model where.
        api: "chat" messages, or "text": plain completions.
        temperature, top_p, max_new_tokens: as of `LanguageModelAgent`, here for the server.
        context: the same, counted with the tokenizer; None: until the server refuses a prompt for its length.
        stop: texts that end a turn, beside the model's own end of turn: "\\n" for turns of one line.
        instruction: the system message, or with api="text" as of `LanguageModelAgent`.
        tokenizer: needed for api="text" and context (the policy's) and for a value model (the value model's).
        value: token-classification model with one label.
        k: turns to choose from by value; equal ones count once.

        Raises:
            UsageError: a setting out of range, or one that needs another.
        """
        if api not in PATHS:
            raise UsageError(f"unknown api {api!r}: {did_you_mean(str(api), PATHS)}")
        if not temperature >= 0 or not 0 < top_p <= 1 or max_new_tokens < 1 or k < 1:
            raise UsageError(
                f"temperature={temperature}, top_p={top_p}, max_new_tokens={max_new_tokens}, k={k}: expected 0 or "
                "more, above 0 and at most 1, 1 or more, 1 or more"
            )
        if k > 1 and value is None:
            raise UsageError("best of several turns takes a value model to choose by")
        if tokenizer is None and (api == "text" or value is not None or context is not None):
            raise UsageError("api='text', a value model and context, which counts tokens, take a tokenizer")
        check_context(context, max_new_tokens)
        self.server, self.api, self.k, self.instruction = server, api, k, instruction
        self.temperature, self.top_p, self.context = temperature, top_p, context
        self._asked: dict[str, Any] = {
            "temperature": temperature,
            "max_tokens": max_new_tokens,
            "logprobs": True if api == "chat" else 1,
        }
        if top_p < 1:
            self._asked["top_p"] = top_p
        if stop:
            self._asked["stop"] = [stop] if isinstance(stop, str) else list(stop)
        self.format = None if tokenizer is None else TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
        self.judge = None
        if value is not None:
            self.judge = Judge(
                value, tokenizer, max_new_tokens=max_new_tokens, context=context, instruction=instruction
            )
        self._room = None if context is None else context - max_new_tokens - 1
        """Tokens for the episode so far."""
        self._starts: dict[int, int] = {}
        """For an episode that outgrew a context: the step from which it is told."""
        self._takes_ids = True

    @property
    def name(self) -> str:
        nucleus = f", top_p={self.top_p}" if self.top_p < 1 else ""
        best = f", best_of={self.k}" if self.k > 1 else ""
        context = "" if self.context is None else f", context={self.context}"
        return f"served({self.server.model}, temperature={self.temperature}{nucleus}{best}{context})"

    @property
    def checkpoint(self) -> str:
        """The weights are out of reach: `served:MODEL`, the name that the server has for them, in place of a digest."""
        return f"served:{self.server.model}"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        if any(episode.info.get("stop") for episode in episodes):
            raise UsageError(
                f"{self.server.model} is asked for whole messages, and this environment wants one in several steps; "
                "let a step be the whole of it (oreo/Math-v0: step='solution'), or load the model here"
            )
        live = {episode.key for episode in episodes}
        self._starts = {key: step for key, step in self._starts.items() if key in live}
        told = dict(self._starts)
        # Drawn once: an episode's randomness does not depend on how often the server has to be asked.
        seeds = [int(episode.rng.integers(1 << 30)) for episode in episodes]
        values: list[float | None] = [None] * len(episodes)
        if self.judge is not None:
            values = self.judge.read(episodes)
        turns = self._ask(episodes, seeds)
        if self._starts != told:
            warnings.warn(
                f"an episode is longer than {self.server.model} is to read: its oldest turns leave", stacklevel=2
            )
        if any(turn.cut and not turn.text for each in turns for turn in each):
            warnings.warn(
                f"{self.server.model} used up its {self._asked['max_tokens']} tokens before it said anything; a model "
                "that thinks first takes more (max_new_tokens), or is served without thinking",
                stacklevel=2,
            )
        elif any(turn.cut for each in turns for turn in each):
            warn_of_cut_turns(self._asked["max_tokens"])
        if self.judge is None or self.k == 1:
            said = [each[0] for each in turns]
            decisions = [
                decision(turn.text, log_prob=turn.log_prob, value=value)
                for turn, value in zip(said, values, strict=True)
            ]
        else:
            decisions = self._best(turns, values)
        return [
            replace(each, context_start=self._starts.get(episode.key, 0))
            for episode, each in zip(episodes, decisions, strict=True)
        ]

    def _best(self, turns: Sequence[Sequence[Sample]], values: Sequence[float | None]) -> list[Decision]:
        """The most valuable of each row."""
        assert self.judge is not None
        kinds = [[each[place] for place in different(each)] for each in turns]
        worth = self.judge.weigh([[turn.text for turn in each] for each in kinds])
        decisions, chosen = [], []
        for each, found, here in zip(kinds, worth, values, strict=True):
            candidates = tuple(
                Candidate(turn.text, turn.log_prob, value) for turn, value in zip(each, found, strict=True)
            )
            best = max(range(len(each)), key=lambda index: (*_rank(candidates[index]), -index))
            chosen.append(best)
            said = candidates[best]
            decisions.append(decision(said.text, log_prob=said.log_prob, value=here, candidates=candidates))
        self.judge.settle(chosen)
        return decisions

    # Asking.

    def _ask(self, episodes: Sequence[Episode], seeds: Sequence[int]) -> list[list[Sample]]:
        """K turns of each episode."""
        return self.server.ask(self._turns(episode, seed) for episode, seed in zip(episodes, seeds, strict=True))

    async def _turns(self, episode: Episode, seed: int) -> list[Sample]:
        count = self.k if self.temperature > 0 else 1
        while True:
            try:
                body = self._asked | {"seed": seed} | self._prompt(episode)
                return await self.server.samples(PATHS[self.api], body, count)
            except Refused as error:
                start, last = self._starts.get(episode.key, 0), len(episode.steps)
                if isinstance(body.get("prompt"), list) and not error.too_long and "string" in error.said:
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


def _rank(candidate: Candidate) -> tuple[float, float]:
    """By value; among equals, or where there is no room to read it, by likelihood."""
    value, log_prob = candidate.value, candidate.log_prob
    return (-float("inf") if value is None else value, -float("inf") if log_prob is None else log_prob)


def decoding_elsewhere(config: AgentConfig) -> dict[str, Any]:
    """What a model that something else runs takes of a config, by the names of `ServedAgent`'s constructor."""
    return {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_new_tokens": config.max_new_tokens,
        "context": config.context,
        "instruction": config.instruction,
        "k": 1 if config.choose == "sample" else config.k or DEFAULT_K,
    }


def refuse_missing_value(spec: str, config: AgentConfig, value: str | None) -> None:
    """Raises DataError where a value model is to choose and none is named or found."""
    if config.choose != "sample" and value is None:
        raise DataError(
            f"{spec} has no value model beside it, which choose={config.choose!r} takes; name one with value=…, or "
            "leave choose at 'sample'"
        )


def load_tokenizer(path: str, *, trust_remote_code: bool) -> Any:
    """The tokenizer of a model or of an output folder of `oreo train`. Raises DataError where there is none."""
    from transformers import AutoTokenizer

    from oreo.models.loading import _reading, resolve_checkpoint

    policy, value = resolve_checkpoint(path)
    with _reading(path):
        return AutoTokenizer.from_pretrained(value or policy, trust_remote_code=trust_remote_code)
