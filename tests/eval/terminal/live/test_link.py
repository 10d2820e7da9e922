"""oreo.eval.terminal.live: the process is asked and answers in lines, and how it ends is told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.commands import GUESS
from oreo.eval.terminal.live.link import Link
from oreo.eval.terminal.live.messages import Job, step_from_json, step_to_json
from oreo.rollouts.loop import rollout

PRINTS = """
import os, sys, time
from oreo.envs import TextEnv

class Prints(TextEnv):
    def start(self, rng):
        os.write(1, b"from below ")
        return "Say exit."

    def act(self, text):
        print("from Python")
        if text == "exit":
            os.kill(os.getpid(), 15)
        if text == "sleep":
            time.sleep(60)
        return "No.", 0.0, False
"""


class Talk:
    """A link and what came over it, by kind."""

    def __init__(self, job: Job) -> None:
        self.messages: list[dict[str, Any]] = []
        self.link = Link(job, self.messages.append)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for _ in range(600):
            for message in self.messages:
                if wanted(message):
                    self.messages.remove(message)
                    return message
            await asyncio.sleep(0.05)
        raise AssertionError(f"it did not come, only {self.messages}")

    async def kind(self, kind: str) -> dict[str, Any]:
        return await self.until(lambda message: message["is"] == kind)


def test_an_episode_is_asked_for_step_by_step() -> None:
    (expected,) = rollout(GUESS, agent="expert", episodes=1, seed=5)

    async def talk() -> None:
        one = Talk(Job(GUESS, agent="expert", seed=5))
        await one.link.start()
        assert (await one.kind("ready"))["agent"] == "expert"
        one.link.ask({"do": "begin"})
        state = await one.kind("state")
        assert (state["steps"], state["length"], state["outcome"]) == ([], 10, "")
        steps = []
        while not state["outcome"]:
            one.link.ask({"do": "agent"})
            state = await one.kind("stepped")
            steps.append(step_from_json(state["step"]))
        assert tuple(steps) == expected.steps and state["outcome"] == "won"
        one.link.ask({"do": "agent"})
        assert "the episode is over" in (await one.kind("failed"))["message"]
        one.link.ask({"do": "dance"})
        assert "'dance'" in (await one.kind("failed"))["message"]
        await one.link.closed()

    asyncio.run(talk())


def test_what_is_printed_is_a_log_and_a_death_is_told_with_how_it_came(tmp_path: Path) -> None:
    (tmp_path / "worlds.py").write_text(PRINTS)
    job = Job(f"{tmp_path / 'worlds.py'}:Prints")

    async def talk() -> None:
        one, other = Talk(job), Talk(job)
        for talk in (one, other):
            await talk.link.start()
            await talk.kind("ready")
            talk.link.ask({"do": "begin"})
            await talk.kind("state")
        log = await one.kind("log")
        assert "from below" in log["text"]
        one.link.ask({"do": "person", "action": "exit"})
        assert (await one.kind("died"))["message"].endswith("(signal SIGTERM)")
        one.link.ask({"do": "begin"})  # nobody is there, and nothing breaks here
        other.link.ask({"do": "person", "action": "sleep"})
        await asyncio.sleep(0.1)
        os.kill(other.link.pid, signal.SIGKILL)
        assert (await other.kind("died"))["message"].endswith("(signal SIGKILL)")

    asyncio.run(talk())


def test_what_cannot_be_made_is_one_line_with_the_exit_code_of_the_command() -> None:
    async def talk() -> None:
        for job, code, message in (
            (Job("nowhere.py:Nothing"), 2, "nowhere.py"),
            (Job(GUESS, agent="no/such/model"), 1, "no/such/model"),
            (Job(GUESS, agent="human"), 2, "oreo play"),
        ):
            one = Talk(job)
            await one.link.start()
            failed = await one.kind("failed")
            assert (failed["code"], failed["opened"]) == (code, False) and message in failed["message"]
            assert "\n" not in failed["message"]
            await one.link.closed()

    asyncio.run(talk())


def test_steps_cross_as_they_are() -> None:
    from helpers.stored_episodes import KITCHEN

    assert tuple(step_from_json(step_to_json(step)) for step in KITCHEN.steps) == KITCHEN.steps
