"""When health checks are made: on schedules that nothing shifts.

Checks start at first + n * interval, however long the check before took; a check lasts at most
its timeout, which is at most the interval, so results come in order. A check that a stopped
process slept through is not made up for: the latest one due is made, the rest are skipped.

The schedules of a checker count from one instant, which a command may move (the phase of the
checks): the first check of the new schedule is then the one at least half an interval after the
last of the old, so there is no burst, and no gap of more than one interval and a half.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from emulator.clock import NS_PER_S, Clock
from emulator.node.dns.checker import check
from emulator.node.dns.config import Endpoint, Service
from emulator.node.dns.values import Checked

Take = Callable[[Service, str, Checked], None]  # service, region, outcome

# Regions' schedules start this far apart, and all of them within this long (less where they would
# not fit the interval): apart, so that checks do not come in bursts; not far, because the first
# checks decide when a lab is ready.
SPREAD_S = 0.05
SPREAD_OF_ALL_S = 0.25


def first_offset(index: int, count: int, interval_s: float) -> float:
    """Seconds from the start to the first check of the schedule `index` of `count`."""
    return index * min(SPREAD_S, SPREAD_OF_ALL_S / count, interval_s / count)


def next_due(first: float, interval_s: float, last: float, now: float) -> float:
    """When the check after the one that was due at `last` is due. `first` is any instant of the
    schedule, also one to come."""
    half_after_last = math.ceil((last - first) / interval_s + 0.5)
    latest_due = math.floor((now - first) / interval_s)
    return first + max(half_after_last, latest_due) * interval_s


class Anchor:
    """The instant of the running loop that all schedules of a server count from."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._moved = asyncio.Event()

    def move(self, start: float) -> None:
        """Every schedule goes on counted from `start`, also those that wait for a check."""
        self._start = start
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait_until(self, due: Callable[[float], float]) -> float:
        """Wait until the instant `due(start)`, wherever the start is by then; that instant."""
        while True:
            moment = due(self._start)
            try:
                async with asyncio.timeout_at(moment):
                    await self._moved.wait()
            except TimeoutError:
                return moment


async def check_for_ever(
    service: Service,
    endpoint: Endpoint,
    schedule: tuple[Anchor, float],
    clock: Clock,
    take: Callable[[Checked], None],
) -> None:
    """Checks on the schedule that begins so many seconds after the anchor."""
    loop = asyncio.get_running_loop()
    anchor, offset = schedule
    last = await anchor.wait_until(lambda start: start + offset)
    while True:
        take(await check(service.check.kind, endpoint, service.check.timeout_s, clock))

        def due(start: float, last: float = last) -> float:
            return next_due(start + offset, service.check.interval_s, last, loop.time())

        last = await anchor.wait_until(due)


class Checks:
    """The schedules of every region of some services. Make it in the loop that runs it."""

    def __init__(self, services: Sequence[Service], clock: Clock, take: Take) -> None:
        pairs = [(service, region) for service in services for region in service.regions]
        self._clock = clock
        self._take = take
        self._anchor = Anchor(asyncio.get_running_loop().time())
        self._offsets = [
            (service, region, first_offset(index, len(pairs), service.check.interval_s))
            for index, (service, region) in enumerate(pairs)
        ]

    async def run(self) -> None:
        """Check for ever; also where there is nothing to check."""
        async with asyncio.TaskGroup() as group:
            for service, region, offset in self._offsets:

                def take(
                    checked: Checked, service: Service = service, region: str = region
                ) -> None:
                    self._take(service, region, checked)

                endpoint = service.regions[region].health
                schedule = (self._anchor, offset)
                group.create_task(check_for_ever(service, endpoint, schedule, self._clock, take))
            await asyncio.Event().wait()

    def place(self, t: int, region: str) -> None:
        """Move all schedules so that one of the checks of `region`, for the first service that it
        has, begins at `t` (ns of the clock), be that past or to come. KeyError: no such region."""
        offset = next((o for _, name, o in self._offsets if name == region), None)
        if offset is None:
            raise KeyError(region)
        ahead_s = (t - self._clock.now_ns()) / NS_PER_S
        self._anchor.move(asyncio.get_running_loop().time() + ahead_s - offset)
