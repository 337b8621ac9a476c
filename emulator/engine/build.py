"""Images that a topology says how to build, from directories with a Dockerfile in each.

The engine's own cache decides what is done again. A Dockerfile that begins with `ARG BASE` and
`FROM ${BASE}` gets the base of the node image: Debian 13, also where no registry can be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from emulator.engine.docker import attempt, connect
from emulator.engine.image import (
    BUILD_TIMEOUT_S,
    IMAGE_LABEL,
    Progress,
    ensure_base,
    ensure_node_image,
)
from emulator.errors import EngineError, UsageError

OWN = "own"  # the label's value, by which `netemu image remove` finds them


def ensure_images(builds: Mapping[str, str], progress: Progress) -> str:
    """The tag of the node image; it and these images (image -> directory) are there then.

    Raises UsageError for a directory without a Dockerfile, EngineError if a build fails.
    """
    for image, directory in builds.items():
        if not (Path(directory) / "Dockerfile").is_file():
            raise UsageError(f"cannot build {image}: there is no {directory}/Dockerfile")
    node = ensure_node_image(progress)
    if builds:
        base = ensure_base(progress)
        for image, directory in builds.items():
            _build(image, directory, base, progress)
    return node


def _build(image: str, directory: str, base: str, progress: Progress) -> None:
    log: list[str] = []
    client = connect(BUILD_TIMEOUT_S)
    try:
        with attempt(f"build {image} from {directory}"):
            lines = client.api.build(
                path=directory,
                tag=image,
                buildargs={"BASE": base},
                labels={IMAGE_LABEL: OWN},
                rm=True,
                forcerm=True,
                decode=True,
            )
            for line in cast(Iterable[dict[str, Any]], lines):
                if "error" in line:
                    raise EngineError(_failed(image, directory, str(line["error"]), log))
                log.append(str(line.get("stream", "")))
                if step := re.match(r"Step (\d+)/(\d+) : (\w+)", log[-1]):
                    name = image.partition("/")[2].partition(":")[0]
                    progress(f"image {name}: step {step[1]} of {step[2]}, {step[3]}", None)
            # What this name meant before: nothing else would ever remove it.
            client.images.prune({"dangling": True, "label": f"{IMAGE_LABEL}={OWN}"})
    finally:
        client.close()


def _failed(image: str, directory: str, error: str, log: list[str]) -> str:
    tail = "\n".join(f"  {line}" for line in "".join(log).strip().splitlines()[-8:])
    return f"cannot build {image} from {directory}: {error.strip()}\n{tail}"
