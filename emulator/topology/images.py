"""`image:` and what belongs to it: a container of the user's in a server's place."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emulator.scalars import decimal, size, words
from emulator.topology.model import Image, Region, Service
from emulator.topology.mounts import read_files, read_volumes
from emulator.yamlfile import Entry, Fields

IMAGE_KEYS = (
    "image", "build", "entrypoint", "command", "env", "cpus", "memory", "files", "volumes",
)  # fmt: skip
TCP = "tcp"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# distribution/reference: a registry and its port, a path in lower case, a tag, a digest.
_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def read_image(fields: Fields) -> Image | None:
    """What these keys say; None where none is given. Whether there is an image at all is the
    caller's question."""
    if not any(key in fields for key in IMAGE_KEYS):
        return None
    entrypoint, command, env, build, files, volumes = map(
        fields.get, ("entrypoint", "command", "env", "build", "files", "volumes")
    )
    if build and "image" in fields:
        build.problem("an image is had in one way only", "keep image or build")
    return Image(
        name=fields.value("image", _reference, ""),
        build=_read_directory(build) if build else "",
        entrypoint=_read_command(entrypoint) if entrypoint else (),
        command=_read_command(command) if command else (),
        environment=_read_environment(env) if env else {},
        cpus=fields.value("cpus", decimal(0.01, 1000), 0.0),
        memory=fields.value("memory", size("6MB", "1000GB"), 0),
        files=read_files(files) if files else {},
        volumes=read_volumes(volumes) if volumes else (),
    )


def check_image(image: Image | None, entry: Entry) -> None:
    """Settings of an image need one."""
    said = entry.named() if image is not None and not (image.name or image.build) else {}
    if said and not {"image", "build"} & said.keys():
        key = next(key for key in IMAGE_KEYS if key in said)
        said[key].problem("is for an image, and there is none", "image: my/api:1.2")


def has_image(service: Service, regions: Iterable[Region]) -> bool:
    """Whether its servers run one anywhere."""
    images = [service.image, *(region.image_of(service) for region in regions)]
    return any(image is not None and (image.name or image.build) for image in images)


def _read_directory(entry: Entry) -> str:
    """Beside the file. A lab keeps the whole path, so that it can be attached to from anywhere."""
    text = entry.text()
    if not text:
        return ""
    directory = str((entry.document.folder / text).resolve())
    entry.document.take_in(entry, directory)
    return directory


def _reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of an image; write one like my/api:1.2")
    return text


def _read_command(entry: Entry) -> tuple[str, ...]:
    if entry.is_list():
        return tuple(item.text() or "" for item in entry.items())
    return entry.value(words, ())


def _read_environment(entry: Entry) -> dict[str, str]:
    found = {}
    for name, value in entry.named().items():
        if not _VARIABLE.fullmatch(name):
            value.problem(f"{name!r} is no name of a variable", "use letters, digits and _")
        elif name.startswith("NETEMU_"):
            value.problem("NETEMU_ begins the names that netemu sets", "choose another")
        else:
            found[name] = "" if value.is_empty() else (value.text() or "")
    return found


def health(text: str) -> str:
    """A path to ask for by HTTP, or `tcp`."""
    if text != TCP and not re.fullmatch(r"/[!-~]*", text):
        raise ValueError(f"{text!r} is nothing to ask a server for; write a path, /healthz, or tcp")
    return text
