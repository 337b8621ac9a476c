"""The driver for kernels that have netem: frames never leave the kernel.

A bridge `wan` joins the sites' ports and knows whose MAC address is where. A frame that enters by
the port of site A gets A's priority; the port by which it leaves has one class for each priority,
and in it the netem of that path. So every ordered pair is on its own, also for broadcasts.

    host A - w1 --ingress: priority 1:A--> bridge wan --> w2 - host B
                                                          | htb 1:, class 1:A
                                                          | netem 100+A: (tbf 200+A: (codel 300+A:))

netem works on what the kernel holds as one packet, so hosts must send single segments. A witness
(`witness.py`) sees the ports and writes the records that the wire writes elsewhere.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emulator.drivers import refusal
from emulator.impairment import Impairment, Pair
from emulator.node.children import Children
from emulator.node.loop import Loop
from emulator.node.wan.netem_copies import Detours
from emulator.node.wan.netem_lines import port_lines, trial_lines, what_failed
from emulator.node.wan.netem_options import bucket_options, codel_options, netem_options
from emulator.node.wan.netem_path import NetemPath
from emulator.node.wan.netem_witness import WitnessProcess
from emulator.node.wan.rtnetlink import TrafficControl
from emulator.node.wan.table import Counters, WireState

BRIDGE = "wan"
_NETEM, _BUCKET, _CODEL = 0x100, 0x200, 0x300  # plus the source's number: the handle's major part
_ROOT = 1 << 16  # handle 1:
_BATCH_S = 10.0


class NetemDriver:
    """`Driver` by the kernel."""

    name = "netem"

    def __init__(
        self,
        loop: Loop,
        children: Children,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
    ) -> None:
        self._loop = loop
        self._children = children
        self._on_records = on_records
        self._on_end = on_end
        self._witness: WitnessProcess | None = None
        self._control = TrafficControl()
        self._detours = Detours(self._control)
        self._macs: dict[int, list[str]] = {}
        self._paths: dict[Pair, NetemPath] = {}
        self._links: dict[int, int] = {}  # site -> index of its port's interface

    @property
    def alive(self) -> bool:
        """The kernel does not end, but without a witness nothing can be claimed any more."""
        return self.pid != 0

    @property
    def pid(self) -> int:
        """The witness's."""
        return self._witness.pid if self._witness is not None else 0

    @property
    def trouble(self) -> str:
        return "" if self.alive else "is not watched: its witness has ended"

    async def start(self, macs: Mapping[str, int]) -> None:
        for mac, site in macs.items():
            self._macs.setdefault(site, []).append(mac)
        try:
            await self._do("tc", trial_lines())
        except ValueError as error:
            raise ValueError(
                f"this kernel cannot be the WAN ({error}): load its modules sch_netem, sch_htb, "
                "sch_tbf, sch_codel, sch_ingress, cls_matchall and act_skbedit (a distribution may "
                "have them in a package of extra ones), or leave `wan: {driver: netem}` out"
            ) from error
        bridge = f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        no_address = f"link set {BRIDGE} addrgenmode none"
        await self._do("ip", [bridge, no_address, f"link set {BRIDGE} up"])
        self._witness = WitnessProcess(self._loop, self._children, self._on_records, self._on_end)
        self._witness.hold("macs", op="macs", macs=dict(macs))

    def _need_witness(self) -> WitnessProcess:
        if self._witness is None:
            raise ValueError("this WAN was never set up")
        return self._witness

    async def _do(self, program: str, lines: list[str]) -> None:
        """Have iproute2 do `lines` up to the first that fails. Raises ValueError."""
        text = "".join(f"{line}\n" for line in lines)
        argv = [program, "-batch", "-"]
        code, _, said = await self._children.run(argv, text.encode(), timeout_s=_BATCH_S)
        if code:
            raise ValueError(what_failed(program, said.decode(errors="replace"), lines))

    def check(self, values: Mapping[str, Any]) -> None:
        if why := refusal(self.name, values):
            raise ValueError(why)

    def host_lines(self, interface: str) -> list[str]:
        return [f"link set {interface} gso_max_segs 1"]

    async def add_port(self, site: int, interface: str) -> None:
        sources = [source for source in self._macs if source != site]
        await self._do("tc", port_lines(interface, site, sources))
        self._links[site] = socket.if_nametoindex(interface)
        self._need_witness().hold("port", site, op="port", site=site, interface=interface)
        for source in sources:
            self._apply((source, site))
            self._lead((site, source))
        await self._do("ip", [f"link set {interface} master {BRIDGE}"])
        known = [f"fdb replace {mac} dev {interface} master static" for mac in self._macs[site]]
        await self._do("bridge", [f"link set dev {interface} learning off flood off", *known])

    async def drop_port(self, site: int) -> None:
        """What its paths counted since the last look goes with the interface."""
        if self._links.pop(site, None) is not None:
            self._need_witness().drop("port", site, op="unport", site=site)
            self._detours.port_is_gone(site)
            for (_, target), path in self._paths.items():
                if target == site:
                    path.port_is_gone()

    # Paths

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        self.check(impairment.to_json())
        if path in self._paths:
            if impairment.cut != self._paths[path].wanted.cut:
                self._look_at(path)
            self._paths[path].wanted = impairment
        else:
            self._paths[path] = NetemPath(impairment)
        self._duplicate(path, impairment.duplicate)
        source, target = path
        news = self._paths[path].news()
        self._need_witness().hold(path, op="path", source=source, target=target, **news)
        self._apply(path)

    def _apply(self, pair: Pair) -> None:
        """Have the kernel do what is wanted of a path, if its target has a port."""
        (source, target), path = pair, self._paths.get(pair)
        link = self._links.get(target)
        if link is None or path is None:
            return
        netem, bucket, codel = _handles(source)
        options = netem_options(path.wanted, path.news_of_distribution())
        self._set(link, _ROOT | source, netem, "netem", options)
        if path.wanted.rate_bps or path.told.has_bucket:
            self._set(link, netem | 1, bucket, "tbf", bucket_options(path.wanted))
            path.told.has_bucket = True
        if path.told.has_bucket and (path.wanted.aqm or path.told.has_codel):
            self._set(link, bucket | 1, codel, "codel", codel_options(path.wanted))
            path.told.has_codel = True

    def _duplicate(self, pair: Pair, share: float) -> None:
        try:
            self._detours.set_share(pair, share)
            self._lead(pair)
        except OSError as error:
            what = f"this kernel cannot duplicate ({share:.2%}; it takes ifb, flower and mirred)"
            raise ValueError(f"{what}: {error.strerror}") from error

    def _lead(self, pair: Pair) -> None:
        source, target = pair
        if source in self._links:
            self._detours.lead(pair, self._links[source], self._macs[target])

    def _set(self, link: int, parent: int, handle: int, kind: str, options: bytes) -> None:
        try:
            self._control.set_qdisc(link, parent, handle, kind, options)
        except OSError as error:
            if error.errno != errno.ENODEV:  # the host died just now: its port will be new
                raise

    # What happened

    def counters(self, paths: Iterable[Pair]) -> Mapping[Pair, Counters]:
        self._look()
        now = time.monotonic_ns()
        return {pair: self._paths[pair].counters(now) for pair in paths}

    def state(self) -> WireState:
        self._look()
        seen = [path.total for path in self._paths.values()]
        packets, overload = (sum(c.packets for c in seen), sum(c.overload for c in seen))
        return WireState(time.monotonic_ns(), 0, packets, overload, 0, 0, 0)

    def take_state(self) -> WireState:
        return self.state()

    async def tell_flows(self) -> None:
        self._need_witness().tell_flows()

    def _look(self) -> None:
        """Have every path take note of its counters."""
        seen = {(qdisc.link, qdisc.handle): qdisc for qdisc in self._control.qdiscs()}
        for (source, target), path in self._paths.items():
            netem, bucket, _ = _handles(source)
            link = self._links.get(target, 0)
            if (link, netem) in seen:
                path.look(seen[link, netem], seen.get((link, bucket)))

    def _look_at(self, pair: Pair) -> None:
        source, target = pair
        netem, bucket, _ = _handles(source)
        link, path = self._links.get(target), self._paths[pair]
        if link is not None and (found := self._control.qdisc(link, netem)):
            behind = self._control.qdisc(link, bucket) if path.told.has_bucket else None
            path.look(found, behind)


def _handles(source: int) -> tuple[int, int, int]:
    """Of the netem, the bucket and the CoDel of a source's frames, on any port."""
    return (_NETEM + source) << 16, (_BUCKET + source) << 16, (_CODEL + source) << 16
