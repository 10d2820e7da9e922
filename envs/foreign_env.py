"""An environment that another library plays: the side of the environment, which all adapters share.

An adapter is a class that says what the library is asked for (`begin`), and a player in the library's process
(foreign.py) whose `reset` and `step` answer what of the state has changed, under these names:

    text                        what the game says
    score                       so far, in the library's points
    done, won                   whether the episode is over, and won; `won` is None where the library does not tell
    task, admissible_commands   as in `TextEnv.info`, where the library tells
    action_valid                likewise; where a step leaves it out, True for a listed command, None for any other
    path                        the commands of a walkthrough from here on; where a step leaves it out, the one of
                                before is followed for as long as the agent does
"""

from __future__ import annotations

from typing import Any

from oreo.envs.foreign import ForeignGame
from oreo.envs.text_env import TextEnv
from oreo.errors import UsageError

_INFO = ("task", "admissible_commands", "action_valid")


class ForeignEnv(TextEnv):
    """A text environment whose episode stands in the library's process.

    A copy of it, and a forked one, wants a reset: the process plays the original's episode.

    Args:
        process: the library's.
    """

    points_of_a_reward = 1.0
    """How many of the library's points are a reward of 1."""

    def __init__(self, process: ForeignGame, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self._process = process
        self._name = ""
        """Of the game in progress, where games have names."""
        self._state: dict[str, Any] = {}
        """The library's side of it; empty where no game is in progress."""
        self._episodes = 0

    def begin(self, game: str, **request: Any) -> str:
        """Have the library's player reset, and return what the game says first."""
        self._episodes += 1
        self._name = game
        self._state = self._ask("reset", **request)
        return str(self._state["text"])

    def act(self, text: str) -> tuple[str, float, bool]:
        before, command = self._now(), " ".join(text.split())
        if before["done"]:
            raise UsageError("the episode is over: call reset() first")
        path = before.get("path") or [""]
        followed = {
            "action_valid": True if command in (before.get("admissible_commands") or ()) else None,
            "path": path[1:] if command == path[0] else [],
        }
        now = before | followed | self._ask("step", text=text)
        self._state, self.won = now, now["won"]
        return now["text"], (now["score"] - before["score"]) / self.points_of_a_reward, now["done"]

    def info(self) -> dict[str, Any]:
        now = self._now()
        told = {name: now[name] for name in _INFO if now.get(name) is not None}
        return {"game": self._name} | told if self._name else told

    def expert_action(self) -> str:
        """The next command of a walkthrough.

        Raises:
            UsageError: no walkthrough leads on from here.
        """
        if not (path := self._now().get("path")):
            raise UsageError(
                f"{self._name or type(self).__name__} has no walkthrough from here on, so there is no expert of it; "
                "choose another agent"
            )
        return str(path[0])

    def close(self) -> None:
        """End the process."""
        self._process.close()
        self._state = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_state": {}}

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Ask the process. Where that fails, no game is in progress any more."""
        state, self._state = self._state, {}
        answer = self._process.ask(do, **request)
        self._state = state
        return answer

    def _now(self) -> dict[str, Any]:
        if not self._state:
            raise UsageError("no game is in progress: call reset() first")
        return self._state


class RestorableEnv(ForeignEnv):
    """One whose library can go back: its player has `save`, which returns a state, and `load`, which takes one."""

    def snapshot(self) -> Any:
        """The episode as it stands. It is good until the next reset."""
        kept = (self._now(), self._text, self.won)
        return self._process, self._episodes, self._ask("snapshot")["number"], kept

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this episode, any number of times.

        Raises:
            UsageError: the snapshot is of another episode.
        """
        process, episode, number, kept = snapshot
        if process is not self._process or episode != self._episodes or not self._state:
            raise UsageError("this snapshot is of an earlier episode: restore works within one")
        self._ask("restore", number=number)
        self._state, self._text, self.won = kept
