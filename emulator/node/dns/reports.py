"""What a vantage site saw, told to the name servers: one UDP datagram of JSON a check.

    {"checker": "paris", "service": "www", "region": "us-east", "ok": true,
     "start": NS, "end": NS, "detail": "HTTP 200"}

Nothing acknowledges it: what is lost on the way is one check that was not heard of, and a site
that is cut off is no longer counted once its last opinion is stale.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from emulator.clock import Clock
from emulator.errors import NotReady
from emulator.node.dns.config import Endpoint, Service
from emulator.node.dns.values import Checked

SIZE_MAX = 2048  # bytes of a datagram; the longest detail is a kernel's error message
DETAIL_MAX = 200  # characters

Take = Callable[[Service, str, Checked, str], None]  # service, region, outcome, checker

_FIELDS = {
    "checker": str, "service": str, "region": str, "ok": bool, "start": int, "end": int,
    "detail": str,
}  # fmt: skip


class Unheard(ValueError):
    """A datagram that is no report, or none for here; the words are few and the same each time."""


def encode_report(checker: str, service: str, region: str, checked: Checked) -> bytes:
    """The datagram of one check."""
    report = {
        "checker": checker,
        "service": service,
        "region": region,
        "ok": checked.ok,
        "start": checked.start_ns,
        "end": checked.end_ns,
        "detail": checked.detail[:DETAIL_MAX],
    }
    return json.dumps(report).encode()


class Reports(asyncio.DatagramProtocol):
    """The name server's ear. Whatever is not exactly a report of a checker that a service names,
    newer than its last and not from the future, is dropped; `dropped` counts why."""

    def __init__(self, services: Sequence[Service], clock: Clock, take: Take) -> None:
        self.dropped: Counter[str] = Counter()
        self._services = {service.name: service for service in services}
        self._clock = clock
        self._take = take
        self._latest: dict[tuple[str, str, str], int] = {}  # start of the last check heard of

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            report = _parse(data)
            service = self._service_of(report)
            self._remember(report)
        except Unheard as reason:
            self.dropped[str(reason)] += 1
            return
        checked = Checked(report["start"], report["end"], report["ok"], report["detail"])
        self._take(service, report["region"], checked, report["checker"])

    def _service_of(self, report: dict[str, Any]) -> Service:
        service = self._services.get(report["service"])
        if service is None:
            raise Unheard("unknown service")
        if report["region"] not in service.regions:
            raise Unheard("unknown region")
        if report["checker"] not in service.checkers:
            raise Unheard("unknown checker")
        return service

    def _remember(self, report: dict[str, Any]) -> None:
        key = report["checker"], report["service"], report["region"]
        if not report["start"] <= report["end"] <= self._clock.now_ns():
            raise Unheard("impossible times")
        if report["start"] <= self._latest.get(key, -1):
            raise Unheard("stale")
        self._latest[key] = report["start"]


async def hear_reports(at: Endpoint, reports: Reports) -> None:
    """Bind `at` in the running loop. NotReady if that cannot be."""
    loop = asyncio.get_running_loop()
    try:
        await loop.create_datagram_endpoint(lambda: reports, local_addr=at)
    except OSError as error:
        raise NotReady(f"cannot hear reports on {at[0]} port {at[1]}: {error.strerror}") from error


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > SIZE_MAX:
        raise Unheard("too long")
    try:
        report = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unheard("no JSON") from error
    if not isinstance(report, dict) or report.keys() != _FIELDS.keys():
        raise Unheard("other fields")
    if any(type(report[name]) is not kind for name, kind in _FIELDS.items()):
        raise Unheard("wrong types")  # also true for 1: JSON's booleans are no numbers
    if len(report["detail"]) > DETAIL_MAX:
        raise Unheard("too long")
    return report
