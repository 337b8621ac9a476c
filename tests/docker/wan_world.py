"""A WAN container and three small hosts, wired by hand: two sites, one of them with a LAN."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.drivers import DriverName
from emulator.engine.base import ContainerSpec, Engine
from emulator.impairment import Impairment
from emulator.wan.base import HostWiring, WanSetup
from emulator.wan.remote import RemoteWan

EAST, WEST = 1, 2
ONE_WAY_NS = {(EAST, WEST): 10_000_000, (WEST, EAST): 15_000_000}
ROUTER, SERVER, FAR = "east/edge", "east/www-1", "west"

_KEEPER = ("python3", "-m", "emulator.node.wan.keeper")
_INIT = ("python3", "-m", "emulator.node.init")
_KEEPER_CAPS = ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "NET_RAW")
# As in a lab: a router solicitation (70 bytes) would be counted with what a test sends.
_SYSCTLS = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.disable_ipv6": "1"}
_LEGS = {
    # host: site, number in it, interfaces as (name, port, address)
    ROUTER: (EAST, 1, (("wan0", "w1", "100.64.0.1/16"), ("lan0", "l1.1", "10.1.0.1/24"))),
    SERVER: (EAST, 2, (("lan0", "l1.2", "10.1.0.11/24"),)),
    FAR: (WEST, 1, (("wan0", "w2", "100.64.0.2/16"),)),
}


def mac(site: int, host: int, *, port: bool = False, lan: bool = False) -> str:
    return f"02:00:{int(port):02x}:{int(lan):02x}:{site:02x}:{host:02x}"


def wiring(host: str) -> HostWiring:
    """What the plan would say of one of the three."""
    site, number, legs = _LEGS[host]
    interfaces = tuple(
        {
            "name": name,
            "port": port,
            "mac": mac(site, number, lan=name == "lan0"),
            "port_mac": mac(site, number, port=True, lan=name == "lan0"),
            "addresses": (address,),
        }
        for name, port, address in legs
    )
    routes = {
        ROUTER: (("198.18.2.0/24", "100.64.0.2", "198.18.1.254"),),
        SERVER: (("0.0.0.0/0", "10.1.0.1", ""),),
        FAR: (("198.18.1.0/24", "100.64.0.1", "198.18.2.53"), ("10.1.0.0/24", "100.64.0.1", "")),
    }
    neighbours = {
        ROUTER: (("wan0", "100.64.0.2", mac(WEST, 1)), ("lan0", "10.1.0.11", mac(1, 2, lan=True))),
        SERVER: (("lan0", "10.1.0.1", mac(1, 1, lan=True)),),
        FAR: (("wan0", "100.64.0.1", mac(EAST, 1)),),
    }
    loopback = {ROUTER: ("198.18.1.254/32",), SERVER: (), FAR: ("198.18.2.53/32",)}
    return HostWiring(host, site, interfaces, loopback[host], routes[host], neighbours[host])


def setup(driver: DriverName = "userspace") -> WanSetup:
    return WanSetup(
        sites=((EAST, "east", True), (WEST, "west", False)),
        macs={mac(EAST, 1): EAST, mac(WEST, 1): WEST},
        paths=tuple((a, b, Impairment(delay)) for (a, b), delay in ONE_WAY_NS.items()),
        plan={"lab": "by-hand", "topology": "none", "digest": "0"},
        driver=driver,
    )


@dataclass
class World:
    """The containers of one lab, and WANs that speak to its keeper."""

    engine: Engine
    lab: str
    image: str
    driver: DriverName = "userspace"
    pids: dict[str, int] = field(default_factory=dict)
    clients: list[RemoteWan] = field(default_factory=list)

    def client(self) -> RemoteWan:
        """Another netemu that attaches."""
        self.clients.append(RemoteWan(self.engine, self.lab))
        return self.clients[-1]

    def start(self) -> RemoteWan:
        """Everything up and wired."""
        self._create("wan", _KEEPER, cap_drop=("ALL",), cap_add=_KEEPER_CAPS, pid_host=True)
        for host in _LEGS:
            self._create(host, _INIT, sysctls=_SYSCTLS)
        self.engine.start(self.lab, "wan")
        for host in _LEGS:
            self.restart(host)
        wan = self.client()
        wan.setup(setup(self.driver))
        wan.wire([(wiring(host), pid) for host, pid in self.pids.items()])
        return wan

    def _create(self, host: str, command: tuple[str, ...], **more: object) -> None:
        name = f"{self.lab}-{host.replace('/', '-')}"
        environment = {"NETEMU_HOST": host}
        shares = 262144 if host == "wan" else 1024
        self.engine.create(
            ContainerSpec(
                self.lab,
                host,
                name,
                self.image,
                command,
                environment,
                cpu_shares=shares,
                **more,  # type: ignore[arg-type]
            )
        )

    def restart(self, host: str) -> tuple[HostWiring, int]:
        """Start a host; what `wire` wants to know of it."""
        self.pids[host] = self.engine.start(self.lab, host).pid
        return wiring(host), self.pids[host]

    def remove(self) -> None:
        for client in self.clients:
            client.close()
        self.engine.remove(self.engine.containers(self.lab))
