"""`python3 -m emulator.node.edge /etc/netemu/edge.json`: watches HAProxy every 200 ms, reports
changes as Proxy events, points the UDP path at healthy servers. Commands on stdin:
`{"op": "drain", "wait_s": 9, "close_s": 2}` drains by itself in three steps, `{"op": "undrain"}`
ends that. The steps: health fails at once; after `wait_s` every answer says `Connection: close`;
after `close_s` more HAProxy gets its soft stop (SIGUSR1), whose end is `hard-stop-after`.
`{"op": "vouch", "servers": ["www-1"]}` has HAProxy take servers for UP until its own next check of
them, which decides."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from emulator.events import Proxy, encode
from emulator.node.edge.forward import apply_rules, render_rules
from emulator.node.edge.haproxy import ask, haproxy_pid, parse_stat, set_variable, vouch

POLL_S = 0.2


class Edge:
    """What was last told of each server, and to nft, and how far a drain has come."""

    def __init__(self, config: dict[str, Any], events: int) -> None:
        self._config = config
        self._socket: str = config["haproxy_socket"]
        self._events = events
        self._told: dict[tuple[str, str], str] = {}
        self._rules = ""
        self._vouched: set[str] = set()  # servers whose own check has not passed yet since
        self._drain: list[tuple[float, str]] = []  # when (monotonic s), which step

    def look(self) -> None:
        """Take the drain's next step when it is due; ask HAProxy once; tell what changed."""
        if self._drain and time.monotonic() >= self._drain[0][0]:
            self._drain_step(self._drain.pop(0)[1])
        try:
            states = parse_stat(ask(self._socket, "show stat"))
        except OSError as error:
            self._tell("", "", "DOWN", str(error))
            return
        if not self._drain and self._told.get(("", "")) in {None, "DOWN"}:
            self._tell("", "", "UP", "answers")
        for service in self._config["services"]:
            for server in service["servers"]:
                state, reason = states.get((service["backend"], server), ("DOWN", "unknown"))
                self._tell(service["name"], server, state, reason)
        self._forward(states)

    def patience_s(self) -> float:
        """How long to wait for a command before the next look."""
        due = self._drain[0][0] - time.monotonic() if self._drain else POLL_S
        return min(POLL_S, max(0.0, due))

    def obey(self, line: str) -> None:
        """Carry out one command line."""
        command = json.loads(line)
        if command["op"] == "drain":
            close = time.monotonic() + command["wait_s"]
            self._drain = [(close, "close"), (close + command["close_s"], "stop")]
            set_variable(self._socket, "draining", value=True)
            self._tell("", "", "DRAIN", "asked to")
        elif command["op"] == "undrain":
            self._drain.clear()
            set_variable(self._socket, "draining", value=False)
            set_variable(self._socket, "closing", value=False)
            self._tell("", "", "UP", "asked to")
        elif command["op"] == "vouch":
            self._vouched |= set(command["servers"])
            for backend, server in self._places(command["servers"]):
                vouch(self._socket, backend, server)

    def _places(self, servers: list[str]) -> list[tuple[str, str]]:
        """Every backend that one of them is in, with it."""
        services, echo = self._config["services"], self._config["echo"]["backend"]
        backends = [(s["backend"], s["servers"]) for s in services]
        backends.append((echo, services[0]["servers"]))
        return [(name, each) for name, held in backends for each in servers if each in held]

    def _drain_step(self, step: str) -> None:
        if step == "close":
            set_variable(self._socket, "closing", value=True)
            self._tell("", "", "CLOSING", "every answer says Connection: close")
        else:
            os.kill(haproxy_pid(self._socket), signal.SIGUSR1)
            self._tell("", "", "STOPPING", "soft stop")

    def _forward(self, states: dict[tuple[str, str], tuple[str, str]]) -> None:
        echo, servers = self._config["echo"], self._config["services"][0]["servers"]
        passed = {
            name for name in servers if states.get((echo["backend"], name), ("DOWN", ""))[0] == "UP"
        }
        self._vouched -= passed
        up = [address for name, address in servers.items() if name in passed | self._vouched]
        rules = render_rules(echo["address"], up)
        if rules != self._rules:
            apply_rules(rules)
            self._rules = rules

    def _tell(self, service: str, server: str, state: str, reason: str) -> None:
        if self._told.get((service, server)) == state:
            return
        self._told[service, server] = state
        event = Proxy(
            t=time.monotonic_ns(),
            region=self._config["region"],
            service=service,
            server=f"{self._config['region']}/{server}" if server else "",
            state=state,
            reason=reason,
        )
        os.write(self._events, encode(event.to_json()))


def main() -> None:
    edge = Edge(
        json.loads(Path(sys.argv[1]).read_text()), int(os.environ.get("NETEMU_EVENTS", "1"))
    )
    inputs = [sys.stdin]
    while True:
        edge.look()
        ready, _, _ = select.select(inputs, [], [], edge.patience_s())
        if ready:
            line = sys.stdin.readline()
            if line:
                edge.obey(line)
            else:
                inputs.clear()


if __name__ == "__main__":
    main()
