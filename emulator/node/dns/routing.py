"""From checks, commands and the clock to the routing that answers follow.

Whatever changes what answers may follow (a verdict, a forced state, a step of a ramp, the TTL) is
a new Routing with a higher serial. What time alone changes, `advance` changes; so answers need
no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emulator.clock import NS_PER_S, Clock
from emulator.events import Check, Event, Forced, Generation, Health
from emulator.node.dns import forced, ramp
from emulator.node.dns.config import Service
from emulator.node.dns.forced import Forcing, Key
from emulator.node.dns.quorum import OWN, RegionHealth
from emulator.node.dns.state import service_view
from emulator.node.dns.values import Checked, RegionState, Routing, ServiceState
from emulator.steering import ForcedState

Emit = Callable[[Event], None]

_FORCED_WORDS = {"down": "is forced down", "up": "is forced up", "drain": "is being drained"}


class LiveRouting:
    """The present `routing` and the states behind it. `emit` gets every event, in order: Check,
    Health (the verdict changed), Forced, and last the Generation that is then live. There is no
    Generation of a service before each of its regions has a verdict."""

    def __init__(self, server: str, services: Sequence[Service], clock: Clock, emit: Emit) -> None:
        self._server = server
        self._clock = clock
        self._emit = emit
        self._services = {service.name: service for service in services}
        self._health = {s.name: {r: RegionHealth.of(s) for r in s.regions} for s in services}
        self._forced: dict[Key, Forcing] = {}
        self._ramps: dict[Key, int] = {}  # when each began
        self._live: dict[str, Generation] = {}
        self._due: dict[str, int] = {}  # service -> when time alone may change it
        self._keep: Callable[[], None] = lambda: None
        # The clock's seconds as serial: a restarted server does not fall behind its former self.
        now = clock.now_ns()
        self.routing = Routing(now // NS_PER_S, {s.name: self._state_of(s, now) for s in services})

    def take(self, service: Service, region: str, checked: Checked, checker: str = OWN) -> None:
        """A check ended, the server's own or that of a vantage site: record it and, where it
        changes something, switch the routing. KeyError: none that this service's health is asked
        of."""
        now = self._clock.now_ns()
        self._advance(now)
        before = self._health[service.name][region]
        after = before.after(checker, checked, now)
        self._emit(
            Check(
                t=checked.start_ns,
                server=self._server,
                service=service.name,
                region=region,
                ok=checked.ok,
                end=checked.end_ns,
                detail=checked.detail,
                checker=checker,
            )
        )
        self._believe(service, region, after)
        if after.bearing(now) != before.bearing(now):
            self._refresh(service, now)

    def force(
        self,
        region: str,
        service: str | None,
        state: ForcedState | None,
        until_ns: int | None = None,
        reason: str = "told",
    ) -> None:
        """Hold a region for down, up or drained until an instant of the clock (None: until told
        otherwise), for one service or for all that have it; `state` None: its checks decide
        again. ValueError says what is not there, or why the end cannot be."""
        now = self._clock.now_ns()
        if state and until_ns is not None and not now < until_ns <= now + forced.UNTIL_MAX_NS:
            raise ValueError("a forced state ends in the future, in 30 days at most")
        services = self._having(region, service)
        self._advance(now)
        for each in services:
            self._hold((each.name, region), Forcing(state, until_ns) if state else None, reason)
        self._keep()
        for each in services:
            self._refresh(each, now)

    def restore(self, file: Path, boot: str | None = None) -> None:
        """Hold what `file` says was forced before a restart, and keep it there from now on.
        `boot`: the kernel's boot id, for tests."""
        boot = forced.this_boot() if boot is None else boot
        now = self._clock.now_ns()
        for (name, region), forcing in forced.load(file, boot, now).items():
            if name not in self._services or region not in self._services[name].regions:
                continue
            is_over = forcing.until_ns is not None and forcing.until_ns <= now
            why = "expired" if is_over else "restored after a restart"
            self._hold((name, region), None if is_over else forcing, why)
        self._keep = lambda: forced.store(file, self._forced, boot)
        self._keep()
        for service in self._services.values():
            self._refresh(service, now)

    def next_change_ns(self) -> int | None:
        """When `advance` is due; None: no change comes by time alone. It moves with every call of
        the others."""
        return min(self._due.values(), default=None)

    def advance(self) -> None:
        """Do what time alone has made due: an end of a forced state or of a hold-down, a step of a
        ramp, an opinion that grew stale."""
        self._advance(self._clock.now_ns())

    def emit_live(self) -> None:
        """Say again which generation of each service is live, as it was stamped."""
        for generation in self._live.values():
            self._emit(generation)

    def view(self) -> dict[str, Any]:
        """All of it as JSON; instants are ns of the clock, whose present one is `t`."""
        services = {
            name: service_view(self.routing.services[name], self._health[name], self._untils(name))
            | {"serial": self._live[name].serial if name in self._live else self.routing.serial}
            for name in self._services
        }
        return {
            "server": self._server,
            "t": self._clock.now_ns(),
            "serial": self.routing.serial,
            "services": services,
        }

    def _advance(self, now: int) -> None:
        for name in [name for name, due in self._due.items() if due <= now]:
            service = self._services[name]
            for region, health in self._health[name].items():
                self._believe(service, region, health.at(now))
                until = self._untils(name).get(region)
                if until is not None and until <= now:
                    self._hold((name, region), None, "expired")
                    self._keep()
            self._refresh(service, now)

    def _believe(self, service: Service, region: str, after: RegionHealth) -> None:
        before = self._health[service.name][region]
        self._health[service.name][region] = after
        if after.state == before.state:
            return
        self._ramps.pop((service.name, region), None)
        if before.state == "DOWN" and service.ramp_s:
            self._ramps[service.name, region] = after.since_ns
        self._emit(
            Health(
                t=after.since_ns,
                server=self._server,
                service=service.name,
                region=region,
                state=after.state,
                reason=after.reason,
            )
        )

    def _hold(self, key: Key, forcing: Forcing | None, reason: str) -> None:
        self._forced.pop(key, None)
        if forcing:
            self._forced[key] = forcing
        self._emit(
            Forced(
                t=self._clock.now_ns(),
                server=self._server,
                service=key[0],
                region=key[1],
                state=forcing.state if forcing else "auto",
                until=forcing.until_ns if forcing else None,
                reason=reason,
            )
        )

    def _refresh(self, service: Service, now: int) -> None:
        self._plan(service, now)
        state = self._state_of(service, now)
        if state == self.routing.services[service.name]:
            return
        serial = max(self.routing.serial + 1, now // NS_PER_S)
        self.routing = Routing(serial, {**self.routing.services, service.name: state})
        if all(region.health != "UNKNOWN" for region in state.regions.values()):
            self._announce(service.name, state)

    def _announce(self, name: str, state: ServiceState) -> None:
        live = self._live.get(name)
        regions = state.regions.items()
        generation = Generation(
            t=self._clock.now_ns(),
            server=self._server,
            service=name,
            number=live.number + 1 if live else 1,
            up=[region for region, is_in in regions if is_in.is_offered],
            down=[region for region, is_in in regions if not is_in.is_offered],
            forced={region: is_in.forced for region, is_in in regions if is_in.forced},
            real={region: is_in.health for region, is_in in regions},
            ramping={region: is_in.share for region, is_in in regions if is_in.share < 1},
            ttl=state.ttl_s,
            serial=self.routing.serial,
        )
        self._live[name] = generation
        self._emit(generation)

    def _plan(self, service: Service, now: int) -> None:
        keys = [(service.name, region) for region in service.regions]
        ramps = [self._ramps[key] for key in keys if key in self._ramps]
        dues = [
            *(health.due_ns(now) for health in self._health[service.name].values()),
            *(
                ramp.next_step_ns(began, service.ramp_s, now)
                for began in ramps
                if began is not None
            ),
            *self._untils(service.name).values(),
        ]
        self._due.pop(service.name, None)
        if known := [due for due in dues if due is not None]:
            self._due[service.name] = min(known)

    def _state_of(self, service: Service, now: int) -> ServiceState:
        health = self._health[service.name]
        regions = {region: self._region_state(service, region, now) for region in service.regions}
        if service.degraded_ttl_s is None:
            return ServiceState(regions, service.ttl_s)
        unwell = [
            f"{region} {why}"
            for region, state in regions.items()
            if (why := _unwell(state, is_suspect=health[region].is_suspect(now)))
        ]
        if not unwell:
            return ServiceState(regions, service.ttl_s)
        return ServiceState(regions, service.degraded_ttl_s, f"while degraded: {', '.join(unwell)}")

    def _region_state(self, service: Service, region: str, now: int) -> RegionState:
        key = service.name, region
        health = self._health[service.name][region].state
        if key in self._forced:
            return RegionState(health, self._forced[key].state)
        began = self._ramps.get(key)
        share = 1.0 if began is None else ramp.share(began, service.ramp_s, now)
        return RegionState(health, share=share)

    def _untils(self, name: str) -> dict[str, int | None]:
        """The ends of this service's forced states, by region."""
        return {
            region: forcing.until_ns
            for (service, region), forcing in self._forced.items()
            if service == name
        }

    def _having(self, region: str, service: str | None) -> list[Service]:
        if service is not None and service not in self._services:
            raise ValueError(f"no service is called {service}; there are {_list(self._services)}")
        named = [self._services[service]] if service is not None else self._services.values()
        having = [each for each in named if region in each.regions]
        if not having:
            there = dict.fromkeys(r for each in named for r in each.regions)
            whose = service if service is not None else "no service"
            verb = "has no region" if service is not None else "has a region"
            raise ValueError(f"{whose} {verb} {region}; there are {_list(there)}")
        return having


def _unwell(state: RegionState, *, is_suspect: bool) -> str:
    if state.forced:
        return _FORCED_WORDS[state.forced]
    if state.health == "DOWN":
        return "is DOWN"
    if state.share < 1:
        return "is ramping up"
    return "failed its latest check" if is_suspect else ""


def _list(names: dict[str, Any]) -> str:
    return ", ".join(names)
