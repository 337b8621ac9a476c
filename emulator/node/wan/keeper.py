"""Main process of the WAN container: links, wire, hosts' inits, faults' journal, history.

    python3 -m emulator.node.wan.keeper [DIRECTORY]

One thread, and nothing in it waits for anything. The lab's state lives here, so that any netemu
can attach and none must stay. The operations are the methods of `emulator/wan/base.py`.
"""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emulator.errors import HostSilent
from emulator.impairment import Impairment, Overlay, Overlays, Pair, Pulse, Trace, Values
from emulator.node.children import Children
from emulator.node.loop import Future, Loop, gather
from emulator.node.wan.keeper_clients import Client, Clients
from emulator.node.wan.keeper_history import History
from emulator.node.wan.keeper_lab import Lab
from emulator.node.wan.keeper_time import Pulses, Traces, healed_event

_SECOND_S = 1.0


class Keeper:
    """What is remembered, and one method for each operation."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._history = History()
        self._clients = Clients(loop, self._history, self._serve, self._left)
        self._lab = Lab(loop, Children(loop), self._tell, self._forward)
        self._overlays = Overlays({})
        self._traces = Traces(loop, self._play_step)
        self._pulses = Pulses(loop)
        self._plan: dict[str, str] | None = None
        self._journal: dict[str, dict[str, Any]] = {}
        self._lock: tuple[Client, str] | None = None

    def listen(self, path: Path) -> None:
        self._clients.listen(path)

    def _tell(self, event: dict[str, Any]) -> None:
        self._history.add(event)
        self._clients.news()

    def _forward(self, host: str, line: bytes) -> None:
        self._history.add_line(line, host)
        self._clients.news()

    def _left(self, client: Client) -> None:
        if self._lock and self._lock[0] is client:
            self._lock = None

    async def _serve(self, client: Client, op: str, arguments: dict[str, Any]) -> Any:
        operation = getattr(self, f"op_{op}", None)
        if operation is None:
            raise ValueError(f"the keeper knows no {op!r}")
        if op in {"lock", "unlock", "events"}:
            return await operation(client, **arguments)
        return await operation(**arguments)

    # The lab

    async def op_setup(
        self,
        sites: list[tuple[int, str, bool]],
        macs: dict[str, int],
        paths: list[tuple[int, int, dict[str, Any]]],
        plan: dict[str, str],
        driver: str = "userspace",
    ) -> None:
        if self._plan is not None:
            raise ValueError("this WAN is set up already; a new lab needs a new one")
        self._plan = plan
        base = {(a, b): Impairment.from_json(values) for a, b, values in paths}
        await self._lab.setup(sites, macs, driver)
        self._overlays = Overlays(base)
        for path, impairment in base.items():
            self._lab.set_path(path, impairment)
        self._loop.after(_SECOND_S, self._every_second)

    def _every_second(self) -> None:
        self._loop.after(_SECOND_S, self._every_second)
        self._lab.tell_second()

    async def op_plan(self) -> dict[str, str]:
        self._need_setup()
        return self._plan or {}

    def _need_setup(self) -> None:
        if self._plan is None:
            raise ValueError("this WAN was never set up")

    async def op_wire(self, hosts: list[dict[str, Any]]) -> None:
        self._need_setup()
        await self._lab.wire(
            [(entry["wiring"], entry["pid"]) for entry in hosts], self._overlays.is_port_cut
        )

    async def op_unwire(self, hosts: list[str]) -> None:
        await self._lab.unwire(hosts)

    async def op_host(
        self, host: str, host_op: str, arguments: dict[str, Any], host_timeout_s: float
    ) -> Any:
        return await self._lab.ask(host, host_op, arguments, host_timeout_s)

    async def op_hosts(
        self, requests: dict[str, tuple[str, dict[str, Any]]], host_timeout_s: float
    ) -> dict[str, Any]:
        async def ask(host: str, op: str, arguments: dict[str, Any]) -> Any:
            try:
                return await self._lab.ask(host, op, arguments, host_timeout_s)
            except HostSilent:
                return {"silent": True}
            except Exception as error:  # noqa: BLE001  (one host's failure is its own answer)
                return {"error": str(error)}

        tasks: list[Future] = [
            self._loop.start(ask(host, op, arguments)) for host, (op, arguments) in requests.items()
        ]
        return dict(zip(requests, await gather(tasks), strict=True))

    # Overlays

    async def op_lay(
        self,
        overlay_id: str,
        paths: list[tuple[int, int]],
        overlay: dict[str, Any],
        ports: list[str],
        pulse: dict[str, int] | None = None,
    ) -> int:
        self._need_setup()
        pairs = _pairs(paths)
        self._lab.check_ports(ports)
        wanted = Overlay.from_json(overlay)
        self._lab.check(overlay)
        rhythm = None if pulse is None else Pulse(**pulse)
        self._pulses.end(overlay_id)
        touched = self._overlays.lay(overlay_id, pairs, wanted, ports)
        began = time.monotonic_ns()
        self._apply(*touched)
        if rhythm is not None:
            off = (Overlay(), ())
            self._pulses.begin(
                overlay_id,
                rhythm,
                lambda is_on: self._apply(
                    *self._overlays.lay(overlay_id, pairs, *((wanted, ports) if is_on else off))
                ),
                lambda: self._heal_by_itself(overlay_id),
            )
        return began

    async def op_lift(self, overlay_id: str) -> int:
        return self._lift(overlay_id)

    def _lift(self, overlay_id: str) -> int:
        self._pulses.end(overlay_id)
        self._apply(*self._overlays.lift(overlay_id))
        return time.monotonic_ns()

    def _heal_by_itself(self, fault_id: str) -> None:
        """A pulse is over: what `heal` would do, with nobody there to do it."""
        began, healed = time.monotonic_ns(), self._lift(fault_id)
        fault = self._journal.pop(fault_id, None)
        for phase, t in (("heal_began", began), ("healed", healed), ("heal_ended", healed)):
            if fault is not None:
                self._tell(healed_event(fault, phase, t))

    def _apply(self, paths: set[tuple[int, int]], ports: set[str]) -> None:
        """Paths first: they are instantaneous."""
        for path in paths:
            self._lab.set_path(path, self._overlays.effective(path))
        for host in ports:
            self._lab.set_port(host, cut=self._overlays.is_port_cut(host))

    # Values by hand and in time

    async def op_change(self, paths: list[list[int]], values: dict[str, Any]) -> int:
        self._need_setup()
        pairs = _pairs(paths)
        self._lab.check(values)
        touched = self._overlays.change(pairs, values)
        self._traces.end(("hand", pair) for pair in pairs)
        return self._set_anew(touched, values, "hand")

    async def op_clear(self, paths: list[list[int]]) -> int:
        self._need_setup()
        pairs = _pairs(paths)
        self._traces.end(("hand", pair) for pair in pairs)
        return self._set_anew(self._overlays.clear(pairs), {}, "clear")

    async def op_play(
        self, paths: list[list[int]], trace: dict[str, Any], *, is_of_file: bool
    ) -> int:
        self._need_setup()
        wanted, layer = Trace.from_json(trace), "file" if is_of_file else "hand"
        for _, values in wanted.steps:
            self._lab.check(values)
        trial = Overlays({pair: self._overlays.base(pair) for pair in _pairs(paths)})
        for pair, (_, values) in itertools.product(_pairs(paths), wanted.steps):
            trial.change([pair], values)  # raises for a value that there cannot be, before any is
        for pair in _pairs(paths):
            if is_of_file:
                self._overlays.stop_playing(pair)
                self._lab.set_path(pair, self._overlays.effective(pair))
            self._traces.begin((layer, pair), wanted)
        return time.monotonic_ns()

    def _play_step(self, key: tuple[str, Pair], values: Values) -> None:
        layer, pair = key
        if layer == "file":
            self._overlays.play(pair, values)
        else:
            self._overlays.change([pair], values)
        self._set_anew({pair}, values, "trace")

    def _set_anew(self, pairs: set[Pair], values: Values, by: str) -> int:
        """Have the wire obey, and tell the history."""
        began = time.monotonic_ns()
        self._apply(pairs, set())
        for pair in sorted(pairs):
            source, target = self._lab.names_of(pair)
            self._tell({"kind": "path", "t": began, "source": source, "target": target,
                        "values": dict(values), "by": by})  # fmt: skip
        return began

    async def op_paths(self) -> dict[str, dict[str, Any]]:
        self._need_setup()
        playing = {pair for _, pair in self._traces.playing()}
        stats = self._lab.path_stats(self._overlays.paths())
        return {
            "->".join(self._lab.names_of(pair)): {
                "file": self._overlays.base(pair).to_json(),
                "now": self._overlays.effective(pair).to_json(),
                "changed": self._overlays.changed(pair),
                "overlays": list(self._overlays.laid_on(pair)),
                "plays": pair in playing,
                **stats[pair],
            }
            for pair in self._overlays.paths()
        }

    async def op_flows(self) -> None:
        self._need_setup()
        await self._lab.tell_flows()

    # Memory

    async def op_journal(self) -> list[dict[str, Any]]:
        return list(self._journal.values())

    async def op_record(self, fault: dict[str, Any]) -> None:
        self._journal[fault["id"]] = fault

    async def op_forget(self, fault_id: str) -> None:
        self._journal.pop(fault_id, None)

    async def op_lock(self, client: Client, owner: str) -> None:
        if self._lock and self._lock[0] is not client:
            raise ValueError(f"the lab is being changed by {self._lock[1]}")
        self._lock = (client, owner)

    async def op_unlock(self, client: Client) -> None:
        self._left(client)

    async def op_mark(self, event: dict[str, Any]) -> int:
        event.setdefault("t", time.monotonic_ns())
        self._tell(event)
        return int(event["t"])

    async def op_now(self) -> int:
        return time.monotonic_ns()

    async def op_events(self, client: Client, since: int | None) -> int:
        # After the answer, so that the reader knows that it is subscribed before the first event.
        self._loop.after(0.0, lambda: client.subscribe(since))
        return self._history.next_seq

    async def op_latest(self) -> list[dict[str, Any]]:
        return self._history.latest()

    async def op_stats(self) -> dict[str, Any]:
        return {
            "seq": self._history.next_seq - 1,
            "overlays": list(self._overlays.ids()),
            **self._lab.stats(self._overlays.paths()),
        }


def _pairs(paths: Iterable[Sequence[int]]) -> list[Pair]:
    return [(source, target) for source, target in paths]


def main(directory: str = "/run/netemu") -> None:
    # The kernel ends the container with its PID 1, and every link of the lab with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    run = Path(directory)
    run.mkdir(parents=True, exist_ok=True)
    loop = Loop()
    Keeper(loop).listen(run / "keeper.sock")
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
