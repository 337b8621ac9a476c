"""A WAN in memory, for tests of whatever drives one: same memory, same errors, no packets.

`FakeWan(clock)` is a lab with one client; `attach()` gives it another. A test scripts the hosts'
answers with `respond`, makes hosts silent or lets them die, pushes events with `push`, and reads
back `lab.overlays`, `lab.wired` and `lab.calls`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from emulator.clock import Clock
from emulator.errors import HostSilent, WanError
from emulator.impairment import Overlay, Overlays, Pair, Pulse, Trace, Values
from emulator.wan.base import Event, FaultRecord, HostWiring, WanSetup

Respond = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""Host, operation and arguments to its answer; what it raises is the host's error."""

_SILENCE_S = 0.1
# As the keeper's: what names the thing whose last state `latest` tells.
_STATES = {
    "health": ("server", "service", "region"),
    "generation": ("server", "service"),
    "proxy": ("region", "service", "server"),
    "lookup": ("city",),
    "daemon": ("host", "name"),
    "schedule": ("city",),
}


def obedient(host: str, op: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A host that does all it is told and has nothing to say."""
    return {}


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WanError(str(error)) from error


def _no_traffic() -> dict[str, Any]:
    causes = ("cut", "loss", "queue", "mtu", "overload", "send_errors")
    counted = dict.fromkeys(("packets", "bytes", "corrupted", "duplicated", "reordered"), 0)
    return {**counted, "drops": dict.fromkeys(causes, 0), "queue_ms": 0.0}


class FakeLab:
    """What the keeper of a real lab holds, for tests to look at and to change."""

    def __init__(self, clock: Clock, respond: Respond) -> None:
        self.clock = clock
        self.respond = respond
        self.setup: WanSetup | None = None
        self.overlays = Overlays({})
        self.wired: dict[str, tuple[HostWiring, int]] = {}
        self.connected: dict[str, bool] = {}
        self.silent: set[str] = set()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []  # host, operation, arguments
        self.pulses: dict[str, Pulse] = {}  # by overlay; in the fake they stay laid
        self.playing: dict[tuple[str, Pair], Trace] = {}  # "file" or "hand"; only first steps come
        self.journal: dict[str, FaultRecord] = {}
        self.holder: tuple[FakeWan, str] | None = None
        self.history: list[Event] = []
        self.news = threading.Condition()

    def push(self, event: Event) -> int:
        """Append as if a program in the lab had said it; its `t`."""
        with self.news:
            stamped = {"t": self.clock.now_ns(), **event, "seq": len(self.history)}
            self.history.append(stamped)
            self.news.notify_all()
        return int(stamped["t"])

    def host_died(self, host: str) -> None:
        """As when its container is killed."""
        self.wired.pop(host, None)
        self.connected[host] = False
        self._tell_init(host, "ended")

    def connect(self, wiring: HostWiring, pid: int) -> None:
        self.wired[wiring.host] = (wiring, pid)
        self.connected[wiring.host] = True
        self._tell_init(wiring.host, "started")

    def _tell_init(self, host: str, state: str) -> None:
        self.push({"kind": "daemon", "host": host, "name": "init", "state": state, "detail": ""})

    def names(self) -> dict[int, str]:
        return {number: name for number, name, _ in self.setup.sites} if self.setup else {}


class FakeWan:
    """`Wan` without a network."""

    def __init__(
        self, clock: Clock, respond: Respond = obedient, lab: FakeLab | None = None
    ) -> None:
        self.lab = lab or FakeLab(clock, respond)

    def attach(self) -> FakeWan:
        """Another netemu at the same lab."""
        return FakeWan(self.lab.clock, lab=self.lab)

    def setup(self, setup: WanSetup) -> None:
        if self.lab.setup is not None:
            raise WanError("this WAN is set up already; a new lab needs a new one")
        self.lab.setup = setup
        self.lab.overlays = Overlays({(a, b): values for a, b, values in setup.paths})

    def _need_setup(self) -> WanSetup:
        if self.lab.setup is None:
            raise WanError("this WAN was never set up")
        return self.lab.setup

    def plan(self) -> Mapping[str, str]:
        return dict(self.lab.setup.plan) if self.lab.setup else {}

    def wire(self, hosts: Sequence[tuple[HostWiring, int]]) -> None:
        self._need_setup()
        for wiring, pid in hosts:
            self.lab.connect(wiring, pid)

    def unwire(self, hosts: Sequence[str]) -> None:
        for host in hosts:
            self.lab.wired.pop(host, None)
            self.lab.connected.pop(host, None)

    def host(self, host: str, op: str, timeout_s: float = 5.0, **arguments: Any) -> dict[str, Any]:
        self.lab.calls.append((host, op, arguments))
        if host not in self.lab.wired:
            raise WanError(f"{host} is not connected: it was never wired, or it has ended")
        if host in self.lab.silent:
            self.lab.clock.sleep(timeout_s)
            raise HostSilent(f"{host} did not answer {op!r} within {timeout_s:g} s")
        try:
            return self.lab.respond(host, op, arguments)
        except (ValueError, OSError) as error:
            raise WanError(f"{host}: {op}: {error}") from error

    def hosts(
        self, requests: Mapping[str, tuple[str, dict[str, Any]]], timeout_s: float = 5.0
    ) -> dict[str, dict[str, Any]]:
        return {
            host: self._answer_of(host, op, arguments, timeout_s)
            for host, (op, arguments) in requests.items()
        }

    def _answer_of(
        self, host: str, op: str, arguments: dict[str, Any], timeout_s: float
    ) -> dict[str, Any]:
        try:
            return self.host(host, op, timeout_s, **arguments)
        except HostSilent:
            return {"silent": True}
        except WanError as error:
            return {"error": str(error)}

    def lay(
        self,
        overlay_id: str,
        paths: Sequence[tuple[int, int]],
        overlay: Overlay,
        ports: Sequence[str] = (),
        pulse: Pulse | None = None,
    ) -> int:
        self._need_setup()
        for host in ports:
            self._check_port(host)
        with _refused():
            self.lab.overlays.lay(overlay_id, paths, overlay, ports)
        self.lab.pulses.pop(overlay_id, None)
        if pulse is not None:
            self.lab.pulses[overlay_id] = pulse
        return self.now_ns()

    def _check_port(self, host: str) -> None:
        wiring = self.lab.wired[host][0] if host in self.lab.wired else None
        if wiring and not any(link["name"] == "lan0" for link in wiring.interfaces):
            raise WanError(f"{host} has no LAN port: cut the paths of its site instead")

    def lift(self, overlay_id: str) -> int:
        self.lab.overlays.lift(overlay_id)
        self.lab.pulses.pop(overlay_id, None)
        return self.now_ns()

    def change(self, paths: Sequence[Pair], values: Mapping[str, Any]) -> int:
        self._need_setup()
        with _refused():
            touched = self.lab.overlays.change(paths, values)
        for pair in paths:
            self.lab.playing.pop(("hand", pair), None)
        return self._tell_change(touched, values, "hand")

    def clear(self, paths: Sequence[Pair]) -> int:
        self._need_setup()
        with _refused():
            touched = self.lab.overlays.clear(paths)
        for pair in paths:
            self.lab.playing.pop(("hand", pair), None)
        return self._tell_change(touched, {}, "clear")

    def play(self, paths: Sequence[Pair], trace: Trace, *, is_of_file: bool = False) -> int:
        self._need_setup()
        trial = Overlays({pair: self.lab.overlays.base(pair) for pair in paths})
        with _refused():
            for _, values in trace.steps:
                trial.change(paths, values)
        for pair in paths:
            self.lab.playing.pop(("file" if is_of_file else "hand", pair), None)
            if is_of_file:
                self.lab.overlays.stop_playing(pair)
            if trace.steps:
                self._begin(pair, trace, is_of_file=is_of_file)
        return self.now_ns()

    def _begin(self, pair: Pair, trace: Trace, *, is_of_file: bool) -> None:
        self.lab.playing["file" if is_of_file else "hand", pair] = trace
        for at, values in trace.steps:
            if at == 0 and is_of_file:
                self.lab.overlays.play(pair, values)
            elif at == 0:
                self.lab.overlays.change([pair], values)
                self._tell_change({pair}, values, "trace")

    def _tell_change(self, pairs: set[Pair], values: Values, by: str) -> int:
        names = self.lab.names()
        for source, target in sorted(pairs):
            self.lab.push({"kind": "path", "source": names[source], "target": names[target],
                           "values": dict(values), "by": by})  # fmt: skip
        return self.now_ns()

    def paths(self) -> Mapping[str, dict[str, Any]]:
        """As the keeper's; no frame ever passes."""
        self._need_setup()
        names, overlays = self.lab.names(), self.lab.overlays
        return {
            f"{names[pair[0]]}->{names[pair[1]]}": {
                "file": overlays.base(pair).to_json(),
                "now": overlays.effective(pair).to_json(),
                "changed": dict(overlays.changed(pair)),
                "overlays": list(overlays.laid_on(pair)),
                "plays": any(playing == pair for _, playing in self.lab.playing),
                **_no_traffic(),
            }
            for pair in overlays.paths()
        }

    def flows(self) -> None:
        """Nothing flows in memory."""
        self._need_setup()

    def journal(self) -> tuple[FaultRecord, ...]:
        return tuple(self.lab.journal.values())

    def record(self, fault: FaultRecord) -> None:
        self.lab.journal[fault.id] = fault

    def forget(self, fault_id: str) -> None:
        self.lab.journal.pop(fault_id, None)

    def lock(self, owner: str) -> None:
        holder = self.lab.holder
        if holder is not None and holder[0] is not self:
            raise WanError(f"the lab is being changed by {holder[1]}")
        self.lab.holder = (self, owner)

    def unlock(self) -> None:
        if self.lab.holder is not None and self.lab.holder[0] is self:
            self.lab.holder = None

    def mark(self, event: Event) -> int:
        return self.lab.push(event)

    def now_ns(self) -> int:
        return self.lab.clock.now_ns()

    def events(self, since: int | None = None) -> Iterator[Event | None]:
        return self._read(len(self.lab.history) if since is None else max(0, since))

    def _read(self, cursor: int) -> Iterator[Event | None]:
        while True:
            with self.lab.news:
                if len(self.lab.history) <= cursor:
                    self.lab.news.wait(_SILENCE_S)
                fresh = self.lab.history[cursor:]
            cursor += len(fresh)
            yield from fresh
            if not fresh:
                yield None

    def latest(self) -> tuple[Event, ...]:
        last = {
            (event["kind"], *(str(event.get(field)) for field in _STATES[event["kind"]])): event
            for event in self.lab.history
            if event["kind"] in _STATES
        }
        return tuple(last.values())

    def stats(self) -> dict[str, Any]:
        """As the keeper's; no frame ever passes, so the counters stay 0."""
        names = self.lab.names()
        return {
            "seq": len(self.lab.history) - 1,
            "overlays": list(self.lab.overlays.ids()),
            "paths": {
                f"{names[a]}->{names[b]}": _no_traffic() for a, b in self.lab.overlays.paths()
            },
            "wire": {
                "driver": self.lab.setup.driver if self.lab.setup else "",
                "alive": self.lab.setup is not None,
                "pid": 0,
                "mover": "",
                "ended": 0,
                "last_end": "",
                "trouble": "",
                "overload": 0,
                "lag_ms_max": 0.0,
            },
            "hosts": dict(self.lab.connected),
        }

    def close(self) -> None:
        self.unlock()
