"""The floors of the house: imports point down only, and the command line stays light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import memtop

ROOT = Path(memtop.__file__).parent

# Each floor may import those below it; packages that share a floor do not import each other.
FLOORS = [
    {
        "cli",
        "__main__",
        "arguments",
        "acting",
        "comparing",
        "diagnosing",
        "looking",
        "reporting",
        "watching",
    },
    {"adding", "listing", "noting", "observing", "replaying"},
    {"console", "named", "sampling", "viewing"},
    {"tui"},
    {"recalling", "reports"},
    {"kept"},
    {"actions", "evidence", "recording", "render"},
    {"diagnosis", "anatomy"},
    {"model", "target"},
    {"probe"},
    {"columns", "secrets", "units", "paths", "plain", "errors", "config", "__init__"},
]
EXCEPTIONS = {("__main__", "cli"), ("cli", "arguments")} | {
    ("cli", name)
    for name in ("acting", "comparing", "diagnosing", "looking", "reporting", "watching")
}
NO_TERMINAL_LIBRARIES = {"textual", "rich", "plotext"}


def floor_of(package: str) -> int:
    return next(index for index, names in enumerate(FLOORS) if package in names)


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


@cache
def imported(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    """A module imports only from its own package and from lower floors."""
    own = package_of(path)
    for name in imported(path):
        if not name.startswith("memtop."):
            continue
        other = name.split(".")[1]
        if not (ROOT / other).is_dir() and not (ROOT / f"{other}.py").exists():
            continue  # a name out of memtop/__init__.py
        if other == own or (own, other) in EXCEPTIONS:
            continue
        bottom = len(FLOORS) - 1
        assert floor_of(own) < floor_of(other) or floor_of(own) == floor_of(other) == bottom, (
            f"{own} imports {name}"
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_terminal_libraries_stay_above(path):
    """Nobody below render knows Rich, nobody but tui knows Textual."""
    own = package_of(path)
    for name in imported(path):
        library = name.split(".")[0]
        if library == "textual":
            assert own == "tui"
        if library in NO_TERMINAL_LIBRARIES:
            assert own in ("tui", "render")


def test_model_knows_only_the_values_of_probe():
    """The model imports nothing of probe but the frozen values of a sample."""
    for path in (ROOT / "model").glob("*.py"):
        for name in imported(path):
            assert not name.startswith("memtop.probe") or name.startswith(
                ("memtop.probe.sample", "memtop.probe.sample.")
            ), f"{path.name} imports {name}"


def test_command_line_is_light():
    """Importing the command line leaves the heavy libraries alone."""
    code = (
        "import sys, memtop.cli, memtop.watching, memtop.probe.procfs, memtop.render.report;"
        "heavy = {'textual', 'rich', 'plotext', 'psutil', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_acting_needs_no_model():
    """`trim` and `gc` are quick: what only looks is not imported for them."""
    code = (
        "import sys, memtop.cli, memtop.acting, memtop.actions.perform;print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()

    assert "memtop.acting" in loaded
    above = ("memtop.model", "memtop.tui", "memtop.anatomy")
    assert not [name for name in loaded if name.startswith(above)]


def test_recordings_are_imported_by_who_needs_them():
    """Without a recording neither the screen nor a command imports what reads or writes them."""
    code = (
        "import sys, memtop.acting, memtop.looking, memtop.diagnosing, memtop.listing;"
        "import memtop.tui.start; print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert {"memtop.diagnosing", "memtop.tui.screens.main"} <= loaded
    named = {name for name in loaded if name.startswith("memtop.recording.")}
    assert named == {"memtop.recording.happenings"}
    assert not loaded & {"sqlite3", "memtop.kept", "memtop.render.passage", "memtop.render.marked"}


def test_modules_are_small_and_say_what_they_are_for():
    """A module has a docstring and at most 450 lines."""
    for path in modules():
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        assert text.count("\n") <= 450, path
