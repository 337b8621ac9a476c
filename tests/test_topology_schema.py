"""The published schema and the parser know the same keys."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from emulator.topology import dns, parse, paths, policies, resolvers, services
from emulator.topology.schema import topology_schema

SCHEMA = topology_schema()


def keys(*path: str) -> set[str]:
    """Keys of the object at `path`; `*` steps into an object of the user's names."""
    part: dict[str, Any] = SCHEMA
    for step in path:
        part = part["additionalProperties"] if step == "*" else part["properties"][step]
        part = part["oneOf"][0] if "oneOf" in part and "properties" not in part else part
        part = part.get("items", part)
    return set(part["properties"])


def test_a_resolver_is_one_word_its_settings_or_where_it_is() -> None:
    """The parser's keys, in the two mappings that it takes."""
    _, own, at = SCHEMA["properties"]["clients"]["additionalProperties"]["properties"]["resolver"][
        "oneOf"
    ]
    assert set(own["properties"]) | set(at["properties"]) == set(resolvers.RESOLVER_KEYS)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ((), parse.TOP_KEYS),
        (("regions", "*"), parse.REGION_KEYS),
        (("regions", "*", "services", "*"), parse.REGION_SERVICE_KEYS),
        (("clients", "*"), parse.CLIENT_KEYS),
        (("clients", "*", "timeouts"), parse.TIMEOUT_KEYS),
        (("dns",), parse.DNS_KEYS),
        (("dns", "health_check"), dns.HEALTH_KEYS),
        (("dns", "health_check", "checkers"), dns.CHECKER_KEYS),
        (("dns", "servers", "*"), parse.NAME_SERVER_KEYS),
        (("services", "*"), services.SERVICE_KEYS),
        (("services", "*", "dns"), dns.POLICY_KEYS),
        (("services", "*", "rules"), services.CONDITIONS + services.ACTIONS),
        (("paths", "*"), paths.PATH_KEYS),
        (("kernel",), tuple(parse.KERNEL)),
    ],
)
def test_schema_and_parser_know_the_same_keys(
    path: tuple[str, ...], known: tuple[str, ...]
) -> None:
    """Neither offers a key that the other refuses."""
    assert keys(*path) == set(known)


def test_schema_and_parser_know_the_same_policies() -> None:
    """Every kind of policy, as a word and as a node of a tree."""
    word, _ = SCHEMA["$defs"]["policy"]["oneOf"]
    assert word["enum"] == list(policies.KINDS)
    tree = set(SCHEMA["$defs"]["tree"]["properties"])
    assert tree == {*policies.KINDS, *policies.OPTION_KEYS}


def test_the_schema_is_one() -> None:
    """Editors read it by the rules of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"regoins": {}},
        {"paths": {"a->b": {"loss": "-1%"}}},
        {"dns": {"ttl": 5}},
        {"dns": {"policy": "fastest"}},
        {"dns": {"policy": {"failover": ["a"], "latency": ["a"]}}},
        {"dns": {"policy": {"geo": {"b": "a"}}}},
        {"dns": {"policy": {"weighted": {"a": -1}}}},
        {"dns": {"policy": {"failover": [{"multivalue": ["a"], "count": 9}]}}},
        {"dns": {"profile": "route54"}},
        {"dns": {"health_check": {"checkers": {"from": []}}}},
        {"services": {"www": {"port": 7}}},
        {"regions": {"A_b": {"location": "paris"}}},
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(wrong: dict[str, Any]) -> None:
    """As far as a schema can see it."""
    right = {
        "netemu": 1,
        "name": "lab",
        "regions": {"a": {"location": "paris"}},
        "clients": {"b": {"location": {"lat": 1, "lon": 2.5}}},
    }
    jsonschema.validate(right, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(right | wrong, SCHEMA)
