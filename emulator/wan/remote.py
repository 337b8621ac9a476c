"""The real WAN: the keeper in the lab's WAN container, reached over programs that the engine
starts there. One stream for commands (the lab's lock is bound to it), one for each event reader.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from emulator.engine.base import ContainerState, Engine
from emulator.errors import EngineError, WanError
from emulator.impairment import Overlay, Pulse, Trace
from emulator.wan.base import Event, FaultRecord, HostWiring, WanSetup
from emulator.wan.channel import DOUBT_S, Channel

WAN_HOST = "wan"
# By path, without site: no package is searched for, so that attaching costs a bare interpreter.
ATTACH = ("python3", "-I", "-S", "/usr/lib/python3/dist-packages/emulator/node/wan/attach.py")

_QUICK_S = 10.0  # the keeper answers in under 1 ms; a machine that takes this long is not usable
_LINKS_S = 30.0  # wiring a large lab: under 1 s, plus up to 5 s for inits to listen
_SILENCE_S = 0.1


class RemoteWan:
    """`Wan` of a running lab. Connects at the first call."""

    def __init__(self, engine: Engine, lab: str) -> None:
        self._engine = engine
        self._lab = lab
        self._connecting = threading.Lock()
        self._commands: Channel | None = None
        self._channels: list[Channel] = []

    def _open(self) -> Channel:
        try:
            stream = self._engine.stream(self._lab, WAN_HOST, ATTACH)
        except EngineError as error:
            raise WanError(f"the WAN container of lab {self._lab} is gone: {error}") from error
        channel = Channel(stream, self._lab, self._is_running)
        self._channels.append(channel)
        return channel

    def _is_running(self) -> bool:
        containers = self._engine.containers(self._lab)
        states = [container.state for container in containers if container.host == WAN_HOST]
        return states == [ContainerState.RUNNING]

    def _ask(self, op: str, timeout_s: float = _QUICK_S, **arguments: Any) -> Any:
        with self._connecting:
            if self._commands is None:
                self._commands = self._open()
        return self._commands.ask(op, timeout_s, **arguments)

    def setup(self, setup: WanSetup) -> None:
        self._ask(
            "setup",
            _LINKS_S,
            sites=setup.sites,
            macs=dict(setup.macs),
            paths=[(a, b, impairment.to_json()) for a, b, impairment in setup.paths],
            plan=dict(setup.plan),
            driver=setup.driver,
        )

    def plan(self) -> Mapping[str, str]:
        plan: dict[str, str] = self._ask("plan")
        return plan

    def wire(self, hosts: Sequence[tuple[HostWiring, int]]) -> None:
        entries = [{"wiring": asdict(wiring), "pid": pid} for wiring, pid in hosts]
        self._ask("wire", _LINKS_S, hosts=entries)

    def unwire(self, hosts: Sequence[str]) -> None:
        self._ask("unwire", _LINKS_S, hosts=list(hosts))

    def host(self, host: str, op: str, timeout_s: float = 5.0, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._ask(
            "host",
            timeout_s + _QUICK_S,
            host=host,
            host_op=op,
            arguments=arguments,
            host_timeout_s=timeout_s,
        )
        return answer

    def hosts(
        self, requests: Mapping[str, tuple[str, dict[str, Any]]], timeout_s: float = 5.0
    ) -> dict[str, dict[str, Any]]:
        answers: dict[str, dict[str, Any]] = self._ask(
            "hosts", timeout_s + _QUICK_S, requests=dict(requests), host_timeout_s=timeout_s
        )
        return answers

    def lay(
        self,
        overlay_id: str,
        paths: Sequence[tuple[int, int]],
        overlay: Overlay,
        ports: Sequence[str] = (),
        pulse: Pulse | None = None,
    ) -> int:
        return int(
            self._ask(
                "lay",
                overlay_id=overlay_id,
                paths=list(paths),
                overlay=overlay.to_json(),
                ports=list(ports),
                pulse=None if pulse is None else asdict(pulse),
            )
        )

    def lift(self, overlay_id: str) -> int:
        return int(self._ask("lift", overlay_id=overlay_id))

    def change(self, paths: Sequence[tuple[int, int]], values: Mapping[str, Any]) -> int:
        return int(self._ask("change", paths=list(paths), values=dict(values)))

    def clear(self, paths: Sequence[tuple[int, int]]) -> int:
        return int(self._ask("clear", paths=list(paths)))

    def play(
        self, paths: Sequence[tuple[int, int]], trace: Trace, *, is_of_file: bool = False
    ) -> int:
        of = {"trace": trace.to_json(), "is_of_file": is_of_file}
        return int(self._ask("play", _QUICK_S, paths=list(paths), **of))

    def paths(self) -> Mapping[str, dict[str, Any]]:
        paths: dict[str, dict[str, Any]] = self._ask("paths")
        return paths

    def flows(self) -> None:
        self._ask("flows")

    def journal(self) -> tuple[FaultRecord, ...]:
        return tuple(_fault(data) for data in self._ask("journal"))

    def record(self, fault: FaultRecord) -> None:
        self._ask("record", fault={**asdict(fault), "settings": dict(fault.settings)})

    def forget(self, fault_id: str) -> None:
        self._ask("forget", fault_id=fault_id)

    def lock(self, owner: str) -> None:
        self._ask("lock", owner=owner)

    def unlock(self) -> None:
        self._ask("unlock")

    def mark(self, event: Event) -> int:
        return int(self._ask("mark", event=event))

    def now_ns(self) -> int:
        return int(self._ask("now"))

    def events(self, since: int | None = None) -> Iterator[Event | None]:
        """Subscribed when this returns; close the iterator to end the subscription."""
        channel = self._open()
        channel.ask("events", _QUICK_S, since=since)
        return self._read(channel)

    def _read(self, channel: Channel) -> Iterator[Event | None]:
        with contextlib.closing(channel):
            heard = time.monotonic()
            while True:
                try:
                    events = channel.events.get(timeout=_SILENCE_S)
                except queue.Empty:
                    channel.check()
                    if time.monotonic() - heard < DOUBT_S:
                        yield None
                        continue
                    channel.doubt()
                    events = []
                heard = time.monotonic()
                yield from events

    def latest(self) -> tuple[Event, ...]:
        return tuple(self._ask("latest"))

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self._ask("stats")
        return stats

    def close(self) -> None:
        """Ends every reader of events, and gives the lock back. Safe to call twice."""
        for channel in self._channels:
            channel.close()
        self._channels.clear()


def _fault(data: dict[str, Any]) -> FaultRecord:
    tuples = {name: tuple(data[name]) for name in ("target", "sites", "hosts", "peers")}
    return FaultRecord(**{**data, **tuples})
