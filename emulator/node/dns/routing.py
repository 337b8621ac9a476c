"""From check results to routing: states, events, and the snapshot that answers follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.clock import NS_PER_S, Clock
from emulator.events import Check, Event, Generation, Health
from emulator.node.dns.config import Service
from emulator.node.dns.health import HealthState
from emulator.node.dns.values import Checked, RegionState, Routing, ServiceState

Emit = Callable[[Event], None]


class LiveRouting:
    """The present routing and the states behind it. `emit` gets every event, in order."""

    def __init__(self, server: str, services: Sequence[Service], clock: Clock, emit: Emit) -> None:
        self._server = server
        self._clock = clock
        self._emit = emit
        self._states = {
            (service.name, region): HealthState(service.check.fall, service.check.rise)
            for service in services
            for region in service.regions
        }
        self._live: dict[str, Generation] = {}
        # The clock's seconds as serial: a restarted server does not fall behind its former self.
        serial = clock.now_ns() // NS_PER_S
        self.routing = Routing(serial, {s.name: self._state_of(s) for s in services})

    def take(self, service: Service, region: str, checked: Checked) -> None:
        """A check ended: record it and, where it changes a state, switch the routing."""
        self._emit(
            Check(
                t=checked.start_ns,
                server=self._server,
                service=service.name,
                region=region,
                ok=checked.ok,
                end=checked.end_ns,
                detail=checked.detail,
            )
        )
        before = self._states[service.name, region]
        after = before.after(ok=checked.ok)
        self._states[service.name, region] = after
        if after.state == before.state:
            return
        self._emit(
            Health(
                t=self._clock.now_ns(),
                server=self._server,
                service=service.name,
                region=region,
                state=after.state,
                reason=_reason(before, checked),
            )
        )
        self._switch(service)

    def emit_live(self) -> None:
        """Say again which generation of each service is live, as it was stamped."""
        for generation in self._live.values():
            self._emit(generation)

    def _switch(self, service: Service) -> None:
        states = {region: self._states[service.name, region].state for region in service.regions}
        up = [region for region, state in states.items() if state != "DOWN"]
        serial = max(self.routing.serial + 1, self._clock.now_ns() // NS_PER_S)
        services = {**self.routing.services, service.name: self._state_of(service)}
        self.routing = Routing(serial, services)
        if "UNKNOWN" in states.values():
            return
        live = self._live.get(service.name)
        generation = Generation(
            t=self._clock.now_ns(),
            server=self._server,
            service=service.name,
            number=live.number + 1 if live else 1,
            up=up,
            down=[region for region in states if region not in up],
        )
        self._live[service.name] = generation
        self._emit(generation)

    def _state_of(self, service: Service) -> ServiceState:
        states = {r: RegionState(self._states[service.name, r].state) for r in service.regions}
        return ServiceState(states, service.ttl_s)


def _reason(before: HealthState, checked: Checked) -> str:
    if before.state == "UNKNOWN":
        return f"first check: {checked.detail}"
    count = before.against + 1
    checks = f"{'good' if checked.ok else 'failed'} check{'s' if count > 1 else ''}"
    return f"{count} {checks} in a row, the last: {checked.detail}"
