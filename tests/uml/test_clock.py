"""Time inside User-mode Linux is its own."""

from __future__ import annotations

import json
import sys
import time

import pytest

from tests.uml.boot import NoKernel, run_inside

pytestmark = pytest.mark.netns

_INSIDE = """
import hashlib, json, os, time
began = time.monotonic()
time.sleep(60)
slept = time.monotonic()
hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)
with open(os.environ["NETEMU_OUT"] + "/took.json", "w") as out:
    json.dump({"sleep": slept - began, "work": time.monotonic() - slept}, out)
"""


def test_waiting_takes_no_time_outside_and_work_hardly_any_inside():
    """So a processor that is taken away does not make a packet late. The work is a second of an
    idle processor, and took as long inside by the machine's clock."""
    began = time.monotonic()
    try:
        ended = run_inside([sys.executable, "-c", _INSIDE], 60)
    except NoKernel as error:
        pytest.skip(f"not run: {error}")
    outside = time.monotonic() - began
    assert ended.code == 0, ended.output
    took = json.loads(ended.files["took.json"])
    assert took["sleep"] == pytest.approx(60, abs=0.01)
    assert took["work"] < 0.1
    assert outside < 30
