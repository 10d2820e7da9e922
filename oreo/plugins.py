"""Parts of the user's own, by name: `path/to/file.py:Name` or `module:Name`, as `load_object` loads them.

Environments, agents and training methods are all named this way. Loading a file runs it: nothing but what the user
typed, or an installed package offers as an entry point, may come here, never a name that was read from data.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from oreo.errors import UsageError, did_you_mean

MANY_NAMES = 20
"""Of more names than these only the near ones are shown."""

_folders: set[str] = set()
"""Folders of files that were loaded: what was imported from them may have to make room for another file's own."""


def load_object(spec: str) -> Any:
    """What `path/to/file.py:Name` or `module:Name` names.

    Beside a file, its folder may be imported from, as for a script that Python runs; beside a module, the present
    folder, as for `python -m`. A file is run once for each of its states, so its classes stay the same classes.

    Raises:
        UsageError: no such file, module or name, or code that fails while loading; one line that says where.
    """
    if not isinstance(spec, str):
        raise UsageError(f"expected a text such as 'path/to/file.py:Name' or 'module:Name', got {spec!r}")
    place, name = split_spec(spec)
    if not place or not name:
        raise UsageError(f"{spec!r} names nothing to load: expected path/to/file.py:Name or module:Name")
    return get_object(load_module(place), place, name)


def split_spec(spec: str) -> tuple[str, str]:
    """`file.py:Name` as (file.py, Name), `file.py` as (file.py, ""). The last colon counts: a Windows path has one."""
    if spec.endswith(".py"):
        return spec, ""
    place, _, name = spec.rpartition(":")
    return place, name


def is_file(spec: str) -> bool:
    """Whether a spec names a Python file, there or not, and no module."""
    return split_spec(spec)[0].endswith(".py")


def load_module(place: str) -> ModuleType:
    """The module of a file (`path/to/file.py`) or of that name.

    Raises:
        UsageError: as `load_object`.
    """
    return _load_file(Path(place).expanduser()) if place.endswith(".py") else _import(place)


def get_object(module: ModuleType, place: str, name: str) -> Any:
    """What a module has under a name, or under names with dots between them.

    Raises:
        UsageError: nothing; names what comes near.
    """
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise UsageError(f"{place}: there is no {name!r} in it; {_choices(name, own_names(module))}") from None
    return value


def _choices(name: str, names: list[str]) -> str:
    if len(names) > MANY_NAMES:
        names = difflib.get_close_matches(name, names, n=MANY_NAMES)
    return did_you_mean(name, names) if names else "nothing in it has a name like this"


def own_names(module: ModuleType) -> list[str]:
    """The names a module defines itself, public ones, sorted; what it imported is not among them."""
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    with _importable(folder), exits_raised():
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                raise UsageError(
                    f"there is no module {name!r}: looked among the installed packages and in {folder}"
                ) from error
            raise UsageError(f"module {name!r} cannot be imported: {reason(error)}") from error
        except (Exception, SystemExit) as error:
            raise UsageError(f"module {name!r} cannot be imported: {reason(error)}") from error


def _load_file(path: Path) -> ModuleType:
    try:
        state = path.stat()
        resolved = path.resolve()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: there is no such file (looked in {Path.cwd()})") from error
    if not path.is_file():
        raise UsageError(f"{path}: expected a Python file")
    version = (state.st_mtime_ns, state.st_size)
    name = f"oreo_plugin_{path.stem}_{hashlib.sha256(str(resolved).encode()).hexdigest()[:8]}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__oreo_version__", None) == version:
        return loaded
    module_spec = importlib.util.spec_from_file_location(name, resolved)
    assert module_spec is not None and module_spec.loader is not None  # its name ends in .py
    module = importlib.util.module_from_spec(module_spec)
    _make_room(resolved.parent)
    with _importable(str(resolved.parent)), exits_raised():
        sys.modules[name] = module  # dataclasses and pickle look a class's module up there
        try:
            module_spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, Exception | SystemExit):
                hint = "; if it is a script, put what that does under if __name__ == '__main__'"
                end = hint if isinstance(error, SystemExit) else ""
                raise UsageError(f"{path} cannot be loaded: {reason(error)}{end}") from error
            raise
    module.__oreo_version__ = version  # type: ignore[attr-defined]
    return module


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """First on the path while something is loaded, as for a script; last from then on, for what it imports later.

    Were it to stay first, a file named like a package would stand in for it in all that is imported afterwards.
    """
    importlib.invalidate_caches()  # a file written a moment ago would not be seen
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


@contextmanager
def exits_raised() -> Iterator[None]:
    """Make `os._exit` in the block, where code of others runs, a SystemExit: else the process would end without a word.

    A process that is forked in the block ends by it as it means to.
    """
    end, process = os._exit, os.getpid()

    def raise_exit(status: int) -> NoReturn:
        if os.getpid() != process:
            end(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = raise_exit
    try:
        yield
    finally:
        os._exit = end


def _make_room(folder: Path) -> None:
    """Forget what was imported from other files' folders under a name that a file in this one has, too.

    Else the `helpers.py` of the first file that was loaded would be the helpers of all.
    """
    beside = {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir()}
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if not isinstance(source, str) or name.partition(".")[0] not in beside:
            continue
        above = list(Path(source).parents)[name.count(".") + (Path(source).name == "__init__.py") :]
        if above and str(above[0]) in _folders and above[0] != folder:
            del sys.modules[name]
    _folders.add(str(folder))


def reason(error: BaseException, file: str | None = None) -> str:
    """What went wrong and where, in one line.

    Args:
        file: where the code of interest is: its last line on the way to the error is told. None: the last line of all.
    """
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})" if error.filename else ""
        return f"{type(error).__name__}: {' '.join(str(error.msg).split())}{place}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in (__file__, importlib.__file__)
    ]
    frames = [frame for frame in frames if frame.filename == file] or frames
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it imports {error.name!r}, which is not installed and not beside it{place}"
    if isinstance(error, SystemExit):
        call = error.code if str(error.code).startswith("os._exit(") else "sys.exit"
        return f"it ends the program by {call}{place}"
    return f"{' '.join(f'{type(error).__name__}: {error}'.split())}{place}"
