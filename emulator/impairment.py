"""The WAN quality of one ordered pair of sites, and what a fault lays over it.

A fault never writes a path's values: it adds an overlay with an id. The effective path is the
fold of the base and the overlays; a cut always wins. So faults stack and heal in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a path, as the wire applies it."""

    delay_ns: int
    jitter_ns: int = 0  # the delay varies within +- this; order is kept
    loss: float = 0.0  # probability that one segment is dropped, 0 to 1
    rate_bps: int = 0  # bits of Ethernet frame a second; 0: no limit
    queue_ns: int = 1_000_000_000  # longest wait for the rate; what would wait longer is dropped
    cut: bool = False  # everything is dropped where it enters

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Overlay:
    """What one fault adds to a path. Adding nothing is the neutral overlay."""

    cut: bool = False
    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    rate_bps: int = 0  # 0: leaves the rate alone

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


def fold(base: Impairment, overlays: Iterable[Overlay]) -> Impairment:
    """The path as it is with every overlay on it: delays add, losses are independent,
    the lowest rate and any cut win."""
    effective = base
    for overlay in overlays:
        rates = [rate for rate in (effective.rate_bps, overlay.rate_bps) if rate]
        effective = replace(
            effective,
            delay_ns=effective.delay_ns + overlay.delay_ns,
            jitter_ns=effective.jitter_ns + overlay.jitter_ns,
            loss=1.0 - (1.0 - effective.loss) * (1.0 - overlay.loss),
            rate_bps=min(rates, default=0),
            cut=effective.cut or overlay.cut,
        )
    return effective
