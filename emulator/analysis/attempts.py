"""Lines of a client of the user's as requests: it is measured as the built-in clients are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.clock import NS_PER_MS
from emulator.events import OWN_CLIENT, Own, Request

# What a line's keys mean here; under any other name it tells a figure of its own.
KEYS = ("ok", "ms", "address", "region", "server", "error", "timeout", "port", "t")
_WORDS = 60  # characters of an error that a table shows
_PORTS = 65_535
_LONGEST_MS = 600_000.0  # that an attempt is believed to have taken


def attempt(line: Own, regions: Mapping[str, str]) -> Request | None:
    """The request that a line tells of; None for one whose `ok` is neither true nor false.

    `regions`: of every service address. Without `ms` the request began when its line was written,
    and nobody knows how long it took: `end` is None. Its number tells nothing, since attempts
    side by side are told of in the order of their ends.
    """
    told = line.told
    is_ok, ms = told.get("ok"), _number(told.get("ms"))
    if not isinstance(is_ok, bool):
        return None
    took_ns = 0 if ms is None else round(ms * NS_PER_MS)
    error = "" if is_ok else " ".join(_text(told, "error").split())[:_WORDS]
    address, server = _text(told, "address"), _text(told, "server")
    return Request(
        t=line.t - took_ns,
        planned=line.t - took_ns,
        city=line.city,
        client=OWN_CLIENT,
        n=0,
        outcome="ok" if is_ok else "timeout" if _is_timeout(told, error) else "error",
        detail=error,
        end=line.t if ms is not None or not is_ok else None,
        address=address,
        port=_port(told.get("port")),
        region=_region(told, server, address if is_ok else "", regions),
        server=server,
    )


def _is_timeout(told: Mapping[str, Any], error: str) -> bool:
    said = error.lower()
    return told.get("timeout") is True or "timeout" in said or "timed out" in said


def _region(told: Mapping[str, Any], server: str, asked: str, regions: Mapping[str, str]) -> str:
    """That answered: as told, where the lab has such a region; else whose address was asked."""
    known = set(regions.values())
    said = (_text(told, "region"), server.partition("/")[0], regions.get(asked, ""))
    return next((name for name in said if name in known), "")


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    """A time that something took; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _LONGEST_MS else None


def _port(value: object) -> int:
    is_port = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _PORTS
    return int(value) if is_port and isinstance(value, int) else 0
