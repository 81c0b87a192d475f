"""HTML and SVG from text that may hold anything: every text is escaped here and nowhere else."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from logmeta.elastic.verdicts import well_formed

CUT: Final = 300
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)  # and of direction


class Html(str):
    """Markup that is finished; anything else is text and gets escaped."""

    __slots__ = ()


def text(value: object, *, most: int = CUT) -> Html:
    """A text as markup: cut, escaped, control characters as visible symbols."""
    given = well_formed(str(value))
    shown = given if len(given) <= most else f"{given[: most - 1]}…"
    return Html(escape(_CONTROL.sub(_symbol, shown)))


def tag(name: str, *inside: object, **attributes: object) -> Html:
    """An element; `class_` is the attribute `class`, a dash is written as an underscore. An empty one is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items() if value != ""
    )
    return Html(f"<{name}{given}>{joined(*inside)}</{name}>")


def joined(*parts: object) -> Html:
    """Markup after markup, texts escaped."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts))


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
