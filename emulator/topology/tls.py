"""`tls: yes` of a service: its balancers speak TLS to clients, and plain to its servers."""

from __future__ import annotations

import re

from emulator.topology.model import Service
from emulator.yamlfile import Entry

HTTPS_PORT = 443  # RFC 9110, 4.2.2
HTTP_PORT = 80
# Only encoded names of other scripts have hyphens there (RFC 5890, 2.3.1), and ours are none.
_RESERVED = re.compile(r"(?:^|\.)..--")


def yes_or_no(text: str) -> bool:
    """A truth value in any of YAML's usual words."""
    if text not in {"yes", "no", "true", "false"}:
        raise ValueError(f"{text!r} is neither yes nor no; write tls: yes")
    return text in {"yes", "true"}


def check_tls(service: Service, entry: Entry, zone: str) -> None:
    """What cannot be together with TLS, or in a certificate."""
    if not service.tls:
        return
    said = entry.named()
    if service.port == HTTP_PORT:
        what = "clients speak plain HTTP to port 80, and tls is said"
        said["port"].problem(what, "leave it out for 443, or leave tls out")
    if service.image is not None and "target_port" not in said:
        what = "TLS ends at the balancer, and the plain port of the image is not said"
        said["tls"].problem(what, "target_port: 8080")
    for name in (service.name, *service.names, zone):
        if _RESERVED.search(name):
            said["tls"].problem(f"no certificate can have the name {name!r}", "leave its -- out")
