"""Sites of one host each on a real WAN, and a second host beside the first one's on a plain kernel
bridge: the containers, links and weights of a lab, without its daemons.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.flood import FLOOD, put_into
from benchmarks.labs import TOPOLOGY, silent
from emulator.clock import NS_PER_MS
from emulator.controller.lab import POOL, WAN, Lab, host_spec, remove_lab, wan_spec
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.errors import NetemuError
from emulator.impairment import Impairment
from emulator.plan import addressing
from emulator.plan.hosts import CLIENT_CPU_SHARES
from emulator.plan.kernel import sysctls
from emulator.plan.model import HostSpec, PathSpec, Plan, SiteSpec
from emulator.plan.wiring import wan_setup
from emulator.topology.parse import load_topology
from emulator.wan.remote import RemoteWan

BRIDGED = "bridged"  # beside s1 on the LAN of that site
BRIDGED_ADDRESS = addressing.lan_address(1, addressing.CLIENT)
# A window of 512 MB is 40 Gbit/s over 100 ms: never the limit.
_BUFFERS = {
    "net.ipv4.tcp_rmem": "4096 131072 536870912",
    "net.ipv4.tcp_wmem": "4096 65536 536870912",
}
_QUEUE_NS = 100 * NS_PER_MS  # where a rate is set: more than the round trip, so that it is used up
_LISTENS_S = 0.2  # a receiver is started and bound after that
_LONGEST_S = 120.0

Job = tuple[str, str]  # host, words for flood
Said = dict[str, Any]


class _UndoubtedWan(RemoteWan):
    """While it waits for a program, nobody asks the engine whether the WAN still runs: with fifty
    programs on fifty hosts that is more work than what is measured."""

    def _is_running(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class World:
    """A WAN that runs, with its sites `s1`, `s2`, ..."""

    lab: Lab
    mover: str  # who moves frames in the wire: its compiled core, or plain Python
    pids: Mapping[str, int]  # of the WAN container's programs, here

    def set(self, *paths: tuple[int, int], **values: Any) -> None:
        """Values of an Impairment on each of some paths, instead of what was changed before."""
        self.lab.wan.change(paths, {"delay_ns": 0, "loss": 0.0, "rate_bps": 0, **values})

    def clear(self) -> None:
        """Every path is again as it was made."""
        numbers = {site.name: site.number for site in self.lab.plan.sites}
        self.lab.wan.clear([(numbers[p.source], numbers[p.target]) for p in self.lab.plan.paths])

    def run(self, receivers: Sequence[Job], senders: Sequence[Job]) -> list[Said]:
        """What every program said, in this order; senders begin when receivers listen.
        Raises NetemuError with the complaint of one that failed."""
        with ThreadPoolExecutor(len(receivers) + len(senders)) as pool:
            running = [pool.submit(self._flood, *job) for job in receivers]
            if running:
                time.sleep(_LISTENS_S)
            running += [pool.submit(self._flood, *job) for job in senders]
            return [future.result() for future in running]

    def _flood(self, host: str, words: str) -> Said:
        answer = self.lab.wan.host(host, "run", _LONGEST_S, argv=[FLOOD, *words.split()])
        if answer["rc"]:
            raise NetemuError(f"flood {words} on {host}: {answer['err'].strip() or answer['rc']}")
        said: Said = json.loads(answer["out"])
        return said

    def drops(self, source: str, target: str) -> dict[str, int]:
        """What the WAN says it has dropped on a path so far, by cause."""
        drops: dict[str, int] = self.lab.wan.stats()["paths"][f"{source}->{target}"]["drops"]
        return drops

    def cpu_s(self) -> dict[str, float]:
        """Processor time so far of the WAN container's programs. From /proc of this machine: the
        engine must run here too."""
        return {name: _process_cpu_s(pid) for name, pid in self.pids.items()}


def _process_cpu_s(pid: int) -> float:
    """Of all its threads (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def address(site: int) -> str:
    return addressing.wan_address(site)


@contextmanager
def world_of(
    sites: int,
    delay_ns: Callable[[int, int], int] = lambda _a, _b: 0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """A WAN of so many sites and the bridge beside them; removed however the measurement ends.
    `delay_ns` is a path's, one way; `environment` the WAN container's."""
    engine = DockerEngine()
    plan = _plan(sites, delay_ns)
    lab = Lab(plan, engine, _UndoubtedWan(engine, plan.lab))
    image = ensure_node_image(silent)
    try:
        engine.create(replace(wan_spec(plan, image), environment=dict(environment or {})))
        engine.start(plan.lab, WAN)
        with ThreadPoolExecutor(POOL) as pool:
            list(pool.map(lambda host: engine.create(host_spec(plan, host, image)), plan.hosts))
        lab.wan.setup(wan_setup(plan))
        lab.boot([host.name for host in plan.hosts])
        pids = {container.host: container.pid for container in engine.containers(plan.lab)}
        keeper = pids.pop(WAN)
        put_into(engine, plan.lab, pids.values())
        wire = lab.wan.stats()["wire"]
        yield World(lab, str(wire["mover"]), {"keeper": keeper, "wire": int(wire["pid"])})
    finally:
        lab.wan.close()
        remove_lab(engine, plan.lab)
        engine.close()


def _plan(sites: int, delay_ns: Callable[[int, int], int]) -> Plan:
    lab, numbers = f"bench-{uuid.uuid4().hex[:8]}", range(1, sites + 1)
    hosts = [_host(f"s{n}", n, sites) for n in numbers] + [_host(BRIDGED, 1, sites)]
    return Plan(
        lab=lab,
        topology=load_topology(TOPOLOGY),  # no site comes from it
        sites=tuple(_site(n) for n in numbers),
        hosts=tuple(replace(host, container=f"{lab}-{host.name}") for host in hosts),
        paths=tuple(
            PathSpec(f"s{a}", f"s{b}", Impairment(delay_ns(a, b), queue_ns=_QUEUE_NS), "measured")
            for a in numbers
            for b in numbers
            if a != b
        ),
        services=(),
        resolvers={},
        asks={},
        preferred={},
    )


def _site(number: int) -> SiteSpec:
    lan = addressing.lan_prefix(1) if number == 1 else None
    name = f"s{number}"
    hosts = (name, BRIDGED) if lan else (name,)
    return SiteSpec(number, name, "dns", 0.0, 0.0, address(number), lan, None, hosts)


def _host(name: str, site: int, sites: int) -> HostSpec:
    on_wan, on_lan = name != BRIDGED, site == 1
    lan_number = addressing.ROUTER if on_wan else addressing.CLIENT
    beside = addressing.CLIENT if on_wan else addressing.ROUTER
    interfaces = [addressing.wan_interface(site)] if on_wan else []
    neighbours = [
        ("wan0", address(n), addressing.mac(n, addressing.WAN))
        for n in range(1, sites + 1)
        if on_wan and n != site
    ]
    if on_lan:
        interfaces.append(addressing.lan_interface(1, lan_number))
        neighbours.append(("lan0", addressing.lan_address(1, beside), addressing.mac(1, beside)))
    return HostSpec(
        name=name,
        site=f"s{site}",
        role="ns",
        container="",
        interfaces=tuple(interfaces),
        loopback=(),
        routes=(),
        neighbours=tuple(neighbours),
        sysctls=sysctls("ns", {}) | _BUFFERS,
        files={},
        daemons=(),
        cap_add=("NET_ADMIN",),  # for buffers above the machine's limits
        cpu_shares=CLIENT_CPU_SHARES,
    )
