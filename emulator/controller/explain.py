"""What name servers would answer, and why, for whom.

A service's name is explained by the server itself, over HTTP, with its reasons. Any other name is
asked as a resolver asks: over DNS, in the server's own host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from emulator.controller.dns import ask, decoded, near, run_in
from emulator.controller.lab import Lab
from emulator.errors import UsageError
from emulator.plan.addressing import name_server_address
from emulator.steering import Explanation

# One query for A over UDP, by the library that the image has; JSON of what came back.
_QUERY = """
import json, sys
from dnslib import QTYPE, RCODE, DNSRecord
name, server = sys.argv[1:]
said = DNSRecord.parse(DNSRecord.question(name).send(server, 53, timeout=1))
addresses = [str(record.rdata) for record in said.rr if record.rtype == QTYPE.A]
ttls = [record.ttl for record in said.rr + said.auth]
rcode = RCODE[said.header.rcode]
print(json.dumps({"rcode": rcode, "addresses": addresses, "ttl_s": min(ttls, default=0)}))
"""


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom an answer is for: the address that asks and the network it tells of, "" for none."""

    source: str
    subnet: str
    words: str  # "paris's resolver"

    def __str__(self) -> str:
        subnet = f" for client subnet {self.subnet}" if self.subnet else ""
        return f"{self.words} ({self.source}){subnet}" if self.words else f"{self.source}{subnet}"


def explanations(
    lab: Lab, name: str, asking: Asking, servers: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Why each name server answers this name so: JSON of steering.Explanation, or {"error": why}.
    `servers` (): all. Raises UsageError for one that is none, and for what is no domain name."""
    labels = name.rstrip(".").split(".")
    if not all(0 < len(label.encode()) < 64 for label in labels):
        raise UsageError(f"{name!r} is no domain name")
    if not is_service(lab, name):
        return _by_query(lab, name, asking, servers)
    question = {"name": name, "source": asking.source}
    question |= {"subnet": asking.subnet} if asking.subnet else {}
    replies = ask(lab, f"/explain?{urlencode(question)}", servers)
    return {server: decoded(reply) for server, reply in replies.items()}


def is_service(lab: Lab, name: str) -> bool:
    """Is it one of the names that move between regions?"""
    return name.rstrip(".").casefold() in _names(lab)


def no_service(lab: Lab, name: str) -> str:
    """That it is none, in words, and which there are."""
    return f"{name} is no service's name; there are {', '.join(_names(lab))}"


def _names(lab: Lab) -> list[str]:
    return [name for service in lab.plan.services for name in service.names]


def _by_query(
    lab: Lab, name: str, asking: Asking, servers: Iterable[str]
) -> dict[str, dict[str, Any]]:
    numbers = {site.name: site.number for site in lab.plan.sites}
    replies = run_in(
        lab,
        lambda server: ["python3", "-c", _QUERY, name, name_server_address(numbers[server])],
        servers,
    )
    return {
        server: _explained(server, name, asking, decoded(reply))
        for server, reply in replies.items()
    }


def _explained(server: str, name: str, asking: Asking, told: dict[str, Any]) -> dict[str, Any]:
    """No policy had a part in it."""
    if "error" in told:
        return told
    return asdict(
        Explanation(
            server=server,
            name=name,
            source=asking.source,
            by="resolver",
            network="",
            site="",
            weighings=(),
            overrides=(),
            regions=(),
            addresses=tuple(told["addresses"]),
            ttl_s=told["ttl_s"],
            ttl_because="",
            rcode=told["rcode"],
            serial=0,
        )
    )


def asking_from(lab: Lab, origin: str, subnet: str = "") -> Asking:
    """A city as the name servers see it, or an address. Raises UsageError."""
    if subnet:
        subnet = _network(subnet)
    cities = {city.name: city for city in lab.plan.topology.cities}
    if origin not in cities:
        return Asking(_address(origin, cities), subnet, "")
    resolver = cities[origin].resolver
    if resolver.kind == "none":
        return Asking(_client(lab, origin), subnet, f"{origin}'s client")
    keeper = resolver.at or origin
    whose = f"{keeper}'s resolver" + (f", which {origin} asks" if resolver.at else "")
    if not subnet and (resolver.ecs or cities[keeper].resolver.ecs):
        subnet = next(s.lan_prefix or "" for s in lab.plan.sites if s.name == origin)
    return Asking(lab.plan.resolvers[keeper], subnet, whose)


def _client(lab: Lab, city: str) -> str:
    interfaces = lab.spec(f"{city}/client").interfaces
    return interfaces[0].addresses[0].split("/")[0]


def _address(text: str, cities: Iterable[str]) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        advice = near(text, cities)
        raise UsageError(
            f"--from: {text} is no city of this lab and no address; {advice}"
        ) from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise UsageError(f"--subnet: {error}; write it like 10.4.0.0/24") from error
