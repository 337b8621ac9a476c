"""The pytest plugin: labs as fixtures, scenario files as tests, the report beside a failure.

    def test_region_loss(netemu):
        lab = netemu.up("two-region.yaml")
        with lab.traffic(rate=50, sites="all"):
            lab.kill("us-east", how="power")
            lab.wait_recovered(timeout=30)
            assert lab.recovery("paris").p100 < 15

Every pytest run of an environment that has netemu loads this file, so it imports nothing of netemu
but its errors before a test asks for a lab.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pytest

from emulator.errors import Exit, Inconclusive, NetemuError, UsageError

if TYPE_CHECKING:
    from emulator.harness import Labs, LabUnderTest

Scope = Literal["function", "module", "session"]
SCENARIO = ".scenario.yaml"
_KEPT = "netemu lab kept"
_LOANS = pytest.StashKey["list[LabUnderTest]"]()  # what a test was lent
_FAILED = pytest.StashKey[bool]()
_LENDER = pytest.StashKey["_Lender"]()
_COMPARED = pytest.StashKey[str]()  # the line of the last comparison that did not hold


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netemu", "labs with regions, name servers and a WAN")
    group.addoption(
        "--netemu-keep",
        action="store_true",
        help="leave the lab of a failed test running, and say how to look at it",
    )
    group.addoption(
        "--netemu-directory",
        metavar="DIR",
        default="runs",
        help="where the histories of runs are kept (runs)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'netemu(file, scope="function", name=None): the topology of the fixture `lab`; a lab of '
        "scope module or session is lent to one test after another, whole again each time",
    )


@pytest.fixture
def netemu(request: pytest.FixtureRequest) -> Netemu:
    """Labs for this test: `netemu.up("two-region.yaml")`."""
    return Netemu(request.node)


@pytest.fixture
def lab(netemu: Netemu) -> LabUnderTest:
    """The lab that the marker speaks of: `@pytest.mark.netemu("two-region.yaml")`."""
    return netemu.lab


class Netemu:
    """What a test asks for labs."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._marked: LabUnderTest | None = None

    def up(
        self, file: str | Path, name: str | None = None, scope: Scope = "function"
    ) -> LabUnderTest:
        """A lab of the topology in `file`, ready and whole. A relative path is looked for beside
        the test, in pytest's root directory, in the working directory, then among the shipped
        topologies. The lab is gone when its scope ends; its name begins with `name`, or the
        topology's. Raises NetemuError where it cannot be had."""
        return _lender(self._item.config).lend(self._item, file, name, scope)

    @property
    def lab(self) -> LabUnderTest:
        """The lab of the test's marker; the same one each time."""
        if self._marked is None:
            marker = self._item.get_closest_marker("netemu")
            if marker is None:
                raise UsageError(
                    'which lab? Mark the test: @pytest.mark.netemu("two-region.yaml"), '
                    'or use netemu.up("two-region.yaml")'
                )
            self._marked = self.up(*marker.args, **marker.kwargs)
        return self._marked


class _Lender:
    """Every lab of one pytest process."""

    def __init__(self, config: pytest.Config) -> None:
        from emulator.harness import Labs

        worker = getattr(config, "workerinput", {}).get("workerid", "")
        directory = config.invocation_params.dir / config.getoption("--netemu-directory")
        self.labs: Labs = Labs(directory, worker)
        self._keeps: bool = config.getoption("--netemu-keep")
        self._shared: dict[tuple[str, str, str | None], LabUnderTest] = {}

    def lend(
        self, item: pytest.Item, file: str | Path, name: str | None, scope: Scope
    ) -> LabUnderTest:
        from emulator.harness.labs import find_topology

        owner = _owner(item, scope)
        folders = [item.path.parent, item.config.rootpath]
        if owner is item:
            lab = self.labs.up(file, name, folders)
            item.addfinalizer(lambda: self._take_back(item, lab))
        else:
            path = find_topology(file, folders)
            lab = self._reuse(owner, (owner.nodeid, str(path.resolve()), name), path)
            item.addfinalizer(lambda: self._keep_if_failed(item, lab))
        lab.title = item.name
        item.stash.setdefault(_LOANS, []).append(lab)
        return lab

    def _reuse(
        self, owner: pytest.Item | pytest.Collector, key: tuple[str, str, str | None], path: Path
    ) -> LabUnderTest:
        """The lab of this key, whole again; a new one if there is none, or none to be mended."""

        if used := self._shared.get(key):
            try:
                used.make_whole()
            except NetemuError:
                self._remove(used)
            else:
                return used
        made = self.labs.up(path, key[2])
        self._shared[key] = made
        owner.addfinalizer(lambda: self._remove(made))
        return made

    def _take_back(self, item: pytest.Item, lab: LabUnderTest) -> None:
        if not self._keep_if_failed(item, lab):
            self._remove(lab)

    def _keep_if_failed(self, item: pytest.Item, lab: LabUnderTest) -> bool:
        if not (self._keeps and item.stash.get(_FAILED, False)):
            return False
        self._forget(lab)
        self.labs.keep(lab)
        return True

    def _remove(self, lab: LabUnderTest) -> None:
        self._forget(lab)
        self.labs.remove(lab)

    def _forget(self, lab: LabUnderTest) -> None:
        self._shared = {key: other for key, other in self._shared.items() if other is not lab}


def _owner(item: pytest.Item, scope: Scope) -> pytest.Item | pytest.Collector:
    """Whose end is the lab's end."""
    if scope == "function":
        return item
    if scope == "session":
        return item.session
    module = item.getparent(pytest.Module)
    if scope != "module" or module is None:
        raise UsageError(f"a lab's scope is function, module or session, not {scope!r}")
    return module


def _lender(config: pytest.Config) -> _Lender:
    """Made for the first lab; with the end of the run, every lab goes that is not kept."""
    if _LENDER not in config.stash:
        lender = _Lender(config)
        config.stash[_LENDER] = lender
        config.add_cleanup(lender.labs.close)
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):  # a cancelled CI job is told so: it has to end as with Ctrl-C, with its labs removed
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            config.add_cleanup(_take_sigterm_as_before)
    return config.stash[_LENDER]


def _take_sigterm_as_before() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is not None:
        call.excinfo = _shortened(item, call.excinfo)
    report = yield
    if report.failed and _LOANS in item.stash:
        item.stash[_FAILED] = True
        for lab in item.stash[_LOANS]:
            if told := _told(lab):
                report.sections.append((f"netemu lab {lab.name}", told))
            if item.config.getoption("--netemu-keep") and call.when != "teardown":
                report.sections.append((f"{_KEPT}: {lab.name}", _how_to_look_at(lab.name)))
    return report


def _shortened(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]
) -> pytest.ExceptionInfo[BaseException]:
    """An expected error without the way through netemu; a comparison by its one line."""
    error = excinfo.value
    line = item.config.stash.get(_COMPARED, None)
    if isinstance(error, AssertionError) and line and str(error).startswith(f"assert {line}"):
        error.args = (line,)
    missed = getattr(sys.modules.get("emulator.harness"), "Missed", NetemuError)
    if not isinstance(error, (NetemuError, missed)):
        return excinfo
    theirs = _frames_outside(excinfo.tb)
    if not any(entry.tb_frame.f_code.co_filename == str(item.path) for entry in theirs):
        said = f"inconclusive: {error}" if isinstance(error, Inconclusive) else str(error)
        told = pytest.fail.Exception(said, pytrace=False)  # nothing of the test's is to see
        return pytest.ExceptionInfo.from_exception(told.with_traceback(excinfo.tb))
    error.__cause__, error.__suppress_context__ = None, True
    cut: TracebackType | None = None
    for entry in reversed(theirs):
        cut = TracebackType(cut, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return pytest.ExceptionInfo.from_exception(error.with_traceback(cut))


def _frames_outside(trace: TracebackType | None) -> list[TracebackType]:
    """The entries of a traceback that are neither netemu's nor of `with` on its behalf."""
    package = str(Path(__file__).parent)
    found = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(package) and Path(file).name != "contextlib.py":
            found.append(trace)
        trace = trace.tb_next
    return found


def _told(lab: LabUnderTest) -> str:
    """The reports of all that was recorded."""
    try:
        told = [result.report() for result in lab.all_results()]
    except Exception as error:  # noqa: BLE001 - no mistake of a report may hide the test's failure
        return f"the report could not be made: {error!r}"
    return "\n".join(told)


def _how_to_look_at(name: str) -> str:
    return (
        f"netemu status {name}\n"
        f"netemu watch {name}\n"
        f"netemu shell HOST --lab {name}\n"
        f"netemu down {name}    # when you have seen enough"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for outcome in ("failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for title, text in report.sections:
                if title.startswith(_KEPT):
                    terminalreporter.section(title)
                    terminalreporter.write_line(text)


def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    figures = sys.modules.get("emulator.harness.figures")
    if figures is None:
        return None
    known = (figures.Seconds, figures.Share, figures.Count)
    if not isinstance(left, known):
        if not isinstance(right, known):
            return None
        flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        left, op, right = right, flipped.get(op, op), left
    line = f"{left.story}; wanted {op} {right!r}"  # type: ignore[attr-defined]
    config.stash[_COMPARED] = line
    return [line]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name.endswith(SCENARIO) and _is_ours(file_path):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def _is_ours(file: Path) -> bool:
    """Other tools have scenarios too. One that was meant for us and is wrong shall be told of, so
    one of the two words that each of ours begins with is enough."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.startswith(("netemu:", "topology:")) for line in lines)


class ScenarioFile(pytest.File):
    """`*.scenario.yaml`: a scenario with objectives, which is a test as it is."""

    def collect(self) -> Iterator[pytest.Item]:
        from emulator.controller.prepare import prepare

        try:
            scenario, _ = prepare(self.path)
        except NetemuError as error:
            raise self.CollectError(str(error)) from None
        yield ScenarioItem.from_parent(self, name=scenario.name, topology=scenario.topology_file)


class ScenarioItem(pytest.Item):
    """One scenario on a lab of its own."""

    def __init__(self, *, topology: str, **others: Any) -> None:
        super().__init__(**others)
        self._topology = topology

    def runtest(self) -> None:

        lab = _lender(self.config).lend(self, self._topology, None, "function")
        result = lab.run(self.path)
        if result.exit_code is not Exit.PASSED:
            pytest.fail("\n".join(result.said()), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"scenario {self.name}"
