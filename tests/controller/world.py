"""A lab in memory that behaves: hosts with daemons, probes, lookups, traffic, and a clock that
moves only when somebody sleeps."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from emulator.clock import NS_PER_S, ManualClock
from emulator.controller.lab import Lab, bring_up
from emulator.engine.base import ContainerHandle, ContainerState
from emulator.engine.fake import FakeEngine
from emulator.errors import HostSilent
from emulator.events import Daemon, Generation, Lookup, Proxy, Request, Schedule
from emulator.plan.model import HostSpec, Plan
from emulator.wan.base import Event
from emulator.wan.fake import FakeWan
from tests.plan.worlds import host_of, two_region

IMAGE = "netemu/node:test"
WALL_NS = 1_700_000_000_300_000_000  # the wall clock less the lab's
LATER = ("send", "kill", "start")  # what a frozen host still does once it wakes


def silent_progress(stage: str, done: float | None) -> None: ...


class World:
    """Everything that a controller touches. `broken`: from now on requests fail."""

    def __init__(self, lab: str = "two-region") -> None:
        self.plan: Plan = two_region(lab)
        self.clock = _TickingClock(self._tick)
        self.wan = _Wan(self.clock, self._answer)
        self.engine = _Engine(self)
        self.daemons: dict[str, dict[str, str]] = {}
        self.draining: set[str] = set()
        self.unwell: set[str] = set()  # servers, as asked from beside them
        self.forced: dict[tuple[str, str, str], str] = {}  # server, service, region -> state
        self.started: list[str] = []  # hosts, in the order in which their daemons were started
        self.rates: dict[str, float] = {}
        self.broken = False
        self.on_time: list[tuple[float, Callable[[], None]]] = []  # after s of traffic: do this
        self.heard: list[Event] = []
        self.is_recorded = False  # then a tick waits until all it said was heard
        self._news = threading.Condition()
        self._sent: Counter[tuple[str, str]] = Counter()
        self._traffic_ns = self._scheduled_ns = 0

    def up(self) -> Lab:
        return bring_up(
            self.plan, self.engine, lambda *_: self.wan, IMAGE, silent_progress, self.clock
        )

    def listen(self, event: Event) -> None:
        """For the recorder's thread."""
        with self._news:
            self.heard.append(event)
            self._news.notify_all()

    def said(self, kind: str) -> list[Event]:
        return [event for event in self.wan.lab.history if event["kind"] == kind]

    def phases(self) -> list[tuple[str, str]]:
        """What was marked of each fault: (how, phase)."""
        return [(event["how"], event["phase"]) for event in self.said("fault")]

    def snapshot(self) -> dict[str, Any]:
        """All that a fault may touch."""
        overlays = self.wan.lab.overlays
        return {
            "hosts": {host.name: self.state(host.name) for host in self.plan.hosts},
            "paths": {path: overlays.effective(path) for path in overlays.paths()},
            "ports": [h.name for h in self.plan.hosts if overlays.is_port_cut(h.name)],
            "draining": sorted(self.draining),
            "forced": dict(self.forced),
        }

    def state(self, host: str) -> str:
        """off, frozen, crashed, partly or alive; off must have left the network as well."""
        container = next(c for c in self.engine.containers(self.plan.lab) if c.host == host)
        if container.state is ContainerState.EXITED:
            return "off" if host not in self.wan.lab.wired else "off but wired"
        if container.state is ContainerState.PAUSED:
            return "frozen"
        assert self.wan.lab.wired[host][1] == container.pid
        runs = {state == "running" for state in self.daemons[host].values()}
        return "partly" if len(runs) > 1 else "alive" if runs == {True} else "crashed"

    def host_began(self, host: str) -> None:
        self.daemons[host] = {}

    def host_died(self, host: str) -> None:
        self.wan.lab.silent.discard(host)
        self.wan.postponed.pop(host, None)
        self.draining.discard(host)
        if host in self.wan.lab.wired:
            self.wan.lab.host_died(host)

    def host_woke(self, host: str) -> None:
        self.wan.lab.silent.discard(host)
        for op, arguments in self.wan.postponed.pop(host, []):
            self._answer(host, op, arguments)

    def _answer(self, host: str, op: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if op == "configure":
            self.daemons[host] = {d["name"]: "stopped" for d in arguments["daemons"]}
        elif op == "start":
            self._start(host_of(self.plan, host))
        elif op == "kill":
            chosen = arguments.get("daemons", list(self.daemons[host]))
            self.daemons[host] |= dict.fromkeys(chosen, "ended")
            self.draining.discard(host)
            return {"t": self.clock.now_ns()}
        elif op == "send" and self.daemons[host][arguments["daemon"]] != "running":
            raise ValueError(f"{arguments['daemon']} does not run")
        elif op == "send":
            self._obey(host_of(self.plan, host), json.loads(arguments["line"]))
        elif op == "probe_report":
            return {"minimum_ns": self._probed(host_of(self.plan, host).site)}
        elif op == "run":
            asks_for_clocks = arguments["argv"][0] == "python3"
            return {"rc": 0, "out": f"{WALL_NS}\n" if asks_for_clocks else "", "err": ""}
        elif op == "well":
            return {"is_well": host not in self.unwell}
        elif op == "status":
            return {"daemons": dict(self.daemons[host])}
        return {}

    def _start(self, host: HostSpec) -> None:
        self.started.append(host.name)
        self.daemons[host.name] = dict.fromkeys(self.daemons[host.name], "running")
        now = self.clock.now_ns()
        if host.role == "server":
            self._say(Daemon(t=now, host=host.name, name="app", state="listening"))
        for service in self.plan.services:
            if host.role == "edge":
                for server in service.servers.get(host.site, ()):
                    self._say(Proxy(t=now, region=host.site, service=service.name,
                                    server=server, state="UP"))  # fmt: skip
            elif host.role == "ns":
                self._say_routing(host.site, service.name)

    def _say_routing(self, server: str, service: str) -> None:
        regions = list(next(s for s in self.plan.services if s.name == service).addresses)
        forced = {
            r: state for (s, n, r), state in self.forced.items() if (s, n) == (server, service)
        }
        self._say(Generation(t=self.clock.now_ns(), server=server, service=service, number=1,
                             up=regions, down=[], forced=forced))  # fmt: skip

    def _force(self, server: str, command: dict[str, Any]) -> None:
        """Held by a file of its own: a name server that died holds it still."""
        for service in self.plan.services:
            if command["service"] in (None, service.name):
                place = (server, service.name, command["region"])
                self.forced.pop(place, None)
                if command["state"] != "auto":
                    self.forced[place] = command["state"]
                self._say_routing(server, service.name)

    def _obey(self, host: HostSpec, command: dict[str, Any]) -> None:
        now = self.clock.now_ns()
        if command["op"] == "lookup":
            self._say(Lookup(t=now, city=host.site, name="www.shop.test", rcode="NOERROR",
                             addresses=["198.18.1.1"], ttl=5, ms=1.0))  # fmt: skip
        elif command["op"] == "traffic":
            self.rates = {kind: load["rate"] for kind, load in command["loads"].items()}
            self.is_recorded, self._traffic_ns = True, now
        elif command["op"] == "stop":
            self.rates, self.is_recorded = {}, False
        elif command["op"] == "drain":
            self.draining.add(host.name)
        elif command["op"] == "undrain":
            self.draining.discard(host.name)
        elif command["op"] == "force":
            self._force(host.name, command)

    def _probed(self, target: str) -> dict[str, int]:
        numbers = {site.name: site.number for site in self.plan.sites}
        paths = {
            site.wan_address: self.wan.lab.overlays.effective((site.number, numbers[target]))
            for site in self.plan.sites
            if site.name != target
        }
        return {address: path.delay_ns for address, path in paths.items() if not path.cut}

    def _tick(self) -> None:
        now = self.clock.now_ns()
        for after_s, act in tuple(self.on_time):
            if self.rates and now >= self._traffic_ns + after_s * NS_PER_S:
                self.on_time.remove((after_s, act))
                act()
        for city, regions in self.plan.preferred.items():
            for kind in self.rates:
                self._say(Request(
                    t=now - NS_PER_S // 10, planned=now - NS_PER_S // 10, end=now, city=city,
                    client=kind, n=self._sent[city, kind], region=regions[0],
                    outcome="timeout" if self.broken else "ok", detail="connect" * self.broken,
                ))  # fmt: skip
                self._sent[city, kind] += 1
            if now >= self._scheduled_ns + NS_PER_S:
                self._say(Schedule(t=now, city=city, planned=1, started=1, late=0,
                                   late_ms_max=0.0, in_flight=0))  # fmt: skip
        if now >= self._scheduled_ns + NS_PER_S:
            self._scheduled_ns = now
        if self.is_recorded:
            newest = len(self.wan.lab.history) - 1
            with self._news:
                assert self._news.wait_for(
                    lambda: any(e["seq"] >= newest for e in self.heard[-9:]), timeout=5
                )

    def _say(self, event: Any) -> None:
        self.wan.lab.push(event.to_json())


class _TickingClock(ManualClock):
    def __init__(self, tick: Callable[[], None]) -> None:
        super().__init__(1000 * NS_PER_S)
        self._tick = tick

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._tick()


class _Wan(FakeWan):
    """A frozen host's control socket takes in what it is told; it acts when it wakes."""

    def __init__(self, clock: ManualClock, respond: Any) -> None:
        super().__init__(clock, respond)
        self.postponed: dict[str, list[tuple[str, dict[str, Any]]]] = {}

    def host(self, host: str, op: str, timeout_s: float = 5.0, **arguments: Any) -> dict[str, Any]:
        try:
            return super().host(host, op, timeout_s, **arguments)
        except HostSilent:
            if op in LATER:
                self.postponed.setdefault(host, []).append((op, arguments))
            raise


class _Engine(FakeEngine):
    """Its containers are the world's hosts."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def start(self, lab: str, host: str) -> ContainerHandle:
        was_on = any(c.host == host and c.pid for c in self.containers(lab))
        handle = super().start(lab, host)
        if not was_on:
            self._world.host_began(host)
        return handle

    def kill(self, lab: str, host: str) -> None:
        super().kill(lab, host)
        self._world.host_died(host)

    def pause(self, lab: str, host: str) -> None:
        super().pause(lab, host)
        self._world.wan.lab.silent.add(host)

    def resume(self, lab: str, host: str) -> None:
        super().resume(lab, host)
        self._world.host_woke(host)
