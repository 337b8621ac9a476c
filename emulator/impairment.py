"""The WAN quality of one ordered pair of sites, and what is laid over it.

Four layers, folded in this order: what the file says (base), what its trace plays, what was changed
by hand, and the overlays of faults. A fault never writes a path's values: it adds an overlay with
an id, and a cut always wins. So faults stack and heal in any order, and a change stays below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

Distribution = Literal["uniform", "normal", "pareto"]
Aqm = Literal["", "codel"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
AQMS: tuple[Aqm, ...] = get_args(Aqm)
MTU_MIN = 576  # what every IPv4 host must take whole (RFC 1122, 3.3.3)
_SHARES = ("reorder", "loss", "burst_enter", "burst_leave", "burst_loss", "duplicate", "corrupt")


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a path, as the wire applies it. Shares are of segments, 0 to 1.

    Losses come independently, `loss`, or in bursts as Gilbert and Elliott describe them: a segment
    of the good state begins a burst with probability `burst_enter`, one of the bad state ends it
    with `burst_leave`, and within a burst `burst_loss` of the segments are lost.
    Raises ValueError for a value that no path can have.
    """

    delay_ns: int
    jitter_ns: int = 0  # uniform: the delay varies within +- this; else the standard deviation
    distribution: Distribution = "uniform"  # of the jitter; order is kept in any case
    reorder: float = 0.0  # leaves at once, before those that wait
    loss: float = 0.0
    burst_enter: float = 0.0
    burst_leave: float = 0.0
    burst_loss: float = 1.0
    duplicate: float = 0.0  # arrives twice
    corrupt: float = 0.0  # arrives with one bit flipped
    rate_bps: int = 0  # bits of Ethernet frame a second; 0: no limit
    queue_ns: int = 1_000_000_000  # longest wait for the rate; what would wait longer is dropped
    queue_bytes: int = 0  # most bytes that wait for the rate; 0: the time alone decides
    aqm: Aqm = ""  # "codel": drops early what would wait for long (RFC 8289)
    mtu: int = 0  # most bytes of an IP packet; 0: no limit
    cut: bool = False  # everything is dropped where it enters

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)!r} is no share between 0 and 1")
        for name in ("delay_ns", "jitter_ns", "rate_bps", "queue_ns", "queue_bytes", "mtu"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)!r} is negative")
        if self.distribution not in DISTRIBUTIONS or self.aqm not in AQMS:
            raise ValueError(f"no distribution {self.distribution!r} or queue {self.aqm!r}")
        if self.burst_enter and not self.burst_leave:
            raise ValueError("a burst of losses that begins must end: burst_leave is 0")
        if 0 < self.mtu < MTU_MIN:
            raise ValueError(f"an mtu of {self.mtu} is below {MTU_MIN}")

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the delay and the cut happens here."""
        settings = (self.jitter_ns, self.reorder, self.loss, self.burst_enter, self.duplicate,
                    self.corrupt, self.rate_bps, self.mtu)  # fmt: skip
        return not any(settings)

    @property
    def mean_loss(self) -> float:
        """The share that is lost in the long run, bursts included."""
        if not self.burst_enter:
            return self.loss
        bad = self.burst_enter / (self.burst_enter + self.burst_leave)
        return (1.0 - bad) * self.loss + bad * self.burst_loss

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


def bursts(mean_loss: float, length: float) -> dict[str, float]:
    """Losses of `mean_loss` in all that come in bursts of `length` segments on average, as values
    of an Impairment (Gilbert's model: all of a burst is lost). Raises ValueError for what the
    model cannot do."""
    if length < 1 or not 0 < mean_loss < 1:
        raise ValueError(f"no bursts of {length:g} segments can make a loss of {mean_loss:g}")
    leave = 1.0 / length
    enter = mean_loss * leave / (1.0 - mean_loss)
    if enter > 1:
        raise ValueError(f"a loss of {mean_loss:g} needs bursts longer than {length:g} segments")
    return {"loss": 0.0, "burst_enter": enter, "burst_leave": leave, "burst_loss": 1.0}


@dataclass(frozen=True, slots=True)
class Overlay:
    """What one fault adds to a path. Adding nothing is the neutral overlay."""

    cut: bool = False
    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    rate_bps: int = 0  # 0: leaves the rate alone
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**data)


def fold(base: Impairment, overlays: Iterable[Overlay]) -> Impairment:
    """The path as it is with every overlay on it: delays add, losses and the like are independent
    of each other, the lowest rate and any cut win."""
    effective = base
    for overlay in overlays:
        rates = [rate for rate in (effective.rate_bps, overlay.rate_bps) if rate]
        effective = replace(
            effective,
            delay_ns=effective.delay_ns + overlay.delay_ns,
            jitter_ns=effective.jitter_ns + overlay.jitter_ns,
            loss=_either(effective.loss, overlay.loss),
            burst_loss=_either(effective.burst_loss, overlay.loss),
            duplicate=_either(effective.duplicate, overlay.duplicate),
            corrupt=_either(effective.corrupt, overlay.corrupt),
            reorder=_either(effective.reorder, overlay.reorder),
            rate_bps=min(rates, default=0),
            cut=effective.cut or overlay.cut,
        )
    return effective


def _either(one: float, other: float) -> float:
    """The share of what meets at least one of two independent fates."""
    return 1.0 - (1.0 - one) * (1.0 - other) if one and other else one or other


@dataclass(frozen=True, slots=True)
class Pulse:
    """An overlay that comes and goes: on first, `for_ns` in all, then it is lifted."""

    on_ns: int
    off_ns: int
    for_ns: int

    def __post_init__(self) -> None:
        if min(self.on_ns, self.off_ns, self.for_ns) < 1_000_000:
            raise ValueError("a pulse is on, off, and lasts, for 1 ms at least each")


@dataclass(frozen=True, slots=True)
class Trace:
    """How values of a path change in time: each step says, from its instant on (ns from the
    trace's start), those that it names. With `repeat_ns` it begins again so long after its start;
    without, the last step stays. Raises ValueError for steps out of order."""

    steps: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    repeat_ns: int = 0

    def __post_init__(self) -> None:
        instants = [at for at, _ in self.steps]
        if instants != sorted(set(instants)) or (instants and instants[0] < 0):
            raise ValueError("the steps of a trace must stand in the order of time")
        if self.repeat_ns and self.steps and self.repeat_ns <= instants[-1]:
            raise ValueError("a trace cannot begin again before its last step")

    def to_json(self) -> dict[str, Any]:
        return {"steps": [[at, dict(values)] for at, values in self.steps],
                "repeat_ns": self.repeat_ns}  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(tuple((at, values) for at, values in data["steps"]), data["repeat_ns"])


Pair = tuple[int, int]  # numbers of the source and of the target site
Values = Mapping[str, Any]  # of an Impairment, by the names of its fields
_NAMES = frozenset(field.name for field in fields(Impairment)) - {"cut"}


class Overlays:
    """What every path is set to, layer by layer, which ports are cut, and what comes out of it."""

    def __init__(self, base: Mapping[Pair, Impairment]) -> None:
        self._base = dict(base)
        self._played: dict[Pair, dict[str, Any]] = {}
        self._changed: dict[Pair, dict[str, Any]] = {}
        self._laid: dict[str, tuple[frozenset[Pair], Overlay, frozenset[str]]] = {}

    def play(self, path: Pair, values: Values) -> None:
        """What the file's trace says from now on, beside what it said. Raises ValueError."""
        self._played[path] = self._merged(path, self._played, values)

    def stop_playing(self, path: Pair) -> None:
        """As if the file had no trace for the path."""
        self._played.pop(path, None)

    def change(self, paths: Iterable[Pair], values: Values) -> set[Pair]:
        """Only what is named changes, until `clear`. Returns the paths to be set anew. Raises
        ValueError, and changes nothing, for a path or a value that there cannot be."""
        merged = {path: self._merged(path, self._changed, values) for path in self._known(paths)}
        for path, wanted in merged.items():
            self._check(path, wanted)
        self._changed |= merged
        return set(merged)

    def clear(self, paths: Iterable[Pair]) -> set[Pair]:
        """Back to what the file says; the paths to be set anew. Raises ValueError."""
        known = self._known(paths)
        return {path for path in known if self._changed.pop(path, None) is not None}

    def _merged(self, path: Pair, layer: Mapping[Pair, Values], values: Values) -> dict[str, Any]:
        if unknown := values.keys() - _NAMES:
            raise ValueError(f"no path has {', '.join(sorted(unknown))}")
        return {**layer.get(path, {}), **values}

    def _check(self, path: Pair, changed: Values) -> None:
        wanted = replace(self._base[path], **{**self._played.get(path, {}), **changed})
        if wanted.jitter_ns > wanted.delay_ns:
            what = f"a jitter of {wanted.jitter_ns / 1e6:g} ms"
            raise ValueError(f"{what} exceeds the delay of {wanted.delay_ns / 1e6:g} ms")

    def _known(self, paths: Iterable[Pair]) -> frozenset[Pair]:
        covered = frozenset(paths)
        if unknown := covered - self._base.keys():
            raise ValueError(f"no path {', '.join(f'{a}->{b}' for a, b in sorted(unknown))}")
        return covered

    def lay(
        self,
        overlay_id: str,
        paths: Iterable[Pair],
        overlay: Overlay,
        ports: Iterable[str] = (),
    ) -> tuple[set[Pair], set[str]]:
        """Put it on; the same id replaces. Returns the paths and ports to be set anew.
        Raises ValueError for a path that there is not."""
        covered = self._known(paths)
        touched, cut = self.lift(overlay_id)
        self._laid[overlay_id] = (covered, overlay, frozenset(ports))
        return touched | covered, cut | set(ports)

    def lift(self, overlay_id: str) -> tuple[set[Pair], set[str]]:
        """Take it off; the paths and ports to be set anew. An unknown id touches nothing."""
        paths, _, ports = self._laid.pop(overlay_id, (frozenset(), None, frozenset()))
        return set(paths), set(ports)

    def base(self, path: Pair) -> Impairment:
        """What the file says."""
        return self._base[path]

    def changed(self, path: Pair) -> Values:
        """What was changed by hand and not cleared."""
        return dict(self._changed.get(path, {}))

    def laid_on(self, path: Pair) -> tuple[str, ...]:
        """The ids of the overlays on a path."""
        return tuple(name for name, (paths, _, _) in self._laid.items() if path in paths)

    def effective(self, path: Pair) -> Impairment:
        """The fold of all layers."""
        set_by_hand = {**self._played.get(path, {}), **self._changed.get(path, {})}
        base = replace(self._base[path], **set_by_hand)
        return fold(base, (o for paths, o, _ in self._laid.values() if path in paths))

    def is_port_cut(self, port: str) -> bool:
        return any(port in ports for _, _, ports in self._laid.values())

    def paths(self) -> tuple[Pair, ...]:
        return tuple(self._base)

    def ids(self) -> tuple[str, ...]:
        return tuple(self._laid)
