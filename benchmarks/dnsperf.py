"""dnsperf, run and read."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LATENCY = re.compile(rb"^> \S+ \S+ \S+ ([\d.]+)$", re.MULTILINE)  # of a query, with -v


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of dnsperf saw. `latencies_ms`: only where they were asked for."""

    per_s: float
    lost: int
    latencies_ms: tuple[float, ...] = ()

    def percentile_ms(self, percent: float) -> float:
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def closed_loop(port: int, queries: Path, seconds: int) -> Load:
    """As fast as the answers come: 100 queries on their way all the time (dnsperf's default)."""
    return _read(_run(port, queries, "-l", str(seconds)))


def steady(port: int, queries: Path, seconds: int, per_s: int) -> Load:
    """So many queries a second, each with its latency: dnsperf prints every one, on the same
    machine, so what is measured errs on the bad side."""
    return _read(_run(port, queries, "-l", str(seconds), "-Q", str(per_s), "-v"))


def start(port: int, queries: Path, seconds: int, *options: str) -> subprocess.Popen[bytes]:
    """One that goes on while something else is measured."""
    command = _command(port, queries, "-l", str(seconds), *options)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _command(port: int, queries: Path, *options: str) -> list[str]:
    return ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(queries), *options]


def _run(port: int, queries: Path, *options: str) -> bytes:
    """Into a file, as a pipe's reader would take from the cores that are measured."""
    with tempfile.TemporaryFile() as said:
        command = _command(port, queries, *options)
        subprocess.run(command, check=True, stdout=said, stderr=subprocess.STDOUT)
        said.seek(0)
        return said.read()


def _read(said: bytes) -> Load:
    latencies = tuple(float(match) * 1000 for match in _LATENCY.findall(said))
    return Load(
        _figure(rb"Queries per second", said), int(_figure(rb"Queries lost", said)), latencies
    )


def _figure(name: bytes, said: bytes) -> float:
    found = re.search(name + rb":\s+([\d.]+)", said)
    if not found:
        raise ValueError(f"dnsperf did not tell {name.decode()}: {said[-400:]!r}")
    return float(found[1])
