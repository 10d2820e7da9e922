"""The checks: each plays on the bench and notes what it finds, or says why there was nothing to check.

What a single call does wrong is noted by the bench itself (contract, time, globals, output, text, size).
"""

from __future__ import annotations

import copy
import pickle
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from oreo.envs.checking import other_process
from oreo.envs.checking.bench import NO_EXPERT, Bench, Fault, Trace, shown, shown_steps
from oreo.envs.checking.subject import TextEnvironment
from oreo.envs.checking.surroundings import children, memory, open_files
from oreo.errors import OreoError

SEEDS = range(3)
EXPERT_SEEDS = range(5)
RESETS = 200
WARMING = 5
"""Resets before memory is measured."""
MORE_BLOCKS = 3
"""Of as many resets again, where something grows: what is kept for later use is complete some time."""
SECONDS_A_CHECK = 20.0
"""After which a check that repeats something many times stops doing so, and says how often it has."""
_ODD_TEXTS = ("", " ", "\n", "no such command", "look\nlook", "é 漢字 🙂", "x" * 5_000, "[]{}()<>|\\\"'%s{0}")
"""What language models write now and then."""


class Skipped(Exception):
    """There was nothing to check; says why."""


def other_process_check(bench: Bench, measured: dict[str, Any]) -> None:
    """The same seeds and actions in another process, where Python's sets and dicts have other hashes."""
    if bench.subject.portable is None:
        raise Skipped("what was given cannot be made in another process; a name or a class can")
    answers = other_process.play(bench.subject.portable, bench.first, bench.patience, bench.ignored)
    for ours, answer in zip(bench.first, answers, strict=True):
        if answer.reason:
            bench.note(
                "processes",
                f"in another process: {answer.reason}",
                ours.steps(),
                "make it depend on nothing but its arguments: no state of the module, no open files from before",
                "processes: " + answer.reason.partition(":")[0],
            )
        elif answer.difference is not None:
            bench.note(
                "processes",
                f"the same seed is another episode in another process: {answer.told}",
                ours.steps(answer.difference),
                "sort what comes from sets, and use no hash(), id(), clock or generator of its own",
                "processes",
            )


def same_seed(bench: Bench, measured: dict[str, Any]) -> None:
    """Same seed, same episode: in a new environment, and in one that has played others in between."""
    used = bench.new()
    for trace in bench.first:
        fix = "let all chance come from the generator of start(rng), and set everything anew in it"
        if _differs(bench, "seeds", trace, bench.play(trace.seed, actions=trace.actions), "in a new environment", fix):
            return
        bench.play(trace.seed + 1_000, env=used, stream=1)
        again = bench.play(trace.seed, env=used, actions=trace.actions)
        if _differs(bench, "seeds", trace, again, "after other episodes in the same environment", fix):
            return
    bench.close(used)


def apart(bench: Bench, measured: dict[str, Any]) -> None:
    """Two environments that are played in turns know nothing of each other."""
    one, other = bench.first[0], bench.first[-1]
    traces, envs = [Trace(one.seed), Trace(other.seed)], [bench.new(), bench.new()]
    for trace, env in zip(traces, envs, strict=True):
        trace.turns.append(bench.reset(env, trace.seed))
    try:
        for number in range(max(len(one.actions), len(other.actions))):
            for trace, env, alone in zip(traces, envs, (one, other), strict=True):
                if number < len(alone.actions):
                    bench.go_on(trace, env, [alone.actions[number]])
    except Fault as fault:
        trace.failed = fault.key
    fix = "keep an episode's state in the object (self.…), not in the class or the module"
    for trace, alone in zip(traces, (one, other), strict=True):
        at = bench.difference(_cut(alone, len(trace.turns)), _cut(trace, len(alone.turns)))
        if at is not None:
            bench.note(
                "apart",
                f"two environments at a time disturb each other: {bench.differing(alone, trace, at)}",
                (*(f"{who}.reset" for who in ("one", "other")), *alone.steps(at)),
                fix,
                "apart",
            )
    for env in envs:
        bench.close(env)


def odd_texts(bench: Bench, measured: dict[str, Any]) -> None:
    """Any text may come from an agent, and none of them may raise."""
    env = bench.new()
    for text in _ODD_TEXTS:
        bench.play(bench.first[0].seed, env=env, actions=[text])


def commands(bench: Bench, measured: dict[str, Any]) -> None:
    """What is listed is accepted (the bench looks at that in each step), and listed once."""
    if all(turn.commands is None for trace in bench.first for turn in trace.turns):
        raise Skipped("it lists no admissible commands")
    env, until = bench.new(), time.monotonic() + SECONDS_A_CHECK
    known, tried = set[str](), 0
    for trace, number, all_of_them in _places(bench.first):
        turn = trace.turns[number]
        if len(set(turn.commands or ())) < len(turn.commands or ()):
            bench.note("commands", "a command is listed twice", trace.steps(number), "list it once", "commands: twice")
        for command in [] if turn.terminated else turn.commands or ():
            if not all_of_them and command in known:
                continue
            if time.monotonic() > until:
                measured["commands tried"] = tried
                return
            bench.play(trace.seed, env=env, actions=[*trace.actions[:number], command])
            known.add(command)
            tried += 1
    measured["commands tried"] = tried


def _places(traces: Sequence[Trace]) -> Iterator[tuple[Trace, int, bool]]:
    """Where listed commands are tried: all of them in the beginning and the middle, elsewhere those that are new."""
    full = [(trace, number) for trace in traces if trace.turns for number in {0, len(trace.actions) // 2}]
    yield from ((trace, number, True) for trace, number in full)
    yield from ((trace, number, False) for trace in traces for number in range(len(trace.turns)))


def refused(bench: Bench, measured: dict[str, Any]) -> None:
    """A refused action changes nothing: the episode goes on as it would have without it."""
    env = bench.new()
    for trace in bench.first:
        for text in ("no such command", *bench.words[:4]):
            number = len(trace.actions) // 2
            with_it = bench.play(trace.seed, env=env, actions=[*trace.actions[:number], text, *trace.actions[number:]])
            turns = with_it.turns
            if len(turns) < number + 2 or turns[number + 1].valid is not False:
                continue
            without = Trace(trace.seed, trace.actions, [*turns[: number + 1], *turns[number + 2 :]])
            compared = _cut(trace, len(without.turns))
            at = bench.difference(compared, _cut(without, len(compared.turns)))
            if turns[number + 1].terminated or at is not None:
                told = "it ends the episode" if at is None else bench.differing(compared, without, at)
                bench.note(
                    "commands",
                    f"a refused action (action_valid is False) changes what follows: {told}",
                    with_it.steps(),
                    "leave the world as it was, or set action_valid to True",
                    "commands: refused changes",
                )
                return


def endings(bench: Bench, measured: dict[str, Any]) -> None:
    """`won`, reward and ending agree, and do not stick to the next episode."""
    env, until = bench.new(), time.monotonic() + SECONDS_A_CHECK / 2
    winning = [trace for trace in bench.first if trace.won] or _wins(bench, env, until)
    for trace in [*bench.first, *winning]:
        if trace.turns and trace.turns[0].won and not trace.turns[0].terminated:
            bench.note(
                "endings",
                "the episode is won before its first step",
                shown_steps(trace.seed, ()),
                "set self.won = False in start, and True where the episode is won",
                "won at reset",
            )
            bench.ignored.add("won")
        if trace.won and not any(turn.reward for turn in trace.turns):
            bench.note(
                "endings",
                "an episode is won without any reward: nothing is learnt from it",
                trace.steps(),
                "pay a reward where the episode is won, and set won only there",
                "won unpaid",
            )
    for trace in winning[:1]:
        bench.play(trace.seed, env=env, actions=trace.actions)
        after = bench.reset(env, trace.seed + 1)
        if after.won and "won at reset" not in bench.findings:
            bench.note(
                "endings",
                "an episode that begins after a won one counts as won",
                (*trace.steps(), *shown_steps(trace.seed + 1, ())),
                "set self.won = False in start, on the object and not on the class",
                "won sticks",
            )
            bench.ignored.add("won")


def _wins(bench: Bench, env: TextEnvironment, until: float) -> list[Trace]:
    for seed in range(100, 150):
        if time.monotonic() > until:
            break
        trace = bench.play(seed, env=env)
        if trace.failed:
            break
        if trace.won:
            return [trace]
    return []


def expert(bench: Bench, measured: dict[str, Any]) -> None:
    """The expert wins, and asking it changes nothing."""
    env = bench.new()
    inner = env.unwrapped
    own = getattr(type(inner), "expert_action", None)
    from oreo.envs.text_env import TextEnv

    if own is None or own is TextEnv.expert_action:
        raise Skipped("it has no expert")
    limit = bench.limit(env) or 1_000
    traces = [bench.expert_trace(seed, limit) for seed in EXPERT_SEEDS]
    if all(trace.failed == NO_EXPERT for trace in traces):
        raise Skipped("it has no expert of these games")
    won = sum(trace.won for trace in traces)
    measured["expert wins"] = f"{won} of {len(traces)}"
    played = [trace for trace in traces if not trace.failed]
    bench.expert_wins = [trace for trace in played if trace.won]
    if played and not won:
        bench.note(
            "expert",
            f"its expert wins none of {len(played)} episodes",
            played[0].steps(),
            "let expert_action say what wins, or set won (and a reward) where it does",
        )
    for trace in [] if NOT_REPEATED in bench.findings else played[:2]:
        fix = "let expert_action look and not touch: no step, no draw from the episode's generator"
        again = bench.play(trace.seed, actions=trace.actions)
        if _differs(bench, "expert", trace, again, "when the expert is not asked", fix):
            return


def snapshots(bench: Bench, measured: dict[str, Any]) -> None:
    """From a snapshot the episode goes on as it did, as often as one likes."""
    env = bench.new()
    inner: Any = env.unwrapped
    if not (callable(getattr(inner, "snapshot", None)) and callable(getattr(inner, "restore", None))):
        raise Skipped("it has no snapshot() and restore()")
    limit = bench.limit(env) or 10**6
    for trace in [*bench.first, *bench.expert_wins[:1]]:
        # A won episode goes back from its end: what stays won after that is another world's.
        half = len(trace.actions) - 2 if trace.won else min(len(trace.actions) // 2, limit // 4)
        if half < 0:
            continue
        after = trace.actions[half : half + (limit - half - 1) // 3]  # step limits do not go back
        start = bench.play(trace.seed, env=env, actions=trace.actions[:half])
        if start.failed or start.over or not after:
            continue
        try:
            snapshot = bench.call("snapshot", (*start.steps(), "snapshot()"), inner.snapshot)
        except Fault as fault:
            if "needs" in fault.key:
                raise Skipped(f"it takes no snapshots here: {fault.key}") from None
            raise
        futures = []
        for actions in (after, after[::-1], after):
            future = Trace(trace.seed, list(start.actions), list(start.turns))
            bench.go_on(future, env, actions)
            futures.append(future)
            bench.call("restore", (*start.steps(), "restore(snapshot)"), partial(inner.restore, snapshot))
        fix = "keep all that changes in the snapshot, copied and not shared"
        if _differs(bench, "snapshots", futures[0], futures[2], "after restore(snapshot)", fix):
            return


def copies(bench: Bench, measured: dict[str, Any]) -> None:
    """A copy goes on as its original does, or asks for a reset; it never goes on with another world."""
    refusals = []
    for how, copied in (("copy.deepcopy", copy.deepcopy), ("pickle", lambda env: pickle.loads(pickle.dumps(env)))):
        trace = bench.first[0]
        env = bench.new()
        half = len(trace.actions) // 2
        start = bench.play(trace.seed, env=env, actions=trace.actions[:half])
        if start.failed or start.over:
            raise Skipped("its episodes are too short")
        try:
            twin = copied(env)
        except Exception as error:
            refusals.append(f"{how}: {type(error).__name__}")
            continue
        _compare_copy(bench, how, trace, start, env, twin)
    if refusals:
        raise Skipped(f"it cannot be copied ({'; '.join(refusals)})")


def _compare_copy(
    bench: Bench, how: str, trace: Trace, start: Trace, env: TextEnvironment, twin: TextEnvironment
) -> None:
    remaining = trace.actions[len(start.actions) :]
    fix = "give it __getstate__, or keep what an episode needs in plain attributes"
    futures = []
    for played in (twin, env):
        future = Trace(trace.seed, list(start.actions), list(start.turns))
        if played is twin:
            try:
                played.step(remaining[0]) if remaining else None
            except OreoError:  # it says that it wants a reset, as copies of ALFWorld do
                futures.append(bench.play(trace.seed, env=twin, actions=trace.actions))
                continue
            except Exception as error:
                bench.note(
                    "copies",
                    f"a copy ({how}) fails where its original goes on: {type(error).__name__}: {error}",
                    (*start.steps(), how, *(f"step({shown(action)})" for action in remaining[:1])),
                    fix,
                    "copies",
                )
                return
            twin = _again(bench, how, trace, start)
            played = twin
        bench.go_on(future, played, remaining)
        futures.append(future)
    for future, whose in zip(futures, ("a copy", "an environment that was copied"), strict=True):
        if (number := bench.difference(trace, future)) is not None:
            bench.note(
                "copies",
                f"{whose} ({how}) goes on differently: {bench.differing(trace, future, number)}",
                (*start.steps(), how, *trace.steps(number)[1 + len(start.actions) :]),
                fix,
                "copies",
            )


def _again(bench: Bench, how: str, trace: Trace, start: Trace) -> TextEnvironment:
    env = bench.new()
    bench.play(trace.seed, env=env, actions=start.actions)
    return copy.deepcopy(env) if how == "copy.deepcopy" else pickle.loads(pickle.dumps(env))


def games(bench: Bench, measured: dict[str, Any]) -> None:
    """Where games have names, each can be asked for by its own."""
    env = bench.new()
    names = getattr(env.unwrapped, "games", None)
    if not names:
        raise Skipped("it names no games")
    measured["games"] = len(names)
    for name in {names[0], names[-1]}:
        turn = bench.reset(env, 0, {"game": name})
        if turn.game != name:
            bench.note(
                "games",
                f"the game {shown(name)} was asked for, and info['game'] is {shown(turn.game)}",
                (f"reset(seed=0, options={{'game': {name!r}}})",),
                "play the game that start(rng, game=…) names, and say its name in info()",
                "games",
            )


def growth(bench: Bench, measured: dict[str, Any]) -> None:
    """Neither memory nor open files, processes and threads grow with the episodes.

    Where they do, more resets tell a cache that fills from a leak: only what still grows in the last block counts.
    """
    if open_files() is None or memory() is None or children() is None:
        raise Skipped("this system does not tell how much memory and how many files a process uses")
    env, resets = bench.new(), 0
    for _ in range(WARMING):  # what is loaded at the first use, such as a process of its own, is no growth
        bench.play(resets, env=env, most=3)
    until, grown = time.monotonic() + SECONDS_A_CHECK, dict[str, int]()
    for _ in range(1 + MORE_BLOCKS):
        before, begun = _used(), resets
        for _ in range(RESETS):
            bench.play(resets, env=env, most=3)
            resets += 1
            if time.monotonic() > until:
                break
        counted = resets - begun
        most = {name: counted / 4 for name in before} | {"bytes of memory": 4e6 + 40e3 * counted}
        more = {name: count - before[name] for name, count in _used().items()}
        grown = {name: count for name, count in more.items() if count > most[name]}
        if not grown or time.monotonic() > until:
            break
    measured["resets"] = resets
    for what, count in grown.items():
        bench.note(
            "growth",
            f"{count:,} more {what} in {counted} resets, the last of {resets}",
            (f"{resets} times: reset(seed=…), 3 steps",),
            "close what belongs to the last episode, and forget it, in start",
            f"growth {what}",
        )
    if resets < RESETS // 4:
        raise Skipped(f"only {resets} resets in {SECONDS_A_CHECK:g} s")


def _used() -> dict[str, int]:
    return {
        "open files": open_files() or 0,
        "processes": children() or 0,
        "threads": threading.active_count(),
        "bytes of memory": memory() or 0,
    }


def speed(bench: Bench, measured: dict[str, Any]) -> None:
    """Steps a second, resets included, without looking at anything."""
    env, trace = bench.new(), bench.first[0]
    env.reset(seed=trace.seed)  # what is loaded at the first use, such as a process of its own, is not counted
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < 0.5:
        env.reset(seed=trace.seed)
        for action in trace.actions:
            env.step(action)
        steps += len(trace.actions)
    rate = steps / (time.perf_counter() - begun)
    measured["steps a second"] = round(rate) if rate >= 10 else round(rate, 1)


def gymnasium_checker(bench: Bench, measured: dict[str, Any]) -> None:
    """What gymnasium's own checker says."""
    from gymnasium.utils.env_checker import check_env

    env = bench.new()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check_env(env.unwrapped, skip_render_check=True)
        except Exception as error:
            bench.note(
                "gymnasium",
                f"gymnasium's checker: {' '.join(str(error).split())[:300]}",
                ("gymnasium.utils.env_checker.check_env(env.unwrapped)",),
                "mend what it says",
            )


CHECKS: dict[str, Callable[[Bench, dict[str, Any]], None]] = {
    "endings": endings,
    "seeds": same_seed,
    "processes": other_process_check,
    "apart": apart,
    "odd texts": odd_texts,
    "commands": commands,
    "refused": refused,
    "expert": expert,
    "snapshots": snapshots,
    "copies": copies,
    "games": games,
    "growth": growth,
    "speed": speed,
    "gymnasium": gymnasium_checker,
}
ONLY_WHEN_REPEATABLE = ("processes", "apart", "refused", "snapshots", "copies")
"""They compare episodes, which means nothing where a seed is not one episode to begin with."""
NOT_REPEATED = "seeds differ"
"""The key of that finding."""
ONLY_WHEN_CLEAN = ("speed", "gymnasium")
"""Run where nothing was found: they would fail for the same reason, without saying it as well."""


def _differs(bench: Bench, check: str, one: Trace, other: Trace, when: str, fix: str) -> bool:
    number = bench.difference(one, other)
    if number is None:
        return False
    bench.note(
        check,
        f"another episode {when}: {bench.differing(one, other, number)}",
        one.steps(number),
        fix,
        f"{check} differ",
    )
    return True


def _cut(trace: Trace, turns: int) -> Trace:
    return Trace(trace.seed, trace.actions[: max(0, turns - 1)], trace.turns[:turns])


def words_of(bench: Bench, given: Sequence[str]) -> Sequence[str]:
    """What is said where no commands are listed: what was given, else what the expert says in two episodes."""
    if given:
        return tuple(given)
    with_expert = bench.new().unwrapped
    from oreo.envs.text_env import TextEnv

    if getattr(type(with_expert), "expert_action", TextEnv.expert_action) is TextEnv.expert_action:
        return bench.words
    expert_says = [action for seed in (50, 51) for action in bench.expert_trace(seed, 10).actions]
    return tuple(dict.fromkeys([*expert_says, *bench.words]))
