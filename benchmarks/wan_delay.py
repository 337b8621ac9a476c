"""Rows of `wan`: how much later than set a round trip ends, idle and beside other traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from statistics import median
from typing import NamedTuple

from benchmarks.host import CALM, median_in_calm, taken_since, ticks
from benchmarks.table import Line, at_most, information
from benchmarks.wan_effort import Bench, Row
from benchmarks.wan_world import BRIDGED, BRIDGED_ADDRESS, Job, Said, address
from emulator.clock import NS_PER_MS

MEDIAN_MS, P99_MS = 0.2, 0.5  # bounds
_INTERVAL_US = 2000
# 100 Mbit/s of full frames: 1472 bytes of payload are 1514 on the wire.
_PAYLOAD, _PER_S = 1472, 8256
_SILENCE_MS = 300
TRAFFIC = {"idle": (), "path loaded": (1, 2), "another loaded": (3, 4)}


class Round(NamedTuple):
    """Of pings: ms later than set, and the share of the processors' time that the host took."""

    median: float
    p99: float
    taken: float


def delay(bench: Bench) -> Row:
    """Each round trip set, with each kind of other traffic; the bridge in the same way."""
    lines: list[Line] = []
    figures = {}
    for what, loaded in TRAFFIC.items():
        found = {rtt_ms: _rounds(bench, rtt_ms, loaded) for rtt_ms in bench.effort.rtts_ms}
        bridged = _late_ms(bench, f"{BRIDGED_ADDRESS}/0", 0, loaded, over_bridge=loaded == (1, 2))
        beside = (percentile(bridged, 0.5), percentile(bridged, 0.99))
        lines += [
            *error_lines(f"RTT error, {what}", list(found.values())),
            information("  kernel bridge, whole RTT: median", beside[:1], "ms"),
            information("  p99", beside[1:], "ms"),
        ]
        figures[what] = {
            "set": {
                rtt_ms: (median(r.median for r in rounds), median(r.p99 for r in rounds))
                for rtt_ms, rounds in found.items()
            },
            "rounds": found,
            "bridge": beside,
        }
        tails = [one.p99 for rounds in found.values() for one in rounds]
        bench.say(f"{what}: p99 {min(tails):.3f} to {max(tails):.3f} ms, bridge {beside[1]:.3f} ms")
    return Row(lines, figures)


def error_lines(what: str, measured: Sequence[Sequence[Round]]) -> list[Line]:
    """Of round trips set, each in some rounds. The tail is bound where the host let the machine
    alone: elsewhere any sleep ends late, and the tail grows with what the host took."""
    rounds = [one for some in measured for one in some]
    calm = [one.p99 for one in rounds if one.taken <= CALM]
    medians = [median(one.median for one in some) for some in measured]
    return [
        at_most(f"{what}: median", medians, MEDIAN_MS, "ms"),
        median_in_calm("  p99, host calm", calm, P99_MS, "ms"),
        information("  p99, every round", [one.p99 for one in rounds], "ms"),
        information("  what the host took of a round", [100 * one.taken for one in rounds], "%"),
    ]


def _rounds(bench: Bench, rtt_ms: int, loaded: tuple[int, ...]) -> list[Round]:
    bench.world.set((1, 2), (2, 1), delay_ns=rtt_ms * NS_PER_MS // 2)
    target = f"{address(2)}/{rtt_ms * NS_PER_MS}"
    return [
        round_of(lambda: _late_ms(bench, target, rtt_ms, loaded))
        for _ in range(bench.effort.delay_rounds)
    ]


def round_of(late_ms: Callable[[], list[float]]) -> Round:
    """`late_ms` measures."""
    before = ticks()
    late = late_ms()
    return Round(percentile(late, 0.5), percentile(late, 0.99), taken_since(before))


def _late_ms(
    bench: Bench, target: str, rtt_ms: int, loaded: tuple[int, ...], *, over_bridge: bool = False
) -> list[float]:
    count = bench.effort.pings
    receivers: list[Job] = []
    senders: list[Job] = []
    if loaded:
        length_ms = count * _INTERVAL_US // 1000 + rtt_ms + 200
        sink, to = f"s{loaded[-1]}", address(loaded[-1])
        if over_bridge:
            sink, to = BRIDGED, BRIDGED_ADDRESS
        receivers.append((sink, f"sink 9000 {_SILENCE_MS}"))
        senders.append((f"s{loaded[0]}", f"send {to} 9000 {_PER_S} {length_ms} {_PAYLOAD} 1"))
    pinging = ("s1", f"ping {_INTERVAL_US} {count} {target}")
    return late_ms(bench.world.run(receivers, [*senders, pinging])[-1])


def late_ms(said: Said) -> list[float]:
    """How late each ping's answer was, sorted. One that never came is infinitely late."""
    answered = [us / 1000 for us in said["late_us"]]
    return sorted(answered + [inf] * (said["sent"] - len(answered)))


def percentile(ranked: list[float], share: float) -> float:
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
