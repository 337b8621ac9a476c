"""All that an answer depends on besides the query and its sender, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Self

from emulator.node.dns.askers import Askers
from emulator.node.dns.config import Config
from emulator.node.dns.values import Draw, Routing
from emulator.node.dns.zone import Zone


class Draws(dict[str, Draw]):
    """For every service a sequence of its own in [0, 1), the same for the same seed and server."""

    def __init__(self, seed: int, server: str) -> None:
        super().__init__()
        self._begin = f"{seed} {server}"

    def __missing__(self, service: str) -> Draw:
        draw = self[service] = Random(f"{self._begin} {service}").random
        return draw


@dataclass(frozen=True, slots=True)
class Authority:
    """Never changed: another routing, or draws begun anew, make another one
    (`dataclasses.replace(authority, routing=...)`)."""

    server: str  # its name, for who asks which of them answers
    zone: Zone
    askers: Askers
    routing: Routing
    draws: Mapping[str, Draw]  # by service
    secret: bytes  # of cookies, up to options.SECRET_BYTES
    now_s: Callable[[], float]  # since 1970; nothing but cookies depends on it

    @classmethod
    def of(
        cls, config: Config, routing: Routing, secret: bytes, now_s: Callable[[], float]
    ) -> Self:
        """ValueError where the configuration's names, prefixes or policies make no sense."""
        askers = Askers.of(config.sites, config.services)
        draws = Draws(config.seed, config.server)
        return cls(config.server, Zone.of(config), askers, routing, draws, secret, now_s)
