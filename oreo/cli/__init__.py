"""The `oreo` command. It is thin: parse, call one function, print. Each group of commands is in a file of its own.

Standard output carries results only (with --json: one JSON value), everything else goes to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Any

import typer

import oreo
from oreo.cli.agents import agents
from oreo.cli.browse import browse
from oreo.cli.buffer import buffer_app
from oreo.cli.check_model import check_model
from oreo.cli.collect import collect
from oreo.cli.ctrl_c import ctrl_c_once
from oreo.cli.diagnose import diagnose
from oreo.cli.envs import envs_app
from oreo.cli.evaluate import evaluate
from oreo.cli.games import games_app
from oreo.cli.help import Commands
from oreo.cli.iterate import iterate
from oreo.cli.output import Stopped, show_help
from oreo.cli.play import play
from oreo.cli.quickstart import quickstart
from oreo.cli.recipes import recipes_app
from oreo.cli.replay import replay
from oreo.cli.streams import drop_failed_errors, drop_output, flush_output, prepare_streams
from oreo.cli.system_errors import of_system
from oreo.cli.train import train
from oreo.cli.watch import watch
from oreo.errors import OreoError, UsageError
from oreo.progress import is_main_process, print_error
from oreo.text import clean, short

app = Commands(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(quickstart)
app.command()(collect)
app.command()(train)
app.command("eval")(evaluate)
app.command()(iterate)
app.command()(watch)
app.command()(replay)
app.command()(play)
app.command()(browse)
app.add_typer(recipes_app, name="recipes")
app.add_typer(buffer_app, name="buffer")
app.add_typer(games_app, name="games")
app.add_typer(envs_app, name="envs")
app.command()(agents)
app.command("check-model")(check_model)
app.command()(diagnose)


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
    warnings.showwarning = _one_line_warning
    sys.excepthook = _clean_traceback
    with ctrl_c_once() as ctrl_c:
        try:
            prepare_streams()
            code = _run([argument for argument in arguments if argument != "--debug"])
        except BrokenPipeError:
            drop_output()  # the reader (`| head`) has what it wanted
            code = 141
        except (Stopped, KeyboardInterrupt, typer.Abort) as stop:
            code = _tell_stopped(str(stop))
        except Exception as error:
            if debug:
                raise
            # A library that is stopped in the middle may make an error of its own of it.
            code = _explain(error) if ctrl_c.pressed is None else _tell_stopped("")
        drop_failed_errors()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    for argument in arguments:
        _check_text(argument)
    try:
        result = app(args=arguments, prog_name="oreo", standalone_mode=False)
    finally:
        flush_output()
    if result == 130:
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _check_text(argument: str) -> None:
    if "\0" in argument:
        raise UsageError(f"{short(argument)}: no name and no number holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in argument):
        raise UsageError(f"{short(argument)} is not UTF-8, and could not be written down; give it another name")


def _tell_stopped(message: str) -> int:
    if is_main_process():
        print_error(message or "stopped")
    return 130


def _explain(error: Exception) -> int:
    """Say in one line what went wrong, and return the exit code."""
    context: Any = getattr(error, "ctx", None)
    code = error.exit_code if isinstance(error, OreoError) else 1
    if isinstance(error, OreoError):
        message = str(error)
    elif hasattr(error, "format_message"):  # wrong usage, which the option parser noticed
        message = f"{error.format_message().rstrip('.')}; see {context.command_path if context else 'oreo'} --help"
        code = 2
    elif isinstance(error, OSError) and error.errno is not None:
        message = of_system(error)
    elif isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        message = f"{short(str(error.object))} is not UTF-8 and cannot be written down; give it another name"
    else:
        message = (
            f"{type(error).__name__}: {error} (an error we did not foresee; "
            "please report it with what the same command prints with --debug)"
        )
    # What is wrong on one machine is told once there, by the first of its processes.
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print_error(message)
    return code


def _one_line_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    if is_main_process():
        print_error(f"warning: {message}")


def _clean_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(clean("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="")
