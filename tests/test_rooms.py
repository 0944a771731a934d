"""The walls of the house: which room may import which, and what each room says of itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minidl"

ROOMS = (
    "hints",
    "errors",
    "registry",
    "component",
    "backends",
    "graph",
    "ops",
    "compiler",
    "testing",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "schedules",
    "data",
    "config",
    "training",
    "explain",
    "cli",
)
"""The order of the rooms: a room imports from those before it, never from those behind it."""

MAY_IMPORT_NUMPY = ("backends/", "data/", "cli/", "testing")
"""Where arrays live on the host. Everything else computes through a backend."""

MAY_HANDLE_ARRAYS = ("training/",)
"""Where batches, checkpoints and results are handed over, with the functions below alone."""

HANDLING = {
    *("array", "asarray", "ascontiguousarray", "concatenate", "empty", "stack", "zeros_like"),
    *("isnan", "isinf", "isfinite", "argwhere", "shares_memory"),
    *("ndarray", "generic", "dtype", "float32", "float64", "int64", "uint8"),
    *("__version__", "show_config"),
}
"""What moves arrays or looks at them, but computes nothing."""

MOST_LINES = 600


def imports(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, dotted name, only for typing) of everything that ``source`` imports.

    Imports inside functions count, and ``import_module`` of a literal name does too. ``package``
    is the package the file stands in, for relative imports.
    """
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        for name in _imported(node, package):
            yield node.lineno, name, id(node) in typing_only


def _imported(node: ast.AST, package: tuple[str, ...]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = ".".join((*base, *filter(None, [node.module])))
        return [f"{module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("import_module", "__import__")
    ):
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
    return []


def upward(source: str, room: str, package: tuple[str, ...] = ("minidl",)) -> list[str]:
    """Return a complaint for each import in ``source`` that climbs above ``room``."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    complaints = []
    for line, name, _ in imports(source, package):
        parts = name.split(".")
        if parts[0] != "minidl" or parts[1:] == ["__version__"]:
            continue
        if name == "minidl" and _asks_only_for_the_version(source):
            continue
        if len(parts) == 1 or parts[1] not in allowed:
            complaints.append(f"line {line}: {room} imports {name}")
    return complaints


def _asks_only_for_the_version(source: str) -> bool:
    uses = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name) and n.id == "minidl"]
    return bool(uses) and len(re.findall(r"\bminidl\.__version__", source)) == len(uses)


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or _room(path))


def _room(path: Path) -> str | None:
    """Return the room a file belongs to; None for the door (``__init__``, ``__main__``)."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return None if first.startswith("__") else first


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_room_has_its_place_in_the_order():
    found = {_room(path) for path in files()}
    assert found == set(ROOMS)


@pytest.mark.parametrize("path", files(), ids=_name)
def test_no_room_imports_one_above_it(path):
    package = ("minidl", *path.relative_to(PACKAGE).parts[:-1])
    assert upward(path.read_text("utf-8"), _room(path), package) == []


@pytest.mark.parametrize(
    "source",
    [
        "from minidl.training import fit",
        "from minidl import training",
        "import minidl.training.loop",
        "import minidl as md",
        "import minidl\nminidl.fit(minidl.__version__)",
        "def late():\n    from minidl.cli.main import main",
        "if TYPE_CHECKING:\n    from minidl.training import Model",
        "from ..training import loop",
        "importlib.import_module('minidl.training')",
    ],
)
def test_an_upward_import_is_noticed_wherever_it_stands(source):
    assert len(upward(source, "layers", ("minidl", "layers"))) == 1


def test_imports_within_and_below_a_room_are_allowed():
    source = "from minidl.layers.base import Layer\nfrom minidl import ops\nfrom . import base\n"
    source += "import minidl\nprint(minidl.__version__)"
    assert upward(source, "layers", ("minidl", "layers")) == []


def uses_of_numpy(path: Path) -> list[str]:
    """Return where ``path`` uses numpy beyond what its room may."""
    source = path.read_text("utf-8")
    imported = [
        f"line {line}: {name}"
        for line, name, for_typing in imports(source, ("minidl",))
        if name.split(".")[0] == "numpy" and not for_typing
    ]
    if not _name(path).startswith(MAY_HANDLE_ARRAYS):
        return imported
    return [
        f"line {node.lineno}: np.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) == "np"
        and node.attr not in HANDLING
    ] + [line for line in imported if not line.endswith(": numpy")]


COMPUTING = [path for path in files() if not _name(path).startswith(MAY_IMPORT_NUMPY)]


@pytest.mark.parametrize("path", COMPUTING, ids=_name)
def test_numpy_stays_where_arrays_live_on_the_host(path):
    assert uses_of_numpy(path) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/**/__init__.py")), ids=_name)
def test_every_package_says_what_it_receives_and_returns(path):
    text = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").lower()
    assert "receive" in text
    assert "return" in text


@pytest.mark.parametrize("folder", ["minidl", "plugins", "tests", "docs", "benchmarks"])
def test_no_file_is_too_long_to_read(folder):
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (ROOT / folder).rglob("*.py")
        if "build" not in path.parts and (lines := path.read_text("utf-8").count("\n")) > MOST_LINES
    }
    assert long == {}


def test_the_architecture_page_gives_the_same_order():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert tuple(rows) == ROOMS
