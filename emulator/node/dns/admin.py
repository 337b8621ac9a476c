"""The window for people and monitoring: three pages over HTTP, GET only, to be read by curl.

/metrics    Prometheus's text
/state      JSON: what every region of every service is held for, and why
/explain?name=www.shop.test&source=10.4.0.1[&subnet=10.4.0.0/24]    JSON: why it answers so
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from emulator.errors import NotReady

METRICS, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"
HEAD_MAX = 8192  # bytes of a request's head
PATIENCE_S = 5.0  # for all of a request's head, and for an answer to be taken

Page = Callable[[Mapping[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line's end, a content type and a body."""

    status: str
    kind: str
    body: bytes

    def encode(self) -> bytes:
        head = (
            f"HTTP/1.1 {self.status}\r\nContent-Type: {self.kind}\r\n"
            f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + self.body


def as_json(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def respond_to(request: bytes, pages: Mapping[str, tuple[str, Page]]) -> Answer:
    """The answer to a request's head. `pages`: path -> content type, and what makes the body out
    of the query's fields; its KeyError is a field that is missing, its ValueError a wrong one."""
    words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3:
        return _said("400 Bad Request", "this is no HTTP request")
    method, target, _ = words
    if method != "GET":
        return _said("405 Method Not Allowed", "there is GET only")
    path, _, query = target.partition("?")
    if path not in pages:
        return _said("404 Not Found", f"there are {', '.join(pages)}")
    kind, page = pages[path]
    try:
        return Answer("200 OK", kind, page(dict(parse_qsl(query))))
    except KeyError as error:
        return _said("400 Bad Request", f"{path} needs {error.args[0]}=")
    except ValueError as error:
        return _said("400 Bad Request", str(error))


async def serve(address: tuple[str, int], pages: Mapping[str, tuple[str, Page]]) -> asyncio.Server:
    """Answer at `address` until closed. NotReady if that cannot be listened on."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(respond_to(head, pages).encode())
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who does not ask gets no answer
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, *address, limit=HEAD_MAX)
    except OSError as error:
        where = f"{address[0]} port {address[1]}/tcp"
        raise NotReady(f"cannot serve metrics on {where}: {error.strerror}") from error


def _said(status: str, words: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", words.encode() + b"\n")
