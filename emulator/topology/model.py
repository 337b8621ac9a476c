"""What the user wrote, as frozen values with the defaults filled in. Nothing live, no addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.drivers import DriverName
from emulator.impairment import Trace
from emulator.steering import AllDown, CheckKind, Policy

LATENCY = Policy("latency")

Balance = Literal["l4", "l7"]
Protocol = Literal["http/1.1", "h2c"]
APEX = "@"  # the zone's own name, as zone files write it
CLIENT_KINDS = ("http", "keepalive", "stream", "udp")


@dataclass(frozen=True, slots=True)
class Location:
    """A point on the earth, with the words the user chose for it."""

    label: str  # "aws:us-east-1", "city:Paris/FR", "48.9,2.4"
    latitude: float  # degrees north
    longitude: float  # degrees east


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Checks of a region's endpoint, on a fixed schedule."""

    kind: CheckKind = "http"
    interval_s: float = 1.0
    timeout_s: float = 1.0  # never above the interval
    fall: int = 3  # failures until DOWN: in a row, or as `clear` says
    rise: int = 2  # consecutive successes until UP
    clear: int | None = None  # failures add up until so many successes in a row (gdnsd)
    hold_down_s: float = 0.0  # DOWN lasts that long at least
    checkers: tuple[str, ...] = ()  # sites that check; (): every name server for itself
    quorum: float = 0.5  # UP while more than this share of the checkers say so


@dataclass(frozen=True, slots=True)
class DnsPolicy:
    """How a service's name is answered."""

    ttl_s: int = 5
    degraded_ttl_s: int | None = None  # while not every region is well; None: as ever
    policy: Policy = LATENCY
    all_down: AllDown = "all"
    min_healthy: float = 0.0  # a region is well with this share of its servers UP; 0: with one
    ramp_s: float = 0.0  # a region that comes back is given to more and more, for so long
    ecs: bool = True  # name servers heed a query's client subnet
    health_check: HealthCheck = HealthCheck()
    profile: str = ""  # the product whose timings these are


@dataclass(frozen=True, slots=True)
class Resolver:
    """Whom a city's clients ask. `unbound`: one of the city's own, with these settings of
    unbound.conf; or, with `at`, that of another city; `none`: the name servers themselves."""

    kind: Literal["unbound", "none"] = "unbound"
    at: str = ""
    ecs: bool = False  # tells the name servers the client's network (RFC 7871)
    settings: Mapping[str, str] = field(default_factory=dict)  # "cache-min-ttl": "300"


@dataclass(frozen=True, slots=True)
class Rule:
    """An L7 rule: every stated condition must hold; then exactly one of the actions."""

    path: str | None = None  # prefix of the path
    header: tuple[str, str] | None = None  # name, exact value
    cookie: tuple[str, str] | None = None  # name, exact value
    to: str | None = None  # another l7 service's servers in the same region
    deny: int | None = None  # HTTP status
    redirect: str | None = None  # Location of a 302


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives its container's processes, until the lab is removed."""

    path: str  # in the container
    name: str = ""  # containers of a site that name it share it; "": the container's own


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that servers run instead of the built-in one. What is empty or 0 was not
    said: of a region's own, the service's counts then; of a service's, the image's own."""

    name: str = ""  # "my/api:1.2", as the engine knows it
    build: str = ""  # or the directory that it is built from, absolute
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cpus: float = 0.0
    memory: int = 0  # bytes
    files: Mapping[str, str] = field(default_factory=dict)  # path in it -> absolute path of ours
    volumes: tuple[Volume, ...] = ()

    def but(self, other: Image) -> Image:
        """This one, where `other` says nothing else."""
        return Image(
            name=other.name or ("" if other.build else self.name),
            build=other.build or ("" if other.name else self.build),
            entrypoint=other.entrypoint or self.entrypoint,
            command=other.command or self.command,
            environment={**self.environment, **other.environment},
            cpus=other.cpus or self.cpus,
            memory=other.memory or self.memory,
            files={**self.files, **other.files},
            volumes=other.volumes or self.volumes,
        )


@dataclass(frozen=True, slots=True)
class Service:
    """What clients want, by DNS name `<name>.<zone>`."""

    name: str
    port: int = 80
    target_port: int = 8080  # what the servers listen on
    balance: Balance = "l7"
    target_protocol: Protocol = "http/1.1"  # what an l7 balancer speaks with the servers
    rules: tuple[Rule, ...] = ()
    dns: DnsPolicy = DnsPolicy()
    drain_timeout_s: float = 30.0
    names: tuple[str, ...] = ()  # further DNS names, below the zone; "@": the zone itself
    image: Image | None = None  # None: the built-in server
    health: str = "/healthz"  # what the balancer asks its servers for; "tcp": only to connect
    start_timeout_s: float = 60.0  # an image's servers must be well by then
    tls: bool = False  # clients speak it to the balancer, where it ends
    depends_on: tuple[str, ...] = ()  # services whose servers in a region are well before these


@dataclass(frozen=True, slots=True)
class Region:
    """A datacenter: an edge with the load balancer, and servers for every service."""

    name: str
    location: Location
    servers: Mapping[str, int]  # by service name
    tags: tuple[str, ...] = ()  # what scenarios may call it, as `tag:edge`
    images: Mapping[str, Image] = field(default_factory=dict)  # by service: what is different here

    def image_of(self, service: Service) -> Image | None:
        """What the service's servers run here; None: the built-in one."""
        change = self.images.get(service.name)
        return service.image if change is None else (service.image or Image()).but(change)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The patience of a city's clients."""

    lookup_s: float = 2.0
    connect_s: float = 3.0
    response_s: float = 3.0


@dataclass(frozen=True, slots=True)
class City:
    """Clients behind one recursive resolver."""

    name: str
    location: Location
    timeouts: Timeouts = Timeouts()
    tags: tuple[str, ...] = ()
    resolver: Resolver = Resolver()
    image: Image | None = None  # of a client beside the built-in ones


@dataclass(frozen=True, slots=True)
class NameServer:
    """One authoritative server, a site of its own on the WAN."""

    name: str
    location: Location
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathSetting:
    """What `paths:` says of one direction, and nothing else. `line` is where it was said."""

    source: str
    target: str
    line: int
    values: Mapping[str, Any] = field(default_factory=dict)  # of an Impairment
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole file. Site order is regions, cities, name servers, each in the file's order."""

    name: str
    zone: str
    regions: tuple[Region, ...]
    cities: tuple[City, ...]
    name_servers: tuple[NameServer, ...]
    services: tuple[Service, ...]
    paths: tuple[PathSetting, ...] = ()
    kernel: Mapping[str, int] = field(default_factory=dict)  # "tcp_syn_retries": 3
    driver: DriverName = "userspace"  # what moves packets between sites
    light_traffic: float = 5.0  # requests/s of every kind in every city after `up`; 0: none
    asked_path: str = "/"  # what HTTP clients ask the first service for
    source: str = ""  # the file's text, so that a lab can be attached to without the file
