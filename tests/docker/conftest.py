"""What the tests that need Docker share: one engine, one image, names that nobody else uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.errors import EngineError
from tests.docker.lab import world

__all__ = ["world"]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """The real engine. Without one these tests fail: a skipped proof would prove nothing."""
    try:
        found = DockerEngine()
    except EngineError as error:
        pytest.fail(f"the docker tests need an engine; make setup gives one. {error}")
    yield found
    found.close()


@pytest.fixture(scope="session")
def image(engine: DockerEngine) -> str:
    """The tag of the node image of the code at hand."""
    return ensure_node_image(lambda _stage, _fraction: None)


@pytest.fixture
def lab_name() -> str:
    """A lab that cannot be anybody's."""
    return f"test-{uuid.uuid4().hex[:8]}"
