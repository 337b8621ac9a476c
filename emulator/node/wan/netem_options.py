"""A path's quality in the words of the kernel: netem, and behind it a bucket where there is a rate.

netem delays, loses and spoils; `tbf` holds what exceeds the rate, so that a full queue and a loss
are counted apart, and the queue's limit is one of bytes. The structures are those of
linux/pkt_sched.h; durations are nanoseconds, shares 32-bit numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from statistics import NormalDist

from emulator.clock import NS_PER_S
from emulator.impairment import Distribution, Impairment
from emulator.node.wan.rtnetlink import attribute

_DELAY_DIST, _REORDER, _CORRUPT, _LOSS, _RATE, _RATE64, _LATENCY64, _JITTER64 = (
    2, 3, 4, 5, 6, 8, 10, 11,
)  # fmt: skip
_GILBERT_ELLIOTT = 2  # NETEM_LOSS_GE
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_CODEL_TARGET, _CODEL_LIMIT, _CODEL_INTERVAL = 1, 2, 3
_ETHERNET = 1  # TC_LINKLAYER_ETHERNET: sizes are those of frames, no rate table is needed

_FRAMES_MAX = 100_000  # that wait on one path; 0.3 s of 300,000 frames/s
# netem lets one frame overtake another when its jitter falls, unless it has a rate: then each
# leaves behind the one before it. At this rate a full frame takes 120 ns.
_IN_ORDER = 12_500_000_000  # bytes/s
_UNLIMITED = 1 << 37  # bytes/s, of a bucket whose limit was lifted; removed, it would drop frames
# Of the rate, what may leave at once: a bucket that is full loses what it could have let go, and a
# busy machine of 2 cores wakes up to 10 ms late.
_BURST_NS = 10_000_000
_BURST_MIN = 2 * 1514  # a bucket must hold a whole frame to let it out at all
_TABLE_SIZE, _TABLE_SCALE = 4096, 8192  # NETEM_DIST_SCALE stands for one unit of jitter
_SHARE = (1 << 32) - 1


def netem_options(path: Impairment, distribution: Distribution | None) -> bytes:
    """Of netem. `distribution`: the one to tell the kernel, None if it knows it already."""
    loss = 1.0 if path.cut else path.loss
    gap = int(path.reorder > 0)
    head = struct.pack("=IIIIII", 0, _FRAMES_MAX, _share(loss), gap, 0, 0)
    told = [
        attribute(_LATENCY64, struct.pack("=q", path.delay_ns)),
        attribute(_JITTER64, struct.pack("=q", path.jitter_ns)),
        attribute(_REORDER, struct.pack("=II", _share(path.reorder), 0)),
        attribute(_CORRUPT, struct.pack("=II", _share(path.corrupt), 0)),
        attribute(_RATE, struct.pack("=IiIi", _SHARE, 0, 0, 0)),
        attribute(_RATE64, struct.pack("=Q", _IN_ORDER)),
    ]
    if path.burst_enter and not path.cut:
        chances = (path.burst_enter, path.burst_leave, 1.0 - path.burst_loss, path.loss)
        model = struct.pack("=IIII", *map(_share, chances))
        told.append(attribute(_LOSS, attribute(_GILBERT_ELLIOTT, model)))
    if distribution is not None:
        told.append(attribute(_DELAY_DIST, _table(distribution)))
    return head + b"".join(told)


def duplicator_options(share: float) -> bytes:
    """Of a netem that does nothing but duplicate."""
    return struct.pack("=IIIIII", 0, _FRAMES_MAX, 0, 0, _share(share), 0)


def bucket_options(path: Impairment) -> bytes:
    """Of the token bucket behind netem."""
    rate = path.rate_bps // 8 or _UNLIMITED
    burst = max(rate * _BURST_NS // NS_PER_S, _BURST_MIN)
    limit = queue_bytes(path)
    spec = struct.pack("=BBHhHI", 0, _ETHERNET, 0, 0, 0, min(rate, _SHARE))
    parameters = spec + bytes(len(spec)) + struct.pack("=III", limit, 0, 0)
    return (
        attribute(_TBF_PARMS, parameters)
        + attribute(_TBF_RATE64, struct.pack("=Q", rate))
        + attribute(_TBF_BURST, struct.pack("=I", burst))
    )


def queue_bytes(path: Impairment) -> int:
    """The most that may wait for the rate: what leaves in `queue_ns`, or `queue_bytes` if less."""
    if not path.rate_bps:
        return 1 << 30
    by_time = path.rate_bps * path.queue_ns // (8 * NS_PER_S)
    return max(min(by_time, path.queue_bytes or by_time), _BURST_MIN)


def codel_options(path: Impairment) -> bytes:
    """Of CoDel in the bucket, with the target and interval of RFC 8289, 4.4. It limits the queue
    itself, by a number of frames: full ones are reckoned. Off, it tolerates any wait."""
    values = {
        _CODEL_TARGET: 5_000 if path.aqm else 1 << 30,
        _CODEL_INTERVAL: 100_000,
        _CODEL_LIMIT: min(queue_bytes(path) // 1514, _FRAMES_MAX),
    }
    return b"".join(attribute(kind, struct.pack("=I", value)) for kind, value in values.items())


def _share(share: float) -> int:
    return round(share * _SHARE)


def _table(distribution: Distribution) -> bytes:
    """What netem draws a frame's deviation from: as many values as likely, in units of jitter."""
    chances = ((i + 0.5) / _TABLE_SIZE for i in range(_TABLE_SIZE))
    scaled = (round(value * _TABLE_SCALE) for value in _values(distribution, chances))
    return struct.pack(f"={_TABLE_SIZE}h", *(min(max(v, -32767), 32767) for v in scaled))


def _values(distribution: Distribution, chances: Iterable[float]) -> Iterable[float]:
    if distribution == "normal":
        return map(NormalDist().inv_cdf, chances)
    if distribution == "pareto":
        # Shape 3, so that there is a variance: mean 3/2, standard deviation sqrt(3/4).
        return (((1.0 - chance) ** (-1 / 3) - 1.5) / 0.75**0.5 for chance in chances)
    return (2.0 * chance - 1.0 for chance in chances)
