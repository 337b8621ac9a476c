"""Configurations and addresses that the name server's tests share."""

from __future__ import annotations

from typing import Any

from emulator.node.dns.authority import Authority
from emulator.node.dns.config import Config
from emulator.node.dns.values import RegionState, Routing, ServiceState

NEW_YORK, PARIS, STRANGER = "10.3.0.1", "10.4.0.1", "192.0.2.9"
US_EAST, EU_WEST = "198.18.1.1", "198.18.2.1"
SERIAL = 7
SECRET, NOW_S = b"s" * 32, 1_700_000_000.0  # of cookies
CHECK_KEYS = {"kind", "interval_s", "timeout_s", "fall", "rise", "clear", "hold_down_s"}


def service_json(fqdn: str = "www.shop.test", **changes: Any) -> dict[str, Any]:
    """A service of two regions; changes of its check and of itself alike. Its policy follows."""
    check = check_json(**{key: changes.pop(key) for key in CHECK_KEYS & changes.keys()})
    regions = list(changes.get("regions", ("us-east", "eu-west")))
    service = {
        "name": fqdn.partition(".")[0],
        "fqdns": [fqdn],
        "ttl_s": 5,
        "policy": {"kind": "latency", "members": regions},
        "check": check,
        "regions": {
            "us-east": {"address": US_EAST, "health": ["198.18.1.254", 9001]},
            "eu-west": {"address": EU_WEST, "health": ["198.18.2.254", 9001]},
        },
    }
    return service | changes


def check_json(**changes: Any) -> dict[str, Any]:
    check = {"kind": "http", "interval_s": 1.0, "timeout_s": 1.0, "fall": 3, "rise": 2}
    return check | changes


def config_json(*services: dict[str, Any], **changes: Any) -> dict[str, Any]:
    config = {
        "server": "ns1",
        "zone": "shop.test",
        "listen": ["127.0.0.1"],
        "port": 53,
        "name_servers": {"ns1": ["198.18.5.53"], "ns2": ["198.18.6.53"]},
        "services": list(services) or [service_json(), service_json("api.eu.shop.test")],
        "sites": [
            {
                "name": "new-york",
                "prefixes": ["10.3.0.0/24", "100.64.0.3/32"],
                "rtt_ms": {"us-east": 9.0, "eu-west": 76.0},
                "distance_km": {"us-east": 330, "eu-west": 5100},
            },
            {
                "name": "paris",
                "prefixes": ["10.4.0.0/24"],
                "rtt_ms": {"us-east": 79.0, "eu-west": 7.0},
                "distance_km": {"us-east": 6200, "eu-west": 780},
            },
        ],
    }
    return config | changes


def authority(*services: dict[str, Any], down: tuple[str, ...] = (), **changes: Any) -> Authority:
    """What answers follow when the regions in `down` are DOWN for every service."""
    config = Config.from_json(config_json(*services, **changes))
    states = {
        service.name: ServiceState(
            {r: RegionState("DOWN" if r in down else "UP") for r in service.regions}, service.ttl_s
        )
        for service in config.services
    }
    return Authority.of(config, Routing(SERIAL, states), SECRET, lambda: NOW_S)
