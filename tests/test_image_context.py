"""What the node image is made of, and when its tag changes; without an engine."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from emulator.engine import image


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the image is made of, and of a test, to edit."""
    root = image.PACKAGE.parent
    shutil.copytree(root / "compose", tmp_path / "compose")
    shutil.copytree(
        image.PACKAGE, tmp_path / "emulator", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("")
    monkeypatch.setattr(image, "PACKAGE", tmp_path / "emulator")
    return tmp_path


@pytest.mark.parametrize(
    "edited",
    [
        "emulator/node/__init__.py",
        "emulator/errors.py",
        "compose/Dockerfile",
        "compose/packages.txt",
        "compose/dpkg-excludes",
    ],
)
def test_the_tag_follows_what_goes_into_the_image(checkout: Path, edited: str) -> None:
    """Edited code never runs stale: any change of the content is another image."""
    before = image.node_tag()
    with (checkout / edited).open("a") as file:
        file.write("# edited\n")
    assert image.node_tag() != before


def test_a_new_program_changes_the_tag(checkout: Path) -> None:
    """A module added under node/ is part of the image."""
    before = image.node_tag()
    (checkout / "emulator" / "node" / "new.py").write_text("")
    assert image.node_tag() != before


@pytest.mark.parametrize(
    "edited", ["tests/test_x.py", "emulator/engine/image.py", "compose/setup.sh"]
)
def test_the_tag_ignores_what_stays_outside(checkout: Path, edited: str) -> None:
    """Editing a test or the outside of netemu builds nothing."""
    before = image.node_tag()
    with (checkout / edited).open("a") as file:
        file.write("# edited\n")
    assert image.node_tag() == before


def test_the_base_is_remade_only_with_its_recipe(checkout: Path) -> None:
    """The base's tag follows the recipe, not the packages that come on top."""
    before = image.base_tag()
    (checkout / "compose" / "packages.txt").write_text("bird2\n")
    assert image.base_tag() == before
    (checkout / "compose" / "base.sh").write_text("exit 1\n")
    assert image.base_tag() != before


def test_the_context_holds_nothing_of_the_outside() -> None:
    """What runs on the outside has no business in a container."""
    outside = ("emulator/cli", "emulator/controller", "emulator/engine", "emulator/plan")
    names = image.context()
    assert {"Dockerfile", "packages.txt", "emulator/__init__.py", "emulator/errors.py"} <= set(
        names
    )
    assert not [name for name in names if name.startswith(outside) or name.endswith(".pyc")]


def test_an_installed_package_carries_the_recipe(checkout: Path) -> None:
    """Without a checkout around it, the package uses its own copy of compose/."""
    shipped = checkout / "emulator" / "shipped" / "compose"
    shutil.move(checkout / "compose", shipped)
    assert image.compose_directory() == shipped


def test_stages_count_packages() -> None:
    """The bar of the long step moves with the packages unpacked and set up."""
    log = ["Step 5/8 : RUN apt-get install\n"]
    assert list(image._stages(log)) == [("node image: step 5 of 8, RUN apt-get", None)]
    log += ["0 upgraded, 2 newly installed\n", "Unpacking a\n", "Unpacking b\n", "Setting up a\n"]
    assert list(image._stages(log)) == [("node image: installing packages", 0.75)]


def imported(content: bytes) -> set[str]:
    """The modules of ours that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "emulator"}


def test_whatever_runs_inside_finds_its_imports_there() -> None:
    """No program of a host imports a module of ours that is not in the image."""
    content = image.context()
    modules = {name.removesuffix(".py").replace("/", ".") for name in content}
    modules |= {name.removesuffix(".__init__") for name in modules}
    code = {name: text for name, text in content.items() if name.endswith(".py")}
    missing = {f"{name}: {m}" for name, text in code.items() for m in imported(text) - modules}
    assert missing == set()
