"""`clients.CITY.resolver`: whom a city's clients ask, and how their recursive resolver is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emulator.errors import suggest
from emulator.scalars import choice, duration, whole_seconds
from emulator.topology.model import Resolver
from emulator.units import show_duration
from emulator.yamlfile import Entry, Fields

_YES_NO = choice("yes", "no")
_STALE_KEYS = ("serve_expired_ttl", "serve_expired_client_timeout")
# Unbound's own defaults differ: 1.22 serves stale answers at once and for ever, later versions
# after 1.8 s and for a day, as RFC 8767 advises. So they are always written.
_STALE: Mapping[str, str] = {"serve-expired-ttl": "86400", "serve-expired-client-timeout": "1800"}


def _seconds(low: str, high: str) -> Callable[[str], str]:
    convert = whole_seconds(low, high)
    return lambda text: str(convert(text))


def _milliseconds(text: str) -> str:
    value_ms = duration("0s", "10s")(text) * 1e3
    if value_ms != round(value_ms):
        raise ValueError(f"{text!r} is not in whole milliseconds; write for example 1800ms")
    return str(round(value_ms))


# By key of the file: the value as unbound.conf(5) wants it.
_SETTINGS: Mapping[str, Callable[[str], str]] = {
    "cache_min_ttl": _seconds("0s", "24h"),
    "cache_max_ttl": _seconds("1s", "24h"),
    "serve_expired": _YES_NO,
    "serve_expired_ttl": _seconds("0s", "168h"),  # 0: no limit
    "serve_expired_client_timeout": _milliseconds,  # 0: a stale answer comes at once
    "prefetch": _YES_NO,
    "qname_minimisation": _YES_NO,
    "use_caps_for_id": _YES_NO,
}
RESOLVER_KEYS = ("kind", "at", "ecs", *_SETTINGS)


def read_resolver(entry: Entry | None) -> Resolver:
    """One city's; that of another city, `at`, is checked by `check_resolvers`."""
    if entry is None:
        return Resolver()
    if not entry.is_mapping():
        return entry.value(_word, Resolver())
    fields = entry.fields(RESOLVER_KEYS)
    at = fields.get("at")
    if at is not None:
        for key in [key for key in fields.members if key != "at"]:
            what = f"{key} is set where that resolver is, not beside at"
            fields.members[key].problem(what, "leave it out here")
        return Resolver(at=at.value(_as_written, ""))
    fields.value("kind", choice("unbound"), "unbound")
    ecs = fields.value("ecs", _YES_NO, "no") == "yes"
    resolver = Resolver(ecs=ecs, settings=_read_settings(fields))
    _check_settings(fields, resolver)
    return resolver


def _word(text: str) -> Resolver:
    if choice("none", "unbound")(text) == "none":
        return Resolver(kind="none")
    return Resolver()


def _as_written(text: str) -> str:
    return text


def _read_settings(fields: Fields) -> dict[str, str]:
    settings = {
        key.replace("_", "-"): fields.value(key, convert, "")
        for key, convert in _SETTINGS.items()
        if key in fields
    }
    return {**_STALE, **settings} if settings.get("serve-expired") == "yes" else settings


def _check_settings(fields: Fields, resolver: Resolver) -> None:
    settings = resolver.settings
    is_stale = settings.get("serve-expired") == "yes"
    for key in _STALE_KEYS:
        if key in fields and not is_stale:
            fields.members[key].problem(f"{key} without serve_expired", "add serve_expired: yes")
    least, most = (settings.get(key, "") for key in ("cache-min-ttl", "cache-max-ttl"))
    if least and most and int(least) > int(most):
        what = f"cache_min_ttl is above cache_max_ttl ({show_duration(int(most))})"
        fields.members["cache_min_ttl"].problem(what, "make it as short or shorter")
    for key in ("serve_expired", "prefetch"):
        if resolver.ecs and settings.get(key.replace("_", "-")) == "yes":
            what = f"{key} does nothing beside ecs: Unbound keeps such answers apart"
            fields.members[key].problem(what, "leave one of them out")


def check_resolvers(written: Mapping[str, Entry], resolvers: Mapping[str, Resolver]) -> None:
    """Every `at` is another city that runs a resolver. `written`: the cities of the file."""
    hosts = [name for name, it in resolvers.items() if not it.at and it.kind != "none"]
    for name, resolver in resolvers.items():
        if not resolver.at:
            continue
        where = written[name].named()["resolver"].named()["at"]
        others = [host for host in hosts if host != name]
        options = f"cities with one: {', '.join(others)}" if others else "give one of them its own"
        if resolver.at == name:
            where.problem(f"{name} cannot be at itself", "leave resolver out: it has its own")
        elif resolver.at not in resolvers:
            hint = suggest(resolver.at, others) or options
            where.problem(f"no city is called {resolver.at!r}", hint)
        elif resolver.at not in hosts:
            where.problem(f"{resolver.at} has no resolver of its own", options)


def resolver_schema() -> dict[str, Any]:
    """JSON Schema of one city's `resolver`."""
    yes_no = {"enum": ["yes", "no", True, False]}  # as YAML 1.1 and 1.2 read it
    seconds = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(s|m|min|h|ms|us|ns)$"}
    settings = {
        key: yes_no if convert is _YES_NO else seconds for key, convert in _SETTINGS.items()
    }
    own = {"kind": {"const": "unbound"}, "ecs": yes_no, **settings}
    at = {"at": {"type": "string", "description": "The city whose resolver it is."}}
    return {
        "description": "Whom clients ask: the city's Unbound, so set; another city's; or none.",
        "oneOf": [
            {"enum": ["none", "unbound"]},
            {"type": "object", "properties": own, "additionalProperties": False},
            {"type": "object", "properties": at, "additionalProperties": False, "required": ["at"]},
        ],
    }
