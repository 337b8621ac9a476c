"""How long and how often the rows of `wan` measure: for their bounds, or to see that they work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.table import Line, Say
from benchmarks.wan_world import World


@dataclass(frozen=True, slots=True)
class Effort:
    """Times in ms, as flood takes them."""

    rounds: int  # of the TCP stream over the engine and the bridge in turn
    sweep_rounds: int  # of everything else that alternates
    delay_rounds: int  # of pings, for each delay set
    pings: int  # of a round, 2 ms apart
    rtts_ms: tuple[int, ...]
    stream_ms: int  # of TCP, after the warm-up
    warm_up_ms: int
    burst_ms: int  # of packets at one rate
    rates_per_s: tuple[int, ...]
    losses: tuple[float, ...]
    segments: int  # that a loss is measured over, at least
    lost: int  # of them, at least
    mathis_ms: int
    rates_bps: tuple[int, ...]
    rate_ms: int
    sites: int
    mesh_ms: int
    mesh_rounds: int
    changes: int


FULL = Effort(
    rounds=5,
    sweep_rounds=3,
    delay_rounds=4,
    pings=1500,
    rtts_ms=(5, 20, 40, 100, 300),
    stream_ms=4000,
    warm_up_ms=2000,
    burst_ms=2000,
    rates_per_s=(50_000, 100_000, 150_000, 200_000, 250_000, 300_000),
    losses=(0.001, 0.01, 0.05, 0.1),
    segments=1_000_000,
    # n segments of which a share p is lost scatter by 1/sqrt(n p): a million at 0.1 % by 3.2 %,
    # and then an exact wire would miss 5 % one time in nine; 4000 lost ones scatter by 1.6 %.
    lost=4000,
    mathis_ms=25_000,
    rates_bps=(10**6, 10**7, 10**8, 10**9, 2 * 10**9),
    rate_ms=3000,
    sites=50,
    mesh_ms=4_000,
    mesh_rounds=5,
    changes=20,
)
QUICK = Effort(
    rounds=1,
    sweep_rounds=1,
    delay_rounds=1,
    pings=150,
    rtts_ms=(20,),
    stream_ms=500,
    warm_up_ms=300,
    burst_ms=300,
    rates_per_s=(20_000,),
    losses=(0.1,),
    segments=8_000,
    lost=0,
    mathis_ms=1500,
    rates_bps=(10**8,),
    rate_ms=500,
    sites=5,
    mesh_ms=1000,
    mesh_rounds=1,
    changes=3,
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one row found: lines of the table, and figures for the plot and the JSON file."""

    lines: list[Line]
    figures: Mapping[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a row that needs four sites works with."""

    world: World
    effort: Effort
    say: Say
