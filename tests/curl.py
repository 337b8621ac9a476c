"""curl on this machine, for what must be seen with a tool that is not ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping


def curl(
    *words: str, stdin: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Silent, for 30 s at most; its own settings and the machine's proxies do not count."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(
        ["curl", "-q", "-sS", "-m", "30", *words],
        input=stdin,
        env={**clean, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
