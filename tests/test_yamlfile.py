"""Files that are no YAML, or hardly, end in one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.errors import Exit, FileProblems, UsageError
from emulator.topology.parse import load_topology, parse_topology


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        load_topology(path)
    assert refused.value.exit_code is Exit.USAGE
    return str(refused.value)


def test_a_missing_file_brings_the_nearest_that_is_there(tmp_path: Path) -> None:
    """A slip in the name is the likeliest reason."""
    (tmp_path / "two-region.yaml").touch()
    assert "did you mean two-region.yaml?" in refusal(tmp_path / "two-regions.yaml")
    assert "has two-region.yaml" in refusal(tmp_path / "quite-another")
    assert "does not exist either" in refusal(tmp_path / "nowhere" / "x.yaml")


def test_a_directory_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    """The user meant one of them."""
    (tmp_path / "minimal.yaml").touch()
    assert "it is a directory" in refusal(tmp_path)
    assert "minimal.yaml" in refusal(tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """Binary files and huge ones are never handed to the YAML reader."""
    binary, huge = tmp_path / "binary", tmp_path / "huge"
    binary.write_bytes(b"\x7fELF\xff\xfe")
    huge.write_bytes(b"#" * 1_000_001)
    assert "not UTF-8 text" in refusal(binary)
    assert "over 1 MB" in refusal(huge)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("netemu: 1\nname: \x07\n", 2, "character that text cannot have"),
        ("[" * 1000, 1, "nested hundreds of levels deep"),
        ("netemu: 1\nname: *nobody\n", 2, "undefined alias"),
        ("? [a]\n: b\n", 1, "where a name should"),
    ],
)
def test_broken_yaml_is_one_problem_with_its_line(text: str, line: int, what: str) -> None:
    """No traceback, whatever the text."""
    with pytest.raises(FileProblems) as refused:
        parse_topology(text, "x.yaml")
    first = refused.value.problems[0]
    assert first.line == line
    assert any(what in problem.what for problem in refused.value.problems)


def test_semicolons_of_the_user_do_not_become_advice() -> None:
    """What is wrong and what to do are told apart by our words, not by the file's."""
    with pytest.raises(FileProblems) as refused:
        parse_topology("netemu: 1\nname: 'a; b'\n", "x.yaml")
    assert any("'a; b' is no name" in problem.what for problem in refused.value.problems)
