"""Duplicates: a detour by which the frames of one path get copies of themselves.

Kernels refuse a netem that duplicates in one tree with others (since 2025). So it is the root of
a device of its own, an `ifb`, to which the frames are sent where they enter and from which they
come back to the same place. Broadcasts take no part.
"""

from __future__ import annotations

import struct

from emulator.impairment import Pair
from emulator.node.wan.netem_options import duplicator_options
from emulator.node.wan.rtnetlink import TrafficControl, attribute

_ROOT, _HANDLE = 0xFFFFFFFF, 1 << 16
# linux/pkt_cls.h, linux/tc_act/
_ETH_DST, _ACTIONS = 4, 3
_ACT_KIND, _ACT_OPTIONS = 1, 2
_SKBEDIT_PARMS, _SKBEDIT_PRIORITY, _MIRRED_PARMS = 2, 3, 2
_PIPE, _STOLEN, _REDIRECT = 3, 4, 1


class Detours:
    """Of all paths that ever had duplicates: a share of 0 leaves the detour, for taking it away
    would drop what is on it."""

    def __init__(self, control: TrafficControl) -> None:
        self._control = control
        self._devices: dict[Pair, int] = {}  # index of the ifb
        self._leading: set[Pair] = set()  # those whose source's port sends frames there

    def set_share(self, pair: Pair, share: float) -> None:
        """Raises OSError where the kernel has no ifb."""
        if pair not in self._devices and share:
            name = f"d{pair[0]}.{pair[1]}"
            self._devices[pair] = self._control.add_link(name, "ifb")
        if pair in self._devices:
            options = duplicator_options(share)
            self._control.set_qdisc(self._devices[pair], _ROOT, _HANDLE, "netem", options)

    def lead(self, pair: Pair, port: int, macs: list[str]) -> None:
        """Send there what enters by the source's port (its interface's index) for these addresses
        of the target, if the path has a detour. Raises OSError."""
        if pair not in self._devices or pair in self._leading:
            return
        for number, mac in enumerate(macs, start=1):
            options = attribute(_ETH_DST, bytes.fromhex(mac.replace(":", "")))
            actions = _prioritize(pair[0]) + _redirect(self._devices[pair])
            self._control.add_ingress_filter(
                port, pair[1] << 8 | number, "flower", options + attribute(_ACTIONS, actions)
            )
        self._leading.add(pair)

    def port_is_gone(self, source: int) -> None:
        self._leading = {pair for pair in self._leading if pair[0] != source}


def _prioritize(source: int) -> bytes:
    parameters = attribute(_SKBEDIT_PARMS, struct.pack("=IIiii", 0, 0, _PIPE, 0, 0))
    priority = attribute(_SKBEDIT_PRIORITY, struct.pack("=I", 1 << 16 | source))
    return _action(1, "skbedit", parameters + priority)


def _redirect(device: int) -> bytes:
    told = struct.pack("=IIiiiiI", 0, 0, _STOLEN, 0, 0, _REDIRECT, device)
    return _action(2, "mirred", attribute(_MIRRED_PARMS, told))


def _action(order: int, kind: str, options: bytes) -> bytes:
    name = attribute(_ACT_KIND, kind.encode() + b"\0")
    return attribute(order, name + attribute(_ACT_OPTIONS, options))
