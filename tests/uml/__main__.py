"""`python -m tests.uml [PYTEST ARGUMENTS]`: see the package."""

from __future__ import annotations

import signal
import sys

from tests.uml.boot import NoKernel, run_inside

_LIMIT_S = 300.0


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> int:
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *sys.argv[1:]]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and take the kernel along
    try:
        ended = run_inside(pytest, _LIMIT_S, _say)
    except NoKernel as error:
        sys.exit(f"User-mode Linux cannot be started: {error}")
    if ended.code is None:
        sys.exit(f"User-mode Linux ended, or was ended after {_LIMIT_S:g} s, before pytest did")
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
