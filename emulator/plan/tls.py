"""TLS that ends at the edge: what certificates say, where they lie, and who is told of the root.

A key lies in memory: `/dev/shm` is every container's own, and gone when it dies; its other files
are on the machine's disk.
"""

from __future__ import annotations

from emulator.plan.model import Plan, ServiceSpec

ROOT_FILE = "/etc/netemu/ca.pem"  # in every container, the user's too
_KEYS = "/dev/shm/netemu"  # noqa: S108 - see above


def has_tls(plan: Plan) -> bool:
    """Whether any service of the lab needs a certificate."""
    return any(service.tls for service in plan.services)


def certificate_file(service: str) -> str:
    """On every edge: the private key and the certificate that it shows for this service."""
    return f"{_KEYS}/{service}.pem"


def certificate_names(service: ServiceSpec) -> tuple[str, ...]:
    """All that it is called: in DNS, and by the servers beside it (their /etc/hosts)."""
    return (*service.names, service.name)


def trusting(file: str) -> dict[str, str]:
    """The environment that makes programs trust the root in this file: ours to name it; OpenSSL's,
    and so Python's, Ruby's, and by its own reading Go's; curl's; Requests'; Node's."""
    names = ("NETEMU_CA", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    return dict.fromkeys((*names, "NODE_EXTRA_CA_CERTS"), file)
