"""What of a module could run text, or make objects of bytes: found by what names stand for, however they are written.

A name is followed through the module's imports (`from pickle import loads as read` makes `read` be `pickle.loads`), and
counts wherever it stands: `map(eval, lines)` calls nothing by name. What cannot be followed is found where it begins: a
module that is not to be imported, an attribute of a module whose name is computed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "__builtins__", "__loader__", "__spec__"})
"""Python's own, and what they are reached through."""
MODULES = frozenset(
    {
        *(
            "builtins",
            "pickle",
            "_pickle",
            "cPickle",
            "dill",
            "cloudpickle",
            "jsonpickle",
            "joblib",
            "marshal",
            "shelve",
        ),
        *(
            "runpy",
            "code",
            "codeop",
            "importlib",
            "imp",
            "pkgutil",
            "zipimport",
            "ctypes",
            "cffi",
            "pty",
            "timeit",
            "pdb",
        ),
        *(
            "yaml",
            "ruamel",
            "jinja2",
            "mako",
            "numexpr",
            "asteval",
            "sympy",
            "subprocess",
            "multiprocessing.connection",
        ),
    }
)
"""All in them counts but what is in HARMLESS."""
NAMES = frozenset(
    {
        *("os.system", "os.popen", "os.startfile", "os.posix_spawn", "os.posix_spawnp"),
        *("asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec", "types.FunctionType", "types.CodeType"),
        *("torch.load", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "torch.ops.load_library"),
        *("torch.utils.cpp_extension.load", "torch.utils.cpp_extension.load_inline", "torch.serialization.load"),
        *("pandas.read_pickle", "pandas.eval", "numpy.fromfile", "numpy.lib.format.read_array", "logging.config"),
        *("pydoc.locate", "typing.get_type_hints.eval", "cProfile.run", "profile.run", "trace.Trace", "doctest"),
    }
)
PREFIXES = ("os.exec", "os.spawn")
HARMLESS = frozenset(
    {
        *("yaml.safe_load", "yaml.YAMLError", "yaml.safe_dump", "pickle.dumps", "ctypes.c_char"),
        *("importlib.metadata", "importlib.resources", "importlib.util.find_spec", "importlib.machinery"),
        *("subprocess.PIPE", "subprocess.DEVNULL", "subprocess.TimeoutExpired"),
        *(f"sympy.{name}" for name in ("Expr", "Float", "FiniteSet", "I", "Interval", "N", "Set", "nan", "oo", "zoo")),
    }
)
"""Of MODULES: data, names, and functions that read data as data."""
KEYWORDS = {"shell": False, "trust_remote_code": False, "allow_pickle": False, "weights_only": True}
"""Keywords, and the value that is safe."""
STRINGS = frozenset({*BUILTINS, "__globals__", "__subclasses__", "__reduce__"})
"""Not to be asked for by getattr."""


def runners(source: str) -> set[str]:
    """What of a module may run text: full names, and keywords with their values."""
    tree = ast.parse(source)
    names = _imported(tree)
    found = set(_of_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            full = _full(node, names)
            if full in BUILTINS or _counts(full):
                found.add(full)
        elif isinstance(node, ast.Call):
            found |= set(_of_call(node, names))
        elif isinstance(node, ast.Dict):  # keywords to be
            for key, value in zip(node.keys, node.values, strict=True):
                found |= set(_of_setting(_value(key), value)) if key else set()
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in BUILTINS:
            found.add(f"[{node.slice.value!r}]")  # globals()["eval"], vars(module)["exec"]
    return found


def _imported(tree: ast.Module) -> dict[str, str]:
    """What the names stand for that the imports of a module bind."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    # What another name is given to: `load = torch.load`, `module = importlib`.
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            full = _full(node.value, names)
            if full.split(".")[0] in {name.split(".")[0] for name in (*MODULES, *NAMES)}:
                names[node.targets[0].id] = full
    return names


def _of_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from (full for alias in node.names if _counts(full := f"{node.module}.{alias.name}"))


def _full(node: ast.AST, names: dict[str, str]) -> str:
    """`a.b.c` with what `a` stands for; "" for what begins with no import and no function of Python's own."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id if node.id in BUILTINS | {"getattr"} else "")
    if isinstance(node, ast.Attribute):
        owner = _full(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _counts(full: str) -> bool:
    """Whether a full name is one that runs something. A module alone does nothing: what is taken from it does."""
    parts = full.split(".")
    owners = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    if owners & HARMLESS or any(name.startswith(f"{full}.") for name in HARMLESS):
        return full.endswith(".*")
    return bool((owners - {full}) & MODULES or owners & NAMES) or full.startswith(PREFIXES)


def _of_call(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    called = _full(call.func, names)
    for keyword in call.keywords:
        yield from _of_setting(keyword.arg, keyword.value)
    if called == "numpy.load" and not any(keyword.arg == "allow_pickle" for keyword in call.keywords):
        yield called  # the third argument, or a keyword in a dictionary
    if called in ("getattr", "operator.attrgetter", "operator.methodcaller"):
        asked = call.args[-1:] if called != "getattr" else call.args[1:2]
        name = _value(asked[0]) if asked else None
        if name in STRINGS:
            yield f"{called} {name!r}"
        owner = _full(call.args[0], names) if called == "getattr" and call.args else ""
        if owner and owner in names.values():
            if name is None:
                yield f"getattr({owner}, …)"
            elif _counts(f"{owner}.{name}"):
                yield f"{owner}.{name}"


def _of_setting(name: object, value: ast.AST) -> Iterator[str]:
    """A keyword that is not set to what is safe. Handing on what the user has said is what these keywords are for."""
    if name in KEYWORDS and _value(value) is not KEYWORDS[str(name)]:
        if isinstance(value, ast.Constant) or ast.unparse(value).rpartition(".")[2] != name:
            yield f"{name}={ast.unparse(value)}"


def _value(node: ast.AST) -> object:
    return node.value if isinstance(node, ast.Constant) else None
