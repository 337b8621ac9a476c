"""The JSON Schema of the topology file, for editors. The parser says more than a schema can: what
one part must know of another (names, places, intervals) is checked only there."""

from __future__ import annotations

from typing import Any, get_args

from emulator.pathschema import path_properties, trace_schema
from emulator.steering import MULTIVALUE_MAX, AllDown, CheckKind
from emulator.topology.parse import KERNEL, SERVERS_MAX
from emulator.topology.policies import DEFAULT_AREA, KINDS, WEIGHT_MAX
from emulator.topology.profiles import PROFILES
from emulator.topology.resolvers import resolver_schema
from emulator.topology.wan import wan_schema

Schema = dict[str, Any]
_NAME = "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$"
_YES_NO: Schema = {"enum": ["yes", "no", True, False]}  # as YAML 1.1 and 1.2 read it
_UNSIGNED = r"[0-9]+(\.[0-9]+)?\s*"


def topology_schema() -> Schema:
    """JSON Schema, draft 2020-12, of a file as a plain YAML reader sees it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netemu topology",
        **_object(
            {
                "netemu": {"const": 1, "description": "Version of this language."},
                "name": {"type": "string", "pattern": _NAME, "description": "Name of the lab."},
                "zone": _text(r"\.test$", "DNS zone of the services; default <name>.test."),
                "regions": _named(_region(), "Datacenters: a balancer and its servers."),
                "clients": _named(_city(), "Cities: clients behind one recursive resolver."),
                "dns": _dns(),
                "services": _named(_service(), "What clients want, by DNS name."),
                "paths": _paths(),
                "kernel": _kernel(),
                "traffic": _traffic(),
                "wan": wan_schema(),
            },
            required=("netemu", "name", "regions", "clients"),
        ),
        "$defs": _policy(),
    }


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return schema | ({"required": list(required)} if required else {})


def _named(member: Schema, description: str, min_names: int = 1) -> Schema:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": member,
        "minProperties": min_names,
    }


def _text(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description}


def _integer(low: int, high: int, description: str) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, "description": description}


def _duration(description: str) -> Schema:
    return _text(f"^{_UNSIGNED}(ns|us|ms|s|m|min|h)$", f"{description} For example 250ms or 5s.")


def _location() -> Schema:
    latitude = {"type": "number", "minimum": -90, "maximum": 90}
    longitude = {"type": "number", "minimum": -180, "maximum": 180}
    return {
        "description": "aws:us-east-1, gcp:..., azure:..., city:Paris/FR, or coordinates.",
        "oneOf": [
            {"type": "string"},
            _object({"lat": latitude, "lon": longitude}, required=("lat", "lon")),
        ],
    }


def _servers() -> Schema:
    return _integer(1, SERVERS_MAX, "Servers of each service; default 1.")


def _tags() -> Schema:
    tag = {"type": "string", "pattern": _NAME}
    tags = {"type": "array", "items": tag, "uniqueItems": True}
    return {"description": "What scenarios may call it, as tag:edge.", "oneOf": [tag, tags]}


def _region() -> Schema:
    here = _object({"servers": _integer(0, SERVERS_MAX, "Its servers here."), **_image()})
    services = _named(here, "What is different here.", min_names=0)
    properties = {"location": _location(), "servers": _servers(), "services": services}
    return _object(properties | {"tags": _tags()}, required=("location",))


def _city() -> Schema:
    timeouts = _object(
        {
            "lookup": _duration("Patience for a name; default 2s."),
            "connect": _duration("Patience for a connection; default 3s."),
            "response": _duration("Patience for an answer; default 3s."),
        }
    )
    properties = {"location": _location(), "timeouts": timeouts, "tags": _tags()}
    properties["resolver"] = resolver_schema()
    return _object(
        properties | _image("A client beside the built-in ones."), required=("location",)
    )


def _policy_properties() -> Schema:
    return {
        "profile": {"enum": list(PROFILES), "description": "A product's documented timings."},
        "ttl": _duration("How long resolvers may keep an answer, whole seconds; default 5s."),
        "degraded_ttl": _duration("The TTL while not every region is well; default: the TTL."),
        "policy": {"$ref": "#/$defs/policy"},
        "all_down": {
            "enum": list(get_args(AllDown)),
            "description": "The answer when no region is UP: all of them (default), the one that "
            "would be chosen if all were UP, REFUSED, or none.",
        },
        "min_healthy": _share("Servers that a region needs UP to be well; default: one."),
        "ramp": _duration("A region that comes back gets more and more answers, for so long."),
        "ecs": _YES_NO | {"description": "Heed a query's client subnet; default yes."},
        "health_check": _health_check(),
    }


def _health_check() -> Schema:
    site = {"type": "string", "pattern": _NAME}
    sites = {"type": "array", "items": site, "minItems": 1, "uniqueItems": True}
    checkers = _object(
        {
            "from": {"description": "Sites of any kind.", "oneOf": [site, sites]},
            "quorum": _share("UP while more than this share of them say so; default 50%."),
        }
    )
    return _object(
        {
            "type": {
                "enum": list(get_args(CheckKind)),
                "description": "Default http. tcp hears only that the balancer listens: no drain, "
                "no dead server. https takes three round trips within the timeout.",
            },
            "interval": _duration("Between checks; default 1s."),
            "timeout": _duration("Of one check, never above the interval; default 1s."),
            "fall": _integer(1, 100, "Failures until DOWN, in a row or as clear says; default 3."),
            "rise": _integer(1, 100, "Successes in a row until UP; default 2."),
            "clear": _integer(1, 100, "Failures add up until so many successes in a row."),
            "hold_down": _duration("DOWN lasts that long at least; default 0s."),
            "checkers": checkers | {"description": "Who checks; default: every name server."},
        }
    )


def _policy() -> Schema:
    """One word, or a tree: a member is a region or a policy of its own."""
    member = {"oneOf": [{"type": "string", "pattern": _NAME}, {"$ref": "#/$defs/tree"}]}
    members = {"type": "array", "items": member, "minItems": 1}
    weight = _integer(0, WEIGHT_MAX, "One at least is above 0.")
    weighed = _object({"to": member, "weight": weight}, required=("to",))
    weighed_list = {"type": "array", "items": {"anyOf": [member, weighed]}, "minItems": 1}
    by_weight = {"oneOf": [_named(weight, "Regions and their weights."), weighed_list]}
    areas = {
        "type": "object",
        "propertyNames": {"pattern": f"^({_NAME[1:-1]}|tag:{_NAME[1:-1]})$"},
        "additionalProperties": member,
        "required": [DEFAULT_AREA],
    }
    bodies: Schema = dict.fromkeys(KINDS, members)
    bodies |= {"weighted": by_weight, "sticky": by_weight, "geo": {"oneOf": [areas, members]}}
    count = _integer(1, MULTIVALUE_MAX, "Regions of one answer; default 8. Only for multivalue.")
    tree = _object(bodies | {"count": count})
    tree |= {"oneOf": [{"required": [kind]} for kind in KINDS]}
    word = {"enum": list(KINDS)}
    policy = {"description": "How regions are chosen; default latency: the nearest."}
    return {"tree": tree, "policy": policy | {"oneOf": [word, {"$ref": "#/$defs/tree"}]}}


def _share(description: str) -> Schema:
    return _text(f"^{_UNSIGNED}%$", description)


def _dns() -> Schema:
    properties = {"location": _location(), "tags": _tags()}
    name_server = _object(properties, required=("location",))
    servers = _named(name_server, "Default: ns1, ns2 beside the first two regions.")
    return _object({**_policy_properties(), "servers": servers})


def _service() -> Schema:
    port = _integer(1, 65535, "Not 7, the echo's.") | {"not": {"const": 7}}
    service = _object(
        {
            "port": port
            | {"description": "What clients connect to; default 80 (tls: 443). Not 7."},
            "target_port": port | {"description": "What servers listen on; default 8080. Not 7."},
            "target_protocol": {
                "enum": ["http/1.1", "h2c"],
                "description": "What an l7 balancer speaks with servers; h2c: HTTP/2 without TLS.",
            },
            "balance": {"enum": ["l4", "l7"], "description": "TCP or HTTP; default l7."},
            "rules": {"type": "array", "items": _rule(), "description": "Only for l7."},
            "dns": _object(_policy_properties()),
            "drain_timeout": _duration("Patience of a drain with open connections; default 30s."),
            "names": _aliases(),
            **_image(),
            "health": _text("^(tcp|/.*)$", "What the balancer asks servers for: a path, or tcp."),
            "depends_on": _services(),
            "start_timeout": _duration("An image's servers must be well by then; default 60s."),
            "tls": _YES_NO | {"description": "TLS to the balancer, where it ends; default no."},
        }
    )
    return {"oneOf": [service, {"type": "null"}]}


def _image(what: str = "What servers run; default: netemu's own.") -> Schema:
    word = {"type": ["string", "number", "boolean"]}
    words = {"type": "array", "items": word}
    variables = {"type": "object", "additionalProperties": {"type": [*word["type"], "null"]}}
    return {
        "image": {"type": "string", "description": what},
        "build": {
            "type": "string",
            "description": "The directory of a Dockerfile, beside the file",
        },
        "entrypoint": {
            "description": "Instead of the image's own, whose command is not used then.",
            "oneOf": [_word_list(), words],
        },
        "command": {"description": "Instead of the image's own.", "oneOf": [_word_list(), words]},
        "env": variables | {"description": "Environment of the image's container."},
        "cpus": {"type": "number", "description": "Processors that a server may use at most."},
        "memory": _text(
            f"^{_UNSIGNED}(B|kB|KiB|MB|MiB|GB|GiB)$", "Memory of a server at most, like 256MB."
        ),
        "files": {
            "type": "object",
            "description": "Path in the container: file or directory to copy, beside the file.",
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {"type": "string"},
        },
        "volumes": {
            "type": "array",
            "description": "/path, or name:/path to share it with others of the region.",
            "items": {"type": "string", "pattern": "^([a-z0-9-]+:)?/[^:]+$"},
        },
    }


def _word_list() -> Schema:
    return {"type": "string", "description": "Words as a shell would split them."}


def _services() -> Schema:
    name = {"type": "string", "pattern": _NAME}
    names = {"type": "array", "items": name, "uniqueItems": True}
    what = "Services whose servers in the region are well before an image's container starts."
    return {"description": what, "oneOf": [name, names]}


def _aliases() -> Schema:
    name = _text(r"^(@|[a-z0-9.-]+)$", "Below the zone; @ is the zone's own name.")
    names = {"type": "array", "items": name, "uniqueItems": True}
    return {"description": "Further DNS names.", "oneOf": [name, names]}


def _rule() -> Schema:
    pair = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    }
    properties = {
        "path": _text("^/", "Beginning of the path."),
        "header": pair | {"description": "A header's name and exact value."},
        "cookie": pair | {"description": "A cookie's name and exact value."},
        "to": _text(_NAME, "Another l7 service, whose servers answer."),
        "deny": _integer(400, 599, "HTTP status to refuse with."),
        "redirect": {"type": "string", "description": "Where a 302 sends the client."},
    }
    conditions = [{"required": [key]} for key in ("path", "header", "cookie")]
    actions = [{"required": [key]} for key in ("to", "deny", "redirect")]
    return _object(properties) | {"anyOf": conditions, "oneOf": actions}


def _paths() -> Schema:
    path = _object(path_properties() | {"trace": trace_schema()})
    return {
        "type": "object",
        "description": "a->b is one direction, a..b both.",
        "propertyNames": {"pattern": r"^\S+\s*(->|\.\.)\s*\S+$"},
        "additionalProperties": path,
    }


def _kernel() -> Schema:
    return _object(
        {key: _integer(low, high, f"net.ipv4.{key}") for key, (low, high) in KERNEL.items()}
    )


def _traffic() -> Schema:
    rate = _text(rf"^{_UNSIGNED}/(s|min)$", "Requests of every kind in every city, like 5/s.")
    path = _text("^/", "What HTTP clients ask the first service for; default /.")
    return {
        "description": "The light load that starts with the lab.",
        "oneOf": [{"const": "none"}, _object({"rate": rate, "path": path})],
    }
