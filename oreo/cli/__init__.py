"""The `oreo` command. Thin: parse, call one function, print. Each group of commands is in a file of its own.

Standard output carries results only (with --json: one JSON value), everything else goes to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import oreo
from oreo.cli.buffer import buffer_app
from oreo.cli.collect import collect
from oreo.cli.envs import envs
from oreo.cli.evaluate import evaluate
from oreo.cli.games import games_app
from oreo.cli.iterate import iterate
from oreo.cli.output import Stopped, show_help
from oreo.cli.quickstart import quickstart
from oreo.cli.recipes import recipes_app
from oreo.cli.replay import replay
from oreo.cli.train import train
from oreo.cli.watch import watch
from oreo.errors import OreoError
from oreo.progress import is_main_process, print_error

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
app.command()(quickstart)
app.command()(collect)
app.command()(train)
app.command("eval")(evaluate)
app.command()(iterate)
app.command()(watch)
app.command()(replay)
app.add_typer(recipes_app, name="recipes")
app.add_typer(buffer_app, name="buffer")
app.add_typer(games_app, name="games")
app.command()(envs)


def _version(asked: bool) -> None:
    if asked:
        print(oreo.__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (or OREO_DEBUG=1).")] = False,
) -> None:
    """Text environments, offline RL with OREO, and value-guided language agents.

    \b
    Example:
      oreo quickstart --fast
    Exit codes:
      0 done, 1 failed, 2 wrong usage, 130 interrupted
    """
    show_help(context)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit. Errors become one line; `--debug` may stand anywhere and asks for the traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or os.environ.get("OREO_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character gets a "?", not a crash
            stream.reconfigure(errors="replace")
    warnings.showwarning = _one_line_warning
    try:
        sys.exit(_run(arguments))
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python would print_error once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (Stopped, KeyboardInterrupt, typer.Abort) as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again, it would print a traceback of Python's own end
        if is_main_process():
            print_error(str(stop) or "stopped")
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        sys.exit(_explain(error))


def _run(arguments: list[str]) -> int:
    result = app(args=arguments, prog_name="oreo", standalone_mode=False)
    if result == 130:
        raise KeyboardInterrupt
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    """One line about what went wrong; returns the exit code."""
    if isinstance(error, OreoError):
        # What is wrong on one machine is said once there, by the first of its processes.
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print_error(str(error))
        return error.exit_code
    if hasattr(error, "format_message"):  # wrong usage, found by the option parser
        context: Any = getattr(error, "ctx", None)
        print_error(f"{error.format_message().rstrip('.')}; see {context.command_path if context else 'oreo'} --help")
        return 2
    print_error(f"{type(error).__name__}: {error} (an error we did not foresee; --debug shows where)")
    return 1


def _one_line_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    if is_main_process():
        print_error(f"warning: {message}")
