"""The `oreo` command: `python -m oreo` and the installed script are the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Ctrl-C while it is still being imported ends it in one line, as later on."""
    try:
        from oreo.cli import main as command
    except KeyboardInterrupt:
        print("oreo: stopped", file=sys.stderr)
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
