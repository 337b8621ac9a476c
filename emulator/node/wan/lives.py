"""Whether a process that ended is started anew: not one that cannot live."""

from __future__ import annotations

from collections import deque

from emulator.clock import NS_PER_S

_ENDS_MOST = 5  # of so many ends and one more
_ENDS_WITHIN_NS = 10 * NS_PER_S  # in this time, the last is final
TOO_OFTEN = f"{_ENDS_MOST + 1} times within {_ENDS_WITHIN_NS // NS_PER_S} s"


def end_of(code: int) -> str:
    """How a process ended, by its exit code or minus its signal."""
    return f"exit {code}" if code >= 0 else f"signal {-code}"


class Lives:
    """When the last ones ended."""

    def __init__(self) -> None:
        self._ends: deque[int] = deque(maxlen=_ENDS_MOST)

    def may_begin(self, now: int) -> bool:
        """After an end just now (ns): whether another life may."""
        is_hopeless = len(self._ends) == _ENDS_MOST and now - self._ends[0] < _ENDS_WITHIN_NS
        self._ends.append(now)
        return not is_hopeless
