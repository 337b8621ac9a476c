"""The lab's own certificate authority: made at `up`, it signs what edges show, and is forgotten.

Its key never leaves the process that made it. What it signed, with the keys that belong to it, is
kept where the plan is, in the keeper's memory, so that whoever boots a host again can give it the
same certificate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from emulator.plan.model import HostSpec, Plan
from emulator.plan.tls import ROOT_FILE, certificate_file, certificate_names, has_tls

if TYPE_CHECKING:
    import trustme

_KEY = "certificates"  # beside the plan


@dataclass(frozen=True, slots=True)
class Certificates:
    """All of it in PEM; empty where no service of the lab is tls."""

    root: str = ""
    chains: Mapping[str, str] = field(default_factory=dict, repr=False)
    # service -> its private key and certificate

    def told(self) -> dict[str, str]:
        """For the keeper."""
        if not self.root:
            return {}
        return {_KEY: json.dumps({"root": self.root, "chains": dict(self.chains)})}

    @classmethod
    def of(cls, told: Mapping[str, str]) -> Self:
        """What the keeper was told."""
        return cls(**json.loads(told.get(_KEY, "{}")))

    def public(self) -> dict[str, str]:
        """The files of every container: path -> text."""
        return {ROOT_FILE: self.root} if self.root else {}

    def secret(self, host: HostSpec) -> dict[str, str]:
        """The files that a host alone may read: path -> text."""
        if host.role != "edge":
            return {}
        return {certificate_file(service): chain for service, chain in self.chains.items()}


def certify(plan: Plan) -> Certificates:
    """A new authority's root, and certificates for every service of the plan that is tls."""
    if not has_tls(plan):
        return Certificates()
    import trustme  # noqa: PLC0415 - 80 ms that only such a lab costs

    authority = trustme.CA(organization_name="netemu", organization_unit_name=f"lab {plan.lab}")
    chains = {
        service.name: _issue(authority, certificate_names(service), plan.lab)
        for service in plan.services
        if service.tls
    }
    return Certificates(authority.cert_pem.bytes().decode(), chains)


def _issue(authority: trustme.CA, names: tuple[str, ...], lab: str) -> str:
    issued = authority.issue_cert(
        *names, organization_name="netemu", organization_unit_name=f"lab {lab}"
    )
    return issued.private_key_and_cert_chain_pem.bytes().decode()
