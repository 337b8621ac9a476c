"""Addresses from numbers, so that a person can compute them; the table stands in ARCHITECTURE.md.

Site i (from 1), host h on its LAN: the router 1, a city's client 2, servers from 11. On the WAN a
site has one interface, host 0. 198.18.0.0/15 is reserved for benchmarks (RFC 2544), 100.64.0.0/10
for carriers' inside (RFC 6598): neither is ever met outside.
"""

from __future__ import annotations

from emulator.plan.model import InterfaceSpec

SITES_MAX = 254
SERVERS_MAX = 244  # 10.i.0.11 to 10.i.0.254
SERVICES_MAX = 253  # 198.18.i.1 to 198.18.i.253

WAN = 0  # the number of a site's interface there
ROUTER = 1
CLIENT = 2
FIRST_SERVER = 11

ECHO_PORT = 7  # RFC 862
DNS_PORT = 53
REPORTS_PORT = 9953  # where name servers hear what vantage sites saw, UDP


def wan_address(site: int) -> str:
    return f"100.64.0.{site}"


def lan_address(site: int, host: int) -> str:
    return f"10.{site}.0.{host}"


def lan_prefix(site: int) -> str:
    return f"10.{site}.0.0/24"


def public_address(site: int, host: int) -> str:
    return f"198.18.{site}.{host}"


def public_prefix(site: int) -> str:
    return f"198.18.{site}.0/24"


def region_address(site: int) -> str:
    """A region's own address: its health endpoint, and what its edge speaks from."""
    return public_address(site, 254)


def name_server_address(site: int) -> str:
    return public_address(site, 53)


def health_port(service: int) -> int:
    """Of the region's endpoint for service number `service`, from 1."""
    return 9000 + service


def mac(site: int, host: int) -> str:
    """A host's end of a link; locally administered."""
    return f"02:00:00:00:{site:02x}:{host:02x}"


def wan_interface(site: int) -> InterfaceSpec:
    return InterfaceSpec(
        name="wan0",
        port=f"w{site}",
        mac=mac(site, WAN),
        port_mac=f"02:00:01:00:{site:02x}:00",
        addresses=(f"{wan_address(site)}/16",),
    )


def lan_interface(site: int, host: int) -> InterfaceSpec:
    return InterfaceSpec(
        name="lan0",
        port=f"l{site}.{host}",
        mac=mac(site, host),
        port_mac=f"02:00:01:00:{site:02x}:{host:02x}",
        addresses=(f"{lan_address(site, host)}/24",),
    )
