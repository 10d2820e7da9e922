"""Making an agent from a word and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oreo.agents.agent import Agent
from oreo.agents.own import is_own, load_own
from oreo.agents.registry import CHOICES, RUNTIMES, SIMPLE, load_entry
from oreo.agents.settings import AgentConfig, configure, unused
from oreo.errors import DataError, UsageError

DECODING = frozenset({"choose", "temperature", "max_new_tokens", "context", "instruction"})
"""Fields that every language model uses."""
LOADING = frozenset({"value", "dtype", "device", "trust_remote_code"})
"""Fields that every model uses that is loaded, be it a value model alone."""


def load_agent(spec: str, config: AgentConfig | None = None, **settings: Any) -> Agent:
    """Make an agent.

    Args:
        spec: "random", "expert" (the environment's own), or a language model: "tiny" or "tiny-math", a folder, a name
            on the Hub, "served:MODEL", what an OpenAI-compatible server has under that name (see oreo.agents.served),
            or "vllm:MODEL", any of the first ones loaded into vLLM (see oreo.agents.vllm). An agent of your own is
            "path/to/file.py:Class", "module:Class" or a name that an installed package offers (see oreo.agents.own).
        config: what it is set to; None: all at its default.
        settings: fields of `AgentConfig` by name, in place of those of `config`.

    Raises:
        UsageError: a setting that does not exist, or that this agent has no use for.
        MissingExtra: a served model or vLLM without the packages for it.
        EngineError: vLLM does not start.
        DataError: no such model, or no value model to choose by.
    """
    if not isinstance(spec, str):
        raise UsageError(f"agent {spec!r}: expected a word or a path; what is an agent already needs no loading")
    config = configure(config, settings)
    if spec in ("human", "person"):
        raise UsageError(f"agent {spec!r}: a person plays with `oreo play`, or takes over with key a in `oreo watch`")
    if spec in SIMPLE:
        simple = load_entry(SIMPLE[spec])
        _refuse_unused(spec, config, simple.uses)
        agent: Agent = simple.build(config)
        return agent
    for prefix, entry in RUNTIMES.items():
        if spec.startswith(prefix):
            return _load_runtime(spec.removeprefix(prefix), spec, load_entry(entry), config)
    if is_own(spec):
        _refuse_unused(spec, config, {"arguments"})
        return load_own(spec, config.arguments)
    return _load_local(spec, config)


def acting(spec: str, config: AgentConfig) -> AgentConfig:
    """The config of an agent that is evaluated and not told how to sample: greedy, unless candidates are to differ."""
    if spec in SIMPLE or (not spec.startswith(tuple(RUNTIMES)) and is_own(spec)):
        return config
    return replace(config, temperature=0.0) if load_entry(CHOICES[config.choose]).greedy else config


def _load_local(spec: str, config: AgentConfig) -> Agent:
    """A language model that transformers runs in this process."""
    from oreo.agents.models import load_models
    from oreo.models.loading import EMBEDDED, resolve_checkpoint

    way = load_entry(CHOICES[config.choose])
    _refuse_unused(spec, config, DECODING | LOADING | way.uses)
    way.check(config)
    policy, beside = resolve_checkpoint(spec, instead=[*SIMPLE, *EMBEDDED])
    value = config.value or beside
    if value is None and way.needs_value(config):
        raise DataError(
            f"{spec} has no value model to choose by, which choose={config.choose!r} takes; train one with method "
            "oreo, name one with value=…, or leave choose at 'sample'"
        )
    agent: Agent = way.build(load_models(policy, value, config), config)
    return agent


def _load_runtime(model: str, spec: str, runtime: Any, config: AgentConfig) -> Agent:
    """A language model that something else runs than transformers."""
    from oreo.agents.completer import is_offered

    if not is_offered(config.choose):
        raise UsageError(
            f"{spec}: choose={config.choose!r} is for models that are loaded here, by transformers; servers do not say "
            f"enough for more than {', '.join(filter(is_offered, CHOICES))}"
        )
    way = load_entry(CHOICES[config.choose])
    _refuse_unused(spec, config, DECODING | LOADING | runtime.uses | way.uses)
    way.check(config)
    agent: Agent = runtime.load(model, config)
    return agent


def _refuse_unused(spec: str, config: AgentConfig, used: Iterable[str]) -> None:
    """Raises UsageError for a setting that would do nothing, with those that it is for."""
    for name in unused(config, used):
        with_choice = f" with choose={config.choose!r}" if "choose" in used else ""
        raise UsageError(f"{name} does nothing for agent {spec!r}{with_choice}: it is for {_users(name)}")


def _users(name: str) -> str:
    """The agents that use a setting, for a message."""
    if name in DECODING | LOADING:
        return "language models"
    if name == "arguments":
        return "agents of your own, file.py:Class"
    words = [word for word, entry in SIMPLE.items() if name in load_entry(entry).uses]
    words += [f"{prefix}MODEL" for prefix, entry in RUNTIMES.items() if name in load_entry(entry).uses]
    return " and ".join(
        words + [f"choose={word!r}" for word, entry in CHOICES.items() if name in load_entry(entry).uses]
    )
