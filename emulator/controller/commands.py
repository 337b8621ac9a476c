"""A program run in one container of the lab, and seen to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emulator.clock import NS_PER_S
from emulator.controller.inject import host_named
from emulator.controller.lab import Lab
from emulator.engine.base import Stream
from emulator.errors import EngineError
from emulator.events import Command, Held

LOOK_NS = NS_PER_S // 50
MOST_BYTES = 64 * 2**20  # that it may write
LAST_LINES = 5
WIDEST = 300  # characters of one
PassUntil = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a program."""

    told: Command
    out: bytes
    err: str = ""  # the end of what it wrote to stderr

    @property
    def is_good(self) -> bool:
        return self.told.code == 0

    def held(self) -> Held:
        """Its output as what the service holds, the ID of a write a line."""
        lines = self.out.decode(errors="replace").splitlines()
        ids = [line.strip() for line in lines if line.strip()]
        return Held(t=self.told.began, host=self.told.host, ids=ids)


def run_command(
    lab: Lab, verb: str, host: str, argv: Sequence[str], within_s: float, pass_until: PassUntil
) -> Ran:
    """Run it with nothing on its stdin. `pass_until` lets the time pass until an instant of the
    lab's clock: what falls due meanwhile is done there. Whatever goes wrong is told in the result;
    UsageError for a host that the lab does not have. One that is given up on may go on in its
    container: the engine ends none."""
    where = host_named(lab, host)
    began = lab.wan.now_ns()
    end = _run(lab, where, tuple(argv), within_s, pass_until)
    told = Command(
        t=lab.wan.now_ns(), verb=verb, host=host, argv=list(argv), began=began,
        code=end.code, said=_last(end.said),
    )  # fmt: skip
    return Ran(told, end.out, end.err)


@dataclass(frozen=True, slots=True)
class _End:
    code: int | None
    said: str
    out: bytes = b""
    err: str = ""


def _run(
    lab: Lab, where: str, argv: tuple[str, ...], within_s: float, pass_until: PassUntil
) -> _End:
    deadline = lab.clock.now_ns() + round(within_s * NS_PER_S)
    try:
        stream = lab.engine.stream(lab.name, where, argv)
    except EngineError as error:
        return _End(None, str(error))
    try:
        stream.finish()
        return _follow(lab, stream, deadline, pass_until)
    finally:
        stream.close()


def _follow(lab: Lab, stream: Stream, deadline: int, pass_until: PassUntil) -> _End:
    """To the end of its output, and then until the engine knows how it ended."""
    out = bytearray()
    trouble, is_over = "", False
    while (now := lab.clock.now_ns()) < deadline:
        part: bytes | None = None
        if not is_over:
            part, trouble = _taken(stream)
            is_over = part is None
            out += part or b""
        if len(out) > MOST_BYTES:
            return _End(None, f"it wrote more than {MOST_BYTES >> 20} MB")
        if is_over and (code := stream.exit_code()) is not None:
            err = stream.stderr()
            said = err or trouble or out[-WIDEST * LAST_LINES :].decode(errors="replace")
            return _End(code, said, bytes(out), err)
        if not part:
            pass_until(min(deadline, now + LOOK_NS))
    return _End(None, "it did not end in time")


def _taken(stream: Stream) -> tuple[bytes | None, str]:
    """What it wrote since, None at its end, and what the engine says of an end in silence."""
    try:
        return stream.take(), ""
    except EngineError as error:
        return None, str(error)


def _last(text: str) -> str:
    """The end of what it said, in one line."""
    lines = [line.strip()[:WIDEST] for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-LAST_LINES:])
