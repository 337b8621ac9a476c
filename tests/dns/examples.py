"""Configurations and addresses that the name server's tests share."""

from __future__ import annotations

from typing import Any

from emulator.node.dns.config import Config
from emulator.node.dns.message import Authority
from emulator.node.dns.policy import LatencyPolicy
from emulator.node.dns.routing import Routing
from emulator.node.dns.zone import Zone

NEW_YORK, PARIS, STRANGER = "10.3.0.1", "10.4.0.1", "192.0.2.9"
US_EAST, EU_WEST = "198.18.1.1", "198.18.2.1"
SERIAL = 7


def service_json(fqdn: str = "www.shop.test", **changes: Any) -> dict[str, Any]:
    service = {
        "name": fqdn.partition(".")[0],
        "fqdn": fqdn,
        "ttl_s": 5,
        "interval_s": 1.0,
        "timeout_s": 1.0,
        "fall": 3,
        "rise": 2,
        "regions": {
            "us-east": {"address": US_EAST, "health": ["198.18.1.254", 9001]},
            "eu-west": {"address": EU_WEST, "health": ["198.18.2.254", 9001]},
        },
    }
    return service | changes


def config_json(*services: dict[str, Any], **changes: Any) -> dict[str, Any]:
    config = {
        "server": "ns1",
        "zone": "shop.test",
        "listen": ["127.0.0.1"],
        "port": 53,
        "name_servers": {"ns1": "198.18.5.53", "ns2": "198.18.6.53"},
        "services": list(services) or [service_json(), service_json("api.eu.shop.test")],
        "sites": [
            {
                "name": "new-york",
                "prefixes": ["10.3.0.0/24", "100.64.0.3/32"],
                "order": [["us-east", 9.0], ["eu-west", 76.0]],
            },
            {
                "name": "paris",
                "prefixes": ["10.4.0.0/24"],
                "order": [["us-east", 79.0], ["eu-west", 7.0]],
            },
        ],
        "default_order": ["us-east", "eu-west"],
    }
    return config | changes


def authority(*services: dict[str, Any], down: tuple[str, ...] = ()) -> Authority:
    """What answers follow when the regions in `down` are DOWN for every service."""
    config = Config.from_json(config_json(*services))
    up = {service.name: frozenset(service.regions) - set(down) for service in config.services}
    policy = LatencyPolicy.of(config.sites, config.default_order)
    return Authority(Zone.of(config), policy, Routing(SERIAL, up))
