"""The kernel of a host is set, not inherited: sysctls by role, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.plan.model import Role

_ROUTERS: frozenset[Role] = frozenset({"edge", "access"})
# Who opens many short connections, and so needs many ports.
_OPENERS: frozenset[Role] = frozenset({"edge", "client"})

_EVERY_HOST = {
    # Replies may leave by another interface than requests came in by; `all` and the interface's
    # own value (from `default`) are combined by max.
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # What one connection learnt of a path must not change the next one, nor the next run.
    "net.ipv4.tcp_no_metrics_save": "1",
    # One ICMP error a second for each peer would make a dead daemon look silent at times.
    "net.ipv4.icmp_ratelimit": "0",
    # No router advertisements or duplicate address detection on the wire; IPv6 comes later.
    "net.ipv6.conf.all.disable_ipv6": "1",
    # Daemons bind 53, 80 and 7 without a capability.
    "net.ipv4.ip_unprivileged_port_start": "0",
}
_MANY_CONNECTIONS = {
    # 200 a second, each 60 s in TIME_WAIT, are 12,000 ports; the kernel's own range has 28,000.
    "net.ipv4.ip_local_port_range": "1024 65535",
    # A port in TIME_WAIT may be used again after 1 s, towards other machines too.
    "net.ipv4.tcp_tw_reuse": "1",
}


def sysctls(role: Role, kernel: Mapping[str, int]) -> dict[str, str]:
    """All of one host; the file's `kernel:` (names below net.ipv4) comes last."""
    settings = dict(_EVERY_HOST)
    # A client or server that forwards would hide a wrong route.
    settings["net.ipv4.ip_forward"] = "1" if role in _ROUTERS else "0"
    if role in _OPENERS:
        settings |= _MANY_CONNECTIONS
    return settings | {f"net.ipv4.{name}": str(value) for name, value in kernel.items()}
