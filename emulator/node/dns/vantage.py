"""`python -m emulator.node.dns.vantage CONFIG`: health checks from one site for all name servers.

It checks every region of its services on the same fixed schedules as a name server, and tells
what it saw to each of them, who form an opinion of their own from it. CONFIG is JSON: {"site":
NAME, "services": [as a name server's], "report_to": [[ADDRESS, PORT], ...]}. Commands come as JSON
lines on standard input:

    {"op": "phase", "t": NS, "region": NAME}    as a name server's
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from emulator.clock import Clock, MonotonicClock
from emulator.errors import Exit, NetemuError, UsageError
from emulator.node.dns.commands import command_descriptor, follow_commands
from emulator.node.dns.config import Endpoint, Service, read_config
from emulator.node.dns.reports import encode_report
from emulator.node.dns.schedules import Checks
from emulator.node.dns.values import Checked

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VantageConfig:
    """All that one vantage site knows at its start."""

    site: str
    services: tuple[Service, ...]
    report_to: tuple[Endpoint, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            data["site"],
            tuple(Service.from_json(service) for service in data["services"]),
            tuple((address, int(port)) for address, port in data["report_to"]),
        )


class Reporter:
    """Sends every outcome to every name server. `unsent` counts what the kernel did not take: no
    route, or a full queue; the check after it is soon enough."""

    def __init__(self, site: str, report_to: tuple[Endpoint, ...]) -> None:
        self._site = site
        self._report_to = [(_sender(endpoint), endpoint) for endpoint in report_to]
        self.unsent = 0

    def take(self, service: Service, region: str, checked: Checked) -> None:
        datagram = encode_report(self._site, service.name, region, checked)
        for sender, endpoint in self._report_to:
            try:
                sender.sendto(datagram, endpoint)
            except OSError as error:
                self.unsent += 1
                log.debug("not told %s: %s", endpoint, error)


def _sender(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.setblocking(False)  # noqa: FBT003
    return sender


async def run(config: VantageConfig, clock: Clock, commands: int) -> None:
    """Check and report until cancelled."""
    reporter = Reporter(config.site, config.report_to)
    checks = Checks(config.services, clock, reporter.take)
    follow_commands(commands, lambda line: obey(line, checks))
    log.info("%s checks %s", config.site, ", ".join(s.name for s in config.services) or "nothing")
    await checks.run()


def obey(line: str, checks: Checks) -> None:
    """Do what a command line says; nonsense is logged."""
    try:
        command = json.loads(line)
        if command["op"] != "phase":
            raise ValueError(command["op"])
        checks.place(int(command["t"]), command["region"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%r is no command (%r); there is phase", line, error)


def main(arguments: list[str]) -> int:
    """Check until killed; the exit code otherwise, with the reason on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if len(arguments) != 1:
            raise UsageError("usage: python -m emulator.node.dns.vantage CONFIG")
        config = read_config(Path(arguments[0]), VantageConfig.from_json)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(config, MonotonicClock(), command_descriptor()))
    except NetemuError as error:
        log.error("%s", error)
        return error.exit_code
    return Exit.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
