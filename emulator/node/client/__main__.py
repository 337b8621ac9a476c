"""The load generator of one city: `python3 -m emulator.node.client CONFIG`.

Open loop: requests of four kinds start when the schedule says so, whatever became of the last
ones. Events go to the descriptor named in NETEMU_EVENTS (stdout without it), commands come as
JSON lines on stdin:

    {"op": "traffic", "loads": {"http": {"rate": 80, "cache_s": -1},
                                "keepalive": {"rate": 80, "connections": 20}}}
    {"op": "stop"}      no new requests; those in flight end as they would have
    {"op": "lookup"}    answered by a `lookup` event: what the resolver says now
    {"op": "phase", "t": NS}     align the schedule to this instant
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.events import Lookup
from emulator.node.client.city import City
from emulator.node.client.commands import Commands
from emulator.node.client.config import Config, Load, loads_from_json
from emulator.node.client.http import NewConnections
from emulator.node.client.loop import Loop
from emulator.node.client.pool import KeepAlive
from emulator.node.client.resolver import Answer
from emulator.node.client.schedule import Schedule, aligned
from emulator.node.client.sink import Sink
from emulator.node.client.stream import Streams
from emulator.node.client.udp import Datagrams

GIVE_UP_NS = NS_PER_S  # after a long pause of ours (a frozen host) the missed are not made up for
_PR_SET_TIMERSLACK = 29


class Kind(Protocol):
    """One kind of load."""

    def resize(self, load: Load) -> None: ...

    def start(self, planned: int) -> None: ...


class Client:
    """Keeps the schedule; the kinds do the rest."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._kinds: dict[str, Kind] = {
            "http": NewConnections(city),
            "keepalive": KeepAlive(city),
            "stream": Streams(city),
            "udp": Datagrams(city),
        }
        self._rates: dict[str, float] = {}
        self._schedule = Schedule({}, 0)
        self._next_tick = 0

    def begin(self) -> None:
        """Start the load of the configuration, and the report of every second."""
        self._set_loads(self._city.config.loads)
        self._next_tick = monotonic_ns() + NS_PER_S
        self._city.loop.at(self._next_tick, self._tick)

    def start_due(self) -> int:
        """Start every request that is due; says when the next one is."""
        schedule = self._schedule
        while (late := monotonic_ns() - schedule.due) >= 0:
            planned, kind = schedule.due, schedule.kind
            schedule.advance()
            if late > GIVE_UP_NS:
                self._city.skip(kind, planned)
            else:
                self._kinds[kind].start(planned)
        return schedule.due

    def obey(self, command: dict[str, Any]) -> None:
        """KeyError, ValueError, TypeError, AttributeError: not a command."""
        op = command["op"]
        if op == "traffic":
            self._set_loads(loads_from_json(command["loads"]))
        elif op == "stop":
            self._set_loads({})
        elif op == "lookup":
            done = partial(self._looked_up, monotonic_ns())
            self._city.resolver.lookup(self._city.config.lookup_ns, done)
        elif op == "phase":
            self._schedule = aligned(self._rates, int(command["t"]), monotonic_ns())
        else:
            raise ValueError(op)

    def _set_loads(self, loads: Mapping[str, Load]) -> None:
        for name, kind in self._kinds.items():
            load = loads.get(name, Load())
            self._city.caches[name].keep(load, self._city.config.lookup_ns)
            kind.resize(load)
        self._rates = {name: load.rate for name, load in loads.items()}
        self._schedule = Schedule(self._rates, monotonic_ns())

    def _tick(self) -> None:
        self._city.tick()
        self._next_tick += NS_PER_S
        self._city.loop.at(self._next_tick, self._tick)

    def _looked_up(self, asked: int, answer: Answer) -> None:
        self._city.sink.put(
            Lookup(
                t=answer.t,
                city=self._city.config.city,
                name=self._city.config.fqdn,
                rcode=answer.rcode,
                addresses=list(answer.addresses),
                ttl=answer.ttl,
                ms=(answer.t - asked) / NS_PER_MS,
            )
        )


def settle() -> None:
    """Ask the kernel and the interpreter for what a punctual process needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # ns; 50 000 by default
    # A collection would hold up the schedule; nothing here makes reference cycles (tested).
    gc.collect()
    gc.freeze()
    gc.disable()


def main(path: str) -> None:
    """Run until SIGTERM or SIGINT; what was measured until then is written."""
    config = Config.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    loop = Loop()
    sink = Sink(int(os.environ.get("NETEMU_EVENTS", "1")), f"{config.city}/client")
    client = Client(City(config, loop, sink))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    settle()
    client.begin()
    Commands(loop, 0, client.obey)
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more: nobody to tell
        loop.run(client.start_due, sink.flush)
        sink.drain()


if __name__ == "__main__":
    main(sys.argv[1])
