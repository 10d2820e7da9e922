"""alfworld's own hand-coded expert on either engine, in either dialect.

It is driven as alfworld's wrapper AlfredExpert drives it: it reads the first observation, says "look" first, from then
on sees every step (also those that somebody else chose), and where its idea is not admissible it says "look" again.
Its code comes from the installed alfworld package; its own random choices are drawn from a seed, not from the
process's random module.

Two words for putting down meet in it: alfworld 0.4 made it say and look for "move X to Y", but it still waits for
"put" to learn that its hands are empty again. Told "move", it believes for ever to hold what it took first, and with
two objects to bring that is the end. So it is told "put" in both dialects, as it was before 0.4. With that it wins 132
("put") and 131 ("move") of the 140 valid_seen games within 50 steps, without it 117 and 115; of the 24 games of two
objects, 20 against 5 and 20 against 6.
"""

from __future__ import annotations

import copy
import importlib
import os
import random
import tempfile
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.game import Game, swap
from oreo.errors import DataError

_MAX_STEPS = 200  # what AlfredExpert gives it; past that it has nothing more to say
# alfworld draws from the module `random`; while one expert acts, that name means its own generator.
_lock = threading.Lock()


class HandCodedExpert:
    """One episode's expert. `action` is what it would do now.

        expert = HandCodedExpert(game, first_observation, seed=3)
        while not engine.won:
            command = expert.action
            expert.observe(command, engine.step(command), engine.admissible_commands(), engine)

    Args:
        game: for its task type, its parameters and its dialect.
        observation: the game's first observation.
        seed: of the expert's own random choices.
    Raises:
        DataError: the game's task is none that the expert knows.
    """

    def __init__(self, game: Game, observation: str, *, seed: int) -> None:
        expert = _expert_module()
        constants = importlib.import_module("alfworld.gen.constants")
        self._put = game.dialect == "put"
        self._random = random.Random(seed)
        kinds = constants.OBJECTS
        parameters = {key: str(value).lower() if value in kinds else value for key, value in game.params.items()}
        parameters["task_type"] = game.task_type
        agent = expert.HandCodedTWAgent(max_steps=_MAX_STEPS)
        # Its reset does this from a traj_data.json on disk; a generated game has none.
        try:
            agent.task_params = parameters
            agent.policy = agent.get_task_policy(parameters)(parameters, max_steps=_MAX_STEPS)
        except Exception as error:
            missing = f"it needs {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{game.name}: alfworld's hand-coded expert cannot play this game ({missing})") from error
        agent.observe(observation)
        self._agent = agent
        self._given_up = False
        self.action = "look"
        """What it would do now, in the game's dialect."""

    def observe(self, command: str, feedback: str, admissible: list[str], engine: Engine) -> None:
        """Tell it what was done and what came of it. Needed after every step, whoever chose the command."""
        if self._given_up:
            return
        state = {
            "feedback": feedback,
            "admissible_commands": [swap(admitted) for admitted in admissible] if self._put else admissible,
            # It joins the name and the names by blanks again. Sorted, because it takes the first fact that fits.
            "facts": [_fact(fact) for fact in sorted(engine.facts())],
        }
        self.action = "look"
        command = command.strip()
        action = self._act(state, engine.won, command if self._put else swap(command))
        if action in state["admissible_commands"]:
            self.action = swap(action) if self._put else action

    def copy(self) -> HandCodedExpert:
        """Return an expert that goes on from here by itself."""
        return copy.deepcopy(self)

    def _act(self, state: dict[str, Any], won: bool, last: str) -> str:
        base: Any = importlib.import_module("alfworld.agents.expert.handcoded_expert")
        with _lock:
            usual, base.random = base.random, self._random
            try:
                return str(self._agent.act(state, 0, won, last))
            except (base.HandCodedAgentTimeout, base.HandCodedAgentFailed):
                self._given_up = True
            except (IndexError, KeyError):
                pass  # it lost track of what it holds or where it is; the next step may set it right
            finally:
                base.random = usual
        return "look"


def _fact(text: str) -> SimpleNamespace:
    name, _, names = text.partition(" ")
    return SimpleNamespace(name=name, names=(names,))


def _expert_module() -> ModuleType:
    """alfworld's expert, imported without alfworld's side effects.

    On import alfworld creates the folder that ALFWORLD_DATA names (~/.cache/alfworld where it is unset) and sets that
    variable. Here both stay as they were; alfworld's own constant gets the value it would have had.
    """
    name = "alfworld.agents.expert.handcoded_expert_tw"
    before = os.environ.get("ALFWORLD_DATA")
    os.environ["ALFWORLD_DATA"] = before if before and os.path.isdir(before) else tempfile.gettempdir()
    try:
        alfworld: Any = importlib.import_module("alfworld")
        info: Any = importlib.import_module("alfworld.info")
        if info.ALFWORLD_DATA == os.environ["ALFWORLD_DATA"]:
            info.ALFWORLD_DATA = before or os.path.expanduser("~/.cache/alfworld")
            alfworld.ALFWORLD_DATA = info.ALFWORLD_DATA
        return importlib.import_module(name)
    finally:
        if before is None:
            del os.environ["ALFWORLD_DATA"]
        else:
            os.environ["ALFWORLD_DATA"] = before
