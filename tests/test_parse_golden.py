"""Files in, values or messages out: what every file under golden/ is read as."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import jsonschema
import pytest
import yaml

from emulator.errors import Exit, FileProblems
from emulator.scenario.parse import parse_scenario
from emulator.scenario.schema import scenario_schema
from emulator.topology.parse import parse_topology
from emulator.topology.schema import topology_schema

GOLDEN = Path(__file__).parent / "golden"
VALID = sorted((GOLDEN / "valid").glob("*.yml"))
INVALID = sorted((GOLDEN / "invalid").glob("*.yml"))
Golden = Callable[[Path, str], None]


def parse(path: Path) -> object:
    """Files called scenario-* are scenarios, the others topologies."""
    read = parse_scenario if path.name.startswith("scenario-") else parse_topology
    return read(path.read_text(encoding="utf-8"), path.name)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_means_what_it_meant(path: Path, golden: Golden) -> None:
    """Every value and every default, as canonical JSON, and the same each time."""
    value = parse(path)
    assert value == parse(path)
    plain = asdict(value)  # type: ignore[call-overload]
    plain.pop("source")
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    golden(path.with_suffix(".json"), text)


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_file_gets_exactly_these_messages(path: Path, golden: Golden) -> None:
    """All of its problems at once, each with file, line, path and advice; exit code 2."""
    with pytest.raises(FileProblems) as refused:
        parse(path)
    assert refused.value.exit_code is Exit.USAGE
    golden(path.with_suffix(".txt"), f"{refused.value}\n")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_the_published_schema_accepts_what_the_parser_accepts(path: Path) -> None:
    """An editor must not underline a file that netemu takes."""
    schema = scenario_schema() if path.name.startswith("scenario-") else topology_schema()
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)
