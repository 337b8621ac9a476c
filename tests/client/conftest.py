"""A client and the servers it talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.client.running import Running, config, running
from tests.client.servers import Dns, dns_server

Start = Callable[..., Running]


@pytest.fixture
def dns() -> Iterator[Dns]:
    with dns_server() as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exits:
        yield exits


@pytest.fixture
def serve(stack: ExitStack) -> Callable[[AbstractContextManager[Any]], Any]:
    """Keeps a server until the test ends."""
    return stack.enter_context


@pytest.fixture
def start(dns: Dns, tmp_path: Path, stack: ExitStack) -> Start:
    """Starts a client: ports, and rates or whole loads by kind, in the test's hands."""

    def go(port: int = 9, echo_port: int = 9, **kinds: float | Mapping[str, Any]) -> Running:
        return stack.enter_context(running(tmp_path, config(dns.port, port, echo_port, kinds)))

    return go
