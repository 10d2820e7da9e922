"""The training log in tensorboard, wandb or trackio as well, through accelerate: `oreo train --track tensorboard`.

log.jsonl is written in any case and is what resuming goes by. Each of its numbers goes to the trackers under its own
name, at its own step. A run that is resumed goes on in the same run there: tensorboard is told to forget what comes
after the checkpoint; wandb and trackio know the run by its id, which config.json keeps. (These two do
not take back what they were told of updates that a kill undid: trackio shows such an update twice.)
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from oreo.errors import MissingExtra
from oreo.training.config import TrainConfig

PROJECT = "oreo"


def accelerator_arguments(config: TrainConfig, output: Path) -> dict[str, Any]:
    """Arguments of `Accelerator`; none without trackers.

    Raises:
        MissingExtra: a tracker that is not installed.
    """
    if not config.trackers:
        return {}
    from accelerate.utils import ProjectConfiguration

    for name in config.trackers:
        # Accelerate leaves such a tracker out without a word.
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(f"tracking with {name} needs its package: pip install 'oreo-agents[{name}]'")
    folders = ProjectConfiguration(project_dir=str(output), logging_dir=str(output / "tensorboard"))
    return {"log_with": list(config.trackers), "project_config": folders}


def begin(accelerator: Any, config: TrainConfig, output: Path, *, step: int, run_id: str) -> None:
    """Open the run, a new one or `run_id` again behind update `step`."""
    if not config.trackers:
        return
    about = {"name": f"{output.name}-{run_id}", "resume": "allow", "config": config.to_dict()}
    with redirect_stdout(sys.stderr):  # trackio greets on standard output, where results go
        accelerator.init_trackers(
            PROJECT,
            init_kwargs={
                "tensorboard": {"purge_step": step + 1},
                "wandb": {**about, "id": run_id, "dir": str(output)},
                "trackio": about,
            },
        )


def track(accelerator: Any, line: dict[str, Any]) -> None:
    """The numbers of one line of the log; what is no number, or is not known yet, is left out."""
    if accelerator.trackers:
        numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
        accelerator.log(numbers, step=numbers.pop("step"))


def end(accelerator: Any) -> None:
    """Close the run. (`Accelerator.end_training` would end the process group too, which later runs need.)"""
    with redirect_stdout(sys.stderr):
        for tracker in accelerator.trackers:
            if tracker.name == "trackio":
                import trackio

                trackio.finish()  # accelerate's way leaves it to be finished again, and said so, when Python exits
            else:
                tracker.finish()
    accelerator.trackers.clear()
