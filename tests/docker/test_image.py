"""The node image, built: small, complete, and quick to follow an edit."""

from __future__ import annotations

import io
import tarfile

import pytest

from emulator.engine import image as image_module
from emulator.engine.base import ContainerSpec
from emulator.engine.docker import connect
from emulator.engine.image import ensure_node_image, image_report
from tests.contracts.engine import SLEEP, lab

__all__ = ["lab"]

pytestmark = pytest.mark.docker

PROGRAMS = """
haproxy -v | head -n 1
unbound -V | head -n 1
bird --version 2>&1
python3 --version
curl --version | grep -o HTTP3
python3 -c 'import dnslib, h11, uvicorn, emulator.node; print("imports")'
ls /usr/lib/python3/dist-packages/emulator/node/__pycache__ | grep -c pyc
"""


def test_an_image_that_exists_is_not_built_again():
    """Asking twice gives the same tag and no progress: nothing was done."""
    stages: list[str] = []
    image = ensure_node_image(lambda _stage, _fraction: None)
    assert ensure_node_image(lambda stage, _fraction: stages.append(stage)) == image
    assert stages == []


def test_the_image_is_small(image):
    """The design asks for less than 250 MB."""
    report = image_report()
    assert report.present
    assert report.size_mb < 250


def test_the_image_has_every_program_of_a_host(engine, lab, image):
    """Trixie's daemons, an HTTP/3 client, and our code, compiled."""
    engine.create(ContainerSpec(lab=lab, host="x", name=f"{lab}-x", image=image, command=SLEEP))
    engine.start(lab, "x")
    stream = engine.stream(lab, "x", ("sh", "-c", PROGRAMS))
    said = b""
    while part := stream.read(4096):
        said += part
    stream.close()
    haproxy, unbound, bird, python, http3, imports, compiled = said.decode().splitlines()
    assert "version 3.0" in haproxy
    assert "Version 1.2" in unbound
    assert "2.17" in bird
    assert "3.13" in python
    assert (http3, imports) == ("HTTP3", "imports")
    assert int(compiled) > 0


def empty_image(repository: str, label: str) -> None:
    """Nothing but a label: enough to be found and removed."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    client = connect(60)
    client.api.import_image_from_data(
        empty.getvalue(), repository=repository, tag="x", changes=[f"LABEL {label}"]
    )
    client.close()


def test_images_are_removed_by_label_only(engine, lab, monkeypatch):
    """`remove_images` takes what carries our label, but not what a container uses."""
    label = f"netemu.{lab}"
    monkeypatch.setattr(image_module, "IMAGE_LABEL", label)
    empty_image(f"{lab}/gone", f"{label}=node")
    empty_image(f"{lab}/used", f"{label}=base")
    engine.create(
        ContainerSpec(lab=lab, host="x", name=f"{lab}-x", image=f"{lab}/used:x", command=SLEEP)
    )
    assert image_module.remove_images() == (f"{lab}/gone:x",)
    engine.remove(engine.containers(lab))
    assert image_module.remove_images() == (f"{lab}/used:x",)
    assert image_module.remove_images() == ()
