"""Servers seen well from beside them, and who may start because of that.

Their hosts ask what the balancer's check asks, every 50 to 200 ms instead of every second, so a
lab is not kept waiting for the next check. The balancer is told, and its own next check decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable

from emulator.clock import NS_PER_S, Clock
from emulator.plan.model import Plan
from emulator.plan.own import check_of, own_name, patience_s
from emulator.wan.base import Wan

WAIT_S = 0.25  # so long a host goes on asking before it answers that its server is not well
ANSWER_S = 5.0
POLL_S = 0.05


def seen_well(plan: Plan, wan: Wan, servers: Collection[str]) -> set[str]:
    """Which of them are; what cannot be asked is not. Takes `WAIT_S` unless all are."""
    questions = {server: {**check_of(plan, server), "wait_s": WAIT_S} for server in servers}
    answers = wan.hosts({s: ("well", q) for s, q in questions.items()}, WAIT_S + ANSWER_S)
    return {server for server, answer in answers.items() if answer.get("is_well")}


def vouch(plan: Plan, wan: Wan, servers: Collection[str]) -> None:
    """Tell their balancers. One that cannot be told sees for itself."""
    edges = {host.site: host.name for host in plan.hosts if host.role == "edge"}
    by_edge: dict[str, list[str]] = {}
    for server in sorted(servers):
        region, _, name = server.partition("/")
        by_edge.setdefault(edges[region], []).append(name)
    lines = {edge: json.dumps({"op": "vouch", "servers": s}) for edge, s in by_edge.items()}
    wan.hosts({e: ("send", {"daemon": "edge", "line": line}) for e, line in lines.items()})


class Starts:
    """Containers of the user's on these hosts, each started once the servers among them that it
    waits for are well. Those elsewhere may be broken for good: nobody waits for them."""

    def __init__(
        self, plan: Plan, hosts: Iterable[str], start: Callable[[list[str]], None]
    ) -> None:
        """`start`: what to do with the names of containers whose time has come."""
        self._plan, self._start = plan, start
        among = set(hosts)
        self.well: set[str] = set()
        self.waiting = {
            host.name: among.intersection(host.own.waits_for)
            for host in plan.hosts
            if host.own is not None and host.name in among
        }

    def go_on(self) -> None:
        """Start whoever need not wait any more."""
        free = [host for host, needed in self.waiting.items() if needed <= self.well]
        for host in free:
            del self.waiting[host]
        self._start([own_name(host) for host in free])

    def look(self, wan: Wan, servers: Iterable[str] = ()) -> set[str]:
        """Ask those that somebody waits for, and these, as far as they were started and were not
        seen well before; who is well now."""
        needed = {server for needed in self.waiting.values() for server in needed}
        asked = needed.union(servers) - self.well - self.waiting.keys()
        found = seen_well(self._plan, wan, asked)
        self.well |= found
        return found

    def finish(self, wan: Wan, clock: Clock) -> None:
        """Start them all, in order; after their patience also those that wait in vain."""
        self.go_on()
        deadline = clock.now_ns() + round(patience_s(self._plan) * NS_PER_S)
        while self.waiting and clock.now_ns() < deadline:
            self.look(wan)
            self.go_on()
            clock.sleep(POLL_S)
        self._start([own_name(host) for host in self.waiting])
