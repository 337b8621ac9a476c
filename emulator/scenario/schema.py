"""The JSON Schema of the scenario file, for editors. The parser says more than a schema can: the
order of steps, the grammar of objectives, and what the lab has are checked only there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emulator.pathschema import path_properties, trace_schema
from emulator.scenario.model import FORCED, KILL_KINDS
from emulator.scenario.objectives import CLIENTS
from emulator.scenario.parse import RUNS_MAX, SETTING, VALUES
from emulator.scenario.steps import DIRECTIONS
from emulator.scenario.traffic import CACHES, CONNECTIONS_MAX

Schema = dict[str, Any]
_NAME = "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$"
_TARGET = "^(tag:)?[a-z0-9-]+(/[a-z0-9-]+)?$"
_CONTAINER = r"^[a-z0-9-]+(/[a-z0-9-]+)?(:image)?$"
_PATH = r"^\s*[a-z0-9-]+(\s*(->|\.\.)\s*[a-z0-9-]+)?\s*$"
_UNSIGNED = r"[0-9]+(\.[0-9]+)?\s*"
_TIME = rf"{_UNSIGNED}(ns|us|ms|s|m|min|h)"
_OBJECTIVE = r"(<=|>=|==|<|>)"


def scenario_schema() -> Schema:
    """JSON Schema, draft 2020-12, of a file as a plain YAML reader sees it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netemu scenario",
        **_object(
            {
                "netemu": {"const": 1, "description": "Version of this language."},
                "name": _text(_NAME, "Name of the scenario and of its run directories."),
                "topology": _text(".", "Path of the topology file, from this file."),
                "vary": _vary(),
                "seed": _integer(0, 2**32 - 1, "Of the random phase; default: another each run."),
                "runs": _integer(1, RUNS_MAX, "How often, each at another phase; default 1."),
                "groups": _groups(),
                "traffic": _traffic(),
                "steady_state": _steady_state(),
                "steps": {"type": "array", "items": _step(), "description": "What happens."},
                "end": _text(rf"^\+?{_TIME}$", "60s, or +10s after the last step."),
                "expect": _text(
                    rf"^(isolation|recovery\s+within\s+{_TIME})$",
                    "The steady state holds throughout, or again within a time after each fault.",
                ),
                "objectives": _objectives("Bounds that the run must keep."),
            },
            required=("netemu", "name", "topology", "steps", "end"),
        ),
    }


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _text(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description}


def _integer(low: int, high: int, description: str) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, "description": description}


def _duration(description: str) -> Schema:
    return _text(f"^{_TIME}$", f"{description} For example 250ms or 5s.")


def _rate(description: str) -> Schema:
    return _text(rf"^{_UNSIGNED}/(s|min)$", f"{description} For example 200/s.")


def _targets(description: str) -> Schema:
    target = {"type": "string", "pattern": _TARGET}
    several = {"type": "array", "items": target, "minItems": 1}
    return {"description": description, "oneOf": [target, several]}


def _partition() -> Schema:
    sides = _text(r"^[^|]+(\|[^|]+)?$", "Both sides in one: 'us-east,paris | eu-west'.")
    target = {"type": "string", "pattern": _TARGET}
    several = {"type": "array", "items": target, "minItems": 1}
    return {"description": "Sites, groups, tag:x.", "oneOf": [sides, several]}


def _groups() -> Schema:
    return {
        "type": "object",
        "description": "Names for several targets.",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": _targets("Sites, hosts, tag:x."),
    }


def _objectives(description: str) -> Schema:
    objective = {"type": "string", "pattern": _OBJECTIVE}
    examples = ["recovery_s.p100 <= 15 s from paris over http", "availability >= 99.9 %"]
    return {
        "type": "array",
        "description": description,
        "items": objective | {"examples": examples},
    }


def _vary() -> Schema:
    values = {
        "type": "array",
        "items": {"type": ["string", "number", "boolean"]},
        "minItems": VALUES[0],
        "maxItems": VALUES[-1],
        "uniqueItems": True,
    }
    return {
        "type": "object",
        "description": "One setting of the topology, like dns.ttl: the scenario once a value.",
        "propertyNames": {"pattern": f"^{SETTING}$"},
        "additionalProperties": values,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _traffic() -> Schema:
    total = _object({"rate": _rate("Requests of all kinds in a city.")}, required=("rate",))
    kinds = _object({kind: _rate(f"Requests over {kind} in a city.") for kind in CLIENTS})
    load = _object(
        {
            "from": _targets("Cities, or groups and tags with cities; default: every city."),
            "over": {"enum": list(CLIENTS), "description": "Default: all, the rate shared."},
            "rate": _rate("Requests in each of the cities."),
            "connections": _integer(1, CONNECTIONS_MAX, "Open at least; keepalive and stream."),
            "cache": _text(
                f"^({'|'.join(CACHES)}|{_TIME})$",
                "How long clients use a DNS answer; default none.",
            ),
            "lifetime": _text(f"^{_TIME}$", "A connection is given up after it; keepalive."),
        },
        required=("rate",),
    )
    return {
        "description": "A city's total, the rate of each kind, or a list of loads.",
        "oneOf": [
            total,
            kinds | {"minProperties": 1},
            {"type": "array", "items": load, "minItems": 1},
        ],
    }


def _steady_state() -> Schema:
    hold = _objectives("What is normal; default: no request fails.")
    whole = _object({"over": _duration("The time it is judged by; default 2s."), "hold": hold})
    return {"description": "Must hold before the first fault.", "oneOf": [whole, hold]}


def _command() -> Schema:
    several = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    whole = {"type": "string", "minLength": 1}
    return {
        "description": "Of exec and count: words, or a list of them.",
        "oneOf": [whole, several],
    }


def _step() -> Schema:
    target = _targets("Sites, hosts, groups, tag:x.")
    properties: Schema = {
        "at": _text(rf"^(\+?{_TIME}|{_TIME}\.\.{_TIME})$", "10s, +5s after the last, 10s..40s."),
        "kill": target,
        "heal": target,
        "partition": _partition(),
        "flap": target,
        "path": _text(_PATH, "us-east..paris, us-east->paris, or a site: all of its paths."),
        "clear": _text(_PATH, "What path set, on a path, all of a site, or all."),
        "force": target,
        "exec": _text(_CONTAINER, "Run a program in eu-west/db-1:image, or in ours beside it."),
        "count": _text(_CONTAINER, "Run a program that prints what the service holds."),
        "command": _command(),
        "wait_until": {
            "type": "string",
            "description": "ready, recovered, steady, us-east up, us-east down, "
            "paris served by eu-west.",
        },
        "within": _duration("Patience of wait_until, exec and count; of these two 30s."),
        "how": {"enum": list(KILL_KINDS), "description": "Of kill; default power."},
        "from": _targets("The other side of a partition; default: everyone else."),
        "direction": {"enum": list(DIRECTIONS), "description": "Of a partition; default both."},
        "delay": _duration("Of a brownout, on each path."),
        **path_properties(),  # of path; some of a brownout too
        "trace": trace_schema(),
        "down": _duration("Of a flap: how long each cut is; default: half of every."),
        "state": {"enum": list(FORCED), "description": "What force tells the name servers."},
        "service": _text(_NAME, "Of force; default: every service of the region."),
        "for": _duration("How long a fault lasts."),
        "every": _duration("From one fault to the next, over the time of at; a flap's period."),
    }
    return _object(properties) | {
        "oneOf": [
            {"required": ["at", "kill"]},
            {"required": ["at", "heal"]},
            {"required": ["at", "partition"]},
            {"required": ["at", "flap"]},
            {"required": ["at", "path"]},
            {"required": ["at", "clear"]},
            {"required": ["at", "force", "state"]},
            {"required": ["at", "exec", "command"]},
            {"required": ["at", "count", "command"]},
            {"required": ["wait_until", "within"]},
        ]
    }
