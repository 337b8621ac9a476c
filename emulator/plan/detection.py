"""When name servers come to know that a region is gone.

Checks keep their schedule, so the `fall`-th bad one begins `fall * interval` after the last good
one, and ends after its timeout where the region is silent, after a round trip where its kernel
refuses, after more where it answers 503. Failures that need not be in a row (`clear`) are as many.

Where other sites check, a name server hears of it a one-way delay later, and has heard enough when
no more than `quorum` of those with a fresh opinion say UP. What says UP at the latest is a vantage
in the lost region itself: unheard, its last opinion counts until it is no longer fresh.

There are checks that never fail: of TCP alone, where a frozen host's kernel completes handshakes,
and where a drained region still accepts. And where nobody but the lost region itself checks, nobody
can say that it is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from emulator.plan.model import Plan, ServiceSpec

TripsS = Mapping[tuple[str, str], float]
# Round trips until a good answer has left the region, less the half that brings the question: TCP's
# handshake, the request; TLS 1.3 has one more, an older one two.
_ROUND_TRIPS = {"tcp": 1, "http": 2, "https": 4}


def answers_after_s(service: ServiceSpec, rtt_s: float) -> float:
    """From the begin of a check until what proves the region to live has left it."""
    return (_ROUND_TRIPS[service.dns.health_check.kind] - 0.5) * rtt_s


def failed_check_s(fault: str, service: ServiceSpec, rtt_s: float) -> float:
    """How long a bad check takes: a refusal is one round trip away, an answer more, and silence
    lasts for the timeout."""
    answer_s = _ROUND_TRIPS[service.dns.health_check.kind] * rtt_s
    lasts_s = {"crash": rtt_s, "drain": answer_s}.get(fault, service.timeout_s)
    return min(lasts_s, service.timeout_s)


def can_fail(fault: str, service: ServiceSpec, region: str) -> bool:
    """Whether any check shows this fault of the whole region to anybody."""
    if service.dns.health_check.kind == "tcp" and fault in {"freeze", "drain"}:
        return False
    return fault == "drain" or any(site != region for site in service.checkers)


def has_vantages(service: ServiceSpec) -> bool:
    """Whether sites check for the name servers."""
    return bool(service.dns.health_check.checkers)


def fresh_s(service: ServiceSpec) -> float:
    """How long a vantage's opinion counts after the check that it rests on."""
    return 2 * service.interval_s + service.timeout_s


def detection_s(
    plan: Plan, trips_s: TripsS, fault: str, region: str, servers: tuple[str, ...]
) -> float:
    """The longest that one of these name servers takes to mark the first service's region DOWN;
    of a fault that can be seen."""
    service = plan.services[0]
    falls_s = service.fall * service.interval_s
    if not has_vantages(service):
        return falls_s + max(failed_check_s(fault, service, trips_s[s, region]) for s in servers)
    heard = [
        falls_s + failed_check_s(fault, service, trips_s[site, region]) + trips_s[site, server] / 2
        for site in service.checkers
        for server in servers
        if site != region or fault == "drain"
    ]
    own = [fresh_s(service) + trips_s[region, server] / 2 for server in servers]
    return max(heard + own) if region in service.checkers and fault != "drain" else max(heard)
