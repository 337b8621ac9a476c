"""UDP echo by nft: new flows are spread over healthy servers; conntrack pins a flow to its server.

A flow whose server dies stays pinned until its entry ends (30 s unreplied, 120 s replied, renewed
by every datagram: Documentation/networking/nf_conntrack-sysctl.rst). That trap is shown, not
hidden. The edge's kernel sends ICMP port unreachable when no server is left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

ECHO_PORT = 7


def render_rules(address: str, servers: Sequence[str]) -> str:
    """An nft script that replaces our table as one transaction."""
    targets = ", ".join(f"{i} : {server}" for i, server in enumerate(servers))
    dnat = (
        f"    ip daddr {address} udp dport {ECHO_PORT} "
        f"dnat to numgen random mod {len(servers)} map {{ {targets} }}\n"
        if servers
        else ""
    )
    return (
        "table ip netemu {}\ndelete table ip netemu\ntable ip netemu {\n"
        "  chain prerouting {\n    type nat hook prerouting priority dstnat;\n"
        f"{dnat}  }}\n}}\n"
    )


def apply_rules(rules: str) -> None:
    """Load them; raises OSError with nft's own words."""
    done = subprocess.run(
        ["nft", "-f", "-"], check=False, input=rules, text=True, capture_output=True
    )
    if done.returncode:
        raise OSError(f"nft refused the rules: {done.stderr.strip()}")
