"""The fake engine keeps the contract of every engine, and lets a test script what it wants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from emulator.engine.base import LogLine
from emulator.engine.fake import FakeEngine
from emulator.errors import EngineError
from tests.contracts.engine import EngineContract, lab, spec

__all__ = ["lab"]


class Echo:
    """A program that prints what it reads, to its end."""

    def __init__(self) -> None:
        self._data: deque[bytes] = deque()
        self._is_over = False

    def read(self, size: int) -> bytes:
        if not self._data:
            return b""
        first = self._data.popleft()
        if first[size:]:
            self._data.appendleft(first[size:])
        return first[:size]

    def take(self) -> bytes | None:
        end = None if self._is_over else b""
        return self._data.popleft() if self._data else end

    def fileno(self) -> int:
        return -1

    def write(self, data: bytes) -> None:
        self._data.append(data)

    def finish(self) -> None:
        self._is_over = True

    def exit_code(self) -> int | None:
        return 0 if self._is_over else None

    def stderr(self) -> str:
        return ""

    def close(self) -> None:
        self._data.clear()


@pytest.fixture
def lab_name() -> str:
    return "contract"


@pytest.fixture
def image() -> str:
    return "netemu/node:test"


@pytest.fixture
def engine(image: str) -> FakeEngine:
    return FakeEngine(script=lambda host, command: Echo(), images=[image])


@pytest.fixture
def read_file() -> Callable[[FakeEngine, str, str, str], bytes]:
    return lambda engine, lab, host, path: engine.files[lab, host][path]


@pytest.fixture
def write_log(image: str) -> Callable[[FakeEngine, str, list[str]], str]:
    def write(engine: FakeEngine, lab: str, lines: list[str]) -> str:
        engine.create(spec(lab, "api", image))
        engine.logs[lab, "api"] = [LogLine(n, line) for n, line in enumerate(lines, start=1)]
        return "api"

    return write


class TestFakeEngine(EngineContract):
    """The contract on the fake."""


def test_a_test_can_make_a_verb_fail(engine: FakeEngine, image: str) -> None:
    """`fail` makes one verb on one host raise, and leaves the others alone."""
    for host in ("a", "b"):
        engine.create(spec("x", host, image))
    engine.fail("start", "b", EngineError("cannot start b: the disk is full"))
    engine.start("x", "a")
    with pytest.raises(EngineError, match="disk is full"):
        engine.start("x", "b")


def test_calls_are_kept_in_order(engine: FakeEngine, image: str) -> None:
    """`calls` is what the engine was told to do, so that a test can assert the order of it."""
    engine.create(spec("x", "a", image))
    engine.start("x", "a")
    engine.kill("x", "a")
    assert engine.calls == [("create", "x", "a"), ("start", "x", "a"), ("kill", "x", "a")]
