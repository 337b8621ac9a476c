"""Boots User-mode Linux for one command, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

KERNEL = "linux.uml"
_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_BUILD = _ROOT / ".build"
_MEMORY = "512M"


class NoKernel(Exception):
    """User-mode Linux cannot be started here; the message says why and what to do."""


class Ended(NamedTuple):
    """What a command inside left behind."""

    code: int | None  # None: the kernel ended, or was ended, before the command did
    output: str
    kernel: str  # its release; empty: it did not come so far that a command could be run
    files: dict[str, str]  # by name, what it wrote to the directory named by $NETEMU_OUT


def run_inside(
    argv: Sequence[str], timeout_s: float, on_output: Callable[[str], object] | None = None
) -> Ended:
    """Boot, run `argv` in this checkout with the rights of root, power off. Raises NoKernel."""
    kernel = shutil.which(KERNEL)
    if kernel is None:
        raise NoKernel(
            f"there is no {KERNEL} here; on Debian: apt-get install user-mode-linux "
            "(compose/setup.sh tools does it)"
        )
    preload = _shim()
    with tempfile.TemporaryDirectory(prefix="netemu-uml-") as directory:
        out = Path(directory)
        (out / "job.json").write_text(json.dumps({"argv": list(argv), "root": str(_ROOT)}))
        output = _boot([kernel, *_options(out)], preload, timeout_s, on_output)
        files = {
            file.name: file.read_text(errors="replace") for file in out.iterdir() if file.is_file()
        }
    code = files.pop("code", "")
    return Ended(int(code) if code else None, output, files.pop("booted", ""), files)


def _options(out: Path) -> list[str]:
    return [
        f"mem={_MEMORY}",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
        # Descriptor 0 cannot be polled where it is /dev/null; without console= output is lost.
        "con=null", "con0=null,fd:1", "console=tty0", "quiet",
        f"uml_dir={out}/",
        f"PYTHONPATH={_ROOT}", "PYTHONDONTWRITEBYTECODE=1", f"PATH={os.environ['PATH']}",
        f"init={sys.executable}", "--", "-m", "tests.uml.init", str(out),
    ]  # fmt: skip


def _boot(
    argv: list[str],
    preload: Path,
    timeout_s: float,
    on_output: Callable[[str], object] | None,
) -> str:
    """All that the console said. UML's processes are one session, and end with it."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": "/", "LD_PRELOAD": str(preload)},
        start_new_session=True,
        text=True,
        errors="replace",
    )
    # A reader that waits for a line cannot look at a clock.
    limit = threading.Timer(timeout_s, _end, [process])
    limit.start()
    assert process.stdout is not None
    try:
        said = []
        with process.stdout:
            for line in process.stdout:
                said.append(line.replace("\r", ""))
                if on_output is not None:
                    on_output(said[-1])
        return "".join(said)
    finally:
        limit.cancel()
        _end(process)
        process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """With all of its session: an UML that was killed leaves stopped children behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _shim() -> Path:
    """The library of what UML lacks (`xstate.c`, `clock.c`), compiled if older than its sources."""
    sources, library = [_HERE / "xstate.c", _HERE / "clock.c"], _BUILD / "uml.so"
    if library.exists() and library.stat().st_mtime > max(s.stat().st_mtime for s in sources):
        return library
    _BUILD.mkdir(exist_ok=True)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoKernel("there is no C compiler for tests/uml; on Debian: apt-get install gcc")
    fresh = library.with_suffix(f".{os.getpid()}")
    options = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra"]
    argv = [compiler, *options, "-o", str(fresh), *map(str, sources), "-ldl"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoKernel(f"tests/uml does not compile: {done.stderr.strip()}")
    fresh.rename(library)
    return library
