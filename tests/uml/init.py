"""PID 1 inside User-mode Linux: mounts, modules, one command, power off."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import traceback
from pathlib import Path

from tests.uml.modules import load

_LIBC = ctypes.CDLL(None, use_errno=True)
_POWER_OFF = 0x4321FEDC  # LINUX_REBOOT_CMD_POWER_OFF, reboot(2)
_RDONLY = 1
_MODULES = (
    "veth", "bridge", "sch_htb", "sch_netem", "sch_tbf", "sch_codel",
    "sch_ingress", "cls_matchall", "act_skbedit",
    "ifb", "cls_flower", "act_mirred",  # for duplicates
)  # fmt: skip


def _mount(kind: str, where: str, data: str = "", flags: int = 0) -> None:
    Path(where).mkdir(parents=True, exist_ok=True)
    if _LIBC.mount(b"none", where.encode(), kind.encode(), flags, data.encode()):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind}: {os.strerror(code)}", where)


def _prepare(out: str) -> None:
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run")):
        _mount(kind, where)
    _mount("tmpfs", "/run/tmp")
    _mount("hostfs", "/run/out", out)
    load(_MODULES, Path("/usr/lib/uml/modules") / platform.release())


def _run(job: dict[str, object]) -> int:
    argv = job["argv"]
    assert isinstance(argv, list)
    environment = {**os.environ, "HOME": "/run", "TMPDIR": "/run/tmp", "NETEMU_OUT": "/run/out"}
    return subprocess.run(argv, check=False, cwd=str(job["root"]), env=environment).returncode


def main(out: str) -> None:
    try:
        _prepare(out)
        Path("/run/out/booted").write_text(platform.release())
        code = _run(json.loads(Path("/run/out/job.json").read_text()))
        Path("/run/out/code").write_text(str(code))
    except Exception:  # noqa: BLE001  (a PID 1 that ends is a panic that says nothing)
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os.sync()
    _LIBC.reboot(_POWER_OFF)


if __name__ == "__main__":
    main(sys.argv[1])
