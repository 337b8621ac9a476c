"""One path of the netem driver: what is wanted of it, what the kernel was told, what it counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulator.clock import NS_PER_S
from emulator.impairment import Distribution, Impairment
from emulator.node.wan.rtnetlink import Qdisc
from emulator.node.wan.table import Counters

_SLACK_NS = 500_000_000  # a busy machine may let a frame go so late
_DEVIATIONS = 4  # the most that netem's tables hold
_NOTHING = Counters(0, 0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class Told:
    """What a port's kernel side knows and has counted of one path; all of it goes with the port."""

    distribution: Distribution = "uniform"  # what netem draws from unless told otherwise
    has_bucket: bool = False
    has_codel: bool = False
    entered: int = 0
    left_bytes: int = 0
    drops: int = 0
    queue_drops: int = 0
    waiting_bytes: int = 0


@dataclass(slots=True)
class NetemPath:
    """The kernel does not say why netem dropped a frame: what it dropped between two looks is put
    down to what was set meanwhile. `total` outlives the port."""

    wanted: Impairment
    told: Told = field(default_factory=Told)
    total: Counters = _NOTHING

    @property
    def cause(self) -> str:
        """Of a drop by netem itself: the field of Counters."""
        if self.wanted.cut:
            return "cut"
        return "loss" if self.wanted.loss or self.wanted.burst_enter else "overload"

    def news(self) -> dict[str, Any]:
        """What the witness must know, as `sightings.PathNews`."""
        wanted = self.wanted
        jitter = wanted.jitter_ns * (1 if wanted.distribution == "uniform" else _DEVIATIONS)
        queue = wanted.queue_ns if wanted.rate_bps else 0
        cause = "loss" if wanted.corrupt and not wanted.cut else self.cause
        cause = "queue" if wanted.rate_bps and cause == "overload" else cause
        return {"patience_ns": wanted.delay_ns + jitter + queue + _SLACK_NS, "cause": cause}

    def port_is_gone(self) -> None:
        """The kernel will know nothing of this path any more."""
        self.told = Told()

    def news_of_distribution(self) -> Distribution | None:
        """What the kernel must be told, None if it knows: the table takes 8 KB."""
        wanted = self.wanted.distribution
        if not self.wanted.jitter_ns or wanted == self.told.distribution:
            return None
        self.told.distribution = wanted
        return wanted

    def look(self, netem: Qdisc, bucket: Qdisc | None) -> None:
        """Add what came since the last look. netem counts frames as they leave, and as dropped
        also what the bucket behind it dropped."""
        told = self.told
        entered = netem.packets + netem.drops + netem.waiting
        queue_drops = bucket.drops if bucket else 0
        own = (netem.drops - told.drops) - (queue_drops - told.queue_drops)
        self.total = self.total._replace(
            packets=self.total.packets + max(0, entered - told.entered),
            bytes=self.total.bytes + netem.bytes - told.left_bytes,
            queue=self.total.queue + queue_drops - told.queue_drops,
            **{self.cause: getattr(self.total, self.cause) + max(0, own)},
        )
        told.entered, told.left_bytes = max(entered, told.entered), netem.bytes
        told.drops, told.queue_drops = netem.drops, queue_drops
        told.waiting_bytes = bucket.waiting_bytes if bucket else 0

    def counters(self, now: int) -> Counters:
        """`total`, and when the rate will have let out what waits for it."""
        rate, waiting = self.wanted.rate_bps, self.told.waiting_bytes
        return self.total._replace(
            free_at_ns=now + waiting * 8 * NS_PER_S // rate if rate and waiting else 0
        )
