"""What one health check of a region's endpoint says.

Every check is a connection of its own (`Connection: close`), read to its end: closing with
unread bytes would put a RST on the wire that no fault caused.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket

from emulator.clock import Clock
from emulator.node.dns.config import Endpoint
from emulator.node.dns.values import Checked

ANSWER_SIZE_MAX = 16384  # bytes; a health page is far smaller

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})[ \r\n]")
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
}


def judge(answer: bytes) -> tuple[bool, str]:
    """Is this HTTP answer a good check, and what did it say?"""
    if not answer:
        return False, "closed without an answer"
    status = _STATUS.match(answer)
    if not status:
        return False, "not an HTTP answer"
    return status[1].startswith(b"2"), f"HTTP {status[1].decode()}"


async def check(endpoint: Endpoint, timeout_s: float, clock: Clock) -> Checked:
    """One health check of `endpoint`, over after `timeout_s` at the latest."""
    start_ns = clock.now_ns()
    ok, detail = await _ask(endpoint, timeout_s)
    return Checked(start_ns, clock.now_ns(), ok, detail)


async def _ask(endpoint: Endpoint, timeout_s: float) -> tuple[bool, str]:
    loop = asyncio.get_running_loop()
    phase = "connecting"
    answer = bytearray()
    family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)  # noqa: FBT003
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(connection, endpoint)
                phase = "waiting for the answer"
                await loop.sock_sendall(connection, _request(endpoint))
                while len(answer) < ANSWER_SIZE_MAX:
                    chunk = await loop.sock_recv(connection, ANSWER_SIZE_MAX)
                    if not chunk:
                        break
                    answer += chunk
        except TimeoutError:
            if not _STATUS.match(answer):  # else it has answered, and only does not close
                return False, f"timed out {phase}"
        except OSError as error:
            return False, _WORDS.get(error.errno or 0) or str(error.strerror or error)
    return judge(bytes(answer))


def _request(endpoint: Endpoint) -> bytes:
    return (
        f"GET /healthz HTTP/1.1\r\nHost: {endpoint[0]}:{endpoint[1]}\r\n"
        "User-Agent: netemu-health-check\r\nConnection: close\r\n\r\n"
    ).encode()
