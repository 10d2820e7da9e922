"""`oreo agents`: what `--agent` and `--choose` can say, and with which settings."""

from __future__ import annotations

from typing import Any

from oreo.cli.options import Json
from oreo.cli.output import print_json, print_pairs


def agents(json: Json = False) -> None:
    """The agents and the ways to choose, each with the settings it uses.

    \b
    Example:
      oreo agents
    """
    from oreo.agents.loading import DECODING, LOADING
    from oreo.agents.registry import CHOICES, RUNTIMES, SIMPLE, load_entry
    from oreo.agents.settings import AgentConfig

    defaults = {name: field.default for name, field in AgentConfig.__dataclass_fields__.items()}

    def described(entry: Any) -> dict[str, Any]:
        uses = [name for name in defaults if name in load_entry(entry).uses]
        return {"does": entry.help, "settings": {name: defaults[name] for name in uses}}

    listed: dict[str, Any] = {
        "--agent": {
            **{word: described(entry) for word, entry in SIMPLE.items()},
            "tiny, tiny-math, FOLDER, HUB/NAME": {
                "does": "a language model; the first two are in the package",
                "settings": {name: defaults[name] for name in defaults if name in DECODING | LOADING},
            },
            **{f"{prefix}MODEL": described(entry) for prefix, entry in RUNTIMES.items()},
            "path/to/file.py:Class": {"does": "an agent of your own", "settings": {"arguments": None}},
        },
        "--choose": {word: described(entry) for word, entry in CHOICES.items()},
    }
    print_json(listed) if json else print_pairs(listed)
