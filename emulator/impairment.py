"""The WAN quality of one ordered pair of sites, and what a fault lays over it.

A fault never writes a path's values: it adds an overlay with an id. The effective path is the
fold of the base and the overlays; a cut always wins. So faults stack and heal in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


class Overlays:
    """Which overlays lie on which paths and ports, and what comes out of it."""

    def __init__(self, base: Mapping[tuple[int, int], Impairment]) -> None:
        self._base = dict(base)
        self._laid: dict[str, tuple[frozenset[tuple[int, int]], Overlay, frozenset[str]]] = {}

    def lay(
        self,
        overlay_id: str,
        paths: Iterable[tuple[int, int]],
        overlay: Overlay,
        ports: Iterable[str] = (),
    ) -> tuple[set[tuple[int, int]], set[str]]:
        """Put it on; the same id replaces. Returns the paths and ports to be set anew.
        Raises ValueError for a path that there is not."""
        covered = frozenset(paths)
        if unknown := covered - self._base.keys():
            raise ValueError(f"no path {', '.join(f'{a}->{b}' for a, b in sorted(unknown))}")
        touched, cut = self.lift(overlay_id)
        self._laid[overlay_id] = (covered, overlay, frozenset(ports))
        return touched | covered, cut | set(ports)

    def lift(self, overlay_id: str) -> tuple[set[tuple[int, int]], set[str]]:
        """Take it off; the paths and ports to be set anew. An unknown id touches nothing."""
        paths, _, ports = self._laid.pop(overlay_id, (frozenset(), None, frozenset()))
        return set(paths), set(ports)

    def effective(self, path: tuple[int, int]) -> Impairment:
        return fold(self._base[path], (o for paths, o, _ in self._laid.values() if path in paths))

    def is_port_cut(self, port: str) -> bool:
        return any(port in ports for _, _, ports in self._laid.values())

    def paths(self) -> tuple[tuple[int, int], ...]:
        return tuple(self._base)

    def ids(self) -> tuple[str, ...]:
        return tuple(self._laid)
