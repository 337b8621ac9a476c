"""Loads kernel modules by name with all they need: modprobe, where no kmod is installed."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_FINIT_MODULE = 313  # x86-64's number of finit_module(2); glibc has no function for it


def load(names: Iterable[str], directory: Path) -> None:
    """In order; what is loaded already, or is not there because it is built in, is fine.
    Raises OSError naming a module that the kernel refuses."""
    needs = _dependencies(directory)
    for name in names:
        for path in reversed(needs.get(name, ())):
            _insert(directory / path)


def _dependencies(directory: Path) -> dict[str, tuple[str, ...]]:
    """By name, the module's file and those it needs, the deepest last (depmod's order)."""
    found = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        found[Path(path).name.partition(".")[0]] = (path, *rest.split())
    return found


def _insert(path: Path) -> None:
    with path.open("rb") as file:
        if _LIBC.syscall(_FINIT_MODULE, file.fileno(), b"", 0) == 0:
            return
    code = ctypes.get_errno()
    if code != errno.EEXIST:
        raise OSError(code, os.strerror(code), str(path))
