"""What `netemu doctor` asks of the container engine: can a lab run on it, and if not, why."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from emulator.engine.base import ContainerSpec
from emulator.engine.docker import DockerEngine, attempt, connect
from emulator.engine.image import BaseSource, ImageReport, base_source, image_report
from emulator.errors import EngineError

WAN_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "NET_RAW")
QUESTION_TIMEOUT_S = 10.0
HOST = "probe"

# Run in a container like the WAN's: makes links, enters namespaces, reads and writes frames with
# PACKET_VNET_HDR (263 is SOL_PACKET, 15 the option; linux/if_packet.h).
TRIALS = """
import os, socket, subprocess
def links():
    made = subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
                          capture_output=True, text=True)
    if made.returncode:
        raise OSError(made.stderr.strip())
def namespaces():
    os.setns(os.open("/proc/self/ns/net", os.O_RDONLY), os.CLONE_NEWNET)
def frames():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).setsockopt(263, 15, 1)
def netem():
    tried = subprocess.run(["python3", "-m", "emulator.node.wan.netem_lines"],
                           capture_output=True, text=True)
    if tried.returncode:
        raise OSError(tried.stderr.strip())
for trial in (links, namespaces, frames, netem):
    try:
        trial()
        print(trial.__name__, "ok")
    except OSError as error:
        print(trial.__name__, error)
"""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """One engine, as far as netemu needs to know it."""

    version: str
    api: str
    cgroup: str  # "1" or "2"; "" where the engine is too old to say
    storage_driver: str
    cpus: int
    memory_mb: float  # 10^6 bytes
    image: ImageReport
    base: BaseSource  # where a new image's base would come from
    trials: Mapping[str, str]  # links, namespaces, frames: "ok" or what went wrong; empty: no image
    netem: str  # "ok", or why this kernel cannot be a WAN by itself; empty: not tried

    @property
    def needs_registry(self) -> bool:
        """Whether building the image now would pull its base."""
        return not self.image.present and self.base == "registry"

    @property
    def can_run_labs(self) -> bool:
        """Whether the WAN's container may do all that it has to."""
        return bool(self.trials) and all(said == "ok" for said in self.trials.values())


def engine_report() -> EngineReport:
    """Asks the engine, and tries the WAN's capabilities where the image is present.

    Raises EngineError if no engine answers.
    """
    client = connect(QUESTION_TIMEOUT_S)
    try:
        with attempt("ask the engine about itself"):
            facts, version = client.info(), client.version()
    finally:
        client.close()
    image = image_report()
    trials = dict(_trials(image.tag)) if image.present else {}
    return EngineReport(
        version=version["Version"],
        api=version["ApiVersion"],
        cgroup=facts.get("CgroupVersion", ""),
        storage_driver=facts["Driver"],
        cpus=facts["NCPU"],
        memory_mb=facts["MemTotal"] / 1e6,
        image=image,
        base=base_source(),
        netem=trials.pop("netem", ""),
        trials=trials,
    )


def _trials(image: str) -> Mapping[str, str]:
    engine = DockerEngine()
    lab = f"doctor-{os.getpid()}"
    try:
        return _tried(engine, lab, image)
    except EngineError as error:
        return {"container": str(error)}
    finally:
        engine.remove(engine.containers(lab))
        engine.close()


def _tried(engine: DockerEngine, lab: str, image: str) -> Mapping[str, str]:
    engine.create(
        ContainerSpec(
            lab=lab,
            host=HOST,
            name=f"{lab}-{HOST}",
            image=image,
            command=("sleep", "60"),
            cap_drop=("ALL",),
            cap_add=WAN_CAPABILITIES,
            pid_host=True,
        )
    )
    engine.start(lab, HOST)
    stream = engine.stream(lab, HOST, ("python3", "-c", TRIALS))
    said = b""
    while part := stream.read(4096):
        said += part
    stream.close()
    return dict(line.split(" ", 1) for line in said.decode().splitlines())
