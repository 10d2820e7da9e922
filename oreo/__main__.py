"""The `oreo` command: `python -m oreo` and the installed script are the same."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command. Ctrl-C ends it in one line and with 130, while it is still being imported as well."""
    try:
        from oreo.cli import main as command

        command()
    except KeyboardInterrupt:
        print("oreo: stopped", file=sys.stderr)
        _exit_interrupted()
    except SystemExit as exit_:
        if exit_.code == _INTERRUPTED:
            _exit_interrupted()
        raise


def _exit_interrupted() -> None:
    # Where something was running text of its own when Ctrl-C came (as dataclasses do), Python keeps a mark, and with -m
    # ends itself by the signal, whatever the exit code. It takes the mark back when it runs text next.
    import ctypes

    ctypes.pythonapi.PyRun_SimpleString(b"")
    sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
