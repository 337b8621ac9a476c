"""Rows of `wan`: how much goes through. One TCP stream, small packets, and set rates."""

from __future__ import annotations

from statistics import median

from benchmarks.table import Line, at_least, information, median_at_least, within
from benchmarks.wan_effort import Bench, Row
from benchmarks.wan_world import BRIDGED, BRIDGED_ADDRESS, address
from emulator.clock import NS_PER_MS

TCP_GBPS, OF_BRIDGE = 5.0, 0.5  # bounds
PACKETS_PER_S = 300_000  # of the compiled core; of plain Python it would be 150,000
RATE_PERCENT = 2.0
TCP_DELAY_MS, PACKET_DELAY_MS = 40, 20  # one way
_SMALL = 36  # bytes of payload that make an IP packet of 64
_SILENCE_MS = 400
_REACHED = 0.98  # of the rate that was asked for: less, and the sender was the limit
_FULL, _FRAME = 1472, 1514  # payload and frame of a full datagram
_IN_ONE = 40  # of those in a super-frame, where single ones would be too many
_SINGLY_BPS = 100_000_000
ENDS = {"engine": ("s2", address(2)), "bridge": (BRIDGED, BRIDGED_ADDRESS)}


def tcp(bench: Bench) -> Row:
    """One stream over the wire and over the bridge, in turn."""
    bench.world.set((1, 2), (2, 1), delay_ns=TCP_DELAY_MS * NS_PER_MS)
    found: dict[str, list[float]] = {"engine": [], "bridge": []}
    for number in range(bench.effort.rounds):
        for kind in sorted(found, reverse=number % 2 == 1):
            found[kind].append(_stream_gbps(bench, *ENDS[kind]))
        told = ", ".join(f"{kind} {values[-1]:.1f} Gbit/s" for kind, values in found.items())
        bench.say(f"round {number + 1}: {told}")
    mine, bridge = found["engine"], found["bridge"]
    lines = [
        median_at_least("TCP, one stream, 40 ms each way", mine, TCP_GBPS, "Gbit/s"),
        information("  kernel bridge, no delay", bridge, "Gbit/s"),
        median_at_least(
            "  of the bridge's", [a / b for a, b in zip(mine, bridge, strict=True)], OF_BRIDGE, ""
        ),
    ]
    return Row(lines, dict(found))


def _stream_gbps(bench: Bench, host: str, to: str) -> float:
    effort = bench.effort
    length_ms = effort.warm_up_ms + effort.stream_ms
    seen, _ = bench.world.run(
        [(host, f"discard 9000 {effort.warm_up_ms}")], [("s1", f"stream {to} 9000 {length_ms} -")]
    )
    return float(seen["bytes"] * 8 / seen["seconds"] / 1e9)


def packets(bench: Bench) -> Row:
    """Every rate over the wire and over the bridge, in turn: what came, and when."""
    bench.world.set((1, 2), (2, 1), delay_ns=PACKET_DELAY_MS * NS_PER_MS)
    figures: dict[str, dict[int, dict[str, list[float]]]] = {kind: {} for kind in ENDS}
    lines = []
    for rate in bench.effort.rates_per_s:
        for sweep in figures.values():
            sweep[rate] = {"offered": [], "delivered": [], "lost": [], "p50": [], "p99": []}
        for number in range(bench.effort.sweep_rounds):
            for kind in sorted(ENDS, reverse=number % 2 == 1):
                _burst(bench, kind, rate, figures[kind][rate])
        lines += _told(rate, {kind: figures[kind][rate] for kind in ENDS})
        bench.say(f"{rate:,}/s: {lines[-4].median} lost; delay {lines[-3].median}")
    kept = [rate for rate, seen in figures["engine"].items() if _is_lossless(rate, seen)]
    highest = at_least(
        "64 B, 20 ms: without loss up to", [max(kept, default=0)], PACKETS_PER_S, "/s"
    )
    return Row([highest, *lines], figures)


def _burst(bench: Bench, kind: str, rate: int, seen: dict[str, list[float]]) -> None:
    host, to = ENDS[kind]
    got, sent = bench.world.run(
        [(host, f"sink 9000 {_SILENCE_MS}")],
        [("s1", f"send {to} 9000 {rate} {bench.effort.burst_ms} {_SMALL} 1")],
    )
    seen["offered"].append(sent["sent"] / sent["seconds"])
    seen["delivered"].append(got["received"] / max(got["seconds"], sent["seconds"]))
    seen["lost"].append(100.0 * (sent["sent"] - got["received"]) / sent["sent"])
    seen["p50"].append(got["p50_ms"])
    seen["p99"].append(got["p99_ms"])
    if got["overflowed"]:
        bench.say(f"the receiver's own socket overflowed by {got['overflowed']} at {rate:,}/s")


def _is_lossless(rate: int, seen: dict[str, list[float]]) -> bool:
    """In most runs not one was lost, of as many as were to be sent."""
    return median(seen["lost"]) == 0 and median(seen["offered"]) >= _REACHED * rate


def _told(rate: int, seen: dict[str, dict[str, list[float]]]) -> list[Line]:
    lines = []
    for kind, where in (("engine", f"  at {rate:,}/s"), ("bridge", "    bridge")):
        figures = seen[kind]
        offered = median(figures["offered"])
        short = "" if offered >= _REACHED * rate else f" of {offered:,.0f}/s sent"
        delays = ", ".join(f"{median(figures[share]):.2f}" for share in ("p50", "p99"))
        worst = f"p99 {min(figures['p99']):.2f} to {max(figures['p99']):.2f}"
        lines += [
            information(f"{where}: lost{short}", figures["lost"], "%"),
            Line("    p50, p99 one way", "", f"{delays} ms", worst, len(figures["p99"])),
        ]
    return lines


def rate(bench: Bench) -> Row:
    """What arrives on the wire of a path with a rate, filled by TCP and by UDP."""
    lines, figures = [], {}
    for bps in bench.effort.rates_bps:
        bench.world.set((2, 1), delay_ns=5 * NS_PER_MS)
        bench.world.set((1, 2), delay_ns=5 * NS_PER_MS, rate_bps=bps)
        found = [_filled_bps(bench, 9000, *_tcp_pair(bench))]
        found.append(_filled_bps(bench, 9001, *_udp_pair(bench, bps)))
        figures[bps] = found
        bench.say(f"{bps / 1e6:g} Mbit/s: TCP {found[0] / 1e6:.4g}, UDP {found[1] / 1e6:.4g}")
        what = f"rate set {bps / 1e6:g} Mbit/s"
        lines.append(within(what, [b / 1e6 for b in found], bps / 1e6, RATE_PERCENT, "Mbit/s"))
    return Row(lines, figures)


def _length_ms(bench: Bench) -> int:
    return bench.effort.warm_up_ms + bench.effort.rate_ms


def _tcp_pair(bench: Bench) -> tuple[str, str]:
    return "discard 9000 0", f"stream {address(2)} 9000 {_length_ms(bench)} -"


def _udp_pair(bench: Bench, bps: int) -> tuple[str, str]:
    """A fifth more than goes through."""
    segments = 1 if bps <= _SINGLY_BPS else _IN_ONE
    per_s = 1.2 * bps / 8 / _FRAME
    words = f"send {address(2)} 9001 {per_s:.1f} {_length_ms(bench)} {_FULL} {segments}"
    return f"sink 9001 {_SILENCE_MS}", words


def _filled_bps(bench: Bench, port: int, receiver: str, sender: str) -> float:
    """Of the frames at the receiver's interface, once the path is full."""
    tap = f"tap wan0 in {port} {bench.effort.warm_up_ms} {_SILENCE_MS}"
    seen, *_ = bench.world.run([("s2", tap), ("s2", receiver)], [("s1", sender)])
    return float(seen["bytes"] * 8 / seen["seconds"])
