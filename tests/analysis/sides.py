"""Directories of invented runs, to be held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.builders import ADDRESSES, FQDN, Story

KILL = 10.0
RATE = 10  # enough for a window of 10 requests in 3 s
SERVICE = {"name": "www", "fqdn": FQDN, "port": 80, "addresses": ADDRESSES}


def killed(recovery_s: float | None, *, ttl: int = 5, **header: Any) -> Story:
    """us-east loses power at 10 s. new-york's http is back after so long, or never (None), or was
    never away (0); paris never notices."""
    services: list[dict[str, Any]] = [
        {**SERVICE, "ttl_s": ttl, "interval_s": 1.0, "fall": 3, "servers": {"us-east": ["a"]}}
    ]
    known: dict[str, Any] = {"services": services, "seed": 7} | header
    story = Story(**known)
    story.fault(KILL)
    lasts = recovery_s if recovery_s is not None else 60.0
    story.requests(0, KILL, rate=RATE).dead(KILL, KILL + lasts, rate=RATE)
    if lasts > 3.5:
        story.down(KILL + 3.4).answer(2.0, "us-east").answer(KILL + lasts - 0.3, "eu-west")
    if recovery_s is not None:
        story.requests(KILL + lasts, KILL + lasts + 12, region="eu-west", rate=RATE)
    return story.requests(0, KILL + lasts + 12, city="paris", region="eu-west", rate=RATE)


def predicted(low: float, high: float, kind: str = "http") -> dict[str, list[dict[str, Any]]]:
    """A header's prediction: new-york's recovery, evenly spread."""
    spread = [low + (high - low) * (n + 0.5) / 100 for n in range(100)]
    return {"power us-east": [{"city": "new-york", "client": kind, "seconds": spread}]}


def written(directory: Path, stories: Sequence[Story]) -> Path:
    """One run is the directory itself; several are run-01, run-02 ... in it."""
    for number, story in enumerate(stories, 1):
        place = directory if len(stories) == 1 else directory / f"run-{number:02d}"
        place.mkdir(parents=True)
        (place / "history.jsonl").write_text(story.lines(), encoding="utf-8")
    return directory
