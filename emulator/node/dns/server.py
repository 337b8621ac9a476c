"""The shell around the pure core: sockets, checks, orders and pages, on one loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from emulator.clock import NS_PER_S, Clock
from emulator.events import Event
from emulator.node.dns import admin
from emulator.node.dns.answers import Answers
from emulator.node.dns.authority import Authority, Draws
from emulator.node.dns.commands import follow_commands
from emulator.node.dns.config import Config, Service
from emulator.node.dns.explain import Asking, explain_answer
from emulator.node.dns.message import respond
from emulator.node.dns.metrics import Counts, Families, exposition, make_registry
from emulator.node.dns.options import SECRET_BYTES
from emulator.node.dns.orders import Orders
from emulator.node.dns.quorum import OWN
from emulator.node.dns.reports import Reports, hear_reports
from emulator.node.dns.routing import Emit, LiveRouting
from emulator.node.dns.schedules import Checks
from emulator.node.dns.sockets import bind
from emulator.node.dns.tcp import Streams
from emulator.node.dns.udp import Datagrams
from emulator.node.dns.values import Checked
from emulator.node.dns.zone import parse_name

NAMES_TOLD = 500  # characters of them, to whom asks for another

log = logging.getLogger(__name__)


class Alarm:
    """Wakes the routing when time alone changes it. Set it after every change."""

    def __init__(self, live: LiveRouting, clock: Clock) -> None:
        self._loop = asyncio.get_running_loop()
        self._live = live
        self._clock = clock
        self._waiting: asyncio.TimerHandle | None = None

    def set(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
        due = self._live.next_change_ns()
        if due is not None:
            after_s = (due - self._clock.now_ns()) / NS_PER_S
            self._waiting = self._loop.call_later(max(0.0, after_s), self._ring)

    def _ring(self) -> None:
        self._live.advance()
        self.set()


class NameServer:
    """All of one server but its sockets. ValueError: the configuration makes no sense."""

    def __init__(self, config: Config, clock: Clock, emit: Emit) -> None:
        self._config = config
        self._clock = clock
        self._emit = emit
        self.counts = Counts(clock)
        self.live = LiveRouting(config.server, config.services, clock, self._hear)
        secret = os.urandom(SECRET_BYTES)
        self._authority = Authority.of(config, self.live.routing, secret, time.time)
        find = self._authority.askers.find
        self.over_udp = Answers("udp", self.authority, find, self.counts, respond)
        self.over_tcp = Answers("tcp", self.authority, find, self.counts, respond)

    def authority(self) -> Authority:
        """What answers follow now: the same object until the routing or the draws change."""
        if self._authority.routing is not self.live.routing:
            self._authority = replace(self._authority, routing=self.live.routing)
        return self._authority

    def reseed(self, seed: int) -> None:
        """Begin every service's draws anew."""
        self._authority = replace(self._authority, draws=Draws(seed, self._config.server))

    async def run(self, commands: int) -> None:
        """Serve until cancelled. NotReady if an address cannot be listened on."""
        config, live = self._config, self.live
        alarm = Alarm(live, self._clock)

        def take(service: Service, region: str, checked: Checked, checker: str = OWN) -> None:
            live.take(service, region, checked, checker)
            alarm.set()

        live.restore(Path(config.state_file))  # before the first answer
        gc.freeze()  # what was loaded stays: collections that walked it would hold answers up
        udp, tcp = bind(config.listen, config.port)
        streams = Streams(tcp, self.over_tcp, self.counts, config.tcp_idle_s)
        for bound in udp:
            Datagrams(bound, self.over_udp, self.counts)
        await admin.serve(config.admin, self._pages(streams))
        if config.reports:
            reports = Reports(config.services, self._clock, take)
            self.counts.unheard = reports.dropped
            await hear_reports(config.reports, reports)
        own = [service for service in config.services if not service.checkers]
        checks = Checks(own, self._clock, take)
        orders = Orders(live, checks, self.reseed)

        def obey(line: str) -> None:
            orders.obey(line)
            alarm.set()

        follow_commands(commands, obey)
        alarm.set()
        log.info("%s serves %s on %s", config.server, config.zone, ", ".join(config.listen))
        await checks.run()
        await asyncio.Event().wait()  # where vantage sites make all the checks

    def _hear(self, event: Event) -> None:
        self._emit(event)
        self.counts.take(event)

    def _pages(self, streams: Streams) -> Mapping[str, tuple[str, admin.Page]]:
        families = Families(self.counts, lambda: self.live.routing, self._fold, streams.__len__)
        registry = make_registry(families)
        return {
            "/metrics": (admin.METRICS, lambda _: exposition(registry)),
            "/state": (admin.JSON, lambda _: admin.as_json(self.live.view())),
            "/explain": (admin.JSON, lambda fields: admin.as_json(self._explain(fields))),
        }

    def _explain(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """An Explanation as JSON. KeyError: a field is missing; ValueError: one is wrong."""
        name, source, subnet = fields["name"], fields["source"], fields.get("subnet", "")
        authority = self.authority()
        service = authority.zone.services.get(parse_name(name))
        if service is None:
            known = ", ".join(fqdn for each in self._config.services for fqdn in each.fqdns)
            raise ValueError(f"{name} is no service's name; there are {known[:NAMES_TOLD]}")
        asking = Asking(self._config.server, name, source, subnet)
        routing = authority.routing
        state = routing.services[service.name]
        return asdict(explain_answer(asking, service, state, authority.askers, routing.serial))

    def _fold(self) -> None:
        self.over_udp.fold()
        self.over_tcp.fold()
