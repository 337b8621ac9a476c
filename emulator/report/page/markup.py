"""HTML as values: whatever is not markup already is escaped when it goes in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Markup; any other text is escaped by `el`."""

    __slots__ = ()


Child = str | None
_VOID = ("meta", "br", "hr")


def el(name: str, /, *children: Child, **attributes: str) -> Html:
    """One element. `class_` is the attribute class, `data_x` is data-x; None is no child."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value
    )
    if name in _VOID:
        return Html(f"<{name}{named}>")
    return Html(f"<{name}{named}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children side by side, escaped where they are plain text."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(child)
            for child in children
            if child is not None
        )
    )


def lines(text: str) -> Html:
    """Text whose line breaks stay."""
    return join(el("span", line, class_="line") for line in text.splitlines())


def table(headings: Sequence[str], rows: Iterable[Sequence[Child]], kinds: str = "") -> Html:
    """A table that scrolls by itself where the page is narrow.

    `kinds` has a letter a column: l words, r figures; a row of one cell is a heading of its own.
    A last column of words takes what room is left.
    """
    letters = kinds.ljust(len(headings), "l")[: len(headings)]
    letters = letters[:-1] + ("w" if letters[-1] == "l" else letters[-1])
    head = join(
        el("th", heading, class_=_align(letter), scope="col")
        for heading, letter in zip(headings, letters, strict=True)
    )
    body = join(_row(row, letters) for row in rows)
    return el("div", el("table", el("thead", el("tr", head)), el("tbody", body)), class_="scroll")


def _row(cells: Sequence[Child], letters: str) -> Html:
    if len(cells) == 1 and len(letters) > 1:
        head = el("th", cells[0], colspan=str(len(letters)), scope="rowgroup")
        return el("tr", head, class_="group")
    return el(
        "tr",
        *(
            el("td", cell, class_=_align(letter))
            for cell, letter in zip(cells, letters, strict=True)
        ),
    )


def _align(letter: str) -> str:
    return {"r": "figure", "w": "last"}.get(letter, "")
