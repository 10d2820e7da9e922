"""Agents: what turns observations into actions. `load_agent` makes one from a word."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from oreo.errors import DataError, UsageError, did_you_mean

if TYPE_CHECKING:
    from oreo.agents.agent import Agent

__all__ = ["load_agent"]

MAX_NEW_TOKENS = 48
"""A turn of a language model is ended when it has this many tokens."""
BETA = 0.03
"""OREO's β, as the paper has it (arXiv 2412.16145, section 5)."""
CHOICES = ("text", "admissible")
SEARCHES = ("beam", "best", "vote")
SERVED, VLLM = "served:", "vllm:"


def load_agent(
    spec: str,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    best_of: int = 1,
    choose: str = "text",
    lookahead: int = 0,
    search: str | None = None,
    budget: int | None = None,
    budget_steps: int | None = None,
    beta: float = BETA,
    max_new_tokens: int = MAX_NEW_TOKENS,
    context: int | None = None,
    noise: float = 0.0,
    instruction: str | None = None,
    value: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    server: str | None = None,
    api: str = "chat",
    stop: str | list[str] | None = None,
    tokenizer: str | None = None,
    concurrency: int = 32,
    timeout: float = 60.0,
    deadline: float = 300.0,
    engine: dict[str, Any] | None = None,
) -> Agent:
    """Make an agent.

    Args:
        spec: "random", "expert" (the environment's own), or a language model: "tiny" or "tiny-math", a folder, a name
            on the Hub, "served:MODEL", what an OpenAI-compatible server has under that name (see oreo.agents.served),
            or "vllm:MODEL", any of the first ones loaded into vLLM (see oreo.agents.vllm).
        temperature, top_p, max_new_tokens: of a language model; temperature 0 is greedy.
        context: tokens of an episode that the models are shown at most; beyond, its oldest turns leave. None: as many
            as they have positions for.
        best_of: take the best of so many sampled turns by the value model.
        choose: "text", what the model writes, or "admissible": one of the commands that the environment accepts now,
            by their likelihood under the model (at temperature 0 the likeliest), with best_of by likelihood and value
            of so many of them.
        lookahead: try the best_of turns in a copy of the environment, so many turns deep, and take the one that leads
            to the best state by the value model. That is planning with the world's own dynamics; 0: do not.
        search: find a whole message that is written in several turns before its first is said, among best_of:
            "beam" search over its steps by value, the "best" of so many messages by value, or the "vote" of their
            answers. It asks a copy of the environment what follows a step, and looks at no reward.
        budget, budget_steps: of a search, in tokens sampled for one message and in its steps: where they are spent,
            the best beginning is written to its end, one sample a step.
        beta: with choose="admissible" and a value model, how much value a nat of a command's log-likelihood is worth;
            OREO's β. 0: value alone.
        noise: share of the expert's actions that is replaced by others.
        instruction: put before the first observation; None: what the tokenizer was saved with.
        value: where the value model is; None: beside the policy, as `oreo train` leaves it. Where one is found, the
            values of the states are noted in the trajectories, even with best_of=1.
        dtype, device, trust_remote_code: for loading models. vLLM itself runs on the devices that it finds.
        server: where a served model is, such as http://127.0.0.1:8000/v1; None: where $OPENAI_BASE_URL says. A key is
            taken from $OPENAI_API_KEY alone.
        api: how a served model is asked: "chat", or "text" for models without a chat template.
        stop: texts that end a served model's turn, beside its own end of turn.
        tokenizer: folder or Hub name of a served model's tokenizer, for api="text"; None: the value model's.
        concurrency: requests to the server at once.
        timeout, deadline: seconds until a request is made again, and until the run fails.
        engine: arguments of vLLM's engine, such as {"tensor_parallel_size": 2, "max_model_len": 8192}.

    Raises:
        UsageError: a setting that does not fit the agent.
        MissingExtra: a served model or vLLM without the packages for it.
        EngineError: vLLM does not start.
        DataError: no such model, or no value model to choose by.
    """
    _check_types(locals())
    for setting, given in {"server": server, "stop": stop, "tokenizer": tokenizer}.items():
        if given is not None and not spec.startswith(SERVED):
            model = spec.removeprefix(VLLM)
            raise UsageError(f"{setting} is for served models, such as {SERVED}{model}, not for {spec!r}")
    asking = {"api": api, "concurrency": concurrency, "timeout": timeout, "deadline": deadline}
    for setting, asked in asking.items():
        if asked != inspect.signature(load_agent).parameters[setting].default and not spec.startswith(SERVED):
            raise UsageError(f"{setting} is for served models, not for {spec!r}")
    if engine is not None and not spec.startswith(VLLM):
        raise UsageError(f"engine is for models that vLLM runs, such as {VLLM}{spec}, not for {spec!r}")
    if spec in ("random", "expert"):
        if best_of != 1 or choose != "text" or lookahead or search:
            raise UsageError(f"best_of, choose, lookahead and search are for language models, not for {spec!r}")
        return _simple(spec, noise)
    if noise:
        raise UsageError(f"noise is for the expert; {spec!r} is made noisier by its temperature")
    if best_of < 1:
        raise UsageError(f"best_of is at least 1, got {best_of}")
    if choose not in CHOICES:
        raise UsageError(f"unknown way to choose {choose!r}: {did_you_mean(str(choose), CHOICES)}")
    if lookahead < 0 or (lookahead and best_of == 1):
        raise UsageError(
            f"lookahead={lookahead} with best_of={best_of}: it tries best_of turns, which has to be above 1"
        )
    bounds = {"budget": budget, "budget_steps": budget_steps}
    for name, bound in bounds.items():
        if bound is not None and search is None:
            raise UsageError(f"{name}={bound} is of a search; give it one, such as search='beam'")
    if search is not None:
        check_search(search)
    if search is not None and (choose != "text" or lookahead):
        raise UsageError(f"search={search!r} samples whole messages; leave choose and lookahead out")
    if best_of > 1 and temperature == 0 and choose == "text":
        raise UsageError("best_of chooses among samples; give it a temperature above 0, such as 1")
    loading: dict[str, Any] = {"dtype": dtype, "device": device, "trust_remote_code": trust_remote_code}
    settings: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "context": context,
        "instruction": instruction,
    }
    if not spec.startswith((SERVED, VLLM)):
        searching = None if search is None else {"search": search, "width": best_of, **bounds}
        return _local(spec, value, loading, best_of, choose, lookahead, searching, beta, settings)
    if choose != "text" or lookahead or search:
        raise UsageError(
            f"{spec}: choose, lookahead and search are for models that are loaded here, by transformers; servers do "
            "not say enough"
        )
    if spec.startswith(VLLM):
        from oreo.agents.vllm import load_vllm

        model = spec.removeprefix(VLLM)
        return load_vllm(model, value=value, engine=engine, loading=loading, k=best_of, **settings)
    from oreo.agents.served import load_served

    return load_served(
        spec.removeprefix(SERVED),
        server=server,
        value=value,
        tokenizer=tokenizer,
        calling={"concurrency": concurrency, "timeout": timeout, "deadline": deadline},
        loading=loading,
        api=api,
        stop=stop,
        k=best_of,
        **settings,
    )


def check_search(search: str) -> None:
    if search not in SEARCHES:
        raise UsageError(f"unknown search {search!r}: {did_you_mean(str(search), SEARCHES)}")


def _check_types(given: dict[str, Any]) -> None:
    """Numbers are numbers: on the command line any text is let through."""
    whole = ("best_of", "lookahead", "max_new_tokens", "context", "budget", "budget_steps", "concurrency")
    for setting in (*whole, "temperature", "top_p", "beta", "noise", "timeout", "deadline"):
        value = given[setting]
        known: Any = int if setting in whole else (int, float)
        if (
            isinstance(value, bool)
            or not isinstance(value, known)
            and not (setting in ("context", "budget", "budget_steps") and value is None)
        ):
            expected = "a whole number" if setting in whole else "a number"
            raise UsageError(f"{setting}={value!r}: expected {expected}")
    for setting in ("choose", "search", "api", "dtype", "value", "server", "tokenizer", "instruction", "device"):
        value = given[setting]
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{setting}={value!r}: expected text")


def _local(
    spec: str,
    value: str | None,
    loading: dict[str, Any],
    best_of: int,
    choose: str,
    lookahead: int,
    searching: dict[str, Any] | None,
    beta: float,
    settings: dict[str, Any],
) -> Agent:
    """A language model that is loaded into this process."""
    from oreo.agents.admissible import AdmissibleAgent
    from oreo.agents.best_of_k import BestOfKAgent
    from oreo.agents.language_model import LanguageModelAgent
    from oreo.agents.lookahead import LookaheadAgent
    from oreo.models.loading import load_policy, load_value, resolve_checkpoint
    from oreo.models.saving import digest

    policy_path, value_path = resolve_checkpoint(spec)
    value_path = value or value_path
    if (best_of > 1 or searching) and value_path is None and (searching or {}).get("search") != "vote":
        raise DataError(
            f"{spec} has no value model to choose by; train one with method oreo, name one, or leave best_of at 1"
        )
    policy, tokenizer = load_policy(policy_path, **loading)
    critic = None if value_path is None else load_value(value_path, **loading)
    settings = settings | {"checkpoint": digest(policy)}
    if searching:
        from oreo.agents.message_search import MessageSearchAgent

        return MessageSearchAgent(policy, critic, tokenizer, **searching, **settings)
    if lookahead:
        planning: dict[str, Any] = {"width": best_of, "depth": lookahead, "choose": choose, "beta": beta}
        return LookaheadAgent(policy, critic, tokenizer, **planning, **settings)
    if choose == "admissible":
        return AdmissibleAgent(policy, tokenizer, value=critic, k=best_of, beta=beta, **settings)
    if best_of > 1:
        return BestOfKAgent(policy, critic, tokenizer, k=best_of, **settings)
    return LanguageModelAgent(policy, tokenizer, value=critic, **settings)


def _simple(spec: str, noise: float) -> Agent:
    if spec == "expert":
        from oreo.agents.expert import ExpertAgent

        return ExpertAgent(noise)
    if noise:
        raise UsageError("noise is for the expert; the random agent is noise")
    from oreo.agents.random import RandomAgent

    return RandomAgent()
