"""The wire: takes frames from the sites' ports, holds them as long as the path table says, and
puts them out at their targets. One thread, one process, nothing else in it: a second busy Python
thread would take 95 % of its time.

    python3 -m emulator.node.wan.wire --control FD --table FD --records FD [--capture FD] [--seed N]

control: SOCK_SEQPACKET, one JSON object a message, each answered {"ok": true} or {"error": ...}:
    {"op": "port", "site": 3}      with the site's packet socket (`ports.open_port`) by SCM_RIGHTS
    {"op": "unport", "site": 3}    closes our copy; the keeper's is the last and costs the 16 ms
    {"op": "macs", "macs": {"02:00:00:00:03:01": 3}}    replaces what was known
    {"op": "flows"}                has every direction told that moved since it was told last
Its end ends the process. records: SOCK_SEQPACKET, `records.decode` reads each message.
Environment: NETEMU_CORE (see `compiled`); NETEMU_FLOWLOG=off keeps no record of flows.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import socket
import sys
from typing import Any

from emulator.drivers import SEED
from emulator.node.wan.capture import Capture
from emulator.node.wan.compiled import CompiledMover, load_core
from emulator.node.wan.mover import Mover, MoverParts
from emulator.node.wan.plain import PlainMover
from emulator.node.wan.poller import sharpen_timers
from emulator.node.wan.ports import is_gone
from emulator.node.wan.table import MOVER, MOVERS, SITES, PathTable


class Wire:
    """The control socket's end, and the ports."""

    def __init__(self, mover: Mover, control: socket.socket) -> None:
        self._mover = mover
        self._control = control
        self._ports: dict[int, socket.socket] = {}

    def run(self) -> None:
        """Until the control socket ends."""
        while True:
            gone = self._mover.run()
            if gone:
                if is_gone(self._ports[gone]):
                    self._drop_port(gone)
            elif not self._obey():
                return

    def _obey(self) -> bool:
        """Carry out one control message; False at the control socket's end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 4)
            if data:
                self._control.send(json.dumps(self._answer(data, fds)).encode())
        except BlockingIOError:  # nobody reads our answers; frames come first
            return True
        except ConnectionError:
            return False
        return bool(data)

    def _answer(self, data: bytes, fds: list[int]) -> dict[str, Any]:
        sent = [socket.socket(fileno=fd) for fd in fds]
        try:
            self._carry_out(json.loads(data), sent)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            for socket_ in sent:
                socket_.close()
            return {"error": f"{type(error).__name__}: {error}"}
        return {"ok": True}

    def _carry_out(self, request: dict[str, Any], sent: list[socket.socket]) -> None:
        match request["op"], sent:
            case "port", [socket_]:
                self._add_port(request["site"], socket_)
            case "unport", []:
                self._drop_port(request["site"])
            case "macs", []:
                macs = request["macs"].items()
                told = {bytes.fromhex(mac.replace(":", "")): int(site) for mac, site in macs}
                self._mover.set_macs(told)
            case "flows", []:
                self._mover.tell_flows()
            case op, _:
                raise ValueError(f"{op!r} with {len(sent)} descriptors is not an operation")

    def _add_port(self, site: int, socket_: socket.socket) -> None:
        if not 0 < site < SITES:
            raise ValueError(f"site {site} is not one of 1..{SITES - 1}")
        self._drop_port(site)
        socket_.settimeout(0)
        self._ports[site] = socket_
        self._mover.add_port(site, socket_)

    def _drop_port(self, site: int) -> None:
        port = self._ports.pop(site, None)
        if port is not None:
            self._mover.drop_port(site)
            port.close()


def make_mover(parts: MoverParts) -> Mover:
    """The compiled one where there is one that can be used."""
    try:
        core = load_core()
    except OSError as error:
        print(f"wire: frames are moved in plain Python: {error}", file=sys.stderr)  # noqa: T201
        core = None
    return PlainMover(parts) if core is None else CompiledMover(core, parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="emulator.node.wan.wire")
    for name in ("control", "table", "records"):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="FD")
    parser.add_argument("--capture", type=int, metavar="FD")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    sharpen_timers()
    with contextlib.suppress(OSError):  # without the right to, the container's CPU weight must do
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    control = socket.socket(fileno=options.control)
    control.settimeout(0)
    table = PathTable.attach(options.table)
    parts = MoverParts(
        table.words,
        control,
        socket.socket(fileno=options.records),
        None if options.capture is None else Capture.attach(options.capture),
        options.seed,
        os.environ.get("NETEMU_FLOWLOG") != "off",
    )
    wire = Wire(mover := make_mover(parts), control)
    table.words[MOVER] = MOVERS.index(mover.name)
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles; a collection would delay frames
    wire.run()


if __name__ == "__main__":
    main()
