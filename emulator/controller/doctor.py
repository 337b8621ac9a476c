"""Can this machine run a lab? Each finding says what was found and, if it is bad, what to do."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from emulator.controller.lab import lab_names
from emulator.engine.docker import DockerEngine
from emulator.engine.probe import EngineReport, engine_report
from emulator.errors import EngineError

Finding = dict[str, Any]
TRIALS = {
    "links": "the WAN's container can make links (NET_ADMIN)",
    "namespaces": "it can enter a host's namespace (SYS_ADMIN, SYS_PTRACE)",
    "frames": "it can read and write whole frames (NET_RAW, PACKET_VNET_HDR)",
    "container": "the WAN's container starts with its capabilities",
}


def examine() -> list[Finding]:
    """Everything that a lab needs, in the order in which it is needed."""
    findings = [_python(), _disk(), _cores()]
    try:
        report = engine_report()
    except EngineError as error:
        found, _, remedy = str(error).partition("; ")
        return [*findings, _finding("Docker engine", is_ok=False, found=found, remedy=remedy)]
    return [*findings, *_engine(report), *_drivers(report), _labs()]


def _finding(
    what: str, *, is_ok: bool, found: str, remedy: str = "", is_needed: bool = True
) -> Finding:
    remedy = "" if is_ok else remedy
    return {"what": what, "ok": is_ok, "needed": is_needed, "found": found, "remedy": remedy}


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    is_ok = sys.version_info >= (3, 11)
    return _finding("Python", is_ok=is_ok, found=found, remedy="install Python 3.11 or newer")


def _disk() -> Finding:
    free_gb = shutil.disk_usage(os.getcwd()).free / 1e9  # noqa: PTH109
    return _finding(
        "free disk here", is_ok=free_gb > 2, found=f"{free_gb:.0f} GB",
        remedy="the image and a few runs need 2 GB; free some",
    )  # fmt: skip


def _cores() -> Finding:
    cores = os.cpu_count() or 1
    return _finding(
        "cores", is_ok=cores >= 2, found=str(cores),
        remedy="with one core the WAN and the clients disturb each other; use two or more",
    )  # fmt: skip


def _engine(report: EngineReport) -> list[Finding]:
    found = (
        f"{report.version}, API {report.api}, cgroup v{report.cgroup or '?'}, "
        f"{report.storage_driver}, {report.cpus} CPUs"
    )
    findings = [_finding("Docker engine", is_ok=True, found=found)]
    if report.image.present:
        said = f"{report.image.tag}, {report.image.size_mb:.0f} MB"
        findings.append(_finding("node image", is_ok=True, found=said))
    else:
        said = f"not built yet; its base would come from: {report.base}"
        findings.append(
            _finding("node image", is_ok=False, found=said, remedy="netemu image build")
        )
    for trial, said in report.trials.items():
        findings.append(
            _finding(
                TRIALS.get(trial, trial),
                is_ok=said == "ok",
                found=said,
                remedy="use an engine that grants containers these capabilities (rootful Docker)",
            )
        )
    return findings


def _drivers(report: EngineReport) -> list[Finding]:
    """What can move a lab's packets here. That netem cannot is no fault: few files ask for it."""
    if not report.can_run_labs:
        return []
    ours, netem = "WAN driver userspace (the default)", "WAN driver netem (wan: {driver: netem})"
    remedy = "only files that ask for it need it: load the kernel's module sch_netem, or leave it"
    has_netem = report.netem == "ok"
    return [
        _finding(ours, is_ok=True, found="ok"),
        _finding(netem, is_ok=has_netem, found=report.netem, remedy=remedy, is_needed=False),
    ]


def _labs() -> Finding:
    names = lab_names(DockerEngine())
    return _finding("labs that run", is_ok=True, found=", ".join(names) or "none")
