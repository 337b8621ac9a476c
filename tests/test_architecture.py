"""The code keeps to what ARCHITECTURE.md says of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from emulator.controller.faults import FAULTS
from emulator.scenario.model import FAULT_KINDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "emulator"
ARCHITECTURE = PACKAGE / "ARCHITECTURE.md"
FILES = sorted(PACKAGE.rglob("*.py"))

FILE_LINES = 400
FUNCTION_LINES = 50
ARCHITECTURE_LINES = 150


def module(file: Path) -> str:
    """`plan/bounds` for emulator/plan/bounds.py."""
    return file.relative_to(PACKAGE).with_suffix("").as_posix()


def functions(file: Path) -> dict[str, int]:
    """Every function's name with its line -> how many lines it has, decorators left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def named() -> set[str]:
    """What stands in backticks under Modules."""
    _, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition("## Modules\n")
    section, _, _ = rest.partition("\n## ")
    return set(re.findall(r"`([a-z0-9_/]+)(?:\.py)?`", section))


def test_every_module_is_named():
    """One line of ARCHITECTURE.md says what it is for; a package's __init__ may go without."""
    missing = {module(f) for f in FILES if not f.stem.startswith("__")} - named()
    assert not missing


def test_every_name_is_a_module():
    """What was renamed or removed is not described any more."""
    known = {module(f).removesuffix("/__init__") for f in FILES}
    assert not {name for name in named() if "/" in name} - known


def test_the_architecture_is_short():
    """Two or three pages, or nobody reads it."""
    assert len(ARCHITECTURE.read_text(encoding="utf-8").splitlines()) <= ARCHITECTURE_LINES


@pytest.mark.parametrize("file", FILES, ids=module)
def test_files_and_functions_are_small(file):
    """At most 400 lines a file and 50 a function."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= FILE_LINES
    assert not {name: lines for name, lines in functions(file).items() if lines > FUNCTION_LINES}


def test_a_fault_has_a_file_and_a_name():
    """The language's kinds, the registry and the files are one list."""

    files = {f.stem for f in (PACKAGE / "controller" / "faults").glob("[a-z]*.py")} - {"base"}
    assert set(FAULTS) == set(FAULT_KINDS) == files
