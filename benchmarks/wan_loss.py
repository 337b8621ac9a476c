"""Rows of `wan`: is what is lost as much as was set, and does TCP fare under it as theory says?"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from statistics import median

from benchmarks.table import Line, within
from benchmarks.wan_effort import Bench, Row
from benchmarks.wan_world import World, address
from emulator.clock import NS_PER_MS

PERCENT, MATHIS_PERCENT = 5.0, 30.0  # bounds
_SILENCE_MS = 1200  # a stream that lost much may wait for its timers
_QUIET_MS = 400  # datagrams do not
_TRIES = 8
_DATAGRAMS_PER_S = 60_000  # one by one: what the wire takes without losing any by itself
_SEGMENTS_PER_S, _IN_ONE, _PAYLOAD = 200_000, 16, 100
_DELAY_NS = 10 * NS_PER_MS
_MATHIS_LOSS, _MATHIS_RTT_MS = 0.01, 20
_MATHIS_PATHS = ((1, 2), (2, 3), (3, 4), (4, 1), (1, 3), (2, 4))
# The constant of Mathis, Semke, Mahdavi and Ott (1997) for a receiver that acknowledges every
# segment: Linux grows the window by the segments acknowledged, so delayed ones slow nothing down.
# At 1 % and 20 ms cubic is in its TCP-friendly region, which has Reno's average window (RFC 9438).
_C = sqrt(3 / 2)


def loss(bench: Bench) -> Row:
    """Segments that leave the sender against those that arrive, by taps at both interfaces."""
    lines: list[Line] = []
    figures: dict[str, object] = {}
    for share in bench.effort.losses:
        wanted = max(bench.effort.segments, round(bench.effort.lost / share))
        bench.world.set((1, 2), loss=share, delay_ns=_DELAY_NS)
        bench.world.set((2, 1), delay_ns=_DELAY_NS)
        before = bench.world.drops("s1", "s2")
        for what, measured in (("TCP", _tcp), ("UDP in super-frames", _udp_segments)):
            lost, sent = measured(bench, wanted)
            figures[f"{what} {share}"] = (lost, sent)
            lines.append(_line(f"loss set {100 * share:g} %, {what}", lost, sent, share))
        lost, sent = _datagrams(bench, wanted)
        figures[f"datagrams {share}"] = (lost, sent)
        lines.append(_line("  single datagrams", lost, sent, share))
        after = bench.world.drops("s1", "s2")
        others = {c: after[c] - before[c] for c in after if c != "loss" and after[c] > before[c]}
        bench.say(f"{100 * share:g} %: {lines[-3].median}, {lines[-2].median}, {lines[-1].median}"
                  + (f"; dropped for other reasons: {others}" if others else ""))  # fmt: skip
    lines.append(_mathis(bench, figures))
    bench.world.clear()
    return Row(lines, figures)


def _line(what: str, lost: int, sent: int, share: float) -> Line:
    line = within(what, [100 * lost / sent], 100 * share, PERCENT, "%")
    return Line(line.what, line.bound, line.median, f"{lost} lost", sent, line.kept)


def _tcp(bench: Bench, wanted: int) -> tuple[int, int]:
    """Lost and sent. By BBR, if this kernel has it: 10 % hardly slows it down."""
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    algorithm = "bbr" if "bbr" in known else "-"
    sender = f"stream {address(2)} 9000 {bench.effort.stream_ms} {algorithm}"
    lost = sent = tries = 0
    while sent < wanted and tries < _TRIES:
        tapped = _tapped(bench, 9000, _SILENCE_MS, "discard 9000 0", sender)
        lost, sent, tries = lost + tapped[0], sent + tapped[1], tries + 1
    return lost, sent


def _udp_segments(bench: Bench, wanted: int) -> tuple[int, int]:
    length_ms = wanted * 1000 // _SEGMENTS_PER_S
    sender = f"send {address(2)} 9001 {_SEGMENTS_PER_S} {length_ms} {_PAYLOAD} {_IN_ONE}"
    return _tapped(bench, 9001, _QUIET_MS, f"sink 9001 {_QUIET_MS}", sender)


def _tapped(
    bench: Bench, port: int, silence_ms: int, receiver: str, sender: str
) -> tuple[int, int]:
    taps = [
        ("s2", f"tap wan0 in {port} 0 {silence_ms}"),
        ("s1", f"tap wan0 out {port} 0 {silence_ms}"),
    ]
    came, left, *_ = bench.world.run([*taps, ("s2", receiver)], [("s1", sender)])
    if came["overflowed"] or left["overflowed"]:
        bench.say(f"a tap missed frames: {came['overflowed']} in, {left['overflowed']} out")
    return left["segments"] - came["segments"], left["segments"]


def _datagrams(bench: Bench, wanted: int) -> tuple[int, int]:
    """By their receiver's own count."""
    length_ms = wanted * 1000 // _DATAGRAMS_PER_S
    got, sent = bench.world.run(
        [("s2", f"sink 9002 {_QUIET_MS}")],
        [("s1", f"send {address(2)} 9002 {_DATAGRAMS_PER_S} {length_ms} {_PAYLOAD} 1")],
    )
    if got["overflowed"]:
        bench.say(f"the receiver's own socket overflowed by {got['overflowed']}")
    return sent["sent"] - got["received"], sent["sent"]


def _mathis(bench: Bench, figures: dict[str, object]) -> Line:
    """Cubic on several paths at once, each slow: payload against MSS / RTT * C / sqrt(p)."""
    rtt_s = _MATHIS_RTT_MS / 1000
    for a, b in _MATHIS_PATHS:
        _set_for_mathis(bench.world, a, b)
    skip_ms = min(1000, bench.effort.mathis_ms // 2)
    receivers = [(f"s{b}", f"discard {9100 + i} {skip_ms}") for i, (_, b) in _numbered()]
    length_ms = skip_ms + bench.effort.mathis_ms
    senders = [
        (f"s{a}", f"stream {address(b)} {9100 + i} {length_ms} -") for i, (a, b) in _numbered()
    ]
    said = bench.world.run(receivers, senders)
    count = len(_MATHIS_PATHS)
    rates = [8e-6 * seen["bytes"] / seen["seconds"] for seen in said[:count]]
    mss = median(sent["mss"] for sent in said[count:])
    theory = 8e-6 * mss / rtt_s * _C / sqrt(_MATHIS_LOSS)
    figures["mathis"] = {"mbps": rates, "theory_mbps": theory}
    bench.say(f"cubic: {', '.join(f'{rate:.2f}' for rate in rates)}; theory {theory:.2f} Mbit/s")
    what = "cubic, 1 %, 20 ms RTT: Mathis"
    told = within(what, rates, round(theory, 2), MATHIS_PERCENT, "Mbit/s")
    is_kept = abs(median(rates) - theory) <= theory * MATHIS_PERCENT / 100
    return Line(told.what, told.bound, told.median, told.spread, told.n, is_kept)


def _numbered() -> list[tuple[int, tuple[int, int]]]:
    return list(enumerate(_MATHIS_PATHS))


def _set_for_mathis(world: World, source: int, target: int) -> None:
    one_way = _MATHIS_RTT_MS * NS_PER_MS // 2
    world.set((source, target), delay_ns=one_way, loss=_MATHIS_LOSS)
    world.set((target, source), delay_ns=one_way)
