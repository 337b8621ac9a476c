"""Labs for tests: brought up under names of their own, and every one removed at the end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from emulator.controller.lab import bring_up, remove_lab
from emulator.controller.signals import undisturbed
from emulator.engine.build import ensure_images
from emulator.engine.docker import DockerEngine
from emulator.errors import UsageError
from emulator.examples import PLACES
from emulator.harness.lab import LabUnderTest
from emulator.plan import make_plan
from emulator.plan.own import builds
from emulator.scalars import label
from emulator.topology.parse import load_topology
from emulator.wan.remote import RemoteWan


class Labs:
    """Use as a context manager: its end removes what `up` made, however it comes about.

    `directory` is where histories are kept. `tag` becomes a part of every lab's name: the number
    of a worker where several run tests side by side.
    """

    def __init__(self, directory: Path | str = "runs", tag: str = "") -> None:
        self.directory = Path(directory)
        self._tag = tag
        self._engine: DockerEngine | None = None
        self._labs: dict[str, LabUnderTest | None] = {}  # None: about to be made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def up(
        self, file: Path | str, name: str | None = None, folders: Sequence[Path] = ()
    ) -> LabUnderTest:
        """A new lab of the topology in `file`, ready. Its name begins with `name`, or the
        topology's, and is no other lab's. A relative path is looked for in `folders`, in the
        working directory, then among the shipped topologies.

        Raises UsageError and FileProblems for a file that is no topology, EngineError where no
        container engine answers, NotReady when the lab does not become ready.
        """
        topology = load_topology(find_topology(file, folders))
        plan = make_plan(topology, self._new_name(_label(name or topology.name)))
        engine = self._connected()
        image = ensure_images(builds(plan), _in_silence)
        self._labs[plan.lab] = None
        lab = LabUnderTest(
            bring_up(plan, engine, RemoteWan, image, _in_silence), self.directory, plan.lab
        )
        self._labs[plan.lab] = lab
        return lab

    def remove(self, lab: LabUnderTest) -> None:
        """Remove a lab, with everything in it; one that is gone already is fine."""
        self._remove(lab.name)

    def keep(self, lab: LabUnderTest) -> None:
        """Leave a lab where it is, also at the end."""
        if self._labs.pop(lab.name, None):
            lab.disconnect()

    def close(self) -> None:
        """Remove every lab that is not kept."""
        with undisturbed():
            for name in tuple(self._labs):
                self._remove(name)
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def _remove(self, name: str) -> None:
        with undisturbed():
            lab = self._labs.get(name)
            if lab is not None:
                lab.disconnect()
            if name in self._labs and self._engine is not None:
                remove_lab(self._engine, name)
            self._labs.pop(name, None)

    def _connected(self) -> DockerEngine:
        if self._engine is None:
            self._engine = DockerEngine()
        return self._engine

    def _new_name(self, begin: str) -> str:
        number = f"{random.SystemRandom().randrange(16**4):04x}"
        return "-".join(part for part in (begin, self._tag, number) if part)


def find_topology(file: Path | str, folders: Sequence[Path] = ()) -> Path:
    """The first of the places in which `file` is. Raises UsageError naming all of them."""
    places = [*folders, Path.cwd(), *PLACES]
    candidates = [Path(file)] if Path(file).is_absolute() else [place / file for place in places]
    for candidate in dict.fromkeys(candidates):
        if candidate.is_file():
            return candidate
    searched = ", ".join(dict.fromkeys(str(place) for place in places if place.is_dir()))
    raise UsageError(f"no topology {str(file)!r} in {searched}")


def _label(name: str) -> str:
    try:
        return label(name)
    except ValueError as error:
        raise UsageError(f"name: {error}") from error


def _in_silence(stage: str, done: float | None) -> None: ...
