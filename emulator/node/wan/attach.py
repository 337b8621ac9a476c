"""Joins stdin and stdout of an exec to the keeper's socket. Knows nothing, starts in 20 ms:

    python3 -I -S .../attach.py [SOCKET]

It ends with either side, so a dead keeper or a dead netemu is seen by the other at once.
"""

import _socket  # `socket` itself would double our start-up: it brings enum and selectors
import os
import select
import sys
import time

_SOCKET = "/run/netemu/keeper.sock"
_SIZE = 1 << 18
_PATIENCE_S = 5.0  # the keeper may have been started just before us


def _connect(path: str) -> _socket.socket:
    until = time.monotonic() + _PATIENCE_S
    while True:
        keeper = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if keeper.connect_ex(path) == 0:
            return keeper
        if time.monotonic() > until:
            sys.exit(f"the keeper does not listen on {path}")
        time.sleep(0.01)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _join(path: str) -> None:
    keeper = _connect(path)
    for option in (_socket.SO_SNDBUF, _socket.SO_RCVBUF):
        keeper.setsockopt(_socket.SOL_SOCKET, option, 1 << 20)
    fd = keeper.fileno()
    towards = {0: fd, fd: 1}
    poll = select.poll()
    for source in towards:
        poll.register(source, select.POLLIN)
    while True:
        for source, _ in poll.poll():
            data = os.read(source, _SIZE)
            if not data:
                return
            _write_all(towards[source], data)


if __name__ == "__main__":
    try:
        _join(*sys.argv[1:] or (_SOCKET,))
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)  # the other side has left
