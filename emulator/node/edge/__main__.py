"""`python3 -m emulator.node.edge /etc/netemu/edge.json`: watches HAProxy every 200 ms, reports
changes as Proxy events, points the UDP path at healthy servers. A command on stdin:
`{"op": "drain", "on": true}`."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from emulator.events import Proxy, encode
from emulator.node.edge.forward import apply_rules, render_rules
from emulator.node.edge.haproxy import ask, parse_stat, set_draining

POLL_S = 0.2


class Edge:
    """What was last told of each server, and to nft."""

    def __init__(self, config: dict[str, Any], events: int) -> None:
        self._config = config
        self._events = events
        self._told: dict[tuple[str, str], str] = {}
        self._rules = ""
        self._is_gone = False

    def look(self) -> None:
        """Ask HAProxy once; tell what changed."""
        try:
            states = parse_stat(ask(self._config["haproxy_socket"], "show stat"))
        except OSError as error:
            self._tell_gone(str(error))
            return
        self._is_gone = False
        for service in self._config["services"]:
            for server in service["servers"]:
                state, reason = states.get((service["backend"], server), ("DOWN", "unknown"))
                self._tell(service["name"], server, state, reason)
        self._forward(states)

    def obey(self, line: str) -> None:
        """Carry out one command line."""
        command = json.loads(line)
        if command.get("op") == "drain":
            set_draining(self._config["haproxy_socket"], draining=bool(command["on"]))
            self._tell("", "", "DRAIN" if command["on"] else "UP", "asked to")

    def _forward(self, states: dict[tuple[str, str], tuple[str, str]]) -> None:
        echo = self._config["echo"]
        up = [
            address
            for name, address in echo["servers"].items()
            if states.get((echo["backend"], name), ("DOWN", ""))[0] == "UP"
        ]
        rules = render_rules(echo["address"], up)
        if rules != self._rules:
            apply_rules(rules)
            self._rules = rules

    def _tell_gone(self, reason: str) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._told.clear()
            self._tell("", "", "DOWN", reason)
            self._told.clear()

    def _tell(self, service: str, server: str, state: str, reason: str) -> None:
        if self._told.get((service, server)) == state:
            return
        self._told[service, server] = state
        event = Proxy(
            t=time.monotonic_ns(),
            region=self._config["region"],
            service=service,
            server=server,
            state=state,
            reason=reason,
        )
        os.write(self._events, encode(event.to_json()))


def main() -> None:
    edge = Edge(json.loads(Path(sys.argv[1]).read_text()), int(os.environ.get("NETEMU_EVENTS", 1)))
    inputs = [sys.stdin]
    while True:
        edge.look()
        ready, _, _ = select.select(inputs, [], [], POLL_S)
        if ready:
            line = sys.stdin.readline()
            if line:
                edge.obey(line)
            else:
                inputs.clear()


if __name__ == "__main__":
    main()
