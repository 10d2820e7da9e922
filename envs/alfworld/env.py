"""ALFWorld as a text environment: which game is played, on which engine, and what `info` says about it."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from oreo.envs.alfworld.annotations import human_goals, in_human_words
from oreo.envs.alfworld.data.games import SPLITS, Entry, find_data, load_game, open_split
from oreo.envs.alfworld.data.selection import (
    FloorPlans,
    check_floor_plans,
    check_objects,
    check_task_types,
    split_task_types,
    without_task_types,
)
from oreo.envs.alfworld.dialects import in_dialect, warn_of_the_other_dialect
from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.errors import UnknownExpression, UnknownGameLogic
from oreo.envs.alfworld.experts.registry import EXPERTS, Expert, new_expert
from oreo.envs.alfworld.game import Game, check_dialect, swap
from oreo.envs.text_env import TextEnv
from oreo.errors import DataError, UsageError, did_you_mean

GENERATED_SPLITS = ("generated", "generated_unseen")
ENGINES = ("simulator", "textworld")
GOALS = ("templated", "human")
# What the environment decides; everything else that the generator takes is a setting of the environment too.
_NOT_PASSED_ON = ("index", "heldout", "dialect", "task_types", "floor_plans", "objects")


class ALFWorldEnv(TextEnv):
    """ALFWorld's household games.

        env = gym.make("oreo/ALFWorld-v0", split="valid_seen")
        observation, info = env.reset(seed=7)
        observation, reward, terminated, truncated, info = env.step("go to fridge 1")

    The reward is 1 on reaching the goal, which ends the episode, and 0 otherwise. `reset` draws a game of the split, or
    takes the one that `options={"game": name}` names: any game of the data, or any generated one.

    Args:
        split: "train", "valid_seen" or "valid_unseen" of the real games; "generated" for games made by our generator,
            "generated_unseen" for such games on floor plans that "generated" never uses. Each of these followed by
            "_without_TASK_TYPE" or "_only_TASK_TYPE" is the part of it that holds one type out, or has it alone.
        engine: "simulator", or "textworld", the original. A game whose logic the simulator does not know is played
            on the original, with a warning.
        dialect: "put" ("put X in/on Y") or "move" ("move X to Y"), whatever the data speaks. None: as it is in the
            files, or "put" in generated games.
        task_types: only games of these types (one name or several); None: all six.
        except_task_types: no games of these types (one name or several): held out of training, to be evaluated on.
        floor_plans: only games in these rooms ("Kitchen", "LivingRoom", "Bedroom", "Bathroom") and floor plans
            ("FloorPlan12" or 12), one or several; None: all.
        objects: only games whose task is about these kinds of objects, such as "Mug", in any case; None: all.
        goals: "templated", the task sentences of the games, or "human", what people wrote about them: `reset` draws one
            of the game's annotations, or takes the one that `options={"goal": number}` names, counted from 0. Generated
            games have none.
        realistic: generated houses, tasks and their mix as in ALFWorld's train split, instead of small houses.
        data: the folder of the real games, or a pack made from it by `oreo games pack`; None: the environment variable
            ALFWORLD_DATA.
        expert: who answers `expert_action`: "explorer", who knows what a player can know, "handcoded", alfworld's own,
            who reads the facts, or "planner", who sees everything and says a shortest plan (simulator only).
        settings: more of generated games, fields of `oreo.envs.alfworld.generation.settings.GeneratorSettings`: seed,
            max_receptacles, max_objects, distractors, expert_steps, task_mix.
    Raises:
        UsageError: an argument that names nothing.
        DataError: missing, empty or malformed data.
    """

    max_steps = 50
    splits = (*SPLITS, *GENERATED_SPLITS)

    def __init__(
        self,
        split: str = "generated",
        engine: str = "simulator",
        dialect: str | None = None,
        task_types: str | Sequence[str] | None = None,
        except_task_types: str | Sequence[str] | None = None,
        floor_plans: FloorPlans | None = None,
        objects: str | Sequence[str] | None = None,
        goals: str = "templated",
        realistic: bool = False,
        data: str | os.PathLike[str] | None = None,
        expert: str = "explorer",
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(render_mode)
        base, types = split_task_types(split)
        _check("split", base, (*SPLITS, *GENERATED_SPLITS))
        _check("engine", engine, ENGINES)
        _check("expert", expert, EXPERTS)
        _check("goals", goals, GOALS)
        if dialect is not None:
            check_dialect(dialect)
        self.split = base
        self.engine = engine
        self.dialect = dialect
        asked = [task_type for task_type in check_task_types(task_types) if task_type in types]
        self.task_types = without_task_types(asked, except_task_types)
        self.expert = expert
        self.goals = goals
        self.games: list[str] | None = None
        """Names of the split's games, sorted; None for generated games, of which there is no end."""
        self._data = data
        self._place: Path | None = None
        self._settings = settings
        places, kinds = check_floor_plans(floor_plans), check_objects(objects)
        if base in SPLITS:
            _check_settings(settings | ({"realistic": True} if realistic else {}), base)
            self._place = find_data(data).absolute()  # what ALFWORLD_DATA says later is of no concern
            entries = open_split(self._place, base, self.task_types, places, kinds)
            self._check_entries(entries)
            self.games = [entry.name for entry in entries]
        else:
            _check_settings(settings, base)
            self._settings = self._generator_settings(realistic, floor_plans=places, objects=kinds, **settings)
            if goals == "human":
                raise UsageError(f"goals='human': nobody wrote about generated games; choose from {', '.join(SPLITS)}")
        self._no_game_yet()

    def _generator_settings(self, realistic: bool, **narrowing: Any) -> dict[str, Any]:
        """All that the generator is told but for the index. What nothing can fulfil is found out here."""
        from oreo.envs.alfworld.generation.generator import REALISTIC, GeneratorSettings
        from oreo.envs.alfworld.generation.tasks import task_weights

        settings = {
            "heldout": self.split == "generated_unseen",
            "dialect": self.dialect or "put",
            "task_types": self.task_types,
            **(REALISTIC if realistic else {}),
            **{
                name: value
                for name, value in narrowing.items()
                if value is not None or name not in ("floor_plans", "objects")
            },
        }
        task_weights(GeneratorSettings(**settings))
        return settings

    def _no_game_yet(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._now: _Episode | None = None

    def _check_entries(self, entries: Sequence[Entry]) -> None:
        """Return whether all games of a split can be played as it was asked for, before the first one is."""
        mute = [entry.name for entry in entries if not entry.goals] if self.goals == "human" else []
        if mute:
            raise UsageError(
                f"goals='human': nobody wrote about {len(mute)} of the {len(entries)} games, such as {mute[0]}; "
                "play them with goals='templated'"
            )

    def start(
        self, rng: np.random.Generator, *, game: str | None = None, goal: int | None = None, **unknown: Any
    ) -> str:
        self._now = None
        if unknown:
            name = next(iter(unknown))
            raise UsageError(f"unknown reset option {name!r}: {did_you_mean(name, ('game', 'goal'))}")
        chosen = self._draw(rng) if game is None else self._named(game)
        if self.dialect is not None:
            chosen = in_dialect(chosen, self.dialect)
        chosen = self._with_goal(chosen, rng, goal, named=game is not None)
        engine, observation = self._load(chosen)
        admissible = engine.admissible_commands()
        expert = new_expert(self.expert, chosen, engine, observation, seed=int(rng.integers(2**63)))
        self._now = _Episode(chosen, engine, admissible, expert)
        self.won = engine.won
        return observation

    def act(self, text: str) -> tuple[str, float, bool]:
        now = self._episode()
        feedback = now.engine.step(text)
        now.admissible = now.engine.admissible_commands()
        now.expert.observe(text, feedback, now.admissible, now.engine)
        if not now.engine.valid and swap(text.strip()) in now.admissible:
            warn_of_the_other_dialect(now.game.dialect)
        self.won = now.engine.won
        return feedback, float(self.won), self.won

    def info(self) -> dict[str, Any]:
        now = self._episode()
        return {
            "task": now.game.task,
            "task_type": now.game.task_type,
            "game": now.game.name,
            "dialect": now.game.dialect,
            "admissible_commands": list(now.admissible),
            "action_valid": now.engine.valid,
        }

    def expert_action(self) -> str:
        """Return what the expert would do now; "look" where it has no idea."""
        return self._episode().expert.action

    def state(self) -> dict[str, Any]:
        """The world as it is, hidden things included (engine "simulator" only)."""
        return self._simulator("state").state()

    def snapshot(self) -> Any:
        """The episode as it stands, to be given to `restore` (engine "simulator" only). Step limits do not go back."""
        engine = self._simulator("snapshot")
        now = self._episode()
        return now, engine.snapshot(), now.admissible, now.expert.copy(), self._text

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this environment's game. It can be used any number of times."""
        engine = self._simulator("restore")
        now = self._episode()
        if not (isinstance(snapshot, tuple) and len(snapshot) == 5 and isinstance(snapshot[0], _Episode)):
            raise UsageError(f"restore() takes what snapshot() gave, got {type(snapshot).__name__}")
        episode, state, admissible, expert, text = snapshot
        if episode is not now:
            raise UsageError(f"this snapshot is of an earlier episode ({episode.game.name}): restore works within one")
        engine.restore(state)
        now.admissible, now.expert, self._text = admissible, expert.copy(), text
        self.won = engine.won

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()
        self._no_game_yet()

    def __getstate__(self) -> dict[str, Any]:
        # Engines hold processes and libraries. The copy has the settings and the randomness, and wants a reset.
        return {key: value for key, value in self.__dict__.items() if key not in ("_engines", "_now", "won")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._no_game_yet()

    def _episode(self) -> _Episode:
        if self._now is None:
            raise UsageError("no game is in progress: call reset() first")
        return self._now

    def _simulator(self, what: str) -> Any:
        engine = self._episode().engine
        if not hasattr(engine, what):
            raise UsageError(
                f"{what}() needs engine='simulator'; {self._episode().game.name} is played on the original"
            )
        return engine

    def _with_goal(self, game: Game, rng: np.random.Generator, goal: int | None, *, named: bool) -> Game:
        """The game with the task sentence that it is played with."""
        if self.goals == "templated":
            if goal is not None:
                raise UsageError(f"the reset option goal={goal!r} needs goals='human'")
            return game
        if named and self.games is not None:
            rng.integers(len(self.games))  # what drawing the game takes: a seed means one goal for a game, either way
        drawn = int(rng.integers(max(1, len(human_goals(game)))))
        return in_human_words(game, drawn if goal is None else goal)

    def _draw(self, rng: np.random.Generator) -> Game:
        if self.games is not None:
            return self._read(self.games[int(rng.integers(len(self.games)))])
        from oreo.envs.alfworld.generation.generator import generate_game

        return generate_game(int(rng.integers(2**31)), **self._settings)

    def _named(self, name: str) -> Game:
        if not isinstance(name, str):
            raise UsageError(f"options['game'] is the name of a game, got {name!r}")
        from oreo.envs.alfworld.generation.generator import game_by_name, is_generated

        return game_by_name(name) if is_generated(name) else self._read(name)

    def _read(self, name: str) -> Game:
        return load_game(self._place or find_data(self._data), name)

    def _load(self, game: Game) -> tuple[Engine, str]:
        """The engine that plays `game`, and the first observation."""
        if self.engine == "simulator":
            simulator = self._engine("simulator")
            try:
                return simulator, simulator.reset(game)
            except UnknownExpression as error:  # not for the original engine either
                raise DataError(f"{game.name}: {error}") from None
            except UnknownGameLogic as error:
                what = str(error).partition(";")[0]  # without the game's name, so that Python shows it once
                warnings.warn(f"{what}: such games are played on the original engine, which is slow", stacklevel=2)
        original = self._engine("textworld")
        return original, original.reset(game)

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            if name == "simulator":
                from oreo.envs.alfworld.engines.simulator import Simulator

                self._engines[name] = Simulator()
            else:
                from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine

                self._engines[name] = TextWorldEngine()
        return self._engines[name]


def _check(what: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}: {did_you_mean(str(value), choices)}")


def _check_settings(settings: dict[str, Any], split: str) -> None:
    """Refuse what the generator does not take, and all of it where nothing is generated."""
    if not settings:
        return
    if split in SPLITS and "realistic" in settings:
        raise UsageError(f"realistic: for generated games only, and split {split!r} is real data")
    from oreo.envs.alfworld.generation.settings import GeneratorSettings

    passed_on = [field.name for field in fields(GeneratorSettings) if field.name not in _NOT_PASSED_ON]
    for name in settings:
        if name not in passed_on:
            ours = [name for name in inspect.signature(ALFWorldEnv).parameters if name != "settings"]
            choices = dict.fromkeys([*ours, *passed_on])
            raise UsageError(f"unknown argument {name!r} of ALFWorldEnv: {did_you_mean(name, choices)}")
    if split in SPLITS:
        raise UsageError(f"{', '.join(settings)}: for generated games only, and split {split!r} is real data")


@dataclass
class _Episode:
    """The game in progress, the engine that plays it, and the expert that watches."""

    game: Game
    engine: Engine
    admissible: list[str]
    expert: Expert
