"""What the real engine's failures become: what was tried, what it said, what to do; no engine."""

from __future__ import annotations

import pytest
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import ReadTimeout

from emulator.engine.docker import attempt
from emulator.errors import EngineError, Exit

FAILURES = [
    pytest.param(
        APIError("500", explanation="write /x: no space left on device"),
        "docker system df",
        id="disk full",
    ),
    pytest.param(
        APIError("409", explanation='The container name "/a" is already in use by container "b"'),
        "netemu down",
        id="name conflict",
    ),
    pytest.param(
        APIError("400", explanation="runc: unable to apply caps: operation not permitted"),
        "refuses a capability.*netemu doctor",
        id="capability refused",
    ),
    pytest.param(
        ImageNotFound("404", explanation="No such image: netemu/node:x"),
        "netemu image build",
        id="image missing",
    ),
    pytest.param(ReadTimeout(), "overloaded", id="no answer in time"),
    pytest.param(ConnectionRefusedError(), "systemctl start docker", id="no daemon"),
    pytest.param(DockerException("Permission denied"), "usermod -aG docker", id="not allowed"),
]


@pytest.mark.parametrize(("failure", "remedy"), FAILURES)
def test_every_failure_says_what_was_tried_and_what_to_do(failure: Exception, remedy: str) -> None:
    """One message, with the exit code of an environment that does not fit."""
    expected = pytest.raises(EngineError, match=f"cannot start ns1: .*{remedy}")
    with expected as raised, attempt("start ns1"):
        raise failure
    assert raised.value.exit_code is Exit.ENVIRONMENT


def test_our_own_errors_pass_unchanged() -> None:
    """An EngineError from a deeper attempt is not wrapped again."""
    with pytest.raises(EngineError, match=r"^already clear$"), attempt("start ns1"):
        raise EngineError("already clear")
