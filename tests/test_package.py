"""The package as it is installed: folders, public names, speed of import, documents that show commands."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"oreo": "oreo", "agents": "oreo.agents", "envs": "oreo.envs", "eval": "oreo.eval"}
PUBLIC = ["oreo", "oreo.agents", "oreo.envs", "oreo.eval"]


def packages_on_disk() -> list[str]:
    unlisted = []
    for folder, package in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inside = init.parent.relative_to(ROOT / folder).parts
            unlisted.append(".".join((package, *inside)))
    return sorted(unlisted)


def test_every_package_on_disk_is_listed_for_installation() -> None:
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_every_data_file_on_disk_is_listed_for_installation() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["package-data"]
    for folder, package in FOLDERS.items():
        patterns = [(ROOT / folder, pattern) for pattern in listed.get(package, [])]
        patterns += [
            (ROOT / folder / inner.removeprefix(f"{package}.").replace(".", "/"), pattern)
            for inner, entries in listed.items()
            if inner.startswith(f"{package}.")
            for pattern in entries
        ]
        shipped = {file for base, pattern in patterns for file in base.glob(pattern)}
        others = {
            file
            for file in (ROOT / folder).rglob("*")
            if file.is_file() and file.suffix not in (".py", ".pyc") and "__pycache__" not in file.parts
        }
        assert not others - shipped, f"not in package-data of {package}"


STILL_IMPORT_THEIR_FACE = {"agents/lookahead.py", "agents/admissible.py", "agents/message_search.py"}
"""They take constants from agents/__init__.py, which builds them; these go to a file of their own."""


def test_no_module_imports_the_face_of_its_own_package() -> None:
    """A package's __init__ offers what its modules have: one that took something from it would go round in a circle."""
    importing = set()
    for folder, package in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            own = ".".join((package, *file.relative_to(ROOT / folder).parts[:-1]))
            if file.name != "__init__.py" and any(_takes_from(node, own, file) for node in ast.walk(_parsed(file))):
                importing.add(file.relative_to(ROOT).as_posix())
    assert importing <= STILL_IMPORT_THEIR_FACE


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _takes_from(node: ast.AST, package: str, file: Path) -> bool:
    """Whether this is an import from the package itself, of something else than one of its modules."""
    if isinstance(node, ast.Import):
        return any(alias.name == package and "." in package for alias in node.names)
    if not isinstance(node, ast.ImportFrom) or node.module != package:
        return False
    modules = {entry.stem for entry in file.parent.iterdir()}
    return any(alias.name not in modules for alias in node.names)


@pytest.mark.parametrize("name", PUBLIC)
def test_all_names_what_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", []):
        assert getattr(module, public, None) is not None, f"{name}.{public}"


@pytest.mark.parametrize("name", ["oreo", "oreo.envs"])
def test_tab_shows_the_public_names_and_nothing_else(name: str) -> None:
    module = importlib.import_module(name)
    assert dir(module) == sorted(module.__all__)


def test_public_names_of_the_top_level_are_sorted() -> None:
    import oreo

    classes_and_functions = oreo.__all__[1:-2]
    assert classes_and_functions == sorted(classes_and_functions)


def test_the_version_is_the_one_that_is_installed() -> None:
    import oreo

    assert oreo.__version__ == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("code", ["import oreo", "import oreo.cli", "import oreo, oreo.envs, oreo.agents, oreo.eval"])
def test_importing_pulls_in_nothing_heavy(code: str) -> None:
    heavy = ("torch", "transformers", "gymnasium", "numpy", "pyarrow", "textworld", "alfworld", "accelerate")
    check = f"import sys; {code}; print([name for name in {heavy} if name in sys.modules])"
    assert _python(check).strip() == "[]"


def test_importing_oreo_registers_its_environments_with_gymnasium_in_either_order() -> None:
    for imports in ("import oreo, gymnasium", "import gymnasium, oreo"):
        assert _python(f"{imports}; print('oreo/ALFWorld-v0' in gymnasium.registry)").strip() == "True"


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
