"""What one health check says, and when the next one is due."""

from __future__ import annotations

import asyncio

import pytest

from emulator.clock import NS_PER_MS, MonotonicClock
from emulator.node.dns.checker import check, judge
from tests.dns.endpoint import Mode, endpoint

PATIENT_S = 10.0  # for what ends by itself
SHORT_S = 0.2  # for what must time out

# A wake-up may be late by a scheduler's slice or two when both cores are busy; never early by
# more than asyncio's clock resolution of 1 ms.
WAKE_UP_LATE_MS = 150
WAKE_UP_EARLY_MS = 2


@pytest.mark.parametrize(
    ("mode", "ok", "detail"),
    [
        ("good", True, "HTTP 200"),
        ("bad", False, "HTTP 503"),
        ("garbage", False, "not an HTTP answer"),
        ("hangup", False, "closed without an answer"),
    ],
)
def test_check_says_what_the_endpoint_answered(mode: Mode, ok: bool, detail: str) -> None:
    """2xx is good, all else is bad and named."""
    with endpoint(mode=mode) as serving:
        checked = asyncio.run(check("http", serving.at, PATIENT_S, MonotonicClock()))
    assert (checked.ok, checked.detail) == (ok, detail)


def test_check_asks_for_healthz_and_for_the_end_of_the_connection() -> None:
    """A connection a check: the balancer closes it."""
    with endpoint() as serving:
        asyncio.run(check("http", serving.at, PATIENT_S, MonotonicClock()))
        request = serving.requests[0]
    assert request.startswith(b"GET /healthz HTTP/1.1\r\n")
    assert b"\r\nConnection: close\r\n" in request
    assert request.endswith(b"\r\n\r\n")


def test_refused_is_told_at_once() -> None:
    """A dead daemon in a living kernel costs no timeout."""
    with endpoint() as serving:
        serving.refuse()
        checked = asyncio.run(check("http", serving.at, PATIENT_S, MonotonicClock()))
    assert (checked.ok, checked.detail) == (False, "refused")
    assert checked.end_ns - checked.start_ns < WAKE_UP_LATE_MS * NS_PER_MS


def test_silence_times_out_on_time() -> None:
    """A frozen region accepts and says nothing: the check lasts its timeout, and says where."""
    with endpoint(mode="silent") as serving:
        checked = asyncio.run(check("http", serving.at, SHORT_S, MonotonicClock()))
    assert (checked.ok, checked.detail) == (False, "timed out waiting for the answer")
    lasted_ms = (checked.end_ns - checked.start_ns) / NS_PER_MS
    assert -WAKE_UP_EARLY_MS <= lasted_ms - SHORT_S * 1000 <= WAKE_UP_LATE_MS


def test_an_answer_counts_though_the_peer_does_not_close() -> None:
    """What was said in time is good, whatever becomes of the connection."""
    with endpoint(mode="lingering") as serving:
        checked = asyncio.run(check("http", serving.at, SHORT_S, MonotonicClock()))
    assert (checked.ok, checked.detail) == (True, "HTTP 204")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 2000 OK\r\n", b"HTTP/1.1", b"xHTTP/1.1 200 OK\r\n"])
def test_a_crooked_status_line_is_no_good_check(answer: bytes) -> None:
    """Near misses are bad."""
    assert judge(answer) == (False, "not an HTTP answer")
