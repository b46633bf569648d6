"""Markup, and the one way by which a text of a run becomes markup: redacted, printable, escaped and cut."""

from __future__ import annotations

import re

from runner.logs import printable, text_block
from runner.secrets.redaction import redact

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")  # of a terminal, by which logs are printed
_ELLIPSIS = "…"
_ROOM = len(_ELLIPSIS.encode())
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
)  # html is slow to import
_VOID = frozenset({"meta", "link", "br"})


def escape(words: str) -> Html:
    """Return words of the page's own, or of which nothing is to be cut, as markup."""
    return Html(words.translate(_ESCAPES))


class Html(str):
    """Markup that may stand in the page as it is: what the code has written, or `text` has made."""

    __slots__ = ()


def text(value: object, most: int = 200, *, keep_end: bool = False, lines: bool = False) -> Html:
    r"""Return what a run says as markup of at most so many bytes.

    Args:
        value: whatever anybody may have written into a document, a log or a name.
        most: bytes of the markup in UTF-8; what is cut off is told by ``…``.
        keep_end: cut off the beginning, and not the end.
        lines: leave the ends of lines as they are.

    Example:
        >>> text("a < b"), text("one two three", 8), text("\u202etxt.exe")
        ('a &lt; b', 'one t…', '\\u202etxt.exe')
    """
    shown = redact(str(value))
    if "\x1b" in shown:
        shown = _COLOURS.sub("", shown)
    is_cut = len(shown) > most
    if is_cut:  # more characters than bytes cannot fit in any case, and escaping takes time
        shown = shown[-most:] if keep_end else shown[:most]
    shown = text_block(shown, "") if lines else printable(shown)
    markup: str = escape(shown)
    while len(markup.encode()) > (room := most - _ROOM if is_cut else most):
        is_cut = True
        size = min(len(shown) - 1, len(shown) * room // len(markup.encode()))
        shown = shown[len(shown) - size :] if keep_end else shown[:size]
        markup = escape(shown)
    if is_cut:
        markup = _ELLIPSIS + markup if keep_end else markup + _ELLIPSIS
    return Html(markup)


def tag(name: str, /, *content: Html, **attributes: str | float | None) -> Html:
    """Return an element; an underscore in an attribute's name stands for a hyphen, at its end for nothing.

    Attributes without a value are left out, and those that are no `Html` are escaped.

    Example:
        >>> tag("a", text("R&D"), href="#tasks", class_=None)
        '<a href="#tasks">R&amp;D</a>'
    """
    head = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Html) else escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{head}>" if name in _VOID else f"<{name}{head}>{''.join(content)}</{name}>")


def joined(*parts: Html) -> Html:
    """Return parts of a page one after the other."""
    return Html("".join(parts))


def size_of(markup: Html) -> int:
    """Return the bytes that markup takes in the page."""
    return len(markup) if markup.isascii() else len(markup.encode())


def fitting(parts: list[Html], most: int) -> int:
    """Return how many parts, from the first on, have no more bytes than these."""
    left = most
    for number, part in enumerate(parts):
        left -= size_of(part)
        if left < 0:
            return number
    return len(parts)


def table(heads: list[tuple[str, str]], rows: list[Html], *, label: str, kind: str = "") -> Html:
    """Return a table in a region that scrolls where the screen is narrow.

    Args:
        heads: of each column its title, and the class of its cells: ``n`` for numbers.
        rows: as `row` makes them.
        label: what it is called for those who do not see it.
        kind: the table's class.
    """
    head = joined(*(tag("th", escape(title), scope="col", class_=cell or None) for title, cell in heads))
    inner = tag("table", tag("thead", tag("tr", head)), tag("tbody", *rows), class_=kind or None)
    return scrolled(inner, label)


def row(*cells: Html | tuple[Html, str]) -> Html:
    """Return a row of a table; a cell may come with its class."""
    shown = (cell if isinstance(cell, tuple) else (cell, "") for cell in cells)
    return Html(
        f"<tr>{''.join(f'<td class={kind}>{cell}</td>' if kind else f'<td>{cell}</td>' for cell, kind in shown)}</tr>"
    )


def scrolled(inner: Html, label: str, kind: str = "wide") -> Html:
    """Return a part of the page that scrolls by itself, also by the keyboard."""
    return tag("div", inner, class_=kind, role="region", tabindex=0, aria_label=label)


def block(lines: Html, label: str, kind: str = "block") -> Html:
    """Return lines as they were written; ``block end`` is of those whose last matter most."""
    return scrolled(tag("pre", lines), label, kind)


def fields(*pairs: tuple[str, Html]) -> Html:
    """Return names and what belongs to each; those with nothing are left out."""
    kept = [(name, value) for name, value in pairs if value]
    return tag("dl", *(joined(tag("dt", escape(name)), tag("dd", value)) for name, value in kept))


def section(name: str, title: str, *content: Html) -> Html:
    """Return a part of the page with its head; ``name`` is what links to it."""
    if not any(content):
        return Html()
    return tag(
        "section",
        tag("h2", escape(title), id=f"{name}-title"),
        *content,
        id=name,
        aria_labelledby=f"{name}-title",
    )
