"""What must not be stopped half way: the removal of a lab, the healing of a fault."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal that come meanwhile take effect at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs handlers in the main thread only: nothing disturbs this one
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
