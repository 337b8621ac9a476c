"""The timings that known products document, as data: what a file says itself wins over them.

Only what a product's documentation states is here; all else stays netemu's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.topology.model import DnsPolicy


@dataclass(frozen=True, slots=True)
class Profile:
    """What differs from the defaults: fields of `DnsPolicy` and of its `HealthCheck`."""

    check: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=dict)


# Amazon Route 53 Developer Guide, "How Amazon Route 53 determines whether a health check is
# healthy" (4 s to connect and 2 s to answer; UP while more than 18 % of the checkers say so),
# API reference HealthCheckConfig (RequestInterval 30 or 10, FailureThreshold 3 both ways), and "How
# Amazon Route 53 chooses records" (none healthy: as if all were). TTL: the guide's advice for
# records with health checks, "60 seconds or less".
_ROUTE53 = {"timeout_s": 6.0, "fall": 3, "rise": 3, "quorum": 0.18}
_ROUTE53_POLICY = {"ttl_s": 60, "all_down": "primary"}

# Azure Traffic Manager, "Endpoint monitoring": probing every 30 or 10 s with a timeout of 10 or
# 9 s, 3 tolerated failures, so the fourth in a row is Degraded, and one success is Online; if all
# endpoints are degraded, all are returned; its timeline is drawn with a TTL of 30 s.
_AZURE = {"fall": 4, "rise": 1}
_AZURE_POLICY = {"ttl_s": 30, "all_down": "all"}

PROFILES: Mapping[str, Profile] = {
    "route53": Profile({"interval_s": 30.0, **_ROUTE53}, _ROUTE53_POLICY),
    "route53-fast": Profile({"interval_s": 10.0, **_ROUTE53}, _ROUTE53_POLICY),
    "azure": Profile({"interval_s": 30.0, "timeout_s": 10.0, **_AZURE}, _AZURE_POLICY),
    # The same page: with 0 tolerated failures, the least that can be set, one failure is enough.
    "azure-fast": Profile(
        {"interval_s": 10.0, "timeout_s": 9.0, "fall": 1, "rise": 1}, _AZURE_POLICY
    ),
    # k8gb's chart: reconcileRequeueSeconds 30, dnsTtlSeconds 30. A reconciliation takes what the
    # cluster's endpoints are at that instant, so one look decides.
    "k8gb": Profile({"interval_s": 30.0, "fall": 1, "rise": 1}, {"ttl_s": 30}),
    # gdnsd 3.8, gdnsd.config(5) "service_types": interval 10, timeout half of it, down_thresh 10,
    # ok_thresh 10, up_thresh 20 checks; gdnsd-plugin-multifo(8): below up_thresh 0.5 of its
    # addresses a datacentre has failed, and when all have, all are answered.
    "gdnsd": Profile(
        {"interval_s": 10.0, "timeout_s": 5.0, "fall": 10, "clear": 10, "rise": 20},
        {"all_down": "all", "min_healthy": 0.5},
    ),
}


def with_profile(default: DnsPolicy, name: str) -> DnsPolicy:
    """`default`, but with what the product documents. KeyError: there is no such profile."""
    profile = PROFILES[name]
    check = replace(default.health_check, clear=None)
    interval_s = profile.check["interval_s"]
    check = replace(check, timeout_s=min(check.timeout_s, interval_s))
    check = replace(check, **profile.check)
    return replace(default, **profile.policy, health_check=check, profile=name)
