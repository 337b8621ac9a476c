"""What will be built, as frozen values: hosts, links, paths, configuration files. Pure data.

`Plan` is made by `make_plan(topology, lab)`; equal inputs give equal plans, so a lab can be
attached to from the topology's text alone. `digest` says whether two plans are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emulator.impairment import Impairment, Trace
from emulator.steering import Policy
from emulator.topology.model import DnsPolicy, Topology

SiteKind = Literal["region", "client", "dns"]
Role = Literal["edge", "server", "access", "client", "ns"]


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """A place on the WAN. Its number makes its addresses."""

    number: int  # from 1
    name: str
    kind: SiteKind
    latitude: float
    longitude: float
    wan_address: str  # 100.64.0.<n>
    lan_prefix: str | None  # 10.<n>.0.0/24
    public_prefix: str | None  # 198.18.<n>.0/24
    hosts: tuple[str, ...]  # the first is the one on the WAN


@dataclass(frozen=True, slots=True)
class InterfaceSpec:
    """A veth pair: `name` inside the host, `port` inside the WAN container."""

    name: Literal["wan0", "lan0"]
    port: str  # "w3" or "l3.2": at most 15 characters
    mac: str
    port_mac: str
    addresses: tuple[str, ...]  # CIDR


@dataclass(frozen=True, slots=True)
class DaemonSpec:
    """A program the host's init starts once the host is wired, and never restarts."""

    name: str
    argv: tuple[str, ...]
    waits_for: str = ""  # a path that must exist before it starts, made by an earlier daemon


@dataclass(frozen=True, slots=True)
class OwnSpec:
    """A second container, of the user's image, in a host's network namespace."""

    name: str  # to the engine: "us-east/api-1:image"
    container: str  # "<lab>-us-east-api-1-image"
    image: str
    build: str  # the directory that the image is built from at `up`; "": the engine has it
    entrypoint: tuple[str, ...]  # () : the image's own
    command: tuple[str, ...]  # the same
    environment: Mapping[str, str]
    cpus: float  # 0: no limit
    memory: int  # bytes; 0: no limit
    files: Mapping[str, str]  # path inside -> file or directory on this machine, copied at `up`
    volumes: Mapping[str, str]  # path inside -> the engine's name of it; "": the container's own
    start_timeout_s: float = 0.0
    waits_for: tuple[str, ...] = ()  # servers of its region that must be well before it starts


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One container with a network namespace of its own."""

    name: str  # "us-east/edge"
    site: str
    role: Role
    container: str  # "<lab>-us-east-edge"
    interfaces: tuple[InterfaceSpec, ...]
    loopback: tuple[str, ...]  # CIDR addresses on lo
    routes: tuple[tuple[str, str, str], ...]  # destination, gateway, source address ("" : any)
    neighbours: tuple[tuple[str, str, str], ...]  # interface, address, MAC; permanent
    sysctls: Mapping[str, str]
    files: Mapping[str, str]  # path inside the host -> text
    daemons: tuple[DaemonSpec, ...]
    cap_add: tuple[str, ...] = ()
    cpu_shares: int = 1024
    own: OwnSpec | None = None


@dataclass(frozen=True, slots=True)
class PathSpec:
    """One ordered pair of sites, and why it is as it is."""

    source: str
    target: str
    impairment: Impairment
    because: str
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service as it is reached."""

    name: str
    fqdn: str  # "www.shop.test"
    port: int
    balance: str
    addresses: Mapping[str, str]  # region -> 198.18.<n>.<k>
    health: Mapping[str, tuple[str, int]]  # region -> address, port of the region's endpoint
    servers: Mapping[str, tuple[str, ...]]  # region -> host names
    ttl_s: int
    interval_s: float
    timeout_s: float
    fall: int
    rise: int
    drain_timeout_s: float
    names: tuple[str, ...]  # every DNS name of it, `fqdn` first
    policy: Policy  # members resolved: all of them have the service
    dns: DnsPolicy  # the rest of what the user wrote
    checkers: tuple[str, ...]  # sites whose checks decide, in any case: the name servers'
    tls: bool = False  # up to the balancer

    @property
    def protocol(self) -> str:
        """What clients speak to the balancer, as far as it understands them."""
        if self.balance == "l7":
            return "https" if self.tls else "http"
        return "tls" if self.tls else "tcp"

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        scheme, usual = ("https", 443) if self.tls else ("http", 80)
        return f"{scheme}://{self.fqdn}{'' if self.port == usual else f':{self.port}'}/"


@dataclass(frozen=True, slots=True)
class Bound:
    """The predicted worst recovery of one client kind in one city, part by part."""

    city: str
    client: str
    total_s: float
    parts: Mapping[str, float] = field(default_factory=dict)
    because: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `up` builds and `analysis` needs to know of it."""

    lab: str
    topology: Topology
    sites: tuple[SiteSpec, ...]
    hosts: tuple[HostSpec, ...]
    paths: tuple[PathSpec, ...]
    services: tuple[ServiceSpec, ...]
    resolvers: Mapping[str, str]  # city -> address of a recursive resolver of its own
    asks: Mapping[str, tuple[str, ...]]  # city -> addresses that its clients ask, in order
    preferred: Mapping[str, tuple[str, ...]]  # city -> regions, by its resolver's rtt
    digest: str = ""

    @property
    def containers(self) -> int:
        """How many the lab has, with the WAN's and the user's."""
        return 1 + sum(1 if host.own is None else 2 for host in self.hosts)
