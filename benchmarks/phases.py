"""The worst phase of a failover is made, not waited for.

Worst is: the fault comes just after a good check of every name server, and the resolver fetches
the old answer for the last time just before they switch. At 200 requests/s a resolver fetches at
the beginning of a second of its clock (Unbound counts whole ones) and then every TTL. A check
that begins at phase p of that second makes a silent region DOWN at phase p of a later one. So each
name server is restarted, again and again, until its checks begin just after a fetch would arrive.
"""

from __future__ import annotations

import time

from benchmarks.labs import wait_for
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.lab import Lab
from emulator.controller.ready import missing_generations
from emulator.errors import Inconclusive
from emulator.events import Answer, Check
from emulator.plan.paths import round_trips_s

EARLIEST_NS, LATEST_NS = 20 * NS_PER_MS, 150 * NS_PER_MS  # of a check after a fetch's arrival
TRIES = 25
_CHECKS_S = 5.0
_SOON_S = 0.005


def place_checks(lab: Lab, history: History, city: str, region: str) -> None:
    """Restart name servers until every one checks `region` just after `city`'s resolver fetches.
    Raises Inconclusive when this machine is too busy for that."""
    for server in (site.name for site in lab.plan.sites if site.kind == "dns"):
        _place(lab, history, city, region, server)
    wait_for(lambda: not missing_generations(lab.plan, lab.wan), 20, "every region UP again")


def _place(lab: Lab, history: History, city: str, region: str, server: str) -> None:
    start_up_ns = 250 * NS_PER_MS  # a first guess: how long after its start a server checks
    middle = (EARLIEST_NS + LATEST_NS) // 2
    for _ in range(TRIES):
        phase = after_fetch_ns(lab, history, city, _next_check(lab, history, server, region))
        if EARLIEST_NS <= phase <= LATEST_NS:
            return
        lab.wan.host(server, "kill")
        wait_ns = after_fetch_ns(lab, history, city, _checked_at(lab, server))
        late_ns = wait_ns + start_up_ns - middle
        time.sleep((NS_PER_S - late_ns) % NS_PER_S / NS_PER_S)
        began = lab.wan.now_ns()
        lab.wan.host(server, "start")
        start_up_ns = _next_check(lab, history, server, region).t - began
    raise Inconclusive(f"{server}'s checks could not be placed in {TRIES} tries; too busy here")


def _checked_at(lab: Lab, server: str) -> Check:
    """A check that would begin now."""
    return Check(t=lab.wan.now_ns(), server=server, service="", region="", ok=True, end=0)


def _next_check(lab: Lab, history: History, server: str, region: str) -> Check:
    now = lab.wan.now_ns()
    return checks_after(history, now, region, [server])[server]


def checks_after(history: History, since: int, region: str, servers: list[str]) -> dict[str, Check]:
    """The first check of `region` by each of `servers` that begins after `since`, once ended."""
    found: dict[str, Check] = {}

    def complete() -> bool:
        for check in history.checks[-40:]:
            if check.t > since and check.region == region and check.server in servers:
                found.setdefault(check.server, check)
        return len(found) == len(servers)

    what = f"a check of {region} by {', '.join(servers)}"
    wait_for(complete, _CHECKS_S, what, poll_s=_SOON_S)
    return found


def after_fetch_ns(lab: Lab, history: History, city: str, check: Check) -> int:
    """How long after the resolver's fetch would have reached this server its check begins, within
    one second."""
    trip_ns = trips_ns(lab, city)
    arrival = second_ns(lab, history, city) + trip_ns[check.server] // 2
    return (check.t - arrival) % NS_PER_S


def second_ns(lab: Lab, history: History, city: str) -> int:
    """Where the seconds of the resolver's clock begin (ns, 0 to 1 s): the earliest of its last
    fetches, which come within a request's gap of it."""
    fetched = [fetched_ns(lab, answer) for answer in history.answers[city][1:][-6:]]
    if not fetched:
        raise Inconclusive(f"{city}'s resolver has fetched only once yet, at a random moment")
    reference = fetched[-1]
    half = NS_PER_S // 2
    return (reference + min((t - reference + half) % NS_PER_S - half for t in fetched)) % NS_PER_S


def fetched_ns(lab: Lab, answer: Answer) -> int:
    """When the question to this answer left the resolver."""
    return answer.t - trips_ns(lab, answer.target)[answer.source]


def trips_ns(lab: Lab, city: str) -> dict[str, int]:
    """Round-trip time from a city to every other site."""
    found = round_trips_s(lab.plan.paths)
    return {b: round(s * NS_PER_S) for (a, b), s in found.items() if a == city}
