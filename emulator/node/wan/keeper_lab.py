"""What the keeper holds together: bridges, the driver, every host's links and init."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emulator.errors import WanError
from emulator.impairment import Impairment, Pair
from emulator.node.children import Children
from emulator.node.loop import Future, Loop, gather
from emulator.node.wan import keeper_links as links
from emulator.node.wan.driver import Driver
from emulator.node.wan.keeper_hosts import InitLink
from emulator.node.wan.keeper_records import events_of, second_of
from emulator.node.wan.lives import end_of
from emulator.node.wan.netem import NetemDriver
from emulator.node.wan.table import MOVERS, Counters
from emulator.node.wan.userspace import UserspaceDriver

Tell = Callable[[dict[str, Any]], object]
Wiring = dict[str, Any]

_WORD_S = 0.5


class Lab:
    """The moving parts of one lab, as the operations of the keeper move them."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        tell: Tell,
        forward: Callable[[str, bytes], object],
    ) -> None:
        self._loop = loop
        self._children = children
        self._tell = tell
        self._forward = forward
        self._sites: dict[int, str] = {}
        self._driver = self._make_driver("userspace")
        self._state = self._driver.state()
        self._wire_ends, self._last_end = 0, ""
        self._wirings: dict[str, Wiring] = {}
        self._inits: dict[str, InitLink] = {}
        self._connected: dict[str, bool] = {}
        self._turn = Future()  # of those who change links: one after the other
        self._turn.set()

    def _make_driver(self, name: str) -> Driver:
        if name == NetemDriver.name:
            ended = partial(self._driver_ended, "witness")
            return NetemDriver(self._loop, self._children, self._recorded, ended)
        ended, told = (partial(task, "wire") for task in (self._driver_ended, self._driver_told))
        return UserspaceDriver(self._loop, self._children, self._recorded, ended, told)

    async def setup(
        self, sites: list[tuple[int, str, bool]], macs: dict[str, int], driver: str
    ) -> None:
        """Bridges, and the driver with the sites' MAC addresses."""
        self._driver = self._make_driver(driver)
        self._sites = {number: name for number, name, _ in sites}
        links.silence_ipv6()
        started = self._loop.start(self._driver.start(macs))
        await self._ip(links.setup_lines(sites))
        await started

    async def _ip(self, lines: list[str], namespace_of: int | None = None) -> None:
        """Have iproute2 do `lines` up to the first that fails. Raises ValueError naming it."""
        enter = [] if namespace_of is None else ["nsenter", f"--net=/proc/{namespace_of}/ns/net"]
        text = "\n".join(lines) + "\n"
        argv = [*enter, "ip", "-batch", "-"]
        code, _, errors = await self._children.run(argv, text.encode(), timeout_s=10.0)
        if code:
            raise ValueError(_complaint(errors.decode(errors="replace"), lines))

    # Hosts

    async def _in_turn(self, change: Coroutine[Future, None, Any]) -> Any:
        before, self._turn = self._turn, Future()
        mine = self._turn
        await before
        try:
            return await change
        finally:
            mine.set()

    async def wire(self, hosts: list[tuple[Wiring, int]], is_cut: Callable[[str], bool]) -> None:
        """Join hosts. All that can be joined is; raises ValueError naming the others."""
        await self._in_turn(self._wire_now(hosts, is_cut))

    async def _wire_now(
        self, hosts: list[tuple[Wiring, int]], is_cut: Callable[[str], bool]
    ) -> None:
        await self._unwire_now([wiring["host"] for wiring, _ in hosts])
        tasks = [self._loop.start(self._join(*entry, is_cut)) for entry in hosts]
        problems = list(filter(None, await gather(tasks)))
        for wiring, _ in hosts:  # an overlay may have come or gone meanwhile
            self.set_port(wiring["host"], cut=is_cut(wiring["host"]))
        if problems:
            raise ValueError("; ".join(problems))

    async def _join(self, wiring: Wiring, pid: int, is_cut: Callable[[str], bool]) -> str:
        """Links, addresses, port and init of one host; what went wrong, if something did."""
        host = wiring["host"]
        self._wirings[host] = wiring
        try:
            await self._ip(links.link_lines(wiring, pid, cut=is_cut(host)))
            await self._ip([*links.host_lines(wiring), *self._of_driver(wiring)], pid)
            for link in wiring["interfaces"]:
                if not links.is_lan_port(link):
                    await self._driver.add_port(wiring["site"], link["port"])
            init = InitLink(
                self._loop,
                host,
                lambda line: self._forward(host, line),
                lambda: self._init_ended(host),
            )
            await init.connect(pid)
        except Exception as error:  # noqa: BLE001  (named in the answer, for every host that failed)
            return f"{host}: {str(error) or repr(error)}"
        self._inits[host] = init
        self._connected[host] = True
        self._tell_daemon(host, "init", "started", "")
        return ""

    def _of_driver(self, wiring: Wiring) -> list[str]:
        ends = [link["name"] for link in wiring["interfaces"] if not links.is_lan_port(link)]
        return [line for name in ends for line in self._driver.host_lines(name)]

    async def unwire(self, hosts: list[str]) -> None:
        """Forget hosts: the wire's ports, the links, the connections."""
        await self._in_turn(self._unwire_now(hosts))
        for host in hosts:
            self._connected.pop(host, None)

    async def _unwire_now(self, hosts: list[str]) -> None:
        stale: list[str] = []
        for host in hosts:
            if (init := self._inits.pop(host, None)) is not None:
                init.close()
            if (wiring := self._wirings.pop(host, None)) is None:
                continue
            for link in wiring["interfaces"]:
                if not links.is_lan_port(link):
                    await self._driver.drop_port(wiring["site"])
                if Path(f"/sys/class/net/{link['port']}").exists():
                    stale.append(f"link del {link['port']}")
        for line in stale:
            with contextlib.suppress(ValueError):  # gone meanwhile: as good
                await self._ip([line])

    def _init_ended(self, host: str) -> None:
        """The host died: let go of its socket on the WAN; its links went with its namespace."""
        self._inits.pop(host, None)
        self._connected[host] = False
        self._tell_daemon(host, "init", "ended", "its end of the connection closed")
        self._loop.start(self._in_turn(self._tidy_after(host)))

    async def _tidy_after(self, host: str) -> None:
        if host not in self._inits:  # else it was wired anew before its turn came
            await self._unwire_now([host])

    def _tell_daemon(self, host: str, name: str, state: str, detail: str) -> None:
        self._tell({"kind": "daemon", "host": host, "name": name, "state": state, "detail": detail})

    async def ask(self, host: str, op: str, arguments: dict[str, Any], timeout_s: float) -> Any:
        """A host's answer. Raises HostSilent, WanError, or ValueError with what it said."""
        init = self._inits.get(host)
        if init is None:
            raise WanError(f"{host} is not connected: it was never wired, or it has ended")
        if op == "run":  # the command's deadline is ours; init's word on it arrives before ours
            return await init.ask(op, {"timeout_s": timeout_s, **arguments}, timeout_s + _WORD_S)
        return await init.ask(op, arguments, timeout_s)

    # Paths and ports

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises ValueError for values of a path that the driver cannot set."""
        self._driver.check(values)

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        self._driver.set_path(path, impairment)

    def check_ports(self, hosts: list[str]) -> None:
        """Raises ValueError for a host that is wired and has no LAN port to cut."""
        for host in hosts:
            wiring = self._wirings.get(host)
            if wiring and not any(links.is_lan_port(link) for link in wiring["interfaces"]):
                raise ValueError(f"{host} has no LAN port: cut the paths of its site instead")

    def set_port(self, host: str, *, cut: bool) -> None:
        """Cut or join a host's LAN port; one that is not wired will come up as it must be."""
        if (wiring := self._wirings.get(host)) is None:
            return
        for link in wiring["interfaces"]:
            if links.is_lan_port(link) and Path(f"/sys/class/net/{link['port']}").exists():
                if cut:
                    links.cut_port(link["port"])
                else:
                    links.join_port(link["port"], f"b{wiring['site']}")

    # The driver

    def _recorded(self, message: bytes) -> None:
        for event in events_of(message, self._sites):
            self._tell(event)

    def _driver_ended(self, name: str, code: int) -> None:
        """`name`: of the process that did, for the history."""
        self._wire_ends += 1
        self._last_end = end_of(code)
        self._driver_told(name, "ended", self._last_end)
        if name != "wire":  # what it saw is lost; what moves packets moves on
            where = f"the WAN's {name} ended ({self._last_end})"
            self._tell({"kind": "lost", "count": 1, "where": where})

    def _driver_told(self, name: str, state: str, detail: str) -> None:
        self._tell_daemon("wan", name, state, detail)

    async def tell_flows(self) -> None:
        await self._driver.tell_flows()

    def tell_second(self) -> None:
        """The event of the last second of the wire."""
        before, self._state = self._state, self._driver.take_state()
        for event in second_of(before, self._state, self._driver.trouble):
            self._tell(event)

    def stats(self, paths: tuple[Pair, ...]) -> dict[str, Any]:
        """Counters of every path, the wire's state, which inits are connected."""
        state = self._driver.state()
        return {
            "paths": {
                "->".join(self.names_of(pair)): stats
                for pair, stats in self.path_stats(paths).items()
            },
            "wire": {
                "driver": self._driver.name,
                "alive": self._driver.alive,
                "pid": self._driver.pid,
                "mover": MOVERS[state.mover],
                "ended": self._wire_ends,
                "last_end": self._last_end,
                "trouble": self._driver.trouble,
                "overload": state.overload,
                "lag_ms_max": state.lag_max_ns / 1e6,
                "packets": state.packets,
                "unknown": state.unknown,
                "send_errors": state.send_errors,
                "heartbeat_ns": state.heartbeat_ns,
            },
            "hosts": dict(self._connected),
        }

    def names_of(self, path: Pair) -> tuple[str, str]:
        source, target = path
        return self._sites[source], self._sites[target]

    def path_stats(self, paths: Iterable[Pair]) -> dict[Pair, dict[str, Any]]:
        """What passed each path, what became of it, and how long its queue is."""
        seen, now = self._driver.counters(paths), time.monotonic_ns()
        return {pair: _path_stats(counters, now) for pair, counters in seen.items()}


def _path_stats(seen: Counters, now: int) -> dict[str, Any]:
    return {
        "packets": seen.packets,
        "bytes": seen.bytes,
        "drops": {
            "cut": seen.cut,
            "loss": seen.loss,
            "queue": seen.queue,
            "mtu": seen.mtu,
            "overload": seen.overload,
            "send_errors": seen.send_errors,
        },
        "corrupted": seen.corrupted,
        "duplicated": seen.duplicated,
        "reordered": seen.reordered,
        "queue_ms": round(max(0, seen.free_at_ns - now) / 1e6, 3),
    }


def _complaint(text: str, lines: list[str]) -> str:
    """What iproute2 said, and of which line: its last word is then `Command failed -:N`."""
    said, _, number = text.strip().rpartition("\nCommand failed -:")
    return f"{said} (ip {lines[int(number) - 1]})" if said else text.strip() or "iproute2 failed"
