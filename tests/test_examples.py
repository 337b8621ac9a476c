"""The examples are the first thing that people try: all of them work."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from emulator.controller.prepare import prepare
from emulator.scenario.model import FAULT_KINDS, Kill
from emulator.scenario.objectives import FIGURES
from emulator.scenario.parse import load_scenario
from emulator.scenario.schema import scenario_schema
from emulator.topology.parse import load_topology

EXAMPLES = Path(__file__).parent.parent / "topologies"
FILES = sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("examples/*/*.yaml")])
LIBRARY = sorted((EXAMPLES / "scenarios").glob("*.yaml"))
# An example's own scenarios lie beside its topology.
SCENARIOS = [*LIBRARY, *(path for path in FILES if "\nsteps:" in path.read_text("utf-8"))]
TOPOLOGIES = [path for path in FILES if path not in SCENARIOS]
PAGE = EXAMPLES / "scenarios" / "README.md"


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", TOPOLOGIES, ids=_name)
def test_every_example_topology_is_read(path: Path) -> None:
    """And is called like its file, which is how people will look for it."""
    assert load_topology(path).name == path.stem


@pytest.mark.parametrize("path", SCENARIOS, ids=_name)
def test_every_example_scenario_fits_its_topology(path: Path) -> None:
    """It is called like its file, its topology is there, so are all its targets, and it promises
    something."""
    scenario, _ = prepare(path)
    assert scenario.name == path.stem
    assert scenario.objectives or scenario.expect


@pytest.mark.parametrize("path", SCENARIOS, ids=_name)
def test_the_published_schema_accepts_every_example_scenario(path: Path) -> None:
    """An editor underlines nothing in what people copy from."""
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), scenario_schema())


@pytest.mark.parametrize("path", SCENARIOS, ids=_name)
def test_every_example_scenario_says_what_it_shows(path: Path) -> None:
    """In exactly three lines, before anything else."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.startswith("# ") for line in lines[:4]] == [True, True, True, False]


def test_every_fault_has_an_example() -> None:
    """Nobody has to guess how a fault is written."""
    steps = [step for path in SCENARIOS for step in load_scenario(path).steps]
    assert {step.how for step in steps if isinstance(step, Kill)} == set(FAULT_KINDS)


def test_the_library_page_lists_every_scenario() -> None:
    """And nothing that is not there."""
    listed = re.findall(r"^\| \[([a-z-]+)\]\(\1\.yaml\)", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == [path.stem for path in LIBRARY]


def test_the_scenario_on_the_library_page_fits_its_topology(tmp_path: Path) -> None:
    """What the page shows of the language can be copied from it."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / "everything.yaml"
    file.write_text(text.replace("../", f"{EXAMPLES}/"))
    scenario, _ = prepare(file)
    assert scenario.runs == 20
    jsonschema.validate(yaml.safe_load(text), scenario_schema())


def test_the_library_page_names_every_figure() -> None:
    """Each in code, as it is written in an objective."""
    words = set(re.findall(r"`(\w+)(?:\([\w-]+\))?`", PAGE.read_text()))
    assert set(FIGURES) <= words
