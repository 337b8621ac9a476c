"""The published schema of scenarios and their parser know the same keys."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from emulator.scenario import objectives, parse, steps, traffic
from emulator.scenario.schema import scenario_schema

SCHEMA = scenario_schema()
PROPERTIES = SCHEMA["properties"]
RIGHT = {
    "netemu": 1,
    "name": "x",
    "topology": "lab.yaml",
    "steps": [{"at": "1s", "kill": "us-east"}],
    "end": "60s",
}


@pytest.mark.parametrize(
    ("part", "known"),
    [
        (SCHEMA, parse.TOP_KEYS),
        (PROPERTIES["steps"]["items"], steps.STEP_KEYS),
        (PROPERTIES["steady_state"]["oneOf"][0], parse.STEADY_KEYS),
        (PROPERTIES["traffic"]["oneOf"][1], objectives.CLIENTS),
        (PROPERTIES["traffic"]["oneOf"][2]["items"], traffic.LOAD_KEYS),
    ],
)
def test_schema_and_parser_know_the_same_keys(part: dict[str, Any], known: tuple[str, ...]) -> None:
    """Neither offers a key that the other refuses."""
    assert set(part["properties"]) == set(known)


def test_the_schema_is_one() -> None:
    """Editors read it by the rules of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": []},
        {"steps": [{"kill": "us-east"}]},
        {"steps": [{"at": "1s", "kill": "us-east", "heal": "us-east"}]},
        {"steps": [{"at": "1s..", "kill": "us-east"}]},
        {"steps": [{"wait_until": "ready"}]},
        {"steps": [{"at": "1s", "exec": "us-east/db-1:image"}]},
        {"steps": [{"at": "1s", "exec": "us-east/db-1:img", "command": "date"}]},
        {"steps": [{"at": "1s", "count": "us-east", "command": []}]},
        {"traffic": {"rate": "1/s", "http": "1/s"}},
        {"traffic": [{"over": "tcp", "rate": "1/s"}]},
        {"objectives": ["fast"]},
        {"expect": "recovery"},
        {"end": 60},
        {"runs": 0},
        {"groups": {"a": []}},
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(wrong: dict[str, Any]) -> None:
    """As far as a schema can see it."""
    jsonschema.validate(RIGHT, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(RIGHT | wrong, SCHEMA)
