"""A configuration that cannot be honoured is refused with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import UsageError
from emulator.node.dns.config import Config, load_config
from emulator.node.dns.zone import Zone, parse_name
from tests.dns.examples import config_json, service_json


def test_a_rendered_file_is_read_whole(tmp_path: Path) -> None:
    """Addresses, endpoints and thresholds arrive as they were written."""
    path = tmp_path / "dns.json"
    path.write_text(json.dumps(config_json()))
    config = load_config(path)
    assert config.services[0].regions["us-east"].health == ("198.18.1.254", 9001)
    assert config.sites[0].rtt_ms["us-east"] == 9.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timeout_s": 1.5}, "timeout_s must be above 0 and at most interval_s"),
        ({"fall": 0}, "fall, rise and clear are 1 at least"),
        ({"hold_down_s": -1}, "hold_down_s is 0 at least"),
        ({"quorum": 1}, r"quorum is in \[0, 1\)"),  # more than all never say so
        ({"regions": {}}, "and a region"),
        ({"surprise": 1}, "surprise"),
        ({"policy": {"kind": "nearest", "members": ["us-east"]}}, "no policy 'nearest'"),
        ({"policy": {"kind": "failover", "members": []}}, "has no members"),
        ({"policy": {"kind": "latency", "members": ["mars"]}}, "does not have it"),
        (
            {"policy": {"kind": "weighted", "members": ["us-east"], "weights": [1, 2]}},
            "one weight a member",
        ),
        (
            {"policy": {"kind": "weighted", "members": ["us-east"], "weights": [-1]}},
            "one weight a member",
        ),
        (
            {"policy": {"kind": "geo", "members": ["us-east"], "areas": {"": [1]}}},
            "a member that is not there",
        ),
        (
            {
                "policy": {
                    "kind": "failover",
                    "members": ["us-east", {"kind": "sticky", "members": []}],
                }
            },
            r"a policy \(sticky\) has no members",
        ),
    ],
)
def test_a_service_that_cannot_be_honoured_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    """One message with the file and the reason."""
    path = tmp_path / "dns.json"
    path.write_text(json.dumps(config_json(service_json(**changes))))
    with pytest.raises(UsageError, match=said):
        load_config(path)


@pytest.mark.parametrize(
    "fqdns", [("www.other.test",), ("ns1.shop.test",), ("www.shop.test", "WWW.shop.test")]
)
def test_clashing_or_foreign_names_are_refused(fqdns: tuple[str, ...]) -> None:
    """A zone never has two owners of one name, nor a name outside itself."""
    config = Config.from_json(config_json(*(service_json(fqdn) for fqdn in fqdns)))
    with pytest.raises(ValueError, match="outside the zone, or is used twice"):
        Zone.of(config)


@pytest.mark.parametrize("text", ["", "a..b", "x" * 64 + ".test", ".".join(["x" * 63] * 5)])
def test_names_that_dns_cannot_carry_are_refused(text: str) -> None:
    """Labels are 1 to 63 bytes, names at most 255 on the wire."""
    with pytest.raises(ValueError, match="is not a domain name"):
        parse_name(text)
