"""What every driver of the WAN does to a path, measured from outside in real hosts.

A module that runs the suite provides the fixture `world`, a `World` that runs processes, and
`wan`, its first client.
"""

from __future__ import annotations

import itertools
import math
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

import pytest
from dnslib import RR, DNSRecord

from emulator.impairment import Overlay
from emulator.wan.base import Event, Wan
from tests.contracts.datagrams import OVERHEAD, Arrival, Datagrams, datagrams
from tests.docker.wan_world import EAST, FAR, ONE_WAY_NS, ROUTER, SERVER, WEST, World
from tests.netns import inside

THERE, BACK = (EAST, WEST), (WEST, EAST)
MS = 1_000_000
_ADDRESSES = {ROUTER: "100.64.0.1", SERVER: "10.1.0.11", FAR: "100.64.0.2"}


class Tolerance:
    """How far a measured value may be off, and why. The wire's paths are measured by the machine's
    clock, while a busy host takes processors away; netem's inside User-mode Linux, by a clock that
    is not disturbed, where the least of 50 delays was 0.013 to 0.066 ms more than was set and a
    rate within 0.01 %."""

    LEAST_DELAY_NS = 3 * MS // 2  # 0.8 ms more than set was seen while other tests ran
    MEDIAN_DELAY_NS = 5 * MS // 2  # that, and 4.5 standard errors of a median of 250 at 3 ms: 1.1
    ANY_DELAY_NS = 50 * MS  # of one datagram: a busy machine takes the processor away for so long
    RATE = 0.03
    SIGMAS = 4.5  # a share that is right is beyond it once in 150,000 measurements

    @classmethod
    def of_share(cls, share: float, count: int) -> float:
        """Of a share measured on `count` independent segments (binomial)."""
        return cls.SIGMAS * math.sqrt(share * (1 - share) / count)


def missing(arrivals: Sequence[Arrival], count: int) -> list[int]:
    return sorted(set(range(count)) - {a.number for a in arrivals})


def assert_counted(seen: dict[str, int], **expected: int) -> None:
    """Each as often as expected."""
    assert {what: seen[what] for what in expected} == expected


def share_of_delays(arrivals: Sequence[Arrival], least: int, most: int) -> float:
    return sum(least <= a.delay < most for a in arrivals) / len(arrivals)


def is_in_order(arrivals: Sequence[Arrival]) -> bool:
    return all(a.number < b.number for a, b in itertools.pairwise(arrivals))


class PathContract:
    """Collected by subclassing it in a test module."""

    @pytest.fixture(autouse=True)
    def _restore(self, wan):
        yield
        wan.clear([THERE, BACK])

    @pytest.fixture
    def there(self, world) -> Iterator[Datagrams]:
        with self.between(world, ROUTER, FAR) as path:
            yield path

    @pytest.fixture
    def back(self, world) -> Iterator[Datagrams]:
        with self.between(world, FAR, ROUTER) as path:
            yield path

    @contextmanager
    def between(self, world: World, source: str, target: str, port: int = 0) -> Iterator[Datagrams]:
        ends = [(world.pids[host], _ADDRESSES[host]) for host in (source, target)]
        with datagrams(ends[0], ends[1], port) as path:
            yield path

    def counted(self, wan: Wan, before: dict[str, Any] | None = None) -> dict[str, int]:
        """Packets and drops of the path there, since `before`."""
        seen = wan.stats()["paths"]["east->west"]
        now = {"packets": seen["packets"], **seen["drops"]}
        return {key: value - (before or {}).get(key, 0) for key, value in now.items()}

    def test_each_direction_has_its_own_delay(self, there, back):
        """The least of 50 is what was set, and little more."""
        for path, pair in ((there, THERE), (back, BACK)):
            arrivals = path.send(50, 0.004)
            assert not missing(arrivals, 50)
            least = min(a.delay for a in arrivals)
            assert ONE_WAY_NS[pair] <= least < ONE_WAY_NS[pair] + Tolerance.LEAST_DELAY_NS

    @pytest.mark.parametrize(("first_ms", "then_ms"), [(10, 40), (40, 10)])
    def test_a_change_loses_nothing_and_keeps_the_order(self, wan, there, first_ms, then_ms):
        """Longer and shorter: what was sent 45 ms before goes as before, 60 ms after as set."""
        wan.change([THERE], {"delay_ns": first_ms * MS})

        def change(number: int) -> None:
            if number == 60:
                wan.change([THERE], {"delay_ns": then_ms * MS})

        arrivals = there.send(120, 0.003, at=change)
        assert not missing(arrivals, 120)
        assert is_in_order(arrivals)
        for numbers, delay in ((range(45), first_ms), (range(80, 120), then_ms)):
            least = min(a.delay for a in arrivals if a.number in numbers)
            assert delay * MS <= least < delay * MS + Tolerance.LEAST_DELAY_NS

    def test_a_cut_is_one_way_and_spares_what_is_under_way(self, wan, there, back, name):
        """What enters is dropped and counted as cut, not as lost; what had entered arrives."""
        wan.change([THERE], {"delay_ns": 200 * MS, "loss": 0.0})
        before = self.counted(wan)

        def cut(number: int) -> None:
            if number == 10:
                wan.lay(name, [THERE], Overlay(cut=True))

        arrivals = there.send(30, at=cut)
        assert {a.number for a in arrivals} == set(range(10))
        assert not missing(back.send(10), 10)
        seen = self.counted(wan, before)
        assert_counted(seen, packets=30, cut=20, loss=0)
        wan.lift(name)
        assert not missing(there.send(10), 10)
        assert_counted(self.counted(wan, before), cut=20)

    def test_delays_of_overlays_add_and_go_in_any_order(self, wan, there, name):
        """What one does stays when another goes."""
        measured = []
        wan.lay(f"{name}-a", [THERE], Overlay(delay_ns=20 * MS))
        wan.lay(f"{name}-b", [THERE], Overlay(delay_ns=40 * MS))
        for lifted in ("a", "b", ""):
            measured.append(min(a.delay for a in there.send(20, 0.004)))
            wan.lift(f"{name}-{lifted}")
        for delay, expected in zip(measured, (70, 50, 10), strict=True):
            assert expected * MS <= delay < expected * MS + Tolerance.LEAST_DELAY_NS

    def test_losses_are_as_many_as_set(self, wan, there):
        """10 %, within what chance allows, and each counted as lost."""
        count, share = 3000, 0.1
        wan.change([THERE], {"loss": share})
        before = self.counted(wan)
        lost = len(missing(there.send(count, 0.0002), count))
        assert abs(lost / count - share) < Tolerance.of_share(share, count)
        seen = self.counted(wan, before)
        assert_counted(seen, packets=count, loss=lost, cut=0)

    def test_losses_of_an_overlay_and_of_the_path_are_independent(self, wan, there, name):
        """20 % and 20 % are 36 %; lifted, the path's own stay."""
        count = 1500
        wan.change([THERE], {"loss": 0.2})
        wan.lay(name, [THERE], Overlay(loss=0.2))
        both = len(missing(there.send(count, 0.0002), count)) / count
        wan.lift(name)
        own = len(missing(there.send(count, 0.0002), count)) / count
        assert abs(both - 0.36) < Tolerance.of_share(0.36, count)
        assert abs(own - 0.2) < Tolerance.of_share(0.2, count)

    def test_bursts_are_as_long_and_as_frequent_as_set(self, wan, there):
        """Gilbert's model: 4 segments on average, one burst in 50 good segments."""
        count, enter, leave = 6000, 0.02, 0.25
        wan.change([THERE], {"burst_enter": enter, "burst_leave": leave, "burst_loss": 1.0})
        lost = set(missing(there.send(count, 0.0002), count))
        bursts = [n for n in lost if n - 1 not in lost]
        length = len(lost) / len(bursts)
        spread = math.sqrt((1 - leave) / leave**2 / len(bursts))  # of a geometric mean
        assert abs(length - 1 / leave) < Tolerance.SIGMAS * spread
        expected = count * enter * leave / (enter + leave)
        assert abs(len(bursts) - expected) < Tolerance.SIGMAS * math.sqrt(expected)

    def test_duplicates_arrive_twice(self, wan, there):
        """5 % of them; nothing is lost."""
        count, share = 2000, 0.05
        wan.change([THERE], {"duplicate": share})
        arrivals = there.send(count, 0.0002)
        assert not missing(arrivals, count)
        twice = (len(arrivals) - count) / count
        assert abs(twice - share) < Tolerance.of_share(share, count)

    def test_what_is_corrupt_is_seen_to_be(self, wan, there):
        """One flipped bit: a check sum is wrong, or it is nobody's frame; no wrong data arrives."""
        count, share = 1500, 0.2
        wan.change([THERE], {"corrupt": share})
        before = self.counted(wan)
        spoilt = len(missing(there.send(count, 0.0002), count)) / count
        assert abs(spoilt - share) < Tolerance.of_share(share, count)
        assert self.counted(wan, before)["loss"] == 0

    def test_jitter_keeps_the_order(self, wan, there):
        """The delay wanders within +-8 ms; nobody overtakes."""
        wan.change([THERE], {"delay_ns": 20 * MS, "jitter_ns": 8 * MS})
        arrivals = there.send(300, 0.003)
        assert not missing(arrivals, 300)
        assert is_in_order(arrivals)
        delays = [a.delay for a in arrivals]
        assert min(delays) >= 12 * MS
        assert median(delays) < 28 * MS + Tolerance.LEAST_DELAY_NS
        assert max(delays) - min(delays) > 5 * MS

    def test_reordering_is_a_share_of_its_own(self, wan, there):
        """10 % leave at once and overtake the others."""
        count, share = 1000, 0.1
        wan.change([THERE], {"delay_ns": 30 * MS, "reorder": share})
        arrivals = there.send(count, 0.001)
        assert not missing(arrivals, count)
        at_once = share_of_delays(arrivals, 0, 15 * MS)
        assert abs(at_once - share) < Tolerance.of_share(share, count)
        assert not is_in_order(arrivals)

    @pytest.mark.parametrize("mbit", [1, 4])
    def test_a_rate_is_kept(self, wan, there, mbit):
        """Of whole Ethernet frames, 0.4 s of them sent at once, three times."""
        wan.change([THERE], {"rate_bps": mbit * 1_000_000, "queue_ns": 2000 * MS})
        measured = [rate_bps(there, round(0.4 * mbit * 1e6 / 8 / 1000)) for _ in range(3)]
        assert median(measured) / (mbit * 1e6) == pytest.approx(1.0, abs=Tolerance.RATE)

    def test_a_full_queue_drops_its_tail(self, wan, there):
        """No wait is longer than the limit; drops are counted as the queue's, not as lost."""
        count, size, limit = 60, 1000, 100 * MS  # at 1 Mbit/s a frame takes 8 ms
        wan.change([THERE], {"rate_bps": 1_000_000, "queue_ns": limit})
        before = self.counted(wan)
        arrivals = there.send(count, size=size - OVERHEAD)
        assert 12 <= len(arrivals) <= 18
        assert max(a.delay for a in arrivals) < ONE_WAY_NS[THERE] + limit + Tolerance.ANY_DELAY_NS
        seen = self.counted(wan, before)
        assert_counted(seen, packets=count, queue=count - len(arrivals), loss=0, cut=0, overload=0)

    def test_codel_keeps_the_queue_short_where_a_plain_one_fills(self, world, wan, there):
        """Under one TCP stream at 4 Mbit/s, as others feel it; the plain queue holds a second."""
        waits = {}
        for aqm in ("", "codel"):
            wan.change([THERE], {"rate_bps": 4_000_000, "queue_ns": 1000 * MS, "aqm": aqm})
            stream = threading.Thread(target=transfer, args=(world, ROUTER, FAR, 1_000_000))
            stream.start()
            waits[aqm] = median(a.delay for a in there.send(60, 0.03))
            stream.join()
        assert waits["codel"] < waits[""] / 2

    def test_a_rate_can_be_lifted_while_frames_wait(self, wan, there):
        """They leave in order, none is lost, and the next are not slowed down."""
        wan.change([THERE], {"rate_bps": 500_000, "queue_ns": 2000 * MS})

        def lift(number: int) -> None:
            if number == 20:
                wan.clear([THERE])

        arrivals = there.send(40, size=1000 - OVERHEAD, at=lift)
        assert not missing(arrivals, 40)
        assert is_in_order(arrivals)
        again = there.send(20, 0.004)
        least = min(a.delay for a in again)
        assert least < ONE_WAY_NS[THERE] + Tolerance.LEAST_DELAY_NS

    def test_a_normal_jitter_spreads_as_set(self, wan, there):
        """By 3 ms, of datagrams far enough apart not to meet. Quartiles, which a machine that
        pauses moves little, are 1.35 standard deviations apart."""
        wan.change([THERE], {"delay_ns": 30 * MS, "jitter_ns": 3 * MS, "distribution": "normal"})
        arrivals = there.send(250, 0.02)
        assert len(arrivals) == 250
        low, middle, high = quantiles(a.delay for a in arrivals)
        assert -Tolerance.LEAST_DELAY_NS < middle - 30 * MS < Tolerance.MEDIAN_DELAY_NS
        assert 2 * MS < (high - low) / 1.35 < 4 * MS

    @pytest.mark.parametrize("source", [ROUTER, SERVER])
    def test_every_segment_counts_of_a_tcp_stream(self, world, wan, source):
        """However large the frames are that the host's kernel, or its router's, would make."""
        before, size = self.counted(wan), 400_000
        transfer(world, source, FAR, size)
        assert self.counted(wan, before)["packets"] >= size // 1448

    def test_changing_a_path_is_quick(self, wan, there):
        """Answered in 10 ms, by one of four at least: a busy machine takes the processor away."""
        took = []
        for number in range(50):
            before = time.monotonic_ns()
            wan.change([THERE], {"delay_ns": (10 + number) * MS})
            took.append(time.monotonic_ns() - before)
        assert quantiles(took)[0] < 10 * MS

    def test_bytes_are_those_of_frames(self, wan, there):
        """As they would be on a real wire."""
        before = wan.stats()["paths"]["east->west"]["bytes"]
        there.send(100, size=500 - OVERHEAD)
        seen = wan.stats()["paths"]["east->west"]["bytes"] - before
        assert seen == 100 * 500

    def test_the_record_says_when_a_segment_entered_and_left(self, world, wan):
        """By the lab's clock; the difference is what was set."""
        reader = wan.events()
        began = wan.now_ns()
        transfer(world, ROUTER, FAR, 5000)
        for what, source, pair in (("syn", "east", THERE), ("synack", "west", BACK)):
            seen = until(reader, kind="packet", what=what, source=source)
            assert began < seen["t"] < wan.now_ns()
            took = seen["out"] - seen["t"]
            assert ONE_WAY_NS[pair] <= took < ONE_WAY_NS[pair] + Tolerance.ANY_DELAY_NS
        ends = [until(reader, kind="packet", what="fin") for _ in range(2)]
        assert {(end["source"], end["dropped"]) for end in ends} == {("east", ""), ("west", "")}

    def test_the_record_says_what_was_dropped(self, world, wan, name):
        """Of a cut path: the attempts to connect entered, and never left."""
        reader = wan.events()
        wan.lay(name, [THERE], Overlay(cut=True))
        with connecting(world, ROUTER, FAR):
            seen = until(reader, kind="packet", what="syn", source="east")
        wan.lift(name)
        assert (seen["out"], seen["dropped"]) == (None, "cut")

    def test_dns_is_read(self, world, wan):
        """A question and its answer, by name."""
        reader = wan.events()
        question = DNSRecord.question("www.shop.test")
        reply = question.reply()
        reply.add_answer(*RR.fromZone("www.shop.test 5 A 198.18.1.1"))
        with self.between(world, ROUTER, FAR, port=53) as path:
            path.send_raw(question.pack())
            path.answer_raw(reply.pack())
            time.sleep(0.1)  # sockets that are closed answer by ICMP
        seen = until(reader, kind="question")
        assert (seen["name"], seen["source"]) == ("www.shop.test", "east")
        seen = until(reader, kind="answer")
        assert (seen["addresses"], seen["source"]) == (["198.18.1.1"], "west")


def rate_bps(path: Datagrams, count: int, size: int = 1000) -> float:
    """Of frames of `size` bytes that are sent at once. The first do not count: a bucket lets its
    fill go at once. The median of the times that half of them take, from each of the other half
    on: a machine that pauses makes some frames late, which then come close together (Theil and
    Sen's slope)."""
    arrivals = path.send(count, size=size - OVERHEAD)
    assert not missing(arrivals, count)
    counted = arrivals[count // 5 :]
    half = len(counted) // 2
    took = median(counted[i + half].t - counted[i].t for i in range(half))
    return half * size * 8 / (took / 1e9)


@contextmanager
def connecting(world: World, source: str, target: str) -> Iterator[None]:
    """A connection that is being tried."""
    with inside(f"/proc/{world.pids[source]}/ns/net"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sender:
        sender.setblocking(False)
        sender.connect_ex((_ADDRESSES[target], 7))
        yield


def until(reader: Iterator[Event | None], **fields: object) -> Event:
    """The next event with these values; it comes within seconds or never."""
    event = within(10, reader, **fields)
    assert event is not None, f"no event came with {fields}"
    return event


def within(seconds: float, reader: Iterator[Event | None], **fields: object) -> Event | None:
    """As `until`; None if it does not come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        event = next(reader)
        if event and all(event.get(key) == value for key, value in fields.items()):
            return event
    return None


def transfer(world: World, source: str, target: str, size: int) -> None:
    """By one TCP connection, all of it."""
    ends = {}
    for host in (source, target):
        with inside(f"/proc/{world.pids[host]}/ns/net"):
            ends[host] = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with ends[source] as sender, ends[target] as listener:
        listener.bind((_ADDRESSES[target], 0))
        listener.listen(1)
        threading.Thread(target=_send_all, args=(sender, listener.getsockname(), size)).start()
        connection, _ = listener.accept()
        with connection:
            got = 0
            while data := connection.recv(1 << 16):
                got += len(data)
    assert got == size


def _send_all(sender: socket.socket, address: tuple[str, int], size: int) -> None:
    sender.connect(address)
    sender.sendall(bytes(size))
    sender.shutdown(socket.SHUT_WR)
