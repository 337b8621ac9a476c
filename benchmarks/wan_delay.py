"""Rows of `wan`: how much later than set a round trip ends, idle and beside other traffic."""

from __future__ import annotations

from math import inf
from statistics import median

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


def delay(bench: Bench) -> Row:
    """Each round trip set, with each kind of other traffic; the bridge in the same way. Of some
    rounds the median one: in a bad second the machine's host takes a fifth of its time."""
    lines: list[Line] = []
    figures = {}
    for what, loaded in TRAFFIC.items():
        found = {}
        for rtt_ms in bench.effort.rtts_ms:
            bench.world.set((1, 2), (2, 1), delay_ns=rtt_ms * NS_PER_MS // 2)
            rounds = [
                _late_ms(bench, f"{address(2)}/{rtt_ms * NS_PER_MS}", rtt_ms, loaded)
                for _ in range(bench.effort.delay_rounds)
            ]
            found[rtt_ms] = tuple(
                median([percentile(late, part) for late in rounds]) for part in (0.5, 0.99)
            )
        bridged = _late_ms(bench, f"{BRIDGED_ADDRESS}/0", 0, loaded, over_bridge=loaded == (1, 2))
        beside = (percentile(bridged, 0.5), percentile(bridged, 0.99))
        medians, tails = ([pair[i] for pair in found.values()] for i in (0, 1))
        lines += [
            at_most(f"RTT error, {what}: median", medians, MEDIAN_MS, "ms"),
            at_most("  p99", tails, P99_MS, "ms"),
            information("  kernel bridge, whole RTT: median", beside[:1], "ms"),
            information("  p99", beside[1:], "ms"),
        ]
        figures[what] = {"set": found, "bridge": beside}
        bench.say(f"{what}: p99 up to {max(tails):.3f} ms late, bridge {beside[1]:.3f} ms")
    return Row(lines, figures)


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
