"""verifiers 1: `traces.jsonl`, an episode a line, with a trace an agent, and in it a tree of messages.

A trajectory a leaf: the path from the root to it. The reward is the sum of score · weight; a trace with `ok` false has
none that means anything, and is set aside. Turns that no model call of the trace made (`sampled` false) are not to be
imitated; token ids, masks and log-probabilities of a turn go to its extra, and the log-probability of a turn is their
sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.chat import read_messages, write_messages
from oreo.data.interchange.conversations import AGENT, Conversation, Message, put_together, take_apart
from oreo.data.interchange.endings import INFO, ended, told_of
from oreo.data.interchange.spec import (
    Format,
    Misfit,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    has,
    number,
)
from oreo.trajectory import Trajectory

_TOKENS = ("token_ids", "mask", "logprobs", "advantages")
_MOST_LEAVES = 10_000
"""Of a trace; each is a trajectory."""


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    traces = field(row, "traces", list)
    if not traces:
        yield SetAside("the episode has no trace")
    for at, trace in enumerate(traces):
        where = f"traces[{at}]"
        if not isinstance(trace, dict):
            raise Misfit(f"{where} is no object")
        if trace.get("ok") is not True:
            errors = trace.get("errors")
            last = errors[-1] if isinstance(errors, list) and errors else {}
            kind = last.get("type", "no error named") if isinstance(last, dict) else "no error named"
            yield SetAside(f"the trace is not ok ({str(kind):.60})")
            continue
        yield from _branches(row, trace, where, reading)


def _branches(row: dict[str, Any], trace: dict[str, Any], where: str, reading: Reading) -> Iterable[Result]:
    nodes = field(trace, "nodes", list, where)
    parents = [_parent(node, at, f"{where}.nodes[{at}]") for at, node in enumerate(nodes)]
    leaves = sorted(set(range(len(nodes))) - set(parents))
    if len(leaves) > _MOST_LEAVES:
        raise Misfit(f"{where} has {len(leaves)} leaves, and at most {_MOST_LEAVES} are read")
    reward = _reward(trace, where)
    for leaf in leaves:
        path = [leaf]
        while (above := parents[path[-1]]) is not None:
            path.append(above)
        messages = [_message(nodes[at], f"{where}.nodes[{at}]") for at in reversed(path)]
        info = checked(trace.get("info") or {}, f"{where}.info", dict)
        extra = {name: value for name, value in besides(row, "traces").items() if value not in ([], {})}
        kept = {**trace, "info": {name: value for name, value in info.items() if name != INFO} or None}
        extra["trace"] = besides(kept, "nodes", "ok", "task") | {"leaf": leaf}
        cut = trace.get("is_timeout") is True or trace.get("stop_condition") in _CUT
        conversation = _with_log_probs(take_apart(messages, reading))
        yield from ended(conversation, reading, reward, extra, over=not cut, told=info.get(INFO))


_CUT = ("max_turns", "max_turns_reached", "max_total_tokens", "max_output_tokens", "max_input_tokens", "context_length")
"""Of stop conditions, those by which a limit ended the trace."""


def _parent(node: Any, at: int, where: str) -> int | None:
    """The number of the node before this one, which is lower: so that a path has an end."""
    parent = checked(node.get("parent") if isinstance(node, dict) else None, f"{where}.parent", (int, type(None)))
    if parent is not None and not 0 <= parent < at:
        raise Misfit(f"{where}.parent is {parent}, expected a number below {at}")
    return parent if parent is None else int(parent)


def _message(node: Any, where: str) -> Message:
    (message,) = read_messages([field(node, "message", dict, where)], f"{where}.message")
    tokens = besides({name: node.get(name) or None for name in _TOKENS})
    # `sampled` is left out where it is false; of older traces, where it is nowhere, every turn is the model's.
    sampled = node.get("sampled", "timestamp" not in node)
    if message.speaker == AGENT and not sampled:
        message = replace(message, imitate=False)
    return replace(message, extra={**message.extra, **tokens}, token_ids=_sampled(node))


def _sampled(node: dict[str, Any]) -> list[Any] | None:
    """Of a message's tokens, those that the model made: the others are what a chat template puts around them."""
    tokens, mask = node.get("token_ids"), node.get("mask")
    if not isinstance(tokens, list) or not isinstance(mask, list) or len(mask) != len(tokens):
        return None
    return [token for token, made in zip(tokens, mask, strict=True) if made is True] or None


def _reward(trace: dict[str, Any], where: str) -> float:
    total = 0.0
    for name, reward in checked(trace.get("rewards") or {}, f"{where}.rewards", dict).items():
        if reward is None:
            continue
        place = f"{where}.rewards.{name}"
        score = number(field(reward, "score", float, place), f"{place}.score")
        total += score * number(reward.get("weight", 1.0), f"{place}.weight")
    return total


def _with_log_probs(conversation: Conversation) -> Conversation:
    """What the tokens of a turn are told of is a log-probability of the turn: their sum."""
    turns = conversation.extra.get("turns", {})
    steps = []
    for at, step in enumerate(conversation.steps):
        values = turns.get(str(at), {}).get("logprobs")
        told = values and all(isinstance(value, int | float) for value in values)
        steps.append(replace(step, log_prob=float(sum(values))) if told else step)
    return replace(conversation, steps=tuple(steps))


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for at, trajectory in enumerate(trajectories):
        messages = put_together(trajectory)[0]
        nodes = []
        for place, message in enumerate(messages):
            tokens = {name: message.extra[name] for name in _TOKENS if name in message.extra}
            own = {name: value for name, value in message.extra.items() if name not in _TOKENS}
            (written,) = write_messages([replace(message, extra=own, imitate=True)])
            node: dict[str, Any] = {
                "parent": place - 1 if place else None,
                "message": _typed(written),
                "timestamp": 0.0,
            }
            nodes.append(node | {"sampled": message.speaker == AGENT and message.imitate} | tokens)
        data = {"idx": at, "name": trajectory.game or trajectory.task or str(at)}
        key = hashlib.sha256(json.dumps([trajectory.env_id, data["name"]]).encode()).hexdigest()[:16]
        task = {"type": "Task", "data": data, "key": key, "hash": key}
        paid = {"reward": {"score": trajectory.episode_return, "weight": 1.0}}
        trace = {
            "version": 1,
            "id": f"{key}-{at}",
            "task": task,
            "agent": {"config": {}, "name": "agent", "trainable": True},
            "nodes": nodes,
            "rewards": paid,
            "info": {INFO: told_of(trajectory)},
            "is_completed": True,
            "ok": True,
            "stop_condition": "max_turns" if trajectory.truncated else None,
        }
        yield {"id": trace["id"], "env": {"id": trajectory.env_id}, "task": task, "ok": True, "traces": [trace]}


def _typed(message: dict[str, Any]) -> dict[str, Any]:
    """Calls as verifiers 1 has them: name and arguments beside the id, the arguments a text."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    typed = []
    for at, call in enumerate(calls):
        record = call["function"] if isinstance(call.get("function"), dict) else call
        arguments = record.get("arguments")
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        typed.append({"id": str(call.get("id", at)), "type": "function", "name": record["name"], "arguments": written})
    return {**message, "tool_calls": typed}


FORMAT = Format(
    name="verifiers-traces",
    about="verifiers 1, traces.jsonl: an episode a line, traces with a tree of nodes, rewards",
    fits=lambda row: has(row, "traces") and isinstance(row["traces"], list),
    read=_read,
    write=_write,
)
