"""Links: what to tell iproute2 for a host, and the state of bridge ports by netlink.

The peer is created directly inside the host's namespace: creating and then moving a device
costs a grace period of the kernel (16 ms) each.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

_AF_BRIDGE, _RTM_SETLINK, _NLM_F_REQUEST_ACK = 7, 19, 5
_IFLA_MASTER, _IFLA_PROTINFO_NESTED, _IFLA_BRPORT_STATE = 10, 12 | 0x8000, 1
_STATE_DISABLED, _STATE_FORWARDING = 0, 3  # BR_STATE_* of linux/if_bridge.h


def setup_lines(sites: list[tuple[int, str, bool]]) -> list[str]:
    """A bridge for every site with a LAN. It only joins: no address, no tree, no snooping."""
    lines = ["link set lo up"]
    for number, _, has_lan in sites:
        if has_lan:
            bridge = f"b{number}"
            lines += [
                f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                f"link set {bridge} addrgenmode none",
                f"link set {bridge} up",
            ]
    return lines


def link_lines(wiring: dict[str, Any], pid: int, *, cut: bool) -> list[str]:
    """In the WAN's namespace. The LAN port of a host that is cut stays outside its bridge: as
    silent, and in it the kernel would let it forward as soon as the host's end comes up."""
    lines = []
    for link in wiring["interfaces"]:
        port = link["port"]
        lines += [
            (
                f"link add {port} address {link['port_mac']} type veth "
                f"peer name {link['name']} address {link['mac']} netns {pid}"
            ),
            f"link set {port} addrgenmode none",
        ]
        if is_lan_port(link) and not cut:
            lines.append(f"link set {port} master b{wiring['site']}")
        lines.append(f"link set {port} up")
    return lines


def is_lan_port(link: dict[str, Any]) -> bool:
    return bool(link["name"] == "lan0")


def host_lines(wiring: dict[str, Any]) -> list[str]:
    """Inside the host's namespace."""
    lines = ["link set lo up"]
    lines += [f"addr replace {address} dev lo" for address in wiring["loopback"]]
    for link in wiring["interfaces"]:
        name = link["name"]
        lines += [
            f"addr add {address} dev {name}{_nodad(address)}" for address in link["addresses"]
        ]
        lines.append(f"link set {name} up")
        lines += [_connected(address, name, wiring) for address in link["addresses"]]
    for destination, gateway, source in wiring["routes"]:
        chosen = f" src {source}" if source else ""
        lines.append(
            f"route add {destination} via {gateway}{chosen} congctl {wiring['congestion']}"
        )
    for name, address, mac in wiring["neighbours"]:
        lines.append(f"neigh replace {address} lladdr {mac} dev {name} nud permanent")
    return lines


def _connected(address: str, link: str, wiring: dict[str, Any]) -> str:
    """The kernel's own route to a link, with our congestion control on it. A namespace's default
    can only be one of tcp_allowed_congestion_control; a route's may be any (ip-route(8))."""
    here = ip_interface(address)
    return (
        f"route replace {here.network} dev {link} proto kernel scope link src {here.ip} "
        f"congctl {wiring['congestion']}"
    )


def _nodad(address: str) -> str:
    return " nodad" if ":" in address else ""


def silence_ipv6() -> None:
    """The WAN must not speak on its own. Where /proc/sys is read-only, Docker's `none` network
    has done it already or `addrgenmode none` leaves the links without an address."""
    for name in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if setting.exists() and os.access(setting, os.W_OK):
            setting.write_text("1")


def cut_port(port: str) -> None:
    """Nothing passes this bridge port; the carrier stays. Raises OSError."""
    if not _is_bridged(port):
        return
    if _is_up(port):
        _set_state(port, _STATE_DISABLED)
    else:  # its coming up would undo the state; leaving the bridge takes 16 ms, but lasts
        _set_master(port, 0)


def join_port(port: str, bridge: str) -> None:
    """Undo `cut_port`, also for a port that came up cut. Raises OSError."""
    if not _is_bridged(port):
        _set_master(port, socket.if_nametoindex(bridge))
    elif _is_up(port):  # else the kernel does it when the host's end is up
        _set_state(port, _STATE_FORWARDING)


def _is_bridged(port: str) -> bool:
    return Path(f"/sys/class/net/{port}/master").exists()


def _is_up(port: str) -> bool:
    return Path(f"/sys/class/net/{port}/operstate").read_text() == "up\n"


def _set_master(port: str, bridge: int) -> None:
    _set_link(port, socket.AF_UNSPEC, struct.pack("HHI", 8, _IFLA_MASTER, bridge))


def _set_state(port: str, state: int) -> None:
    state_attribute = struct.pack("HHB3x", 5, _IFLA_BRPORT_STATE, state)
    nested = struct.pack("HH", 4 + len(state_attribute), _IFLA_PROTINFO_NESTED) + state_attribute
    _set_link(port, _AF_BRIDGE, nested)


def _set_link(port: str, family: int, attributes: bytes) -> None:
    """One RTM_SETLINK and its answer: `bridge link set` without a process."""
    body = struct.pack("BxHiII", family, 0, socket.if_nametoindex(port), 0, 0) + attributes
    header = struct.pack("IHHII", 16 + len(body), _RTM_SETLINK, _NLM_F_REQUEST_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(header + body)
        (error,) = struct.unpack_from("i", netlink.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error), port)
